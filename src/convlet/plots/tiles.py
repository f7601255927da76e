"""Small images side by side: filters, feature maps, inputs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.engine import as_floats

Bytes = NDArray[np.uint8]


def signed(values: NDArray[Any], largest: float) -> Bytes:
    """Numbers as colours: purple below 0, white at 0, orange above.  (...) -> (..., 3).

    largest: of their absolute values, which has the full colour.
    """
    from matplotlib import colormaps

    colours = colormaps["PuOr_r"](0.5 + values / (2 * largest or 1), bytes=True)
    return np.asarray(colours[..., :3], np.uint8)


def heat(values: NDArray[Any]) -> Bytes:
    """Numbers from 0 as colours, from dark to bright.  (...) -> (..., 3)."""
    from matplotlib import colormaps

    largest = float(values.max()) or 1
    colours = colormaps["viridis"](np.maximum(values, 0) / largest, bytes=True)
    return np.asarray(colours[..., :3], np.uint8)


def as_rgb(image: NDArray[Any]) -> Bytes:
    """An input image (rows, columns, channels) as one sees it, (rows, columns, 3).

    uint8, or floats whose range is made to fit where it is not 0..1.  One channel is grey, three
    are colours, of any other number the mean is shown.
    """
    values = as_floats(image).astype(np.float64)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    values = (values - low) / (high - low)
    if values.shape[2] != 3:
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    return np.asarray(np.rint(255 * values), np.uint8)


def height_of(image: NDArray[Any], width: float) -> float:
    """The height for an image (rows, columns, ...) of that width: from a tenth to twice of it."""
    rows, columns, *_ = image.shape
    return width * float(min(max(rows / columns, 0.1), 2.0))


def mosaic(tiles: Bytes, columns: int, gap: int = 1) -> Bytes:
    """Tiles (n, h, w, 3) in rows of that many, nothing between them -> (rows, columns, 4), RGBA."""
    count, h, w, _ = tiles.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * (h + gap) - gap, columns * (w + gap) - gap, 4), np.uint8)
    for place, tile in enumerate(tiles):
        i, j = divmod(place, columns)
        cell = canvas[i * (h + gap) : i * (h + gap) + h, j * (w + gap) : j * (w + gap) + w]
        cell[..., :3], cell[..., 3] = tile, 255
    return canvas
