"""What images are, measured: the facts that decide which recipe fits them (docs/recipes.md)."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Array

Levels = NDArray[np.int16]

SAMPLE = 2_000  # images that colour and ground are measured on
COMPARED = 3_000  # images for `mirror`
PIECE = 250  # of them in memory at once
GRAIN = 14  # rows and columns, or somewhat more, of their small copies
PIXELS = 64  # along a side, or somewhat more, that are looked at
NEAR = 8  # levels of 256: what JPEG makes of one level

COLOURED, BLANK, MIRRORED = 0.01, 0.5, 0.1
"""The shares from which on images are in colour, on blank ground, and as often mirrored as not."""


@dataclass(frozen=True)
class Facts:
    """What a recipe is chosen by.

    count: of the images, of (rows, columns) pixels each.  coloured: the share of the pixels whose
    channels differ.  blank: the share of the pixels along the border that have one level, the same
    in all images.
    """

    count: int
    rows: int
    columns: int
    coloured: float
    blank: float

    @property
    def is_on_ground(self) -> bool:
        """Whether the images are figures on blank ground."""
        return self.blank >= BLANK

    def __str__(self) -> str:
        hue = "colour" if self.coloured >= COLOURED else "grey"
        border = f"{100 * self.blank:.0f} % of the border blank"
        return f"{self.count:,} images {self.rows}x{self.columns} in {hue}, {border}"


@dataclass(frozen=True)
class Mirror:
    """What mirror images are to their data.

    compared: images, each put beside the nearest of the others.  nearer: how many of them are
    nearer to a mirrored one; half of them, where the data are as often mirrored as not.  won, lost:
    to how many the mirrored ones bring a nearest image of their own class, and from how many they
    take it.  known: how many have one of their class nearest among the others as they are; chance:
    how many of images drawn at random.  swapped: pairs of classes of which each is what mirroring
    makes of the other, as arrows to the left and to the right.
    """

    compared: int
    nearer: int
    won: int
    lost: int
    known: int
    chance: float
    swapped: int

    @property
    def is_harmless(self) -> bool:
        """Whether mirror images are such as the data hold, and stay in their class.

        That is: more than a tenth of the images are nearer to one, by two standard errors, as few
        images show shares that they do not have; not more lose their class by them than win it, but
        for one standard error; no two classes are swapped; and the nearest image tells the class
        at all, by two standard errors above chance, else all of this says nothing.
        """
        error = sqrt(MIRRORED * (1 - MIRRORED) * self.compared)
        common = self.nearer > MIRRORED * self.compared + 2 * error
        keeps = self.lost - self.won <= sqrt(self.lost + self.won)
        error = sqrt(self.chance * (1 - self.chance / max(1, self.compared)))
        tells = self.known > self.chance + 2 * error
        return common and keeps and tells and self.swapped == 0

    def __str__(self) -> str:
        share = 100 * self.nearer / max(1, self.compared)
        judged = f"{self.won} of {self.compared:,} right by it, {self.lost} wrong"
        return f"{share:.0f} % nearest to a mirror image ({judged})"


def measure(images: NDArray[Any]) -> Facts:
    """The facts of images (n, rows, columns, channels), from 2,000 of them at most."""
    count, rows, columns, _ = images.shape
    chosen, low, high = _spread(count, SAMPLE), *_range(images)
    s, t = max(1, rows // PIXELS), max(1, columns // PIXELS)
    inner = _levels(images[chosen, ::s, ::t], low, high)
    sides = (images[chosen, ::s, 0], images[chosen, ::s, -1])
    ends = (images[chosen, 0, ::t], images[chosen, -1, ::t])
    border = _levels(np.concatenate([*sides, *ends], axis=1), low, high)
    away = np.abs(border - np.median(border, axis=(0, 1))).max(axis=2)
    coloured = float((np.ptp(inner, axis=3) > NEAR).mean())
    return Facts(count, rows, columns, coloured, float((away <= NEAR).mean()))


def mirror(images: NDArray[Any], labels: NDArray[np.int64]) -> Mirror:
    """What mirror images are to images (n, rows, columns, channels) with labels (n,).

    Of 3,000 at most each is compared with the others and their mirror images, as small copies of
    one brightness and contrast.
    """
    chosen = _spread(len(images), COMPARED)
    copies, y = np.concatenate([*_small(images, chosen)]), labels[chosen]
    number = len(chosen)
    here, there = (
        copies.reshape(number, -1) @ others.reshape(number, -1).T
        for others in (copies, copies[:, :, ::-1])
    )
    for products in (here, there):
        np.fill_diagonal(products, -np.inf)  # neither itself nor its own mirror image
    nearer = there.max(axis=1) > here.max(axis=1)
    alone, mirrored = y[here.argmax(axis=1)] == y, y[there.argmax(axis=1)]
    both = np.where(nearer, mirrored == y, alone)
    won, lost = both & ~alone, alone & ~both
    return Mirror(
        number,
        int(nearer.sum()),
        int(won.sum()),
        int(lost.sum()),
        int(alone.sum()),
        float((np.bincount(y)[y] - 1).sum()) / max(1, number - 1),
        _swapped(y, mirrored),
    )


def _swapped(y: NDArray[np.int64], mirrored: NDArray[np.int64]) -> int:
    """Pairs of classes that mirroring swaps: of each more images are nearest to the other one.

    y, mirrored: (n,) the class of an image, and of the mirror image nearest to it.  Together they
    are more by two standard errors.
    """
    counts = np.zeros((y.max() + 1,) * 2)
    np.add.at(counts, (y, mirrored), 1)
    own = counts.diagonal()[:, None]
    more, both = counts - own, counts + own
    pairs = (more > 0) & (more.T > 0) & (more + more.T > 2 * np.sqrt(both + both.T))
    return int(pairs.sum()) // 2


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """Positions from all over the images, which may be in the order of their classes."""
    number = min(count, most)
    return np.arange(number) * count // number


def _range(images: NDArray[Any]) -> tuple[float, float]:
    """The levels of black and white: of floats, the least and greatest of some images."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    some = images[_spread(len(images), PIECE)]
    return float(some.min()), float(some.max())


def _levels(images: NDArray[Any], low: float, high: float) -> Levels:
    """From 0 to 255."""
    if images.dtype == np.uint8:
        return images.astype(np.int16)
    factor = 255 / (high - low) if high > low else 0.0
    return np.rint((images.clip(low, high) - low) * factor).astype(np.int16)


def _small(images: NDArray[Any], chosen: NDArray[np.int64]) -> Iterator[Array]:
    """Copies (n, h, w, channels) of pieces of the chosen images: means of blocks.

    Each has mean 0 and length 2048 and consists of whole numbers, so that the products of two are
    exact in float32, in whatever order a machine adds.
    """
    _, rows, columns, channels = images.shape
    k = max(1, min(rows, columns) // GRAIN)
    h, w = rows // k, columns // k
    top, left = (rows - h * k) // 2, (columns - w * k) // 2
    low, high = _range(images)
    for start in range(0, len(chosen), PIECE):
        piece = images[chosen[start : start + PIECE], top : top + h * k, left : left + w * k]
        blocks = _levels(piece, low, high).reshape(-1, h, k, w, k, channels)
        means = blocks.sum(axis=(2, 4), dtype=np.int64) * 16 // k**2
        means = means * (h * w * channels) - means.sum(axis=(1, 2, 3), keepdims=True)
        squares = (means**2).sum(axis=(1, 2, 3), keepdims=True)
        yield np.rint(means * (2048 / np.sqrt(np.maximum(squares, 1)))).astype(np.float32)
