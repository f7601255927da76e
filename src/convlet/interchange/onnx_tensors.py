"""Constant tensors of ONNX files, whose numbers lie in the file or in one beside it.

Numbers stay where they are until `Tensor.array` is called: a view of the file's bytes.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.errors import ModelFileError
from convlet.files.streams import open_regular, read_up_to
from convlet.interchange.wire import Field, Reader, WireError
from convlet.wording import label, size

MOST_BESIDE = 1 << 31  # bytes that are read from files beside one, together
MOST_AXES = 8
STRING, BOOL, FLOAT16, BFLOAT16 = 8, 9, 10, 16
DTYPES: Mapping[int, "np.dtype[Any]"] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    4: np.dtype("<u2"),
    5: np.dtype("<i2"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    BOOL: np.dtype("u1"),
    FLOAT16: np.dtype("<f2"),
    11: np.dtype("<f8"),
    12: np.dtype("<u4"),
    13: np.dtype("<u8"),
    BFLOAT16: np.dtype("<u2"),
}
"""What the bytes of numbers are, by the code of their type."""
_WRITTEN_OUT = {4: 1, 10: 11}
"""Fields of floats one after the other, and the code of their type."""


class Beside:
    """Files in the folder of a model, which its weights may lie in."""

    def __init__(self, name: str) -> None:
        self.name, self.left = name, MOST_BESIDE

    def read(self, place: Mapping[str, str], count: int, source: str) -> bytearray:
        """So many bytes of the file that external_data name.

        Nothing is read outside the folder, and no link is followed there.  Raises `ModelFileError`,
        `FileError`.
        """
        location = place.get("location", "")
        parts = location.replace("\\", "/").split("/")
        folder = os.path.realpath(os.path.dirname(self.name) or ".")
        path = os.path.join(folder, location)
        if not location or "\0" in location or ".." in parts or os.path.isabs(location):
            raise _wrong(source, f"lie in {label(location, 60)!r}", "a file in the model's folder")
        if os.path.realpath(path) != os.path.normpath(path):
            raise _wrong(
                source, f"lie in {label(location, 60)!r}, a link", "a file in the model's folder"
            )
        try:
            offset = int(place.get("offset", "0"))
            length = int(place.get("length", str(count)))
        except ValueError:
            offset = length = -1
        if offset < 0 or length != count:
            found = f"take the bytes {label(place.get('offset'))}, {label(place.get('length'))}"
            raise _wrong(source, found, f"{count} bytes from some place")
        self.left -= count
        if self.left < 0:
            raise _wrong(source, "are too large", f"at most {MOST_BESIDE} bytes beside a model")
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size < offset + count:
                raise _wrong(source, f"end behind the end of {location}", "all of them")
            file.seek(offset)
            return read_up_to(file, count)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A constant.

    raw: its bytes, or None.  values: numbers or texts that are written out.  place: external_data
    where its bytes are beside the file.
    """

    name: str
    code: int
    shape: tuple[int, ...]
    raw: memoryview | None
    values: tuple[int, ...] | tuple[str, ...]
    place: Mapping[str, str] | None
    beside: Beside

    @property
    def source(self) -> str:
        return f"{self.beside.name}: the weights {label(self.name, 60)!r}"

    def array(self) -> Array:
        """Its numbers, of the dtype that the file says, or texts; read-only.

        Raises `ModelFileError`, `FileError`.
        """
        count = prod(self.shape)
        if self.code == STRING:
            texts = np.empty(len(self.values), object)
            texts[:] = self.values
            return self._shaped(texts)
        if self.code not in DTYPES:
            expected = "one of numbers that convlet reads"
            raise _wrong(self.source, f"are of type {self.code}", expected)
        dtype = DTYPES[self.code]
        if self.place is not None:
            raw = self.beside.read(self.place, count * dtype.itemsize, self.source)
            values = np.frombuffer(raw, dtype)
        elif self.raw is not None:
            if len(self.raw) != count * dtype.itemsize:
                expected = f"{count * dtype.itemsize}, of {size(self.shape)} {dtype.name}"
                raise _wrong(self.source, f"have {len(self.raw)} bytes", expected)
            values = np.frombuffer(self.raw, dtype)
        else:
            bits = np.array(self.values, np.int64)
            half = self.code == FLOAT16
            values = bits.astype("<u2").view(dtype) if half else bits.astype(dtype)
        if self.code == BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return self._shaped(values != 0 if self.code == BOOL else values)

    def _shaped(self, values: Array) -> Array:
        if values.size != prod(self.shape):
            expected = f"{prod(self.shape)}, {size(self.shape)}"
            raise _wrong(self.source, f"have {values.size} numbers", expected)
        shaped = values.reshape(self.shape)
        shaped.flags.writeable = False
        return shaped


def read_tensor(reader: Reader, message: Field, beside: Beside) -> Tensor:
    """TensorProto.  Raises `WireError`."""
    name, code, is_beside = "", 0, False
    shape: list[int] = []
    raw: list[memoryview] = []
    wholes: list[int] = []
    texts: list[str] = []
    place: dict[str, str] = {}
    for found in reader.fields(message.bytes()):
        match found.number:
            case 1:
                shape += reader.wholes(found)
            case 2:
                code = found.whole()
            case 3:
                raise WireError("weights in segments")
            case 4 | 10:
                if isinstance(found.value, int) or code not in (0, _WRITTEN_OUT[found.number]):
                    raise WireError("floats that are none")
                raw.append(found.value)
            case 5 | 7 | 11:
                wholes += reader.wholes(found)
            case 6:
                texts.append(found.text())
            case 8:
                name = found.text()
            case 9:
                raw.append(found.bytes())
            case 13:
                key, value = read_pair(reader, found)
                place[key] = value
            case 14:
                is_beside = found.whole() == 1
    if len(shape) > MOST_AXES or min(shape, default=0) < 0:
        raise WireError(f"weights of shape {label(shape)}")
    joined = None if not raw else raw[0] if len(raw) == 1 else memoryview(b"".join(raw))
    values = tuple(texts) if code == STRING else tuple(wholes)
    return Tensor(name, code, tuple(shape), joined, values, place if is_beside else None, beside)


def read_pair(reader: Reader, message: Field) -> tuple[str, str]:
    """StringStringEntryProto."""
    texts = {1: "", 2: ""}
    for found in reader.fields(message.bytes()):
        if found.number in texts:
            texts[found.number] = found.text()
    return texts[1], texts[2]


def _wrong(source: str, found: str, expected: str) -> ModelFileError:
    return ModelFileError(f"{source} {found}, expected {expected}: export the model again")
