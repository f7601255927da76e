"""The native engine: stages handed to the C++ core, on the instruction set chosen at import."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, radians
from typing import assert_never

import numpy as np

import convlet._native as _native
from convlet import backprop
from convlet import threads as team
from convlet.augmentation import Augmentation
from convlet.engine import Samples, Share, Steps, Trained, shard_nodes, shard_start
from convlet.equations import Array, Float32
from convlet.errors import InputError
from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sigma, Softmax
from convlet.optimizers import SGD, Adam, Optimizer
from convlet.settings import Settings
from convlet.stages import Stage, parameter_shapes, views

BLOCK = 8
"""Samples whose convolution gradients are one chain of sums: the least share of a thread."""

NAMES = {"avx512": "x86-64-v4, AVX-512", "avx2": "x86-64-v3, AVX2 and FMA", "neon": "aarch64, NEON"}


@dataclass(frozen=True)
class Target:
    """The instruction set in use, or None, and why; error: what is wrong with CONVLET_TARGET."""

    name: str | None
    why: str
    error: bool = False


def choose_target(wanted: str | None) -> Target:
    """The best target that this CPU has, or the one that CONVLET_TARGET names."""
    built = dict(_native.targets())
    usable = [name for name, supported in built.items() if supported]
    if wanted:
        if wanted in usable:
            return Target(wanted, "CONVLET_TARGET asks for it")
        what = "this CPU does not have it" if wanted in built else "no such target in this build"
        here = ", ".join(usable) or "none"
        why = f"is {wanted!r}, {what}: expected one of: {here}"
        return Target(None, why, error=True)
    if usable:
        return Target(usable[0], "the widest vectors that this CPU has")
    return Target(None, f"this CPU has none of: {', '.join(built) or 'any target'}")


TARGET = choose_target(os.environ.get("CONVLET_TARGET"))


class NativeEngine:
    """The C++ core.  Raises `InputError` where it cannot run these stages on this CPU."""

    name = "native"

    def __init__(self, stages: Sequence[Stage]) -> None:
        if TARGET.error:
            raise InputError("CONVLET_TARGET", found=TARGET.why)
        if TARGET.name is None:
            raise InputError("engine", "native", but=TARGET.why)
        self.stages = tuple(stages)
        self.multiply_adds = sum(stage.multiply_adds for stage in stages)
        self.classes = stages[-1].output_shape[0]
        count = sum(stage.parameter_count for stage in stages)
        try:
            self.core = _native.Engine(TARGET.name, stage_specs(stages), count, team.STAGE)
        except ValueError as error:
            hint = "use the reference engine"
            raise InputError("engine", "native", but=str(error), hint=hint) from None

    def __reduce__(self) -> tuple[type["NativeEngine"], tuple[tuple[Stage, ...]]]:
        """A copy, or an engine in another process, is made anew: the core has no state to keep."""
        return NativeEngine, (self.stages,)

    def logits(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        return self._predict(parameters, images, False, threads)

    def predict(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        return self._predict(parameters, images, True, threads)

    def _predict(
        self, parameters: Float32, images: Array, probabilities: bool, threads: int | None
    ) -> Float32:
        out = np.empty((len(images), self.classes), np.float32)
        if len(images):
            work = len(images) * self.multiply_adds
            chosen = team.choose(threads, None, work, team.PREDICTION)
            self.core.predict(parameters, images, probabilities, out, chosen)
        return out

    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        gradient = np.empty_like(parameters)
        chosen = self._team(threads, len(batch))
        cost = self.core.gradients(
            parameters, batch.images, batch.targets, batch.weight, gradient, chosen
        )
        return cost, gradient

    def trace(
        self, parameters: Float32, images: Array, threads: int | None = None
    ) -> list[tuple[Float32, Float32]]:
        z, out, _, _ = self._traced(parameters, images, np.zeros(len(images), np.int32))
        out[-1] = self.predict(parameters, images, threads)  # x^L: behind the softmax
        return list(zip(z, out, strict=True))

    def errors(
        self, parameters: Float32, images: Array, targets: Array, threads: int | None = None
    ) -> list[tuple[Float32, Float32]]:
        _, _, deltas, dx = self._traced(parameters, images, targets)
        first, arrays = self.stages[0], views(parameters, parameter_shapes(self.stages))
        if isinstance(first.affine, Conv2D):  # no step asks for the error of an image
            dx[0] = backprop.affine_dx(first, deltas[0], arrays)
        return list(zip(deltas, dx, strict=True))

    def _traced(
        self, parameters: Float32, images: Array, targets: Array
    ) -> tuple[list[Float32], ...]:
        """z^l, x^{l+1} below the softmax, dE/dz^l, dE/dx^l of every stage, as a step has them."""
        count = len(images)
        shapes = [
            [stage.z_shape for stage in self.stages],
            [stage.output_shape for stage in self.stages],
            [stage.z_shape for stage in self.stages],
            [stage.x_shape for stage in self.stages],
        ]
        found = [[np.zeros((count, *shape), np.float32) for shape in of] for of in shapes]
        rows = [[array.reshape(count, prod(array.shape[1:])) for array in of] for of in found]
        if isinstance(self.stages[0].affine, Conv2D):
            rows[3][0] = np.empty((count, 0), np.float32)
        self.core.trace(parameters, images, targets, *rows)
        return tuple(found)

    def train(
        self,
        parameters: Float32,
        slots: tuple[Float32, ...],
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None = None,
        share: Share | None = None,
    ) -> Trained:
        """Take steps; see `Engine`.  Raises what a signal's handler raises, Ctrl-C for one."""
        costs = np.zeros(len(steps.rates))
        batch = min(settings.batch_size, len(steps.order))
        if share is not None:
            start, end = (shard_start(n, settings.shards, batch) for n in (share.first, share.last))
            batch = end - start
        try:
            done, diverged = self.core.train(
                parameters,
                slots,
                data.images,
                data.targets,
                data.weight,
                np.ascontiguousarray(steps.order),
                np.ascontiguousarray(steps.rates),
                steps.updates,
                steps.epoch,
                core_settings(settings),
                costs,
                self._team(threads, batch),
                None if share is None else _share(share, settings.shards, len(parameters)),
            )
        except ValueError as error:  # they were checked when `fit` began
            if share is not None:  # what the exchange raises is its own affair
                raise
            found, hint = f"was changed during training: {error}", "a callback may only look at it"
            raise InputError("y", found=found, hint=hint) from None
        return Trained(costs[:done], diverged)

    def augment(self, images: Array, augmentation: Augmentation, seed: int, epoch: int) -> Float32:
        out = np.empty(images.shape, np.float32)
        self.core.augment(images, _augmentation(augmentation), seed, epoch, out)
        return out

    def _team(self, threads: int | None, batch: int) -> int:
        """Threads for one minibatch: forward, (2) and (3) are three times the multiply-adds."""
        work = 3 * batch * self.multiply_adds
        return team.choose(threads, -(-batch // BLOCK), work, team.TRAINING)


def stage_specs(stages: Sequence[Stage]) -> list[_native.StageSpec]:
    """The stages in numbers, as native/network.h wants them."""
    specs, at = [], 0
    for stage in stages:
        spec = _native.StageSpec()
        match stage.affine:
            case Conv2D(kernel=kernel, stride=stride) as conv:
                spec.affine = _native.AffineKind.conv
                spec.H, spec.W, spec.R = stage.x_shape
                spec.rows, spec.columns = kernel
                spec.s1, spec.s2 = stride
                margins = conv.margins(stage.x_shape)
                (spec.above, spec.below), (spec.left, spec.right) = margins
                spec.I, spec.J, spec.K = stage.z_shape
            case Dense():
                spec.affine = _native.AffineKind.dense
                spec.H = spec.W = spec.rows = spec.columns = spec.s1 = spec.s2 = spec.I = spec.J = 1
                spec.above = spec.below = spec.left = spec.right = 0
                spec.R, spec.K = stage.w_shape
            case _:
                assert_never(stage.affine)
        spec.bias = _bias(stage)
        spec.sigma = [kind for layer in stage.sigma for kind in _sigma(layer)]
        spec.w, spec.b = at, at + int(np.prod(stage.w_shape))
        at += stage.parameter_count
        specs.append(spec)
    assert at == sum(int(np.prod(shape)) for shape in parameter_shapes(stages).values())
    return specs


def _share(share: Share, shards: int, parameters: int) -> _native.Share:
    nodes = shard_nodes(shards, share.first, share.last)
    sums, costs = np.empty((len(nodes), parameters), np.float32), np.zeros(shards)
    gradient = np.empty(parameters, np.float32)
    rows, totals = np.ascontiguousarray(share.rows), np.ascontiguousarray(share.totals)

    def exchange() -> None:
        share.exchange(sums, costs, gradient)

    return _native.Share(share.first, share.last, rows, totals, sums, gradient, costs, exchange)


def _bias(stage: Stage) -> _native.Bias:
    match stage.affine.bias:
        case None | False:
            return _native.Bias.none
        case "channel" | True:
            return _native.Bias.channel
        case "position":
            return _native.Bias.position
        case _:
            assert_never(stage.affine.bias)


def _sigma(layer: Sigma) -> list[_native.SigmaLayer]:
    """A layer as the core takes it; none for one that moves no data, or is the core's own end."""
    match layer:
        case ReLU():
            return [_native.SigmaLayer("relu")]
        case MaxPool2D(size=(rows, columns), stride=(down, right)):
            return [_native.SigmaLayer("max_pool", rows, columns, down, right)]
        case Dropout(rate=rate):
            return [_native.SigmaLayer("dropout", number=rate)]
        case Flatten() | Softmax():
            return []
        case _:
            assert_never(layer)


def core_settings(settings: Settings) -> _native.Settings:
    """The settings for the core, which reads plain numbers by their names."""
    optimizer, augmentation = settings.optimizer, settings.augmentation
    return _native.Settings(settings, _optimizer(optimizer), _augmentation(augmentation))


def _optimizer(optimizer: Optimizer) -> _native.Optimizer:
    kind, decay = _native.UpdateKind, optimizer.weight_decay
    match optimizer:
        case Adam(beta1=beta1, beta2=beta2, epsilon=epsilon):
            return _native.Optimizer(kind.adam, beta1, beta2, epsilon, decay)
        case SGD(momentum=mu, nesterov=nesterov):
            how = kind.nesterov if nesterov else kind.momentum if mu else kind.sgd
            return _native.Optimizer(how, mu, weight_decay=decay)
        case _:
            assert_never(optimizer)


def _augmentation(ranges: Augmentation | None) -> _native.Augmentation | None:
    if ranges is None:
        return None
    return _native.Augmentation(
        ranges.shift,
        radians(ranges.rotation),
        ranges.scale,
        ranges.shear,
        ranges.flip,
        ranges.elastic,
        ranges.sigma,
    )
