"""The border: what a caller hands over is checked once, here, and becomes what the engines take.

Every refusal names the parameter, its value, what was expected and the shapes in play.
"""

import operator
from collections.abc import Iterable
from math import isfinite, prod
from numbers import Real
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.errors import InputError
from convlet.layers import Shape

MOST_ROWS = 1 << 16  # of an image; also columns, channels
MOST_PIXELS = 1 << 26  # times channels


def as_images(x: Any, input_shape: Shape, name: str = "x") -> Array:
    """x as C-ordered uint8 or float32 (n, rows, columns, channels).

    Takes (n, rows, columns, channels), or (n, rows, columns) for one channel; uint8 (0..255 stands
    for 0..1) or finite floats.
    """
    expected = f"(n, {', '.join(map(str, input_shape))})"
    x = _as_array(x, name, expected)
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise InputError(
            f"{name} has dtype {x.dtype}, expected uint8 (0 to 255) or a float: "
            f"convert it with {name}.astype(...)"
        )
    if x.ndim == 3 and input_shape[2] == 1 and x.shape[1:] == input_shape[:2]:
        x = x[..., None]
    if x.ndim != 4 or x.shape[1:] != input_shape:
        hint = ": one image is x[None]" if x.shape in (input_shape, input_shape[:2]) else ""
        raise InputError(
            f"{name} has shape {x.shape}, expected {expected}, "
            f"images as (rows, columns, channels){hint}"
        )
    if len(x) == 0:
        raise InputError(f"{name} has shape {x.shape}, expected at least one image")
    if x.dtype not in (np.uint8, np.float32):
        with np.errstate(over="ignore", invalid="ignore"):
            x = x.astype(np.float32)
    images: Array = np.ascontiguousarray(x)
    if x.dtype == np.float32:
        flat = images.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.dot(flat, flat)  # finite only if every term is: no temporary array
        if not isfinite(squares) and not np.isfinite(images).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(images))[0]))
            raise InputError(
                f"{name}{list(where)} is {images[where]}, expected finite float32 numbers: "
                "clean the data first"
            )
    return images


def _as_array(value: Any, name: str, expected: str) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"{name} is no array: {error}; expected {expected}") from None


def as_labels(y: Any, count: int, classes: int, name: str = "y") -> Array:
    """y as int32 classes (n,) or float32 distributions (n, classes)."""
    y = _as_array(y, name, f"(n,) classes or (n, {classes}) distributions")
    if y.dtype.kind not in "buif":
        raise InputError(
            f"{name} has dtype {y.dtype}, expected whole numbers 0 to {classes - 1} "
            f"or distributions (n, {classes})"
        )
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != classes):
        raise InputError(
            f"{name} has shape {y.shape}, expected (n,) classes or (n, {classes}) distributions"
        )
    if len(y) != count:
        raise InputError(
            f"{name} has {len(y)} labels for {count} images, expected one label for each image"
        )
    if y.ndim == 2:
        return _distributions(y, name)
    if y.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(y) & (y == np.floor(y))))
        if len(bad):
            raise InputError(
                f"{name}[{bad[0]}] is {y[bad[0]]}, expected a whole number: "
                f"classes are 0 to {classes - 1}"
            )
    bad = np.flatnonzero((y < 0) | (y >= classes))
    if len(bad):
        raise InputError(
            f"{name}[{bad[0]}] is {y[bad[0]]}, expected 0 to {classes - 1}: "
            f"the network has {classes} classes"
        )
    return np.ascontiguousarray(y, np.int32)


def _distributions(y: Array, name: str) -> Array:
    y = y.astype(np.float64)
    bad = np.argwhere(~(np.isfinite(y) & (y >= 0)))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{name}[{row}, {column}] is {y[row, column]}, expected a probability of 0 or more"
        )
    sums = y.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-5)
    if len(wrong):
        raise InputError(
            f"{name}[{wrong[0]}] adds up to {sums[wrong[0]]:.6g}, expected 1: "
            "(15) needs distributions"
        )
    return np.ascontiguousarray(y, np.float32)


