"""A derivative against central differences: what is compared, at random points that are repeatable.

A derivative J is compared as one number, <v, J^T u> against the difference of <u, f(x +- h v)>, for
random u and v, of any shape.  The differences are of fourth order, so that the step h may be large
enough to lose no digits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from convlet.equations import Array, patches
from convlet.layers import MaxPool2D, ReLU, Sigma
from convlet.randomness import Purpose, uniform
from convlet.shapes import Pair

LIMIT = 1e-6
KINK_STEPS = [1e-4 * 0.25**n for n in range(8)]  # down to 6e-9: J loses no more than 8 of 16 digits
ROUNDING = 1e-13
"""Of the greatest number of an array: numbers that differ by less are equal on both sides."""


@dataclass(frozen=True)
class CheckRow:
    """One derivative: its equation, what it is, of which layer or parameter, and the outcome."""

    equation: str  # "(2)"
    what: str  # "dC/dx"
    name: str  # "stage 0: conv 8 5"
    relative_difference: float
    limit: float
    passed: bool


class Draws:
    """Random arrays, each from the next stream of the words (seed, CHECK, ...)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.stream = 0

    def __call__(self, *shape: int) -> Array:
        """Uniform in [-1, 1)."""
        self.stream += 1
        numbers = uniform(self.seed, Purpose.CHECK, self.stream, prod(shape))
        return 2 * numbers.reshape(shape) - 1

    def distributions(self, count: int, classes: int) -> Array:
        """Soft labels (count, classes): positive rows that add up to 1."""
        y = self(count, classes) + 1.1
        y /= y.sum(axis=1, keepdims=True)
        return y

    def distinct(self, *shape: int) -> Array:
        """Whole numbers around 0, no two equal: every maximum is 1 above the rest."""
        order = self(prod(shape)).argsort().argsort()
        return (order - prod(shape) // 2).astype(np.float64).reshape(shape)


def difference(f: Callable[[float], float], h: float) -> float:
    """df/ds at s = 0 by central differences of fourth order."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def compare(
    equation: str, what: str, name: str, derivative: float, f: Callable[[float], float], h: float
) -> CheckRow:
    """A row for <v, J^T u> = derivative against the difference of f(s) = <u, f(x + s v)>."""
    ours, theirs = derivative, difference(f, h)
    scale = max(abs(ours), abs(theirs))
    relative = abs(ours - theirs) / scale if scale else 0.0
    return CheckRow(equation, what, name, relative, LIMIT, relative < LIMIT)


def inner(a: Array, b: Array) -> float:
    return float((a * b).sum())


def stays(here: Iterable[tuple[Sigma, Array]], there: Iterable[tuple[Sigma, Array]]) -> bool:
    """Whether each layer of sigma is on the same linear piece at two points.

    A point: the layers, each with what enters it (B, ...).  A ReLU is where the signs are, a pool
    where the winners are.
    """
    return all(_stays(layer, x, moved) for (layer, x), (_, moved) in zip(here, there, strict=True))


def _stays(layer: Sigma, x: Array, moved: Array) -> bool:
    rounding = ROUNDING * float(np.abs(moved).max(initial=0))
    match layer:
        case ReLU():
            flat = (np.abs(x) <= rounding) & (np.abs(moved) <= rounding)
            return bool((flat | (np.sign(x) == np.sign(moved))).all())
        case MaxPool2D(size=size, stride=stride):
            at, to = (_windows(values, size, stride) for values in (x, moved))
            winner = at.argmax(axis=-1)[..., None]
            return bool((np.take_along_axis(to, winner, -1)[..., 0] >= to.max(-1) - rounding).all())
        case _ if layer.smooth:
            return True
    raise AssertionError(f"nobody knows the sides of {layer}")


def _windows(x: Array, size: Pair, stride: Pair) -> Array:
    """The pixels under each window of a pool, (..., I, J, K, p q)."""
    windows = np.moveaxis(patches(x, size, stride), -1, -3)
    return windows.reshape(*windows.shape[:-2], -1)
