"""The .npy format: numbers, or names of classes, never pickles, with sizes checked first."""

import os
from io import BytesIO
from math import inf, prod
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from convlet.errors import DataError
from convlet.files.streams import MAX_BYTES, open_regular, read_up_to

MAX_DIMENSIONS = 8
MAX_HEADER = 10_000


def read_npy(path: str | os.PathLike[str], text: bool = False) -> NDArray[Any]:
    """The array of an .npy file: numbers, or with text names, too, at most 2^32 bytes.

    Raises `DataError`, `FileError`.
    """
    with open_regular(path) as file:
        return read_array(file, os.fstat(file.fileno()).st_size, os.fspath(path), text)


def parse_npy(data: bytes, name: str) -> NDArray[Any]:
    """The array in the bytes of such a file.  Raises `DataError`."""
    return read_array(BytesIO(data), len(data), name)


def map_npy(path: str | os.PathLike[str], text: bool = False) -> NDArray[Any]:
    """The array of an .npy file, still on disk: read-only, its numbers come when they are used.

    Of any size, as it takes no memory.  text: may hold names.  An array of another byte order is
    read.  Raises as `read_npy`.
    """
    name = os.fspath(path)
    with open_regular(path) as file:
        header = checked_header(file, os.fstat(file.fileno()).st_size, name, text, inf)
        if header.bytes and header.dtype.isnative:
            order: Literal["F", "C"] = "F" if header.fortran else "C"
            return np.memmap(file, header.dtype, "r", file.tell(), header.shape, order)
    return read_npy(path, text)


def npy_shape(path: str | os.PathLike[str], text: bool = False) -> tuple[int, ...]:
    """The shape in the header of an .npy file of any size.  Raises as `read_npy`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        return checked_header(file, size, os.fspath(path), text, inf).shape


class Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool  # order
    dtype: np.dtype[Any]
    bytes: int  # of the entries


def read_array(stream: IO[bytes], size: int, name: str, text: bool = False) -> NDArray[Any]:
    """The array of an .npy stream of size bytes.  Raises `DataError`."""
    header = checked_header(stream, size, name, text)
    data = read_up_to(stream, header.bytes)
    # what is there, as a directory of a .zip may promise more; at the end it compares its checksum
    _check_size(header, len(data) + len(stream.read(1)), name)
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    array: NDArray[Any] = np.frombuffer(data, header.dtype).reshape(header.shape, order=order)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def checked_header(
    stream: IO[bytes], size: int, name: str, text: bool = False, most: float = MAX_BYTES
) -> Header:
    """The header of an .npy stream of size bytes, of an array of numbers that is all there.

    text: may hold names.  most: bytes of the entries.  Raises `DataError`.
    """
    shape, fortran, dtype, length = _read_header(stream, name)
    if dtype.hasobject:
        raise DataError(
            f"{name}: expected numbers, found Python objects, which are never loaded:"
            " save names as array.astype(str)"
        )
    if dtype.kind not in ("buifUS" if text else "buif"):
        raise DataError(f"{name}: expected numbers, found {dtype}")
    if len(shape) > MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise DataError(
            f"{name}: expected at most {MAX_DIMENSIONS} dimensions, none negative, found {shape}"
        )
    # a zero beside huge dimensions makes no bytes, but no array that NumPy can hold
    if prod(max(n, 1) for n in shape) * dtype.itemsize > most:
        raise DataError(f"{name}: expected at most {most} bytes, found shape {shape} {dtype}")
    header = Header(shape, fortran, dtype, prod(shape) * dtype.itemsize)
    _check_size(header, size - length, name)
    return header


def _check_size(header: Header, found: int, name: str) -> None:
    """Refuse another number of bytes behind a header than it promises."""
    if found != header.bytes:
        raise DataError(
            f"{name}: expected {header.bytes} bytes for shape {header.shape} {header.dtype},"
            f" found {found}: it is cut off or has trailing bytes"
        )


def _read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, dtype, and the number of bytes up to the entries."""
    start = bytes(read_up_to(stream, 8))
    # version 3 differs from 2 only for names of fields, which numbers do not have
    if start[:6] != npy_format.MAGIC_PREFIX or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise DataError(f"{name}: expected an .npy array of version 1 or 2, found another start")
    width, parse = (
        (2, npy_format.read_array_header_1_0)
        if start[6] == 1
        else (4, npy_format.read_array_header_2_0)
    )
    prefix = bytes(read_up_to(stream, width))
    length = int.from_bytes(prefix, "little")
    if length > MAX_HEADER:  # NumPy would read it all before it compares
        raise DataError(f"{name}: expected a header of at most {MAX_HEADER} bytes, found {length}")
    text = bytes(read_up_to(stream, length))
    try:
        shape, fortran, dtype = parse(BytesIO(prefix + text))
    # a literal from a stranger: NumPy's parser may fail in any way, among them RecursionError
    except Exception as error:
        raise DataError(f"{name}: expected the header of an .npy array, found damage") from error
    return shape, fortran, dtype, 8 + width + length
