"""Single figures, such as digits, brought into the form of MNIST: bright on black, at one place.

Of MNIST's images its makers say: each figure was scaled into a box of 20 pixels with its
proportions kept, and its centre of mass put at the centre of 28 x 28 pixels.  A photo or a drawing
of a digit is another thing to a network, unless the same is done with it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.ground import (
    components,
    ground_of,
    halved,
    level_at,
    spread_of,
    widened,
)

LEAST_CONTRAST = 32  # of 255, between figure and ground: less is no figure
GROUND = 0.25  # of the contrast: what differs less from the ground belongs to it
NOISE = 6  # standard deviations of the ground: a figure differs more
SPECK = 0.1  # of the pixels of the largest piece: smaller ones are dirt
BOX = 20 / 28  # of the side of the result
SIDES = 13 / 28, 21 / 28  # of a figure of MNIST by that of its image: 14 to 20 pixels of 28
OFF = 1.5 / 28  # of its centre of mass from that of the image: 0.85 pixels at most
LEAST_SIDE = 20  # of images that hold such figures
LOOKED = 200  # images of a data set
FULL = 0.9  # of them with a figure that fills the box
NONE = "no figure found"
PLACED = "figures are placed as in MNIST: predict does the same with image files"

Levels = NDArray[np.float32]


class _Ink(NamedTuple):
    """How far each pixel is a figure, (H, W), 0 for the ground, and whether it is a dark one."""

    levels: Levels
    dark: bool


def figure(grey: NDArray[np.uint8], rows: int, columns: int) -> tuple[NDArray[np.uint8], str]:
    """A grey image (H, W) as MNIST would have it (rows, columns), and what was done, in words.

    Done with a dark figure on light ground, with one in a frame of another size, and with one that
    is smaller, larger or elsewhere than any of MNIST.  Where none is found the image comes back as
    it is, with words that begin with `NONE`.
    """
    even = _on_even_ground(grey) if grey.shape == (rows, columns) else None
    if even is not None and _is_placed(even.levels):
        return (255 - grey, "dark on light, inverted") if even.dark else (grey, "")
    ink = _on_paper(grey) or even
    if ink is None:
        return grey, NONE
    box = _box(ink.levels)
    scale = BOX * min(rows, columns) / max(box.shape)
    placed = _centred(_scaled(box, scale), rows, columns)
    how = "dark on light, " if ink.dark else ""
    side = round(BOX * min(rows, columns))
    return placed, f"{how}prepared as a digit of MNIST (box, {side} pixels, centre of mass)"


def are_figures(images: NDArray[Any]) -> bool:
    """Whether images (n, side, side, 1), uint8 or floats with white as 1, were prepared so.

    All of some that are looked at: bright on black, nearly all with a longer side of 20 pixels of
    28, in place.
    """
    _, rows, columns, channels = images.shape
    if rows != columns or channels != 1 or rows < LEAST_SIDE:
        return False
    some = some_of(images)[..., 0]
    levels = some if some.dtype == np.uint8 else np.clip(some * np.float32(255), 0, 255)
    full = 0
    for image in levels:
        ink = _on_even_ground(image)
        if ink is None or ink.dark or not _is_placed(ink.levels):
            return False
        full += max(_box(ink.levels).shape) == round(BOX * rows)
    return full >= FULL * len(levels)


def some_of(images: NDArray[Any]) -> NDArray[Any]:
    """Those of a data set that are looked at."""
    return images[:: max(1, len(images) // LOOKED)]


def _on_even_ground(grey: NDArray[np.uint8]) -> _Ink | None:
    """What differs from the level of the border."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = np.float32(np.median(border))
    dark = bool(ground > np.mean([grey.min(), grey.max()]))
    ink = np.clip(ground - grey if dark else grey - ground, 0, None)
    contrast = ink.max()
    if contrast < LEAST_CONTRAST:
        return None
    return _Ink(np.where(ink < GROUND * contrast, 0, ink * (255 / contrast)), dark)


