"""Bytes of files from strangers: plain or gzip, read with bounded memory."""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from convlet.errors import ConvletError, DataError, FileError
from convlet.files.paths import file_error, file_name

MAX_BYTES = 1 << 32
"""No array of a data file may be larger than this."""
CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A regular file, open for reading.  Raises `FileError`."""
    name = file_name(path)
    try:
        # asked before opening, too: to open a device may do something
        _refuse_other(os.stat(name), name)
        with open(name, "rb", opener=_without_waiting) as file:
            _refuse_other(os.fstat(file.fileno()), name)
            yield file
    except ConvletError:
        raise
    except MemoryError as error:
        hint = "get a machine with more, or a smaller file"
        what = "it holds more than there is memory for"
        raise FileError(f"{name} cannot be read: {what}: {hint}") from error
    except OSError as error:
        raise file_error("read", name, error) from error


def _refuse_other(found: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"{name} cannot be read: expected a file, found a folder or a device")


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # a pipe would wait for its writer


@contextmanager
def open_unpacked(path: str | os.PathLike[str]) -> Iterator[tuple[IO[bytes], int | None]]:
    """The bytes of a plain or gzip file, told apart by content, and their number if it is known.

    Raises `FileError` for a file that cannot be read, `DataError` for a damaged gzip file.
    """
    with open_regular(path) as file:
        packed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield file, os.fstat(file.fileno()).st_size
            return
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(IO[bytes], stream), None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"{file_name(path)}: expected a whole gzip file, found a damaged one ({error}):"
                " get it again"
            ) from error


def read_up_to(stream: IO[bytes], size: int) -> bytearray:
    """The next size bytes, or fewer where the stream ends.

    Memory grows with what arrives: a header that promises more than the file holds costs nothing.
    """
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(CHUNK, size - len(data)))):
        data += piece
    return data
