"""The border: what a caller hands over is checked once, here, and becomes what the engines take.

Every refusal names the parameter, its value, what was expected and the shapes in play.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from math import isfinite, prod
from numbers import Real
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.errors import InputError, Name
from convlet.layerbase import Shape

MOST_ROWS = 1 << 16  # of an image; also columns, channels
MOST_PIXELS = 1 << 26  # times channels
MOST_EPOCHS = 10**15 - 1  # of a network's life: what its file has room for


def as_images(x: Any, input_shape: Shape, name: str = "x") -> Array:
    """x as C-ordered uint8 or float32 (n, rows, columns, channels).

    Takes (n, rows, columns, channels), or (n, rows, columns) for one channel; uint8 (0..255 stands
    for 0..1) or finite floats.
    """
    expected = f"(n, {', '.join(map(str, input_shape))})"
    x = _as_array(x, name, expected)
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        expected, hint = "uint8 (0 to 255) or a float", f"convert it with {name}.astype(...)"
        raise InputError(name, x.dtype, expected, hint, found=f"has dtype {x.dtype}")
    if x.ndim == 3 and input_shape[2] == 1 and x.shape[1:] == input_shape[:2]:
        x = x[..., None]
    if x.ndim != 4 or x.shape[1:] != input_shape:
        hint = "one image is x[None]" if x.shape in (input_shape, input_shape[:2]) else ""
        expected += ", images as (rows, columns, channels)"
        raise InputError(name, x.shape, expected, hint, found=f"has shape {x.shape}")
    if len(x) == 0:
        raise InputError(name, x.shape, "at least one image", found=f"has shape {x.shape}")
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
                name,
                float(images[where]),
                "finite float32 numbers",
                "clean the data first",
                subject=f"{name}{list(where)}",
            )
    return images


def _as_array(value: Any, name: str, expected: str) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise InputError(name, value, expected, found=f"is no array ({error})") from None


def as_labels(y: Any, count: int, classes: int, name: str = "y") -> Array:
    """y as int32 classes (n,) or float32 distributions (n, classes)."""
    y = _as_array(y, name, f"(n,) classes or (n, {classes}) distributions")
    if y.dtype.kind not in "buif":
        expected = f"whole numbers 0 to {classes - 1} or distributions (n, {classes})"
        raise InputError(name, y.dtype, expected, found=f"has dtype {y.dtype}")
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != classes):
        expected = f"(n,) classes or (n, {classes}) distributions"
        raise InputError(name, y.shape, expected, found=f"has shape {y.shape}")
    if len(y) != count:
        found = f"has {len(y)} labels for {count} images"
        raise InputError(name, len(y), "one label for each image", found=found)
    if y.ndim == 2:
        return _distributions(y, name)
    if y.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(y) & (y == np.floor(y))))
        if len(bad):
            hint = f"classes are 0 to {classes - 1}"
            raise _wrong_label(name, bad[0], y, "a whole number", hint)
    bad = np.flatnonzero((y < 0) | (y >= classes))
    if len(bad):
        hint = f"the network has {classes} classes"
        raise _wrong_label(name, bad[0], y, f"0 to {classes - 1}", hint)
    return np.ascontiguousarray(y, np.int32)


def _wrong_label(name: str, place: int, y: Array, expected: str, hint: str = "") -> InputError:
    return InputError(name, y[place].item(), expected, hint, subject=f"{name}[{place}]")


def _distributions(y: Array, name: str) -> Array:
    y = y.astype(np.float64)
    bad = np.argwhere(~(np.isfinite(y) & (y >= 0)))
    if len(bad):
        row, column = bad[0]
        where = f"{name}[{row}, {column}]"
        expected = "a probability of 0 or more"
        raise InputError(name, float(y[row, column]), expected, subject=where)
    sums = y.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-5)
    if len(wrong):
        found = f"adds up to {sums[wrong[0]]:.6g}"
        where, hint = f"{name}[{wrong[0]}]", "(15) needs distributions"
        raise InputError(name, float(sums[wrong[0]]), "1", hint, subject=where, found=found)
    return np.ascontiguousarray(y, np.float32)


def as_sample_weight(weight: Any, count: int, name: str = "sample_weight") -> Array | None:
    """omega of (13) as float32 (n,), or None."""
    if weight is None:
        return None
    weight = _as_array(weight, name, f"({count},) numbers")
    if weight.dtype.kind not in "buif" or weight.shape != (count,):
        found = f"has shape {weight.shape} and dtype {weight.dtype}"
        expected = f"({count},) numbers, one for each image"
        raise InputError(name, weight.shape, expected, found=found)
    with np.errstate(over="ignore"):
        omega: Array = np.ascontiguousarray(weight, np.float32)
    bad = np.flatnonzero(~(np.isfinite(omega) & (omega >= 0)))
    if len(bad):
        raise _wrong_label(name, bad[0], omega, "a finite number of 0 or more")
    if not omega.any():
        if weight.any():
            found = f"is at most {weight.max():g}, which float32 rounds to 0"
            raise InputError(name, float(weight.max()), hint="scale it up", found=found)
        raise InputError(name, 0, "at least one positive weight", found="is 0 everywhere")
    return omega


def as_vector(value: Any, size: int, name: str) -> Array:
    """A copy as float32 (size,)."""
    vector = _as_array(value, name, f"({size},) numbers")
    if vector.dtype.kind not in "buif" or vector.shape != (size,):
        found = f"has shape {vector.shape} and dtype {vector.dtype}"
        expected = f"({size},) numbers, one for each parameter"
        raise InputError(name, vector.shape, expected, found=found)
    numbers = np.array(vector, np.float32)
    if not np.isfinite(numbers).all():
        raise InputError(name, None, "finite numbers", found="has a number that is not finite")
    return numbers


def refuse_not_finite(outputs: Array) -> None:
    """Raise `InputError` for a network with such outputs (n, M): it has no most probable class."""
    broken = int((~np.isfinite(outputs)).any(axis=1).sum())
    if broken:
        found = f"gives numbers that are not finite for {broken} of {len(outputs)} images"
        hint = (
            "train it anew with a smaller ",
            Name("learning_rate"),
            ", or with ",
            Name("clip_norm"),
        )
        raise InputError("network", None, found=found, hint=hint)


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a text: a lone surrogate stands for a byte of a name that is none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def as_class_names(classes: Any) -> tuple[str, ...] | None:
    """One name for each class, or None."""
    if classes is None:
        return None
    names = () if isinstance(classes, str) or not isinstance(classes, Iterable) else tuple(classes)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError("classes", classes, "one name (str) for each class")
    for k, name in enumerate(names):
        if not is_unicode(name):
            where, hint = f"classes[{k}]", "rename that class"
            raise InputError("classes", name, "valid Unicode", hint, subject=where)
    return names


def as_image_names(names: Any, count: int) -> tuple[str, ...] | None:
    """A name for each of that many images, as of its file, or None."""
    if names is None:
        return None
    found = names.tolist() if isinstance(names, np.ndarray) else names
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise InputError("names", names, "a sequence of one name (str) for each image")
    for n, name in enumerate(found):
        if not isinstance(name, str):
            where, hint = f"names[{n}]", "str(path) is the name of a file"
            raise InputError("names", name, "a str", hint, subject=where)
    if len(found) != count:
        words = f"has {len(found)} names for {count} images"
        raise InputError("names", names, "one name for each image", found=words)
    return tuple(found)


def as_data_name(value: Any, name: str = "data") -> str | None:
    """The name of a data set, as a model remembers it, or None."""
    if value is None or (isinstance(value, str) and re.fullmatch("[a-z0-9-]{1,40}", value, re.A)):
        return value
    raise InputError(name, value, "the name of a data set, as in fashion-mnist, or None")


def as_count(value: Any, name: str, least: int = 1, most: int = 1 << 31, owner: str = "") -> int:
    """A whole number in least..most."""
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise InputError(name, value, f"a whole number from {least} to {most}", owner=owner)
    return number


def as_threads(value: Any) -> int | None:
    """A number of threads, 1 to 1024, or None."""
    return None if value is None else as_count(value, "threads", 1, 1024)


def check_checkpoint(checkpoint: Any, every: Any, resume: Any) -> None:
    """Refuse wrong values of the three arguments of `fit`, and the others without the first."""
    as_bool(resume, "resume")
    if every is not None:
        as_count(every, "every")
    for name, value in (("every", every), ("resume", resume or None)):
        if checkpoint is None and value is not None:
            raise InputError(
                name,
                value,
                but=("there is no ", Name("checkpoint")),
                hint=("give ", Name("checkpoint"), "=folder"),
            )


def as_bool(value: Any, name: str, owner: str = "") -> bool:
    """True or False, of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(name, value, "True or False", owner=owner)
    return bool(value)


