"""Which range of the values of a stage its 256 bytes cover: three choices, each by its name.

Values are counted in bins, so that any number of images takes the same memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import fsum, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Float64
from convlet.errors import InputError

BINS = 4096
LEFT_OUT = 1e-4
"""The share of values that "percentile" leaves out, at each end that is not 0."""
CANDIDATES = 64
"""Ranges that "error" tries, from 1/4 of the largest to all of it."""


@dataclass(frozen=True)
class Spread:
    """How often values fall between low and high, in bins of equal width."""

    low: float
    high: float
    counts: NDArray[np.int64]

    @property
    def middles(self) -> Float64:
        """The middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.low + width * (np.arange(len(self.counts)) + 0.5), np.float64)


def spread(pieces: Callable[[], Iterable[Float64]]) -> Spread:
    """Of all values of the pieces, which are asked for twice."""
    low, high = 0.0, 0.0
    for piece in pieces():
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
    counts = np.zeros(BINS, np.int64)
    if low < high:
        for piece in pieces():
            places = ((piece - low) / (high - low) * BINS).astype(np.int64)
            counts += np.bincount(np.minimum(places, BINS - 1).ravel(), minlength=BINS)
    return Spread(low, high, counts)


def maximum(values: Spread) -> tuple[float, float]:
    """All of them."""
    return values.low, values.high


def percentile(values: Spread) -> tuple[float, float]:
    """Without the outermost ones, `LEFT_OUT` of the values at each end that is not 0."""
    below = np.cumsum(values.counts) / max(1, values.counts.sum())
    edges = np.linspace(values.low, values.high, BINS + 1)
    low = edges[int(np.searchsorted(below, LEFT_OUT, side="right"))]
    high = edges[min(int(np.searchsorted(below, 1 - LEFT_OUT, side="left")) + 1, BINS)]
    return (float(low) if values.low < 0 else 0.0), (float(high) if values.high > 0 else 0.0)


def error(values: Spread) -> tuple[float, float]:
    """The range, of those shrunk toward 0 alike, with the least squared error of (26)."""
    best, least = (values.low, values.high), inf
    x = values.middles
    for part in np.linspace(0.25, 1, CANDIDATES)[::-1]:
        low, high = part * values.low, part * values.high
        step = (high - low) / 255
        if not step > 0:
            break
        nearest = low + step * np.clip(np.floor((x - low) / step + 0.5), 0, 255)
        squares = fsum(
            values.counts * (x - nearest) ** 2
        )  # in any order, so on any machine, the same
        if squares < least:
            best, least = (float(low), float(high)), squares
    return best


CHOICES: dict[str, Callable[[Spread], tuple[float, float]]] = {
    "maximum": maximum,
    "percentile": percentile,
    "error": error,
}


def as_ranges(value: Any, name: str = "ranges") -> str:
    """The name of a choice.  Raises `InputError`."""
    if not (isinstance(value, str) and value in CHOICES):
        raise InputError(name, value, f"one of: {', '.join(CHOICES)}")
    return value
