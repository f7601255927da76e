"""Engines: whoever computes.

Two fulfil one small interface; both know stages and one flat float32 vector only.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convlet import backprop
from convlet import equations as eq
from convlet.equations import Array
from convlet.errors import InputError
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


class Engine(Protocol):
    """What a network asks of an engine.

    parameters is the flat vector; `train` changes it in place.
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
        rate: float,
        threads: int | None = None,
    ) -> Float64:
        """Steps of (21) over data[order], batch_size at a time -> cost (13) of each, (steps,).

        The last minibatch may be smaller.
        A minibatch whose weights are all 0 changes nothing and has cost 0.
        """


def make_engine(name: str, stages: Sequence[Stage]) -> Engine:
    """The engine of that name for these stages; "auto" takes the native one where it can run.

    Where it cannot, "auto" warns once and takes the reference engine.
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
        warnings.warn(message, RuntimeWarning, stacklevel=3)
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
        arrays = views(parameters, self.shapes)
        cost, derivatives = backprop.gradients(
            self.stages, arrays, self.inputs(batch.images), batch.targets, batch.weight
        )
        return cost, np.concatenate([derivatives[name].ravel() for name in self.shapes])

    def train(
        self,
        parameters: Float32,
        data: Samples,
        order: NDArray[np.int64],
        batch_size: int,
        rate: float,
        threads: int | None = None,
    ) -> Float64:
        costs = np.zeros(-(-len(order) // batch_size))
        for step in range(len(costs)):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            weight = None if data.weight is None else data.weight[chosen]
            if weight is not None and not weight.any():
                continue
            costs[step], gradient = self.gradients(
                parameters, Samples(data.images[chosen], data.targets[chosen], weight)
            )
            parameters -= np.float32(rate) * gradient  # (21): w <- w - eta (1/B) sum_b dJ^b/dw
        return costs

    def inputs(self, images: Array) -> Float32:
        """x^0 (B, *x_shape) as float32, uint8 scaled by 1/255."""
        return as_floats(images).reshape(len(images), *self.stages[0].x_shape)


def as_floats(images: Array) -> Float32:
    """Images as float32; uint8 levels u become u / 255."""
    floats: Float32 = images
    if images.dtype == np.uint8:
        floats = np.divide(images, 255, dtype=np.float32)
    return floats
