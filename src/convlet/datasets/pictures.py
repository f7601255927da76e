"""PNG, JPEG and BMP files through Pillow, with their size checked before they are decoded."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from convlet.errors import ConvletError, DataError, MissingDependencyError
from convlet.files.streams import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
MAX_PIXELS = 1 << 26


def pillow() -> ModuleType:
    """The module PIL.Image.  Raises `MissingDependencyError`."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            'image files need Pillow, which is not installed: pip install "convlet[data]"'
        ) from error
    return Image


@contextmanager
def open_picture(path: str | os.PathLike[str]) -> Iterator["Image"]:
    """An image file whose header is read, its pixels not yet; turned as its EXIF data say.

    Whatever a decoder says while it is open becomes a `DataError`.  Raises `DataError`,
    `FileError`, `MissingDependencyError`.
    """
    library = pillow()
    from PIL import ImageOps, UnidentifiedImageError

    name = os.fspath(path)
    with open_regular(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong is an error here, the rest no news
        try:
            with library.open(file, formats=FORMATS) as picture:
                columns, rows = picture.size
                if columns * rows > MAX_PIXELS:
                    raise DataError(
                        f"{name}: expected at most {MAX_PIXELS} pixels, found {columns} x {rows}"
                    )
                if "exif" in picture.info:  # asked, as Pillow would search a PNG to its end for it
                    ImageOps.exif_transpose(picture, in_place=True)
                yield picture
        except ConvletError:
            raise
        except Exception as error:  # decoders fail on strangers' bytes in many ways
            unknown = isinstance(error, UnidentifiedImageError)  # its text names a Python object
            raise DataError(
                f"{name}: expected a whole {', '.join(FORMATS)} image, found a damaged file or"
                f" another format{'' if unknown else f' ({error})'}: convert it, or get it again"
            ) from error
