"""Levels of decoded images that are too low to be meant so: of 12 bits in files of 16, say."""

import numpy as np
from numpy.typing import NDArray

from convlet.errors import DataError
from convlet.values import DARK, ENOUGH, pieces

RARE = 1e-4
"""Of all levels: so few that are bright may be those of broken pixels of a camera."""


def said_of_levels(name: str, images: NDArray[np.uint8], deep: bool) -> str:
    """What a reader should know of the levels of images (n, ...); "" for nothing.

    name: of them, for messages.  deep: whether the files have 16 bits a channel, of which the high
    8 are here.  Raises `DataError` for many images of which no level is above 32 of 255.
    """
    if len(images) < ENOUGH:
        return ""
    bright, most, top = 0, RARE * images.size if deep else 0, 0
    for piece in pieces(images):
        bright += int(np.count_nonzero(piece > DARK))
        if bright > most:
            return ""
        top = max(top, int(piece.max()))
    if bright:
        return (
            f"above {DARK} of 255 are {bright:,} of {images.size:,} levels of {name}: perhaps its"
            " files of 16 bits hold fewer"
        )
    found = f"{name}: expected white as 255, found no level above {top} in"
    if deep:
        bits = top.bit_length()
        raise DataError(
            f"{found} {len(images):,} images of 16 bits, of which the high 8 are taken: perhaps"
            f" {8 + bits} bits are stored in them: multiply their levels by {2 ** (8 - bits)}, and"
            " save them again"
        )
    if top:
        raise DataError(
            f"{found} {len(images):,} images: make all of them brighter alike, by {255 // top} if"
            f" {top} is white, and save them again"
        )
    return ""
