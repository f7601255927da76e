"""Image files through Pillow: opened within bounds, told apart before they are decoded."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from types import ModuleType
from typing import IO, TYPE_CHECKING

import numpy as np

from convlet.errors import ConvletError, DataError, FileError, MissingDependencyError
from convlet.files.streams import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MAX_PIXELS = 1 << 26
MAX_BYTES = 1 << 29  # of a file
MAX_WORK = 1 << 30  # pixels times scans of a progressive JPEG file
ORIENTATION = 0x0112  # EXIF's tag
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # of TIFF
SIGNED = 2  # a SampleFormat
SOS = b"\xff\xda"  # start of a scan, in JPEG
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


class PictureError(DataError):
    """An image file cannot be used; `why` says it without the name of the file."""

    why = ""


def why_not(error: ConvletError) -> str:
    """What is wrong with an image, without its name where that is known."""
    known = error.why if isinstance(error, PictureError | FileError) else ""
    return known or str(error)


def wrong(name: str, why: str, hint: str) -> PictureError:
    """The error of the image file called name."""
    error = PictureError(f"{name}: {why}: {hint}")
    error.why = why
    return error


def pillow() -> ModuleType:
    """The module PIL.Image.  Raises `MissingDependencyError`."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            'image files need Pillow, which is not installed: pip install "convlet[data]"'
        ) from error
    return Image


def is_image(path: str) -> bool:
    """Whether a name ends like that of an image file."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


@contextmanager
def open_picture(path: str | os.PathLike[str]) -> Iterator["Image"]:
    """The image in a file, as `opened`.  Raises `FileError`, too."""
    with quiet(), open_regular(path) as file, opened(file, os.fspath(path)) as picture:
        yield picture


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, Pillow does not warn: what is wrong is an error here, the rest no news.

    Not for threads: filters of warnings are those of the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened(file: IO[bytes], name: str) -> Iterator["Image"]:
    """The image in an open file, its header read, its pixels not yet.

    name: of it, for messages.  Whatever a decoder says inside becomes a `PictureError`.  Raises
    that, and `MissingDependencyError`.
    """
    library = pillow()
    from PIL import UnidentifiedImageError

    try:
        _check_bytes(file, name)
        with library.open(file, formats=FORMATS) as picture:
            _check_work(picture, file, name)
            with _room.taken(picture.width * picture.height):
                yield picture
    except ConvletError:
        raise
    except library.DecompressionBombError as error:
        why = f"expected at most {MAX_PIXELS} pixels, found far more"
        raise wrong(name, why, "scale it down") from error
    except MemoryError as error:
        raise wrong(name, "holds more than there is memory for", "scale it down") from error
    except Exception as error:  # decoders fail on strangers' bytes in many ways
        unknown = isinstance(error, UnidentifiedImageError)  # its text names a Python object
        found = "no whole image" if unknown else f"a damaged one ({error})"
        why = f"expected a {', '.join(FORMATS)} image, found {found}"
        raise wrong(name, why, "convert it, or get it again") from error


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


def _check_bytes(file: IO[bytes], name: str) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > MAX_BYTES:
        raise wrong(name, f"expected at most {MAX_BYTES} bytes, found {size}", "scale it down")


def _check_work(picture: "Image", file: IO[bytes], name: str) -> None:
    """Refuse what would take hours, or all memory, to decode."""
    columns, rows = picture.size
    if columns * rows > MAX_PIXELS:
        why = f"expected at most {MAX_PIXELS} pixels, found {columns} x {rows}"
        raise wrong(name, why, "scale it down")
    if picture.info.get("progressive"):  # each scan, of a few bytes, goes over all pixels
        scans = _bytes(file).count(SOS)
        if scans * columns * rows > MAX_WORK:
            why = f"expected fewer scans of {columns} x {rows} pixels, found {scans}"
            raise wrong(name, why, "save it again")


def _bytes(file: IO[bytes]) -> bytes:
    """All of a file, whose position stays."""
    here = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(here)
    return data


def _turned(picture: "Image") -> tuple[int, int, int]:
    """Rows and columns as the image is looked at, and its orientation, as EXIF counts them."""
    columns, rows = picture.size
    if picture.format == "TIFF":  # Pillow has turned the size, if the orientation is in its tag
        columns, rows = picture.tag_v2[256], picture.tag_v2[257]  # type: ignore[attr-defined]
    if picture.format == "PNG":
        data = _bytes(picture.fp)  # type: ignore[attr-defined]
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


class _Room:
    """Pixels that may be in memory at once, whatever the number of threads."""

    def __init__(self, pixels: int) -> None:
        self.left = pixels
        self.changed = Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.left >= pixels)
            self.left -= pixels
        try:
            yield
        finally:
            with self.changed:
                self.left += pixels
                self.changed.notify_all()


_room = _Room(MAX_PIXELS)
