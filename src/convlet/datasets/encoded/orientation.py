"""How an image is to be turned: by EXIF, or by XMP, wherever a format keeps them."""

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from convlet.datasets.encoded.pictures import pillow

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What Pillow calls that which makes an image upright; 1 is upright."""
PLACES = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")  # of PNG: what may tell orientation

_PREFIX = re.compile(r"""xmlns:([\w.-]+)\s*=\s*["']http://ns\.adobe\.com/tiff/1\.0/["']""")
_VALUE = r"""\b%s:Orientation(?:\s*=\s*["']|(?:\s[^<>]{0,99})?>)\s*([1-8])\s*["'<]"""


def orientation(picture: "Image") -> int:
    """1 to 8, as EXIF counts them."""
    found = picture.getexif().get(ORIENTATION)
    return found if isinstance(found, int) and 1 <= found <= 8 else _of_xmp(picture)


def load_upright(picture: "Image") -> "Image":
    """Decoded, and turned as it is looked at."""
    if picture.format == "TIFF":  # which Pillow turns, by what its EXIF says
        picture.getexif()[ORIENTATION] = orientation(picture)
        picture.load()
        return picture
    picture.load()  # which finds what stands behind the pixels of PNG
    turn = orientation(picture)
    return picture if turn == 1 else picture.transpose(getattr(pillow().Transpose, TURNS[turn]))


def _of_xmp(picture: "Image") -> int:
    """By tiff:Orientation, an attribute or an element, in quotes of either kind."""
    text = _xmp(picture)
    named = _PREFIX.search(text)
    found = re.search(_VALUE % re.escape(named[1] if named else "tiff"), text)
    return int(found[1]) if found else 1


def _xmp(picture: "Image") -> str:
    """The XMP of an image, of whatever format; "" if it has none."""
    for key in ("xmp", "XML:com.adobe.xmp"):
        found = picture.info.get(key)
        if found:
            return found if isinstance(found, str) else bytes(found).decode("utf-8", "replace")
    with suppress(ValueError):  # as ImageMagick puts it into PNG: three lines, then digits
        lines = str(picture.info.get("Raw profile type xmp", "")).split("\n")[3:]
        return bytes.fromhex("".join(lines)).decode("utf-8", "replace")
    return ""
