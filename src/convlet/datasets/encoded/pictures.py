"""Image files through Pillow, opened within bounds of memory and time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from types import ModuleType
from typing import IO, TYPE_CHECKING

from convlet.datasets.encoded import tiff
from convlet.errors import ConvletError, DataError, FileError
from convlet.files.streams import open_regular
from convlet.libraries import library, quiet

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MAX_PIXELS = 1 << 26
MAX_BYTES = 1 << 29  # of a file
MAX_WORK = 1 << 30  # pixels times scans of a progressive JPEG file
SOS = b"\xff\xda"  # start of a scan, in JPEG


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


def wrong_levels(name: str, found: str) -> PictureError:
    """The error of levels of which none is known to be white."""
    why = f"expected 8 or 16 bits a channel, found {found}"
    return wrong(name, why, "nothing says which level is white: save it with 8 bits")


def wrong_kind(name: str, found: str) -> PictureError:
    """The error of a TIFF file that Pillow does not read, or not rightly."""
    return wrong(name, f"expected a TIFF file as Pillow reads it, found {found}", "save it as PNG")


def wrong_channels(name: str, found: str) -> PictureError:
    """The error of a TIFF file with channels of which nothing says what they are."""
    why = f"expected channels of colour and transparency, found {found}"
    return wrong(name, why, "save those to be seen as grey or RGB")


def pillow() -> ModuleType:
    """The module PIL.Image.  Raises `MissingDependencyError`."""
    module: ModuleType = library("PIL.Image", "image files need", '"convlet[data]"', "Pillow")
    return module


def is_image(path: str) -> bool:
    """Whether a name ends like that of an image file."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


@contextmanager
def open_picture(path: str | os.PathLike[str]) -> Iterator["Image"]:
    """The image in a file, as `opened`.  Raises `FileError`, too."""
    with quiet(), open_regular(path) as file, opened(file, os.fspath(path)) as picture:
        yield picture


@contextmanager
def opened(file: IO[bytes], name: str) -> Iterator["Image"]:
    """The image in an open file, its header read, its pixels not yet.

    name: of it, for messages.  Whatever a decoder says inside becomes a `PictureError`.  Raises
    that, and `MissingDependencyError`.
    """
    image = pillow()
    from PIL import UnidentifiedImageError

    try:
        _check_bytes(file, name)
        with _open(file, name) as picture:
            _check_work(picture, file, name)
            with _room.taken(picture.width * picture.height):
                yield picture
    except ConvletError:
        raise
    except image.DecompressionBombError as error:
        why = f"expected at most {MAX_PIXELS} pixels, found far more"
        raise wrong(name, why, "scale it down") from error
    except MemoryError as error:
        raise wrong(name, "holds more than there is memory for", "scale it down") from error
    except Exception as error:  # decoders fail on strangers' bytes in many ways
        unknown = isinstance(error, UnidentifiedImageError)  # its text names a Python object
        found = "no whole image" if unknown else f"a damaged one ({error})"
        why = f"expected a {', '.join(FORMATS)} image, found {found}"
        raise wrong(name, why, "convert it, or get it again") from error


def _open(file: IO[bytes], name: str) -> "Image":
    from PIL import UnidentifiedImageError

    try:
        picture: Image = pillow().open(file, formats=FORMATS)
        return picture
    except (UnidentifiedImageError, KeyError) as error:  # KeyError: of an unknown compression
        levels, kind = tiff.unread(file)
        if levels:
            raise wrong_levels(name, levels) from error
        if kind:
            raise wrong_kind(name, kind) from error
        raise


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
        scans = bytes_of(file).count(SOS)
        if scans * columns * rows > MAX_WORK:
            why = f"expected fewer scans of {columns} x {rows} pixels, found {scans}"
            raise wrong(name, why, "save it again")


def bytes_of(file: IO[bytes]) -> bytes:
    """All of a file, whose position stays."""
    here = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(here)
    return data


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
