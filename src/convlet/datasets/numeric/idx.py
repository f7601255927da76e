"""The IDX format: big-endian header, then the entries in C order.

    bytes 0, 1   zero
    byte 2       code of the dtype: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    byte 3       number of dimensions
    then         each dimension as a 32-bit unsigned number, then the entries, then the end

Files may be packed with gzip; the content tells, not the name.
"""

import gzip
import os
import struct
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from convlet.errors import DataError, InputError
from convlet.files.atomic import write_atomic
from convlet.files.paths import file_name
from convlet.files.streams import MAX_BYTES, open_unpacked, read_up_to

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
CODES = {dtype.newbyteorder("="): code for code, dtype in DTYPES.items()}
MAX_DIMENSIONS = 8


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array of an IDX file, C-ordered, in the byte order of this machine.

    Strict: the file holds exactly what its header says, at most 2^32 bytes, or it is refused, and
    a promise in the header alone takes no memory.  Raises `DataError`, `FileError`.
    """
    name = file_name(path)
    with open_unpacked(path) as (stream, size):
        dtype, shape = _read_header(stream, name)
        expected = prod(shape) * dtype.itemsize
        what = f"{expected} bytes of entries for shape {shape} {dtype.newbyteorder('=')}"
        if size is not None and size != 4 + 4 * len(shape) + expected:
            raise DataError(
                f"{name}: expected {what}, found {size - 4 - 4 * len(shape)}: it is cut off, has"
                " trailing bytes, or is no IDX file"
            )
        data = read_up_to(stream, expected)
        if len(data) < expected:
            raise DataError(f"{name}: expected {what}, found {len(data)}: it is cut off")
        # at the end, too, so that gzip compares its checksum
        if stream.read(1):
            raise DataError(f"{name}: expected {what}, found more: it has trailing bytes")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_idx_header(path: str | os.PathLike[str]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """dtype and shape of what `read_idx` would give.  Raises `DataError`, `FileError`."""
    with open_unpacked(path) as (stream, _):
        dtype, shape = _read_header(stream, file_name(path))
    return dtype.newbyteorder("="), shape


def write_idx(path: str | os.PathLike[str], array: Any) -> None:
    """Write array as an IDX file, packed if the name ends in .gz, in one atomic step.

    array: 1 to 8 dimensions of a dtype above.  Raises `InputError`, `FileError`.
    """
    array = np.asarray(array)
    code = CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        expected, hint = f"one of {', '.join(map(str, CODES))}", "convert it with array.astype(...)"
        raise InputError("array", array.dtype, expected, hint, found=f"has dtype {array.dtype}")
    if not 1 <= array.ndim <= MAX_DIMENSIONS or any(n >= 1 << 32 for n in array.shape):
        expected = f"1 to {MAX_DIMENSIONS} dimensions below 2^32"
        raise InputError("array", array.shape, expected, found=f"has shape {array.shape}")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    data = header + array.astype(DTYPES[code]).tobytes()
    # without a time, so that the same array gives the same file
    packed = file_name(path).endswith(".gz")
    write_atomic(path, gzip.compress(data, mtime=0) if packed else data)


def _read_header(stream: IO[bytes], name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """dtype and shape.  Leaves the stream at the first entry."""
    magic = bytes(read_up_to(stream, 4))
    if len(magic) < 4 or magic[:2] != b"\0\0":
        found = magic.hex(" ") or "an empty file"
        raise DataError(f"{name}: expected an IDX file, which starts with 00 00, found {found}")
    code, dimensions = magic[2], magic[3]
    if code not in DTYPES:
        codes = ", ".join(f"{known:02X}" for known in DTYPES)
        raise DataError(f"{name}: expected a dtype code of IDX ({codes}), found {code:02X}")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise DataError(f"{name}: expected 1 to {MAX_DIMENSIONS} dimensions, found {dimensions}")
    sizes = read_up_to(stream, 4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(
            f"{name}: expected {4 * dimensions} bytes with {dimensions} dimensions,"
            f" found {len(sizes)}: it is cut off"
        )
    shape = struct.unpack(f">{dimensions}I", sizes)
    # a zero beside huge dimensions makes the product small, but no array that NumPy can hold
    if prod(max(n, 1) for n in shape) * DTYPES[code].itemsize > MAX_BYTES:
        raise DataError(f"{name}: expected at most {MAX_BYTES} bytes, found shape {shape}")
    return DTYPES[code], shape
