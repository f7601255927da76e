"""Engines: whoever computes.

Two fulfil one small interface; both know stages and one flat float32 vector only.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convlet import backprop
from convlet import equations as eq
from convlet.augmentation import Augmentation, apply
from convlet.equations import Array
from convlet.errors import DivergedError, InputError
from convlet.layers import Dropout
from convlet.optimizers import SGD, Optimizer
from convlet.randomness import kept
from convlet.stages import Stage, parameter_shapes, views

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

ENGINES = ("auto", "native", "reference")


@dataclass(frozen=True)
class Samples:
    """Checked images with their labels.

    images (n, rows, columns, channels) uint8 or float32; targets (n,) int32 classes or (n, M)
    float32 distributions; weight (n,) float32 or None.
    """

    images: Array
    targets: Array
    weight: Float32 | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass
class Rule:
    """How steps are taken: all of a call of `train` but the samples and the learning rates.

    The default is (21) as it stands.  Dropout and augmentation are keyed by (seed, epoch, sample).
    """

    optimizer: Optimizer = field(default_factory=SGD)
    slots: tuple[Float32, ...] = ()  # of the optimiser, like the flat vector; changed in place
    updates: int = 0  # steps taken before
    clip_norm: float | None = None  # the greatest norm of the gradient
    label_smoothing: float = 0.0
    augmentation: Augmentation | None = None
    seed: int = 0
    epoch: int = 0
    costs: Float64 = field(default_factory=lambda: np.zeros(0))  # out: cost (13) of each step ...
    done: int = 0  # out: ... of which so many are whole, even if `train` ended with an exception


class Engine(Protocol):
    """What a network asks of an engine.

    parameters is the flat vector; `train` changes it in place.

    threads: None is the engine's choice; the result does not depend on it.
    """

    @property
    def name(self) -> str: ...

    def predict(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        """Images (n, rows, columns, channels) -> probabilities (n, M)."""

    def logits(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        """Images (n, rows, columns, channels) -> what enters the softmax, (n, M)."""

    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        """Cost (13) of one minibatch and its derivative, a flat vector like parameters."""

    def train(
        self,
        parameters: Float32,
        data: Samples,
        order: NDArray[np.int64],
        batch_size: int,
        rates: Float32 | float,
        threads: int | None = None,
        rule: Rule | None = None,
    ) -> Float64:
        """Steps over data[order], batch_size at a time -> cost (13) of each, (steps,).

        The last minibatch may be smaller.  rates: eta of each step, (steps,), or one for all.
        A minibatch whose weights are all 0 changes nothing and has cost 0.  Raises `DivergedError`
        at a step whose cost or gradient is not finite; that step is not taken.
        """

    def augment(self, images: Array, plan: Augmentation, seed: int, epoch: int) -> Float32:
        """Images (n, rows, columns, channels) as training sees samples 0, 1, ... of that epoch."""


_said: set[str] = set()  # what holds for every network is said once in a process


def make_engine(name: str, stages: Sequence[Stage]) -> Engine:
    """The engine of that name for these stages; "auto" takes the native one where it can run.

    Where it cannot, "auto" warns and takes the reference engine; once, if the reason is the CPU.
    """
    from convlet.native import TARGET, NativeEngine

    if name not in ENGINES:
        raise InputError(f"engine is {name!r}, expected one of: {', '.join(ENGINES)}")
    if name == "reference":
        return ReferenceEngine(stages)
    try:
        return NativeEngine(stages)
    except InputError as error:
        if name == "native" or TARGET.error:
            raise
        message = f"{error}; the slow reference engine computes instead"
        if message not in _said:
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        if TARGET.name is None:  # of the CPU, whatever the network
            _said.add(message)
        return ReferenceEngine(stages)


class ReferenceEngine:
    """NumPy over the minibatch, straight from the equations: slow, obvious, the oracle."""

    name = "reference"
    CHUNK = 256  # images at a time in prediction: memory stays small

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self.shapes = parameter_shapes(stages)

    def logits(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        arrays = views(parameters, self.shapes)
        chunks = (images[start : start + self.CHUNK] for start in range(0, len(images), self.CHUNK))
        return np.concatenate(
            [backprop.logits(backprop.forward(self.stages, arrays, self.inputs(x))) for x in chunks]
        )

    def predict(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        return eq.softmax(self.logits(parameters, images))

    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        return self._gradients(parameters, self.inputs(batch.images), batch.targets, batch.weight)

    def train(
        self,
        parameters: Float32,
        data: Samples,
        order: NDArray[np.int64],
        batch_size: int,
        rates: Float32 | float,
        threads: int | None = None,
        rule: Rule | None = None,
    ) -> Float64:
        rule = rule or Rule()
        rule.costs, rule.done = np.zeros(-(-len(order) // batch_size)), 0
        etas = np.broadcast_to(np.asarray(rates, np.float32), rule.costs.shape)
        for step, eta in enumerate(etas.tolist()):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            weight = None if data.weight is None else data.weight[chosen]
            if weight is None or weight.any():
                batch = Samples(data.images[chosen], data.targets[chosen], weight)
                rule.costs[step] = self._step(parameters, batch, chosen, eta, rule, step)
            rule.done += 1
        return rule.costs

    def augment(self, images: Array, plan: Augmentation, seed: int, epoch: int) -> Float32:
        return apply(as_floats(images), plan, np.arange(len(images)), seed, epoch).astype(
            np.float32
        )

    def _step(
        self,
        parameters: Float32,
        batch: Samples,
        chosen: NDArray[np.int64],
        eta: float,
        rule: Rule,
        step: int,
    ) -> float:
        x = self.inputs(batch.images)
        if rule.augmentation is not None:
            seen = apply(as_floats(batch.images), rule.augmentation, chosen, rule.seed, rule.epoch)
            x = seen.astype(np.float32).reshape(x.shape)
        y = smoothed(batch.targets, self.stages[-1].output_shape[0], rule.label_smoothing)
        masks = dropout_masks(self.stages, chosen, rule.seed, rule.epoch)
        cost, gradient = self._gradients(parameters, x, y, batch.weight, masks)
        norm = float(np.sqrt(np.dot(gradient.astype(np.float64), gradient)))
        if not (np.isfinite(cost) and np.isfinite(norm)):
            raise DivergedError("the cost or the gradient is not finite")
        if rule.clip_norm is not None and norm > rule.clip_norm:
            gradient *= np.float32(rule.clip_norm / norm)
        rule.optimizer.update(parameters, gradient, rule.slots, eta, rule.updates + step + 1)
        return cost

    def _gradients(
        self,
        parameters: Float32,
        x: Float32,
        y: Array,
        weight: Float32 | None,
        masks: backprop.Masks | None = None,
    ) -> tuple[float, Float32]:
        arrays = views(parameters, self.shapes)
        cost, derivatives = backprop.gradients(self.stages, arrays, x, y, weight, masks)
        return cost, np.concatenate([derivatives[name].ravel() for name in self.shapes])

    def inputs(self, images: Array) -> Float32:
        """x^0 (B, *x_shape) as float32, uint8 scaled by 1/255."""
        return as_floats(images).reshape(len(images), *self.stages[0].x_shape)


def as_floats(images: Array) -> Float32:
    """Images as float32; uint8 levels u become u / 255."""
    floats: Float32 = images
    if images.dtype == np.uint8:
        floats = np.divide(images, 255, dtype=np.float32)
    return floats


def smoothed(y: Array, classes: int, smoothing: float) -> Array:
    """Labels as they are, or the distributions (1 - s) y + s / M.

    Source: Szegedy et al., "Rethinking the Inception architecture", CVPR 2016.
    """
    if not smoothing:
        return y
    s = np.float32(smoothing)
    rows: Float32 = eq.distribution(y, np.zeros((len(y), classes), np.float32))
    return (1 - s) * rows + s / np.float32(classes)


def dropout_masks(
    stages: Sequence[Stage], samples: NDArray[np.int64], seed: int, epoch: int
) -> backprop.Masks:
    """The factor of each unit behind each dropout layer, keyed by (seed, epoch, sample)."""
    masks: dict[tuple[int, int], Array] = {}
    for stage in stages:
        shape, count = stage.z_shape, 0
        for n, layer in enumerate(stage.sigma):
            shape = layer.output_shape(shape)
            if isinstance(layer, Dropout):
                place = stage.index << 16 | count
                units = int(np.prod(shape))
                rows = [kept(seed, epoch, int(s), place, units, layer.rate) for s in samples]
                masks[stage.index, n] = np.stack(rows).reshape(len(samples), *shape)
                count += 1
    return masks
