"""The header of a safetensors file, in one canonical form: fields of text, and what each array is.

The safetensors library writes metadata in random order and arrays in an order of its own; assembled
here, equal content gives equal bytes.  docs/model-file.md describes every byte.
"""

import json
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from convlet.errors import ModelFileError

Spec = tuple[str, tuple[int, ...]]
"""What an array is: a key of `DTYPES` and a shape."""

DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I8": np.dtype("i1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "U64": np.dtype("<u8"),
}
LIMIT = 1 << 22
"""Most bytes of a header: parsing a hostile one takes some 25 times its size in memory."""


def encode(fields: Mapping[str, str], specs: Mapping[str, Spec]) -> bytes:
    """Length (8 bytes) and header; the arrays follow one another in the order of specs.

    Raises `UnicodeEncodeError` for a text that UTF-8 cannot hold, a lone surrogate.
    """
    entries: dict[str, Any] = {"__metadata__": dict(sorted(fields.items()))}
    start = 0
    for name, (code, shape) in specs.items():
        stop = start + size([(code, shape)])
        entries[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text


def size(specs: Iterable[Spec]) -> int:
    """Bytes that the arrays take."""
    return sum(DTYPES[code].itemsize * prod(shape) for code, shape in specs)


def parse(text: bytes, name: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The header of the file called name, without its length -> fields of text, entries of arrays.

    Raises `ModelFileError` for what is not JSON, or not of this form.
    """
    try:
        entries = parse_json(text.decode())
    except ValueError as error:
        raise damaged(name, "the header", text[:40], f"JSON in UTF-8 ({error})") from error
    if not isinstance(entries, dict):
        raise damaged(name, "the header", text[:40], "a JSON object")
    fields = entries.pop("__metadata__", None)
    if not isinstance(fields, dict):
        raise damaged(name, "__metadata__ in its header", fields, "the fields of a file of convlet")
    for key, value in fields.items():
        if not isinstance(value, str):
            raise damaged(name, f"the field {key!r:.80}", value, "a string")
    return fields, entries


def parse_spec(key: str, entry: Any, name: str) -> Spec:
    """What the array called key is, by its entry in the header.  Raises `ModelFileError`."""
    code, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (0, 0)
    if not (isinstance(code, str) and code in DTYPES):
        raise damaged(name, f"the dtype of {key!r:.80}", code, f"one of: {', '.join(DTYPES)}")
    # these bounds keep products small; whether they fit is for the size of the file to say
    if not (
        isinstance(shape, list)
        and len(shape) <= 8
        and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)
    ):
        raise damaged(name, f"the shape of {key!r:.80}", shape, "a list of sizes")
    return code, tuple(shape)


def check_canonical(
    found: bytes, fields: Mapping[str, str], specs: Mapping[str, Spec], name: str
) -> None:
    """Refuse a header, with its length, that is not what `encode` makes of what it was parsed to.

    This refuses at once overlaps, gaps, other offsets, unknown or repeated keys, another order,
    other escapes, white space.  Raises `ModelFileError`.
    """
    try:
        header = encode(fields, specs)
    except UnicodeEncodeError as error:
        raise damaged(name, "a text in its header", error.object, "valid Unicode") from error
    if found != header:
        pairs = enumerate(zip(found, header, strict=False))
        place = next((i for i, (a, b) in pairs if a != b), min(len(found), len(header)))
        part = slice(place, place + 40)
        raise damaged(name, f"the header at byte {place}", found[part], repr(header[part]))


def parse_json(text: str) -> Any:
    """JSON from a stranger.  Raises `ValueError`, whatever is wrong."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class DamagedError(ModelFileError):
    """A file is not what it should be; `what` is its first wrong part, as in "its checksum"."""

    what = ""


def damaged(name: str, what: str, found: object, expected: str) -> DamagedError:
    """The error for a file that is not what it should be.  found: shown as repr, at most a line."""
    shown = repr(found)
    shown = shown if len(shown) <= 100 else f"{shown[:97]}..."
    error = DamagedError(
        f"{name}: {what} is {shown}, expected {expected}:"
        " the file is damaged or not convlet's, take another copy"
    )
    error.what = what
    return error
