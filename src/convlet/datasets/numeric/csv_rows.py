"""Rows of numbers in text, a block of bytes at a time: memory holds the numbers, never the text."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.errors import DataError
from convlet.files.streams import CHUNK, MAX_BYTES, open_unpacked

MAX_LINE = 1 << 24
MAX_DIGITS = 9
SEPARATORS = b",;\t"
_LEFT_OUT = str.maketrans("", "", '"')


class Lines:
    """The lines of a text file, plain or gzip, in blocks of whole ones.

    first, second: of them.  separator: of fields, the one of SEPARATORS that the first has most of.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with open_unpacked(path) as (stream, _):
            line, second = stream.readline(MAX_LINE), stream.readline(MAX_LINE)
        if MAX_LINE in (len(line), len(second)):
            raise _too_long(self.path)
        line = line.removeprefix(b"\xef\xbb\xbf")  # the mark of UTF-8 that some programs write
        self.first = line.decode("utf-8", "surrogateescape").strip("\r\n")
        self.second = second.decode("utf-8", "surrogateescape").strip("\r\n")
        self.separator = max(SEPARATORS, key=line.count)

    def fields(self, line: str | None = None) -> list[str]:
        """Of the first line, or another one."""
        return _fields(self.first if line is None else line, chr(self.separator))

    def blocks(self, skip_first: bool) -> Iterator[tuple[int, bytes]]:
        """Whole lines, fields between commas, and the number of the first line of each block."""
        rest, number, taken = b"", 1, 0
        with open_unpacked(self.path) as (stream, _):
            if skip_first:
                stream.readline(MAX_LINE)
                number = 2
            while piece := stream.read(CHUNK):
                taken += len(piece)
                if taken > MAX_BYTES:
                    raise DataError(f"{self.path}: expected at most {MAX_BYTES} bytes of text")
                whole, newline, left = piece.rpartition(b"\n")
                if newline:
                    yield number, self._plain(rest + whole)
                    number += whole.count(b"\n") + 1
                    rest = left
                else:
                    rest += piece
                if len(rest) > MAX_LINE:
                    raise _too_long(self.path)
        if rest.strip():
            yield number, self._plain(rest)

    def _plain(self, lines: bytes) -> bytes:
        if self.separator != ord(","):
            lines = lines.replace(bytes([self.separator]), b",")
        return lines.replace(b"\r", b"").removeprefix(b"\xef\xbb\xbf")


def rows_of(block: bytes, width: int) -> NDArray[np.int64] | None:
    """Lines of `width` whole numbers without a sign, (n, width); None for anything else.

    What is in the block is checked first, so that it can be read by the fastest way there is.
    """
    text = np.frombuffer(block + b"\n", np.uint8)
    ends = np.flatnonzero(text < ord("0"))
    if len(ends) % width or text.max() > ord("9"):
        return None
    marks = text[ends].reshape(-1, width)
    if (marks[:, :-1] != ord(",")).any() or (marks[:, -1] != ord("\n")).any():
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    if not 1 <= lengths.min() <= lengths.max() <= MAX_DIGITS:
        return None
    return np.fromstring(block.replace(b"\n", b","), np.int64, sep=",").reshape(-1, width)


def split_rows(block: bytes, number: int) -> Iterator[tuple[int, list[str]]]:
    """The fields of each line that has any, with the number of the line."""
    for place, line in enumerate(block.split(b"\n"), start=number):
        if line.strip():
            yield place, _fields(line.decode("utf-8", "surrogateescape"), ",")


def smallest(numbers: NDArray[np.int64]) -> NDArray[Any]:
    """Whole numbers in as few bytes as they need."""
    return numbers.astype(np.min_scalar_type(int(numbers.max())) if numbers.size else np.uint8)


def _fields(line: str, separator: str) -> list[str]:
    return [field.translate(_LEFT_OUT).strip() for field in line.split(separator)]


def _too_long(path: str) -> DataError:
    return DataError(
        f"{path}: expected lines of at most {MAX_LINE} bytes, found a longer one: it is no table of"
        " pixels"
    )
