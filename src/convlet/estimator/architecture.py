"""Layers and images where nobody says which: a shape for so many features, layers for a shape."""

from math import isqrt, prod
from typing import Any

from convlet.errors import InputError
from convlet.inputs import as_input_shape
from convlet.recipes import LEAST_SIDE

ROWS_BEHIND = 56
"""Rows, or columns, that the first pool leaves of a large image."""
CHANNELS = (8, 16)
UNITS = 128

ImageShape = tuple[int, int, int]


def shape_of(features: int, wanted: Any = None) -> ImageShape:
    """(rows, columns, channels) of images with so many numbers.

    wanted: what the caller asks for, of (rows, columns, channels) or (rows, columns); None takes a
    square for a square number, and one row otherwise.  Raises `InputError`.
    """
    if wanted is None:
        side = isqrt(features)
        return (side, side, 1) if side * side == features else (1, features, 1)
    try:
        shape = as_input_shape(wanted)
    except InputError as error:
        raise InputError("image_shape", wanted, error.expected, error.hint) from None
    if prod(shape) != features:
        expected = f"a shape of {features} numbers, as many as a row of X has"
        raise InputError("image_shape", wanted, expected)
    return shape


def layers_for(shape: ImageShape, classes: int) -> str:
    """The text form of layers that fit images of any shape.

    Two convolutions, each with a ReLU and a pool, then 128 units; from 16x16 pixels on those of
    the default recipe.  Smaller images get 3x3 kernels and zeros around them; along a side of one
    pixel there is no kernel, and along one of less than four no pool.  Large ones are pooled more,
    so that at most some 56 rows remain.  Images of one pixel get the units alone.
    """
    sides, least = list(shape[:2]), min(shape[:2])
    is_large = least >= LEAST_SIDE
    first = [_pool(least)] * 2 if is_large else [_pool(side) for side in sides]
    words = []
    for channels, pools in zip(CHANNELS, (first, [2, 2]), strict=True):
        if max(sides) == 1:
            break
        if is_large:
            kernel, padding, sides = [5, 5], "", [side - 4 for side in sides]
        else:
            kernel, padding = [min(3, 2 * side - 1) for side in sides], " padding same"
            pools = [size if side >= 4 else 1 for size, side in zip(pools, sides, strict=True)]
        words += [f"conv {channels} {_by(kernel)}{padding}", "relu"]
        words += [f"pool {_by(pools)}"] * (max(pools) > 1)
        sides = [side // size for side, size in zip(sides, pools, strict=True)]
    return ", ".join([*words, f"flatten, dense {UNITS}, relu, dense {classes}, softmax"])


def _pool(side: int) -> int:
    return max(2, round(side / ROWS_BEHIND))


def _by(pair: list[int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"
