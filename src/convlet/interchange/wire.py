"""The wire format of protocol buffers, as far as ONNX files use it.

A message is a row of fields, each a key (number and kind) and a value.  Messages inside are bytes
until somebody asks for their fields, so that reading never goes deeper than the reader does, and
what nobody asks for costs nothing.

Source: "Encoding", https://protobuf.dev/programming-guides/encoding/.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
LONGEST = 10  # bytes of a number


class WireError(Exception):
    """These bytes are no message.  Never leaves the reader of a file."""


class Field(NamedTuple):
    """number, kind; value: an int of a number, a view of the bytes of anything else."""

    number: int
    kind: int
    value: int | memoryview

    def whole(self) -> int:
        """A signed whole number of 64 bits."""
        if not isinstance(self.value, int):
            raise WireError(f"field {self.number} holds bytes, not a number")
        return self.value - (1 << 64) if self.value >> 63 else self.value

    def bytes(self) -> memoryview:
        """The bytes of a text, an array or a message."""
        if isinstance(self.value, int) or self.kind != BYTES:
            raise WireError(f"field {self.number} holds a number, not bytes")
        return self.value

    def text(self) -> str:
        """A text; bytes that are none are written out."""
        return bytes(self.bytes()).decode(errors="backslashreplace")

    def real(self) -> float:
        """A number of 4 bytes."""
        if isinstance(self.value, int) or self.kind != FIXED32:
            raise WireError(f"field {self.number} is no float")
        (number,) = struct.unpack("<f", self.value)
        return float(number)


class Reader:
    """Fields of messages, counted: a file of so many is refused before it has cost much.

    most: fields of all messages together.
    """

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def fields(self, message: memoryview) -> Iterator[Field]:
        """The fields of a message in their order.  Raises `WireError`."""
        place = 0
        while place < len(message):
            self.spend(1)
            key, place = varint(message, place)
            number, kind = key >> 3, key & 7
            if kind == VARINT:
                whole, place = varint(message, place)
                yield Field(number, kind, whole)
                continue
            if kind == BYTES:
                size, place = varint(message, place)
            elif kind in _FIXED:
                size = _FIXED[kind]
            else:
                raise WireError(f"a field of kind {kind}")
            if size > len(message) - place:
                raise WireError(f"field {number} ends behind the end")
            yield Field(number, kind, message[place : place + size])
            place += size

    def wholes(self, field: Field) -> list[int]:
        """Whole numbers of a field that holds one, or many in a row."""
        if field.kind != BYTES:
            return [field.whole()]
        packed, place, found = field.bytes(), 0, []
        while place < len(packed):
            self.spend(1)
            number, place = varint(packed, place)
            found.append(number - (1 << 64) if number >> 63 else number)
        return found

    def reals(self, field: Field) -> list[float]:
        """Numbers of 4 bytes of a field that holds one, or many in a row."""
        if field.kind != BYTES:
            return [field.real()]
        packed = field.bytes()
        self.spend(len(packed) // 4)
        if len(packed) % 4:
            raise WireError(f"field {field.number} holds no whole number of floats")
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise WireError(f"more than {self.most} fields and numbers")


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of up to 64 bits, 7 of them a byte, and where the next thing begins."""
    number = 0
    for shift in range(0, 7 * LONGEST, 7):
        if place >= len(message):
            raise WireError("it ends inside a number")
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, place
    raise WireError(f"a number of more than {LONGEST} bytes")
