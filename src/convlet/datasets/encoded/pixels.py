"""From an open image to the pixels that a network sees.

Each kind of image becomes 8-bit grey or RGB in one way:

- orientation: turned as EXIF, XMP or TIFF's own tag say;
- several images in a file (GIF, TIFF, WebP, PNG, JPEG): the first one;
- 16 bits a channel: the high 8 of them; 9 to 15 bits, 32 bits, signed and floating-point levels are
  refused, as nothing says which level is white;
- TIFF in which 0 is white: inverted;
- palettes and 1-bit images: the colours that they stand for;
- CMYK, YCbCr, Lab: converted to RGB; what says that colours are others than those of sRGB, a
  profile or chunks of PNG, is followed;
- transparency: over white; over black where all would be white, as of a white drawing.
"""

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.encoded.colours import profile_of
from convlet.datasets.encoded.kind import check_mode, is_deep, is_negative, white_level
from convlet.datasets.encoded.orientation import load_upright
from convlet.datasets.encoded.pictures import open_picture, pillow
from convlet.datasets.encoded.profiles import in_srgb
from convlet.datasets.figure import NONE, figure
from convlet.preparation import BACKGROUND, Preparation

if TYPE_CHECKING:
    from PIL.Image import Image

BLANK = 8  # levels between the darkest and the brightest pixel of an image that shows nothing
Pixels = NDArray[np.uint8]


def read_picture(path: str | os.PathLike[str], preparation: Preparation) -> tuple[Pixels, str]:
    """The pixels of an image file (rows, columns, channels), and what was done for them, in words.

    Raises `DataError`, `FileError`, `MissingDependencyError`.
    """
    with open_picture(path) as picture:
        return prepared(picture, preparation, os.fspath(path))


def prepared(picture: "Image", preparation: Preparation, name: str) -> tuple[Pixels, str]:
    """The pixels of an open image, and what was done.  name: of it, for messages.

    Raises `PictureError`.
    """
    check_mode(picture, name)
    picture = _in_colours(picture, preparation)
    size = preparation.columns, preparation.rows
    found = ""
    if preparation.fit == "figure":
        pixels, found = figure(np.asarray(picture), preparation.rows, preparation.columns)
        if found not in ("", NONE):
            return pixels[..., None], found
    done = "" if picture.size == size else f"resized from {picture.height}x{picture.width}"
    picture = _fitted(picture, preparation)
    words = ", ".join(filter(None, (found, done)))
    return np.array(picture, np.uint8).reshape(preparation.shape), words


def _in_colours(picture: "Image", preparation: Preparation) -> "Image":
    """8-bit grey or RGB, turned, opaque, of the size that it has."""
    negative, profile = is_negative(picture), profile_of(picture)
    white = white_level(picture)
    picture = load_upright(picture)
    clear = _has_clear_pixels(picture)
    if is_deep(picture):  # as Pillow itself cuts those of colours
        picture = _high_bits(picture, negative)
    if clear and white < 255:  # Pillow has scaled the levels, but not the one that is clear
        level = picture.info["transparency"] & white
        picture.info["transparency"] = level * 255 // white
    if picture.mode == "La":
        picture = picture.convert("LA")
    if clear:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("1", "L", "RGB", "CMYK", "LAB"):
        picture = picture.convert("RGB")
    if profile and picture.mode != "1":
        picture = in_srgb(picture, profile)
    if clear:
        picture = _on_paper(picture)
    if picture.mode not in ("1", "L", "RGB"):  # the luma is that of red, green and blue
        picture = picture.convert("RGB")
    return picture.convert("L" if preparation.colour == "grey" else "RGB")


def _high_bits(picture: "Image", negative: bool) -> "Image":
    """16-bit grey as 8-bit grey; with alpha where one level is said to be clear."""
    levels = np.asarray(picture).astype(np.uint16)
    clear = picture.info.get("transparency")
    if negative:
        levels = ~levels
    grey: Image = pillow().fromarray((levels >> 8).astype(np.uint8))
    if clear is None:
        return grey
    grey.putalpha(pillow().fromarray(np.where(levels == clear, 0, 255).astype(np.uint8)))
    return grey


def _on_paper(picture: "Image") -> "Image":
    """Opaque: on white, on black where white shows nothing and black does."""
    for level in (BACKGROUND, 255 - BACKGROUND):
        paper = pillow().new("RGBA", picture.size, (level,) * 3 + (255,))
        opaque: Image = pillow().alpha_composite(paper, picture).convert("RGB")
        if level == BACKGROUND:
            usual = opaque
        if np.ptp(np.asarray(opaque), axis=(0, 1)).max() > BLANK:
            return opaque
    return usual


def _has_clear_pixels(picture: "Image") -> bool:
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def _fitted(picture: "Image", preparation: Preparation) -> "Image":
    from PIL import ImageOps

    size = preparation.columns, preparation.rows
    if picture.size == size:
        return picture
    smooth = pillow().Resampling.LANCZOS
    match preparation.fit:
        case "crop" | "figure":
            return ImageOps.fit(picture, size, smooth)
        case "pad":
            paper = BACKGROUND if picture.mode == "L" else (BACKGROUND,) * 3
            return ImageOps.pad(picture, size, smooth, color=paper)
        case "stretch":
            return picture.resize(size, smooth)
