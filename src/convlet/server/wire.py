"""What goes over the wire: JSON without NaN, arrays and pixels as base64."""

import json
from base64 import b64decode, b64encode
from binascii import Error
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.engine import as_floats
from convlet.equations import Array
from convlet.errors import InputError
from convlet.formats.json_values import finite

MOST_NUMBERS = 1 << 23
"""Of one answer: what a page can show, and a browser hold."""


def dumps(value: Any) -> bytes:
    """JSON in UTF-8.  NaN and infinity, unknown to it, become null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return json.dumps(finite(value), allow_nan=False, separators=(",", ":")).encode()


def array(values: Array) -> dict[str, Any]:
    """An array as its shape and its numbers, float32 in little-endian order."""
    data = np.ascontiguousarray(values, "<f4").tobytes()
    return {"shape": list(values.shape), "data": b64encode(data).decode()}


def pixels(images: Array, levels: tuple[float, float]) -> NDArray[np.uint8]:
    """Images as levels 0 to 255.  levels: what is black and what is white, of floats."""
    if images.dtype == np.uint8:
        return np.asarray(images)
    low, high = levels
    shown = (as_floats(images) - np.float32(low)) * np.float32(255 / (high - low))
    return np.asarray(np.rint(np.clip(shown, 0, 255)), np.uint8)


def encoded(levels: NDArray[np.uint8]) -> str:
    """Levels, row by row."""
    return b64encode(np.ascontiguousarray(levels).tobytes()).decode()


def decoded(text: Any, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """The levels of a text that `encoded` makes.  Raises `InputError`."""
    expected = f"base64 of {' x '.join(map(str, shape))} levels"
    try:
        data = b64decode(text, validate=True) if isinstance(text, str) else b""
        levels = np.frombuffer(data, np.uint8).reshape(shape)
    except (Error, ValueError):
        raise InputError(name, found="holds something else", expected=expected) from None
    return levels