def as_sample_weight(weight: Any, count: int, name: str = "sample_weight") -> Array | None:
    """omega of (13) as float32 (n,), or None."""
    if weight is None:
        return None
    weight = _as_array(weight, name, f"({count},) numbers")
    if weight.dtype.kind not in "buif" or weight.shape != (count,):
        raise InputError(
            f"{name} has shape {weight.shape} and dtype {weight.dtype}, "
            f"expected ({count},) numbers, one for each image"
        )
    with np.errstate(over="ignore"):
        omega: Array = np.ascontiguousarray(weight, np.float32)
    bad = np.flatnonzero(~(np.isfinite(omega) & (omega >= 0)))
    if len(bad):
        raise InputError(
            f"{name}[{bad[0]}] is {omega[bad[0]]}, expected a finite number of 0 or more"
        )
    if not omega.any():
        if weight.any():
            raise InputError(
                f"{name} is at most {weight.max():g}, which float32 rounds to 0: scale it up"
            )
        raise InputError(f"{name} is 0 everywhere, expected at least one positive weight")
    return omega


def as_vector(value: Any, size: int, name: str) -> Array:
    """A copy as float32 (size,)."""
    vector = _as_array(value, name, f"({size},) numbers")
    if vector.dtype.kind not in "buif" or vector.shape != (size,):
        raise InputError(
            f"{name} has shape {vector.shape} and dtype {vector.dtype}, expected ({size},) numbers,"
            " one for each parameter"
        )
    return np.array(vector, np.float32)


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a text: a lone surrogate stands for a byte of a name that is none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def as_class_names(classes: Any) -> tuple[str, ...] | None:
    """One name for each class, or None."""
    if classes is None:
        return None
    names = () if isinstance(classes, str) or not isinstance(classes, Iterable) else tuple(classes)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"classes is {classes!r}, expected one name (str) for each class")
    for k, name in enumerate(names):
        if not is_unicode(name):
            raise InputError(f"classes[{k}] is {name!r}, expected valid Unicode: rename that class")
    return names


def as_count(value: Any, name: str, least: int = 1, most: int = 1 << 31) -> int:
    """A whole number in least..most."""
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise InputError(f"{name} is {value!r}, expected a whole number from {least} to {most}")
    return number


def as_threads(value: Any) -> int | None:
    """A number of threads, 1 to 1024, or None."""
    return None if value is None else as_count(value, "threads", 1, 1024)


def check_checkpoint(checkpoint: Any, every: Any, resume: Any) -> None:
    """Refuse wrong values of the three arguments of `fit`, and the others without the first."""
    if not isinstance(resume, bool | np.bool_):
        raise InputError(f"resume is {resume!r}, expected True or False")
    if every is not None:
        as_count(every, "every")
    for name, value in (("every", every), ("resume", resume or None)):
        if checkpoint is None and value is not None:
            raise InputError(f"{name} is {value}, but checkpoint is None: give checkpoint=folder")


def as_seed(value: Any) -> int:
    """A seed, 0 to 2^64 - 1."""
    return as_count(value, "seed", 0, (1 << 64) - 1)


def as_positive(value: Any, name: str, most: float) -> float:
    """A number in (0, most] that is a normal one of float32, in which it will be used."""
    try:
        number = float("nan") if isinstance(value, bool | np.bool_ | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not (isfinite(number) and 0 < number <= most):
        raise InputError(f"{name} is {value!r}, expected a number above 0, at most {most:g}")
    least = float(np.finfo(np.float32).tiny)
    if number < least:
        raise InputError(
            f"{name} is {value!r}, expected {least:.3g} or more, the least normal float32"
        )
    return number


def as_limit(value: Any, name: str, most: float) -> float | None:
    """A number in (0, most], or None for no limit."""
    return None if value is None else as_positive(value, name, most)


def as_share(value: Any, name: str) -> float:
    """A number in [0, 1)."""
    number = float(value) if is_number(value) else -1.0
    if not 0 <= number < 1:
        raise InputError(f"{name} is {value!r}, expected a number from 0, below 1")
    return number


def is_number(value: Any) -> bool:
    """Whether a value is a real number of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def as_input_shape(value: Any) -> tuple[int, int, int]:
    """(rows, columns, channels); (rows, columns) stands for one channel."""
    try:
        shape = tuple(operator.index(n) for n in value)
    except TypeError:
        shape = ()
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or not all(1 <= n <= MOST_ROWS for n in shape) or prod(shape) > MOST_PIXELS:
        raise InputError(
            f"input_shape is {value!r}, expected (rows, columns, channels), as in (28, 28, 1):"
            f" each from 1 to {MOST_ROWS}, together at most {MOST_PIXELS}"
        )
    return shape[0], shape[1], shape[2]
