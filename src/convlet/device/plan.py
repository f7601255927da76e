"""What a device computes, step by step, and where it keeps it: one arena that all steps share.

A step is one loop nest.  A convolution takes the ReLU and the pool behind it along, so that z^l is
never whole, unless windows overlap; such a pool, or a second one, is a step of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import assert_never

import numpy as np

from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet.shapes import Pair, Shape
from convlet.stages import Stage


@dataclass(frozen=True)
class ConvStep:
    """(1), (17), then (4) over windows that do not overlap, then (9)."""

    stage: Stage
    x_shape: Shape  # (H, W, R), without padding
    shape: Shape  # of its output
    window: Pair = (1, 1)
    stride: Pair = (1, 1)  # of the window
    relu: bool = False

    @property
    def above_left(self) -> Pair:
        """Rows of zeros above x, columns to its left."""
        assert isinstance(self.stage.affine, Conv2D)
        (above, _), (left, _) = self.stage.affine.margins(self.x_shape)
        return above, left

    @property
    def is_padded(self) -> bool:
        return self.stage.padded_shape != self.x_shape

    @property
    def lead(self) -> int:
        """How many places y must begin before x, so that none is written that is still read."""
        assert isinstance(self.stage.affine, Conv2D)
        _, w, r = self.x_shape
        firsts = [
            np.maximum(np.arange(n) * s * step - before, 0)
            for n, s, step, before in zip(
                self.shape[:2], self.stage.affine.stride, self.stride, self.above_left, strict=True
            )
        ]
        read = ((firsts[0][:, None] * w + firsts[1]) * r).ravel()  # the first of each place of y
        written = (np.arange(read.size) + 1) * self.shape[2]
        return int(np.clip((written - read).max(), 0, prod(self.shape)))


@dataclass(frozen=True)
class DenseStep:
    """(6), (17), then (9)."""

    stage: Stage
    x_shape: Shape
    shape: Shape
    relu: bool = False

    @property
    def lead(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class PoolStep:
    """(4), then (9): windows of any stride, also in place."""

    stage: Stage
    x_shape: Shape
    shape: Shape
    window: Pair
    stride: Pair
    relu: bool = False

    lead = 0


Step = ConvStep | DenseStep | PoolStep


def steps_of(stages: Sequence[Stage]) -> tuple[Step, ...]:
    """The steps of a network below its softmax, in order."""
    steps: list[Step] = []
    for stage in stages:
        made: type[ConvStep] | type[DenseStep]
        match stage.affine:
            case Conv2D():
                made = ConvStep
            case Dense():
                made = DenseStep
            case _:
                assert_never(stage.affine)
        steps.append(made(stage, stage.x_shape, stage.z_shape))
        for layer in stage.sigma:
            match layer:
                case ReLU():  # it does not decrease, so that it may change places with (4)
                    steps[-1] = replace(steps[-1], relu=True)
                case MaxPool2D():
                    steps[-1:] = _pooled(steps[-1], layer)
                case Flatten() | Dropout() | Softmax():
                    pass  # no data moves; only in training; the caller's last step
                case _:
                    assert_never(layer)
    return tuple(steps)


def _pooled(step: Step, pool: MaxPool2D) -> list[Step]:
    """A step with a pool behind it: in one nest where no z would be computed twice."""
    shape = pool.output_shape(step.shape)
    apart = all(stride >= size for stride, size in zip(pool.stride, pool.size, strict=True))
    if isinstance(step, ConvStep) and step.window == (1, 1) == step.stride and apart:
        return [replace(step, shape=shape, window=pool.size, stride=pool.stride)]
    return [step, PoolStep(step.stage, step.shape, shape, pool.size, pool.stride)]


@dataclass(frozen=True)
class Arena:
    """Where the output of each step lies, in elements; the last one is the caller's.

    Outputs lie at the two ends in turn.  One at the lower end may overwrite what its step has read
    of the upper one.
    """

    places: tuple[int, ...]  # of the outputs of all steps but the last
    size: int


def arena_of(steps: Sequence[Step]) -> Arena:
    """The smaller of the two ways of taking turns."""
    plans = (_in_turn(steps, low) for low in (True, False))
    return min(plans, key=lambda plan: plan.size)


def _in_turn(steps: Sequence[Step], low: bool) -> Arena:
    """low: whether the first output lies at the lower end."""
    sizes = [prod(step.shape) for step in steps[:-1]]
    is_low = [low ^ bool(n % 2) for n in range(len(sizes))]
    size = max(sizes, default=0)
    for n in range(1, len(sizes)):
        size = max(size, sizes[n - 1] + (steps[n].lead if is_low[n] else sizes[n]))
    places = (0 if down else size - own for own, down in zip(sizes, is_low, strict=True))
    return Arena(tuple(places), size)
