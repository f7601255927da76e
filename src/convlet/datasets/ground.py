"""The ground of a drawing or photo, on which the light may change slowly, and what lies on it."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

SIDE = 160  # pixels, at most, of the image in which pieces are looked for
FEW = 48  # pixels in a row or column, at most, from which the ground is told
ROUNDS = 30
"""Of fitting the ground: each weighs what lies far from the last one less."""

Levels = NDArray[np.float32]
Mask = NDArray[np.bool_]


def halved(grey: NDArray[np.uint8]) -> tuple[Levels, int]:
    """An image (H, W) as means of squares, at most SIDE x SIDE, and the side of a square."""
    step = max(1, ceil(max(grey.shape) / SIDE))
    rows, columns = grey.shape
    sums = np.add.reduceat(grey, range(0, rows, step), axis=0, dtype=np.float32)
    sums = np.add.reduceat(sums, range(0, columns, step), axis=1)
    heights = np.minimum(step, rows - np.arange(0, rows, step))
    widths = np.minimum(step, columns - np.arange(0, columns, step))
    return (sums / np.outer(heights, widths)).astype(np.float32), step


def ground_of(small: Levels, paper: Mask | None = None) -> NDArray[np.float64]:
    """The factors of the ground: see `level_at`.

    The polynomial of second degree in place with the least sum of absolute differences.  paper:
    where to look.  Ink on less than half of the paper does not move it, as it does not move a
    median.  By least squares, weighed anew in each round.
    """
    some = (slice(None, None, max(1, ceil(max(small.shape) / FEW))),) * 2
    down, across = _places(small.shape, small.shape, 1)
    terms = np.stack([term[some].reshape(-1) for term in _terms(down, across)], axis=1)
    levels = small[some].reshape(-1).astype(np.float64)
    if paper is not None and paper[some].any():
        terms, levels = terms[paper[some].reshape(-1)], levels[paper[some].reshape(-1)]
    factors = np.zeros(terms.shape[1])
    factors[0] = np.median(levels)
    for _ in range(ROUNDS):
        weighed = terms.T / np.maximum(np.abs(levels - terms @ factors), 0.5)
        factors[:] = np.linalg.lstsq(weighed @ terms, weighed @ levels, rcond=None)[0]
    return factors


def level_at(
    factors: NDArray[np.float64], shape: tuple[int, ...], small: tuple[int, ...], step: int = 1
) -> Levels:
    """The level of the ground at each pixel of shape; step: such pixels in a side of one of small.

    small: the shape in which it was found.
    """
    terms = _terms(*_places(shape, small, step))
    level = sum(factor * term for factor, term in zip(factors, terms, strict=True))
    return np.asarray(level, np.float32)


def _places(
    shape: tuple[int, ...], small: tuple[int, ...], step: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns from -1 to 1, (H, W) each."""
    y, x = (
        (np.arange(side) + 0.5) / step * 2 / whole - 1
        for side, whole in zip(shape, small, strict=True)
    )
    down, across = np.meshgrid(y, x, indexing="ij")
    return down, across


def _terms(
    down: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    return np.ones(down.shape), across, down, across**2, across * down, down**2


def spread_of(levels: Levels) -> float:
    """The standard deviation of most of them: from the median of absolute differences."""
    if not levels.size:
        return 0.0
    return float(1.4826 * np.median(np.abs(levels - np.median(levels))))


def components(mask: Mask) -> list[list[int]]:
    """Pixels of a mask that touch, by side or corner, as numbers in its flat form."""
    columns = mask.shape[1]
    wide = columns + 2
    padded = np.pad(mask, 1).reshape(-1)
    left = set(np.flatnonzero(padded).tolist())
    around = (-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1)
    found = []
    while left:
        piece = [left.pop()]
        for place in piece:  # which grows meanwhile
            near = [place + step for step in around if place + step in left]
            left.difference_update(near)
            piece += near
        found.append([(p // wide - 1) * columns + p % wide - 1 for p in piece])
    return found


def widened(mask: Mask) -> Mask:
    """With every pixel that touches one of it."""
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    shifted = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    near: Mask = np.logical_or.reduce(shifted)
    return near