def as_seed(value: Any, name: str = "seed", owner: str = "") -> int:
    """A seed, 0 to 2^64 - 1."""
    return as_count(value, name, 0, (1 << 64) - 1, owner)


def as_positive(value: Any, name: str, most: float, owner: str = "") -> float:
    """A number in (0, most] that is a normal one of float32, in which it will be used."""
    try:
        number = float("nan") if isinstance(value, bool | np.bool_ | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not (isfinite(number) and 0 < number <= most):
        raise InputError(name, value, f"a number above 0, at most {most:g}", owner=owner)
    least = float(np.finfo(np.float32).tiny)
    if number < least:
        expected = f"{least:.3g} or more, the least normal float32"
        raise InputError(name, value, expected, owner=owner)
    return number


def as_limit(value: Any, name: str, most: float, owner: str = "") -> float | None:
    """A number in (0, most], or None for no limit."""
    return None if value is None else as_positive(value, name, most, owner)


def as_number(value: Any, name: str, least: float, most: float, owner: str = "") -> float:
    """A number in [least, most]."""
    if not is_number(value) or not least <= value <= most:
        raise InputError(name, value, f"a number from {least:g} to {most:g}", owner=owner)
    return float(value)


def as_number_below(value: Any, name: str, least: float, end: float, owner: str = "") -> float:
    """A number in [least, end)."""
    if not is_number(value) or not least <= value < end:
        raise InputError(name, value, f"a number from {least:g}, below {end:g}", owner=owner)
    return float(value)


def normalise(record: object, name: str, check: Callable[..., Any], *limits: Any) -> None:
    """Put what `check` makes of a field of a frozen record in its place.  Raises `InputError`."""
    value = check(getattr(record, name), name, *limits, owner=type(record).__name__)
    object.__setattr__(record, name, value)


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
        hint = f"each from 1 to {MOST_ROWS}, together at most {MOST_PIXELS}"
        expected = "(rows, columns, channels), as in (28, 28, 1)"
        raise InputError("input_shape", value, expected, hint)
    return shape[0], shape[1], shape[2]
