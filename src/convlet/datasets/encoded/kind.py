"""What an image file is, told by its header before it is decoded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convlet.datasets.encoded.pictures import bytes_of, wrong

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112  # EXIF's tag
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # of TIFF
SIGNED = 2  # a SampleFormat
TURNS = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")  # of PNG: what may tell orientation

GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
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
    whether other images follow in the file.  deep: whether a channel has 16 bits.
    """

    rows: int
    columns: int
    name: str
    grey: bool
    turned: bool
    several: bool
    deep: bool


def kind_of(picture: "Image", name: str) -> Kind:
    """Of an open image.  Raises `PictureError` for one that no rule brings to 8 bits."""
    check_mode(picture, name)
    rows, columns, turn = _turned(picture)
    return Kind(
        rows,
        columns,
        "16-bit grey" if picture.mode == "I" else NAMES[picture.mode],
        grey=picture.mode in (*GREY_MODES, "I") or _grey_palette(picture),
        turned=turn in range(2, 9),
        several=bool(getattr(picture, "is_animated", False)),
        deep=is_deep(picture) or _cut(picture),
    )


def check_mode(picture: "Image", name: str) -> None:
    """Refuse levels of which nothing says which is white.  Raises `PictureError`."""
    found = _unknown_levels(picture)
    if found:
        why = f"expected 8 or 16 bits a channel, found {found}"
        raise wrong(name, why, "nothing says which level is white: save it with 8 bits")
    if isinstance(picture.info.get("transparency"), tuple) and _cut(picture):
        # Pillow has only the high 8 bits of the pixels, which do not tell what is clear
        why = "expected an alpha channel, found one transparent colour of 16 bits a channel"
        raise wrong(name, why, "save it with 8 bits")


def _unknown_levels(picture: "Image") -> str:
    """What the levels are, if no rule brings them to 8 bits."""
    if picture.format == "TIFF":  # Pillow takes them for what they are not
        bits = _tag(picture, BITS, 1)
        odd = [n for n in bits if 8 < n < 16]
        if odd:
            return f"{odd[0]} bits"
        if SIGNED in _tag(picture, SAMPLE_FORMAT, 1) and max(bits) <= 16:
            return "signed levels"
    if picture.mode in NAMES or is_deep(picture):
        return ""
    bits_of = {"F": "floating-point levels", "I": "levels of 32 bits"}
    return bits_of.get(picture.mode, f"Pillow's mode {picture.mode}")


def is_negative(picture: "Image") -> bool:
    """Whether 0 is white: Pillow inverts such TIFF files, but none of 16 bits."""
    return (
        picture.format == "TIFF"
        and picture.mode.startswith("I;16")
        and _tag(picture, PHOTOMETRIC, 1) == (0,)
    )


def _tag(picture: "Image", number: int, default: int) -> tuple[int, ...]:
    """The values of a tag of a TIFF file."""
    found = picture.tag_v2.get(number, default)  # type: ignore[attr-defined]
    return tuple(found) if isinstance(found, tuple) else (found,)


def is_deep(picture: "Image") -> bool:
    """Whether the levels are of 16 bits; older versions of Pillow give those of PNG as I."""
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")


def _turned(picture: "Image") -> tuple[int, int, int]:
    """Rows and columns as the image is looked at, and its orientation, as EXIF counts them."""
    columns, rows = picture.size
    if picture.format == "TIFF":  # Pillow has turned the size, if the orientation is in its tag
        columns, rows = picture.tag_v2[256], picture.tag_v2[257]  # type: ignore[attr-defined]
    if picture.format == "PNG":
        data = bytes_of(picture.fp)  # type: ignore[attr-defined]
        if not any(mark in data for mark in TURNS):
            return rows, columns, 1  # Pillow would decode it all, as EXIF may stand at its end
    turn = int(picture.getexif().get(ORIENTATION, 1))
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
        return any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
    if picture.format == "TIFF":
        return max(_tag(picture, BITS, 1)) > 8
    return False
