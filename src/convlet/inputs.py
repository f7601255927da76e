"""Single values at the border: numbers, truth values, names.  arrays.py has the arrays.

Each function gives the normal form of a value, or raises `InputError` with the parameter `name`.
Nothing here loads NumPy: the command line asks for layers, and so for this, before it does.
"""

import operator
import re
from collections.abc import Callable, Iterable
from math import isfinite, prod
from numbers import Real
from typing import Any

from convlet.errors import InputError, Name
from convlet.shapes import Pair

MOST_ROWS = 1 << 16  # of an image; also columns, channels
MOST_PIXELS = 1 << 26  # times channels
MOST_EPOCHS = 10**15 - 1  # of a network's life: what its file has room for
LEAST_NORMAL = 2.0**-126  # of float32
MOST_RATE = 1e6  # that somebody may train with


def normalise(
    record: object,
    name: str,
    check: Callable[..., Any],
    *limits: Any,
    kind: type[InputError] = InputError,
) -> None:
    """Put what `check` makes of a field of a frozen record in its place.

    Raises an error of that kind, which names the record, too.
    """
    try:
        value = check(getattr(record, name), name, *limits)
    except InputError as error:
        raise error.remade(kind, owner=type(record).__name__) from None
    object.__setattr__(record, name, value)


def plain(value: Any) -> Any:
    """Numbers and truth values of NumPy as those of Python; everything else as it is."""
    if hasattr(value, "dtype") and value.dtype.kind in "buif" and value.ndim == 0:
        return value.item()
    return value


def is_number(value: Any) -> bool:
    """Whether a value is a real number of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool)  # NumPy's bool is no Real


def as_count(value: Any, name: str, least: int = 1, most: int = 1 << 31) -> int:
    """A whole number in least..most."""
    value = plain(value)
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise InputError(name, value, f"a whole number from {least} to {most}")
    return number


def as_pair(value: Any, name: str, least: int, most: int) -> Pair:
    """Two whole numbers in least..most, (rows, columns); one stands for both."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    try:
        first, second = (as_count(n, name, least, most) for n in pair)
    except ValueError:  # of the numbers, or of how many they are
        expected = f"a whole number from {least} to {most}, or two of them"
        raise InputError(name, value, expected) from None
    return first, second


def as_seed(value: Any, name: str = "seed") -> int:
    """A seed, 0 to 2^64 - 1."""
    return as_count(value, name, 0, (1 << 64) - 1)


def as_threads(value: Any) -> int | None:
    """A number of threads, 1 to 1024, or None."""
    return None if value is None else as_count(value, "threads", 1, 1024)


def as_bool(value: Any, name: str) -> bool:
    """True or False, of Python or NumPy."""
    value = plain(value)
    if not isinstance(value, bool):
        raise InputError(name, value, "True or False")
    return value


def as_positive(value: Any, name: str, most: float) -> float:
    """A number in (0, most] that is a normal one of float32, in which it will be used."""
    value = plain(value)
    try:
        number = float("nan") if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not (isfinite(number) and 0 < number <= most):
        raise InputError(name, value, f"a number above 0, at most {most:g}")
    if number < LEAST_NORMAL:
        raise InputError(name, value, f"{LEAST_NORMAL:.3g} or more, the least normal float32")
    return number


def as_rate(value: Any, name: str = "learning_rate") -> float:
    """A learning rate."""
    return as_positive(value, name, MOST_RATE)


def as_limit(value: Any, name: str, most: float) -> float | None:
    """A number in (0, most], or None for no limit."""
    return None if value is None else as_positive(value, name, most)


def as_number(value: Any, name: str, least: float, most: float) -> float:
    """A number in [least, most]."""
    value = plain(value)
    if not is_number(value) or not least <= value <= most:
        raise InputError(name, value, f"a number from {least:g} to {most:g}")
    return float(value)


def as_number_below(value: Any, name: str, least: float, end: float) -> float:
    """A number in [least, end)."""
    value = plain(value)
    if not is_number(value) or not least <= value < end:
        raise InputError(name, value, f"a number from {least:g}, below {end:g}")
    return float(value)


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


def as_data_name(value: Any, name: str = "data") -> str | None:
    """The name of a data set, as a model remembers it, or None."""
    if value is None or (isinstance(value, str) and re.fullmatch("[a-z0-9-]{1,40}", value, re.A)):
        return value
    raise InputError(name, value, "the name of a data set, as in fashion-mnist, or None")
