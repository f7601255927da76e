"""The native engine: stages handed to the C++ core, on the instruction set chosen at import."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import radians

import numpy as np
from numpy.typing import NDArray

import convlet._native as _native
from convlet.augmentation import Augmentation
from convlet.engine import Float32, Float64, Rule, Samples
from convlet.equations import Array
from convlet.errors import DivergedError, InputError
from convlet.layers import Conv2D, Dropout, MaxPool2D, ReLU
from convlet.optimizers import SGD, Adam, Optimizer
from convlet.stages import Stage, parameter_shapes
from convlet.threads import choose

BLOCK = 8
"""Samples whose convolution gradients are one chain of sums: the least share of a thread."""

NAMES = {"avx512": "x86-64-v4, AVX-512", "avx2": "x86-64-v3, AVX2 and FMA", "neon": "aarch64, NEON"}


@dataclass(frozen=True)
class Target:
    """The instruction set in use, or None, and why."""

    name: str | None
    why: str
    error: bool = False  # CONVLET_TARGET asks for what is not there


def choose_target(wanted: str | None) -> Target:
    """The best target that this CPU has, or the one that CONVLET_TARGET names."""
    built = dict(_native.targets())
    usable = [name for name, supported in built.items() if supported]
    if wanted:
        if wanted in usable:
            return Target(wanted, "CONVLET_TARGET asks for it")
        what = "this CPU does not have it" if wanted in built else "no such target in this build"
        here = ", ".join(usable) or "none"
        why = f"CONVLET_TARGET is {wanted!r}, {what}: expected one of: {here}"
        return Target(None, why, error=True)
    if usable:
        return Target(usable[0], "the widest vectors that this CPU has")
    return Target(None, f"this CPU has none of: {', '.join(built) or 'any target'}")


TARGET = choose_target(os.environ.get("CONVLET_TARGET"))


class NativeEngine:
    """The C++ core.  Raises `InputError` where it cannot run these stages on this CPU."""

    name = "native"

    def __init__(self, stages: Sequence[Stage]) -> None:
        if TARGET.name is None:
            raise InputError(f"engine is 'native', but {TARGET.why}")
        self.stages = tuple(stages)
        self.multiply_adds = sum(stage.multiply_adds for stage in stages)
        self.classes = stages[-1].output_shape[0]
        self.dropout = any(isinstance(layer, Dropout) for stage in stages for layer in stage.sigma)
        count = sum(stage.parameter_count for stage in stages)
        try:
            self.core = _native.Engine(TARGET.name, stage_specs(stages), count)
        except ValueError as error:
            raise InputError(f"engine is 'native', but {error}: use the reference engine") from None

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
            team = choose(threads, len(images), len(images) * self.multiply_adds)
            self.core.predict(parameters, images, probabilities, out, team)
        return out

    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        gradient = np.empty_like(parameters)
        team = self._team(threads, len(batch))
        cost = self.core.gradients(
            parameters, batch.images, batch.targets, batch.weight, gradient, team
        )
        return cost, gradient

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
        etas = np.array(np.broadcast_to(np.float32(rates), rule.costs.shape))
        m, v = (*rule.slots, None, None)[:2]
        rule.done, diverged, error = self.core.train(
            parameters,
            data.images,
            data.targets,
            data.weight,
            np.ascontiguousarray(order),
            batch_size,
            etas,
            rule.costs,
            self._team(threads, min(batch_size, len(order))),
            rule=_update_rule(rule.optimizer),
            decay=rule.optimizer.weight_decay,
            updates=rule.updates,
            m=m,
            v=v,
            clip=rule.clip_norm or 0.0,
            smoothing=rule.label_smoothing,
            dropout=self.dropout,
            augmentation=_augmentation(rule.augmentation),
            seed=rule.seed,
            epoch=rule.epoch,
        )
        if error is not None:  # a signal, Ctrl-C for one
            raise error
        if diverged:
            raise DivergedError("the cost or the gradient is not finite")
        return rule.costs

    def augment(self, images: Array, plan: Augmentation, seed: int, epoch: int) -> Float32:
        out = np.empty(images.shape, np.float32)
        self.core.augment(images, _augmentation(plan), seed, epoch, out)
        return out

    def _team(self, threads: int | None, batch: int) -> int:
        """Threads for one minibatch: forward, (2) and (3) are three times the multiply-adds."""
        return choose(threads, -(-batch // BLOCK), 3 * batch * self.multiply_adds)


def stage_specs(stages: Sequence[Stage]) -> list[_native.StageSpec]:
    """The stages in numbers, as native/network.h wants them."""
    specs, at = [], 0
    for stage in stages:
        spec = _native.StageSpec()
        spec.conv = isinstance(stage.affine, Conv2D)
        if isinstance(stage.affine, Conv2D):
            spec.H, spec.W, spec.R = stage.x_shape
            spec.rows, spec.columns = stage.kernel
            spec.s1, spec.s2 = stage.stride
            (spec.above, spec.below), (spec.left, spec.right) = stage.margins
            spec.I, spec.J, spec.K = stage.z_shape
        else:
            spec.H = spec.W = spec.rows = spec.columns = spec.s1 = spec.s2 = spec.I = spec.J = 1
            spec.above = spec.below = spec.left = spec.right = 0
            spec.R, spec.K = stage.w_shape
        position = isinstance(stage.affine, Conv2D) and stage.affine.bias == "position"
        shared = _native.Bias.position if position else _native.Bias.channel
        spec.bias = _native.Bias.none if stage.b_shape is None else shared
        spec.sigma = [
            _sigma(layer) for layer in stage.sigma if isinstance(layer, ReLU | MaxPool2D | Dropout)
        ]
        spec.w, spec.b = at, at + int(np.prod(stage.w_shape))
        at += stage.parameter_count
        specs.append(spec)
    assert at == sum(int(np.prod(shape)) for shape in parameter_shapes(stages).values())
    return specs


def _sigma(layer: ReLU | MaxPool2D | Dropout) -> _native.SigmaLayer:
    match layer:
        case MaxPool2D(size=(rows, columns), stride=(down, right)):
            return _native.SigmaLayer(_native.SigmaKind.max_pool, rows, columns, down, right)
        case Dropout(rate=rate):
            return _native.SigmaLayer(_native.SigmaKind.dropout, rate=rate)
        case _:
            return _native.SigmaLayer(_native.SigmaKind.relu)


def _update_rule(optimizer: Optimizer) -> _native.UpdateRule:
    kind = _native.UpdateKind
    match optimizer:
        case Adam(beta1=beta1, beta2=beta2, epsilon=epsilon):
            return _native.UpdateRule(kind.adam, beta1, beta2, epsilon)
        case SGD(momentum=mu, nesterov=nesterov) if mu:
            return _native.UpdateRule(kind.nesterov if nesterov else kind.momentum, mu)
        case _:
            return _native.UpdateRule(kind.sgd)


def _augmentation(plan: Augmentation | None) -> _native.Augmentation | None:
    if plan is None:
        return None
    angle = radians(plan.rotation)
    changes = plan.shift, angle, plan.scale, plan.shear, plan.flip, plan.elastic, plan.sigma
    return _native.Augmentation(*changes)
