"""What the levels of an image stand for, as the file says it: a profile, or the chunks of PNG.

PNG says it in up to five chunks, of which one counts, in this order: cICP, iCCP, sRGB, then gAMA
with cHRM (PNG, third edition, 4.3).
"""

import struct
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from convlet.datasets.encoded.profiles import SRGB_CURVE, rgb_profile

if TYPE_CHECKING:
    from PIL.Image import Image

GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")

D65 = (0.3127, 0.329)
BT709 = (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # of white, red, green, blue; sRGB's, too
PRIMARIES = {  # of ITU-T H.273
    1: BT709,
    2: BT709,  # unspecified
    5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),  # BT.601 of 625 lines
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # of 525 lines
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
CURVES = {  # of ITU-T H.273; those of television are shown as sRGB
    **dict.fromkeys((1, 2, 6, 13, 14, 15), SRGB_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
}
OF_LIGHT = {16: "PQ", 18: "HLG"}  # curves for more light than white
FULL = 1
USUAL, TOLERANCE = 1 / 2.2, 0.05  # what gAMA says of sRGB, and what is taken for that, as by libpng


def grey_mode(picture: "Image") -> str:
    """Which of `GREY_MODES` an image has, before it is decoded; "" for one of colours.

    Pillow decodes 16-bit grey of PNG with alpha as RGB, and older versions that without as I.
    """
    if picture.format == "PNG" and picture.mode == "I":
        return "I;16"
    tiles = getattr(picture, "tile", ())
    if picture.format == "PNG" and tiles and str(tiles[0][3]).startswith("LA"):
        return "LA"
    return picture.mode if picture.mode in GREY_MODES else ""


def profile_of(picture: "Image") -> bytes | None:
    """The profile that says what the levels stand for, before it is decoded; None: as in sRGB.

    A profile of a grey image is not followed, one that is damaged neither.
    """
    told = _told(picture)
    if b"cICP" in told:
        primaries, curve = told[b"cICP"][:2]
        return rgb_profile(PRIMARIES[primaries], CURVES[curve])
    embedded = picture.info.get("icc_profile")
    if embedded:
        return None if grey_mode(picture) else embedded
    if b"sRGB" in told or not told:
        return None
    with suppress(ValueError):
        return rgb_profile(_corners(told.get(b"cHRM", b"")), _curve(told.get(b"gAMA", b"")))
    return None


def unknown_colours(picture: "Image") -> str:
    """What the levels stand for, where no rule brings that to sRGB."""
    code = _told(picture).get(b"cICP")
    if code is None:
        return ""
    primaries, curve, _, full = code
    if curve in OF_LIGHT:
        return f"levels of {OF_LIGHT[curve]}"
    if primaries not in PRIMARIES or curve not in CURVES or full != FULL:
        return f"those of cICP {'-'.join(map(str, code))}"
    return ""


def _curve(data: bytes) -> tuple[float, ...]:
    """From levels to light, by gAMA, the power from light to levels."""
    gamma = int.from_bytes(data) / 100_000
    if not 0.1 <= gamma <= 10 or abs(gamma / USUAL - 1) < TOLERANCE:
        return SRGB_CURVE
    return (1 / gamma,)


def _corners(data: bytes) -> tuple[float, ...]:
    return tuple(n / 100_000 for n in struct.unpack(">8I", data)) if len(data) == 32 else BT709


SIZES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}


def _told(picture: "Image") -> dict[bytes, bytes]:
    """The chunks that tell colours, each the first of its name before the pixels."""
    if picture.format != "PNG":
        return {}
    file: IO[bytes] = picture.fp  # type: ignore[attr-defined]
    here = file.tell()
    found: dict[bytes, bytes] = {}
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                break
            data = b""
            if length == SIZES.get(name):  # none is taken that has another size
                data = file.read(length)
                found.setdefault(name, data)
            file.seek(length - len(data) + 4, 1)
    finally:
        file.seek(here)
    return found
