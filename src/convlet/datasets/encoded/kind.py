"""What an image file is, told by its header before it is decoded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convlet.datasets.encoded import tiff
from convlet.datasets.encoded.colours import grey_mode, profile_of, unknown_colours
from convlet.datasets.encoded.orientation import PLACES, orientation
from convlet.datasets.encoded.pictures import (
    bytes_of,
    wrong,
    wrong_channels,
    wrong_kind,
    wrong_levels,
)
from convlet.datasets.encoded.profiles import is_other

if TYPE_CHECKING:
    from PIL.Image import Image

NAMES = {
    "1": "1-bit",
    "L": "grey",
    "LA": "grey with transparency",
    "La": "grey with transparency",
    "P": "palette",
    "PA": "palette with transparency",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
    "RGBa": "RGB with transparency",
    "RGBX": "RGB",
    "CMYK": "CMYK",
    "YCbCr": "YCbCr",
    "LAB": "Lab",
    "HSV": "HSV",
    "I;16": "16-bit grey",
    "I;16L": "16-bit grey",
    "I;16B": "16-bit grey",
    "I;16N": "16-bit grey",
}
"""What Pillow calls a kind of image, and what we call it: those that a rule brings to 8 bits."""


@dataclass(frozen=True)
class Kind:
    """What an image file is, by its header.

    rows, columns: as it is looked at, turned.  name: of its kind, as in "palette".  grey: whether
    it has no colour.  turned: whether its orientation is another than that of its pixels.  several:
    whether other images follow in the file.  deep: whether a channel has 16 bits.  recoloured:
    whether its levels stand for other colours than those of sRGB.
    """

    rows: int
    columns: int
    name: str
    grey: bool
    turned: bool
    several: bool
    deep: bool
    recoloured: bool


def kind_of(picture: "Image", name: str) -> Kind:
    """Of an open image.  Raises `PictureError` for one that no rule brings to 8 bits."""
    check_mode(picture, name)
    grey, profile = grey_mode(picture), profile_of(picture)
    deep = is_deep(picture) or _cut(picture)
    rows, columns, turn = _turned(picture)  # last, as it may decode the image
    return Kind(
        rows,
        columns,
        NAMES[grey or picture.mode],
        grey=bool(grey) or _grey_palette(picture),
        turned=turn != 1,
        several=bool(getattr(picture, "is_animated", False)),
        deep=deep,
        recoloured=profile is not None and is_other(picture, profile),
    )


def check_mode(picture: "Image", name: str) -> None:
    """Refuse levels of which nothing says which is white, and what is decoded to others.

    Raises `PictureError`.
    """
    found = _unknown_levels(picture)
    if found:
        raise wrong_levels(name, found)
    found = unknown_colours(picture)
    if found:
        why = f"expected colours that can be those of sRGB, found {found}"
        raise wrong(name, why, "nothing says which level is white: save it as sRGB")
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        if found := tiff.unspecified(tags):
            raise wrong_channels(name, found)
        found = tiff.misread(tags, picture.mode)
        if found:
            raise wrong_kind(name, found)
    if isinstance(picture.info.get("transparency"), tuple) and _cut(picture):
        # Pillow has only the high 8 bits of the pixels, which do not tell what is clear
        why = "expected an alpha channel, found one transparent colour of 16 bits a channel"
        raise wrong(name, why, "save it with 8 bits")


def _unknown_levels(picture: "Image") -> str:
    """What the levels are, if no rule brings them to 8 bits."""
    if picture.format == "TIFF":  # Pillow takes them for what they are not
        found = tiff.unknown_levels(picture.tag_v2)  # type: ignore[attr-defined]
        if found:
            return found
    if picture.mode in NAMES or is_deep(picture):
        return ""
    return f"Pillow's mode {picture.mode}"


def is_negative(picture: "Image") -> bool:
    """Whether 0 is white: Pillow inverts such TIFF files, but none of 16 bits."""
    return (
        picture.format == "TIFF"
        and picture.mode.startswith("I;16")
        and _tag(picture, tiff.PHOTOMETRIC, 1) == (tiff.WHITE_IS_0,)
    )


def _tag(picture: "Image", number: int, default: int) -> tuple[int, ...]:
    """The values of a tag of a TIFF file."""
    return tiff.tag(picture.tag_v2, number, default)  # type: ignore[attr-defined]


def is_deep(picture: "Image") -> bool:
    """Whether the levels are of 16 bits; older versions of Pillow give those of PNG as I."""
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")


def white_level(picture: "Image") -> int:
    """That of a PNG file of 2 or 4 bits, before it is decoded; else 255."""
    return {"L;2": 3, "L;4": 15}.get(_raw_mode(picture), 255) if picture.format == "PNG" else 255


def _raw_mode(picture: "Image") -> str:
    """What Pillow calls the levels in a PNG file, before it is decoded."""
    tiles = getattr(picture, "tile", ())
    return str(tiles[0][3]) if tiles else ""


def _turned(picture: "Image") -> tuple[int, int, int]:
    """Rows and columns as the image is looked at, and its orientation, as EXIF counts them."""
    columns, rows = picture.size
    if picture.format == "TIFF":  # Pillow has turned the size, if the orientation is in its tag
        columns, rows = _tag(picture, tiff.WIDTH, 0)[0], _tag(picture, tiff.LENGTH, 0)[0]
    if picture.format == "PNG":
        data = bytes_of(picture.fp)  # type: ignore[attr-defined]
        if not any(mark in data for mark in PLACES):
            return rows, columns, 1  # Pillow would decode it all, as EXIF may stand at its end
    turn = orientation(picture)
    return (columns, rows, turn) if turn in (5, 6, 7, 8) else (rows, columns, turn)


def _grey_palette(picture: "Image") -> bool:
    """Whether every colour of a palette is grey."""
    if picture.mode not in ("P", "PA") or picture.palette is None or picture.palette.mode != "RGB":
        return False
    levels = np.frombuffer(picture.palette.getdata()[1], np.uint8)
    levels = levels[: len(levels) // 3 * 3].reshape(-1, 3)
    return bool((levels == levels[:, :1]).all())


def _cut(picture: "Image") -> bool:
    """Whether Pillow cuts channels of 16 bits to their high 8: it tells for PNG and TIFF."""
    if picture.format == "PNG":
        return ";16" in _raw_mode(picture)
    if picture.format == "TIFF":
        return max(_tag(picture, tiff.BITS, 1)) > 8
    return False
