"""Safetensors files of strangers: arrays of known names and shapes, read with bounded memory."""

import os
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np

from convlet.equations import Array, Float32
from convlet.errors import ModelFileError
from convlet.files.paths import file_name
from convlet.files.streams import open_regular, read_up_to
from convlet.formats.header import LIMIT, parse_json
from convlet.shapes import Shape
from convlet.wording import label, listed, printable, size

DTYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": "<u2"}
"""Those that are read, as NumPy has them; bfloat16 is the upper half of float32."""

MOST = 1 << 48  # of a place in a file


def read_state(path: str | os.PathLike[str], expected: Mapping[str, Shape]) -> dict[str, Float32]:
    """The arrays of a file, which must be these.

    Raises `FileError` for a file that cannot be read, `ModelFileError` for one that holds anything
    else.
    """
    name = file_name(path)
    with open_regular(path) as file:
        start, entries = _header(file, name)
        if missing := [key for key in expected if key not in entries]:
            found = listed([label(key, 40) for key in entries], 20) or "no array"
            raise _wrong(
                name, f"expected {listed(missing, 20)}", f"found {found}", "name its modules"
            )
        if more := [key for key in entries if key not in expected]:
            found = f"found {label(more[0], 40)}"
            raise _wrong(
                name, f"expected {listed([*expected], 20)}", found, "take layers that have it"
            )
        return {
            key: _array(file, start, entries[key], shape, key, name)
            for key, shape in expected.items()
        }


def _header(file: IO[bytes], name: str) -> tuple[int, dict[str, Any]]:
    """Where the numbers begin, and what is said of each array."""
    length = int.from_bytes(file.read(8), "little")
    if length > LIMIT:
        raise _wrong(name, f"expected a header of at most {LIMIT} bytes", f"found {length}")
    text = bytes(read_up_to(file, length))
    try:
        entries = parse_json(text.decode())
    except ValueError as error:
        raise _wrong(
            name, "expected a safetensors file", f"found another ({error!s:.80})"
        ) from error
    if len(text) < length or not isinstance(entries, dict):
        raise _wrong(name, "expected a safetensors file", "found another")
    entries.pop("__metadata__", None)
    return 8 + length, entries


def _array(file: IO[bytes], start: int, entry: Any, shape: Shape, key: str, name: str) -> Float32:
    """The array called key, in float32."""
    code, found, offsets = (
        entry.get(part) if isinstance(entry, dict) else None
        for part in ("dtype", "shape", "data_offsets")
    )
    if not isinstance(code, str) or code not in DTYPES:
        raise _wrong(name, f"expected {key} in one of {', '.join(DTYPES)}", f"found {code!r:.40}")
    if found != list(shape):
        raise _wrong(name, f"expected {key} of shape {size(shape)}", f"found {found!r:.40}")
    dtype = np.dtype(DTYPES[code])
    length = prod(shape) * dtype.itemsize
    first = offsets[0] if isinstance(offsets, list) and offsets else None
    if type(first) is not int or not 0 <= first < MOST or offsets != [first, first + length]:
        raise _wrong(name, f"expected the place of {key}", f"found {offsets!r:.40}")
    file.seek(start + first)
    data = read_up_to(file, length)
    if len(data) < length:
        raise _wrong(name, f"expected {key}", "found the end of the file")
    values: Array = np.frombuffer(data, dtype)
    if code == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32).reshape(shape)
    if not np.isfinite(numbers).all():
        raise _wrong(name, f"expected finite numbers of float32 in {key}", "found others")
    return numbers


def _wrong(name: str, expected: str, found: str, hint: str = "get it again") -> ModelFileError:
    return ModelFileError(f"{printable(name)}: {expected}, {found}: {hint}")
