"""Arrays of .npy and .npz files: numbers only, never pickles, with sizes checked first."""

import os
import struct
import zipfile
import zlib
from io import BytesIO
from lzma import LZMAError
from math import prod
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset, check_shapes, make_dataset, make_split
from convlet.errors import ConvletError, DataError
from convlet.files.streams import MAX_BYTES, open_regular, read_up_to

MAX_DIMENSIONS = 8
MAX_HEADER = 10_000
KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
# what zipfile raises, depending on which bytes are damaged, or for a method that it does not know
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    struct.error,
    ValueError,
    IndexError,
    OverflowError,
    RuntimeError,
)


def read_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array of an .npy file: numbers, at most 2^32 bytes.  Raises `DataError`, `FileError`."""
    with open_regular(path) as file:
        return _read_array(file, os.fstat(file.fileno()).st_size, os.fspath(path))


def load_npz(name: str, path: str | os.PathLike[str]) -> Dataset:
    """The data set of an .npz file with the arrays x_train, y_train, x_test, y_test.

    Or train_images, train_labels, test_images, test_labels.  Images are uint8 or floats, (n, rows,
    columns) or (n, rows, columns, channels); labels are whole numbers (n,) of any dtype, or
    one-hot (n, classes).  Raises `DataError`, `FileError`.
    """
    source = os.fspath(path)
    with open_regular(path) as file:
        try:
            arrays = _read_members(file, source)
        except ConvletError:
            raise
        except _ZIP_ERRORS as error:
            raise DataError(
                f"{source}: expected a whole .npz file, found a damaged one or something else"
                f" ({error})"
            ) from error
    (train_x, train_y, test_x, test_y), named = zip(*arrays, strict=True)
    train_names, test_names = named[:2], named[2:]
    return make_dataset(
        name,
        make_split(train_x, train_y, *train_names),
        make_split(test_x, test_y, *test_names),
        source,
    )


def _read_members(file: IO[bytes], source: str) -> list[tuple[NDArray[Any], str]]:
    """The four arrays, in the order of KEYS, each with its name for messages."""
    with zipfile.ZipFile(file) as archive:
        there = set(archive.namelist())
        keys = next((keys for keys in KEYS if all(f"{k}.npy" in there for k in keys)), None)
        if keys is None:
            expected = " or ".join(", ".join(keys) for keys in KEYS)
            found = ", ".join(sorted(name.removesuffix(".npy") for name in there)[:10]) or "none"
            raise DataError(f"{source}: expected the arrays {expected}, found {found}")
        members = [(archive.getinfo(f"{key}.npy"), f"{source}[{key}]") for key in keys]
        total = sum(info.file_size for info, _ in members)
        if total > MAX_BYTES:
            raise DataError(f"{source}: expected at most {MAX_BYTES} bytes, found {total}")
        shapes = []
        for info, name in members:
            with archive.open(info) as stream:
                shapes.append(_checked_header(stream, info.file_size, name).shape)
        # by their headers, before the memory is taken
        for x, y in ((0, 1), (2, 3)):
            check_shapes(shapes[x], shapes[y], members[x][1], members[y][1])
        arrays = []
        for info, name in members:
            with archive.open(info) as stream:
                arrays.append((_read_array(stream, info.file_size, name), name))
        return arrays


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool  # order
    dtype: np.dtype[Any]
    bytes: int  # of the entries


def _read_array(stream: IO[bytes], size: int, name: str) -> NDArray[Any]:
    """The array of an .npy stream of size bytes."""
    header = _checked_header(stream, size, name)
    data = read_up_to(stream, header.bytes)
    # what is there, as a directory of a .zip may promise more; at the end it compares its checksum
    _check_size(header, len(data) + len(stream.read(1)), name)
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    array: NDArray[Any] = np.frombuffer(data, header.dtype).reshape(header.shape, order=order)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _checked_header(stream: IO[bytes], size: int, name: str) -> _Header:
    """The header of an .npy stream of size bytes, of an array that can be read."""
    shape, fortran, dtype, length = _read_header(stream, name)
    if dtype.hasobject:
        raise DataError(f"{name}: expected numbers, found Python objects, which are never loaded")
    if dtype.kind not in "buif":
        raise DataError(f"{name}: expected numbers, found {dtype}")
    if len(shape) > MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise DataError(
            f"{name}: expected at most {MAX_DIMENSIONS} dimensions, none negative, found {shape}"
        )
    if prod(max(n, 1) for n in shape) * dtype.itemsize > MAX_BYTES:
        raise DataError(f"{name}: expected at most {MAX_BYTES} bytes, found shape {shape} {dtype}")
    header = _Header(shape, fortran, dtype, prod(shape) * dtype.itemsize)
    _check_size(header, size - length, name)
    return header


def _check_size(header: _Header, found: int, name: str) -> None:
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