def _is_placed(ink: Levels) -> bool:
    """Whether the figure has its size and place already, as all 70,000 of MNIST have."""
    side, mass = max(_box(ink).shape) / min(ink.shape), ink.sum()
    off = [
        abs(float((place * ink).sum() / mass) - length / 2) / length
        for place, length in zip(np.indices(ink.shape), ink.shape, strict=True)
    ]
    return bool(SIDES[0] <= side <= SIDES[1] and max(off) <= OFF)


def _on_paper(grey: NDArray[np.uint8]) -> _Ink | None:
    """The largest pieces that differ from a ground on which the light may change slowly.

    The pieces are looked for in an image of smaller size, in which noise is averaged.
    """
    small, step = halved(grey)
    paper = ~_frame(small - level_at(ground_of(small), small.shape, small.shape))
    ground = ground_of(small, paper)
    off = np.where(paper, small - level_at(ground, small.shape, small.shape), np.float32(0))
    noise = spread_of(off[paper])
    dark = bool(-off.min() > off.max())
    ink = -off if dark else off
    contrast = float(ink.max())
    if contrast < max(LEAST_CONTRAST, NOISE * noise):
        return None
    pieces = components(ink > max(GROUND * contrast, NOISE / 2 * noise))
    sizes = [len(piece) for piece in pieces]
    kept = np.zeros(small.shape, bool)
    for piece, size in zip(pieces, sizes, strict=True):
        if size >= SPECK * max(sizes):
            kept.reshape(-1)[piece] = True
    top = np.percentile(ink[kept], 75)  # of the stroke: its brightest pixels are those of noise
    cut = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    near = widened(kept).repeat(step, 0).repeat(step, 1)[cut]
    levels = level_at(ground, grey.shape, small.shape, step) - grey
    levels = np.clip((levels if dark else -levels) * (255 / top), 0, 255)
    levels[~near | (levels < 255 * GROUND)] = 0
    return _Ink(levels.astype(np.float32), dark)


def _frame(off: Levels) -> NDArray[np.bool_]:
    """What differs from the ground along at least half of the border: the edge of a scan, a table.

    With a pixel around it, which is half of one and half of the other.
    """
    limit = max(LEAST_CONTRAST, NOISE * spread_of(off), GROUND * float(np.abs(off).max()))
    edge = np.ones(off.shape, bool)
    edge[1:-1, 1:-1] = False
    frame = np.zeros(off.shape, bool)
    for side in (off, -off):
        for piece in components(side > limit):
            if edge.reshape(-1)[piece].sum() >= edge.sum() / 2:
                frame.reshape(-1)[piece] = True
    return widened(frame)


def _box(ink: Levels) -> Levels:
    """The part that holds ink."""
    down, across = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[down[0] : down[-1] + 1, across[0] : across[-1] + 1]


def _scaled(box: Levels, scale: float) -> Levels:
    from PIL import Image

    size = [max(1, round(scale * side)) for side in box.shape[::-1]]
    resized = Image.fromarray(box).resize((size[0], size[1]), Image.Resampling.LANCZOS)
    return np.clip(np.asarray(resized, np.float32), 0, 255)


def _centred(box: Levels, rows: int, columns: int) -> NDArray[np.uint8]:
    """Black paper with the centre of mass of the box at its centre."""
    mass = box.sum()
    down, across = np.indices(box.shape)
    # that of MNIST's images is at pixel 14 of 0 to 27, give or take half a pixel
    top = round(rows / 2 - float((down * box).sum() / mass))
    left = round(columns / 2 - float((across * box).sum() / mass))
    top = min(max(top, 0), rows - box.shape[0])
    left = min(max(left, 0), columns - box.shape[1])
    paper = np.zeros((rows, columns), np.uint8)
    paper[top : top + box.shape[0], left : left + box.shape[1]] = np.rint(box)
    return paper
