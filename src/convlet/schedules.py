"""Schedules: the learning rate of each step, as a factor of the one that `fit` is given.

A schedule is a frozen description; `factors(steps, total, epochs)` gives the factor of each of
these steps, numbered from 0, of `total` that make `epochs` epochs.  Products and sums only, so that
the bits are the same on every machine.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from convlet.errors import InputError
from convlet.inputs import as_count, is_number

Factors = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True)
class Constant:
    """The same rate all the time."""

    name: ClassVar[str] = "constant"

    def factors(self, steps: Steps, total: int, epochs: int) -> Factors:
        return np.ones(len(steps))


@dataclass(frozen=True)
class Step:
    """The rate times `factor` after every `every` epochs."""

    every: int = 1
    factor: float = 0.5
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        _whole(self, "every")
        _number(self, "factor", 0, 1)

    def factors(self, steps: Steps, total: int, epochs: int) -> Factors:
        epoch = steps // max(total // epochs, 1)
        return _power(self.factor, epoch // self.every)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from 1 to `end`, after a straight rise over the first `warm_up` of all steps.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    end: float = 0.0
    warm_up: float = 0.0
    name: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        _number(self, "end", 0, 1)
        _number(self, "warm_up", 0, 1)

    def factors(self, steps: Steps, total: int, epochs: int) -> Factors:
        rise = round(self.warm_up * total)
        down = _half_cosine(1, self.end, steps - rise, total - rise)
        return np.where(steps < rise, _line(steps, rise), down)


@dataclass(frozen=True)
class WarmUp:
    """A straight rise from 0 to 1 over the first `share` of all steps, then constant."""

    share: float = 0.1
    name: ClassVar[str] = "warm-up"

    def __post_init__(self) -> None:
        _number(self, "share", 0, 1)

    def factors(self, steps: Steps, total: int, epochs: int) -> Factors:
        rise = round(self.share * total)
        return np.where(steps < rise, _line(steps, rise), 1.0)


@dataclass(frozen=True)
class OneCycle:
    """Half a cosine up from `start` to 1 over the first `rise` of all steps, another down to `end`.

    Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.
    """

    rise: float = 0.3
    start: float = 0.04
    end: float = 0.0
    name: ClassVar[str] = "one-cycle"

    def __post_init__(self) -> None:
        _number(self, "rise", 0, 1)
        _number(self, "start", 0, 1)
        _number(self, "end", 0, 1)

    def factors(self, steps: Steps, total: int, epochs: int) -> Factors:
        top = round(self.rise * total)
        up = _half_cosine(self.start, 1, steps, top)
        return np.where(steps < top, up, _half_cosine(1, self.end, steps - top, total - top))


Schedule = Constant | Step | Cosine | WarmUp | OneCycle

KINDS: dict[str, type[Any]] = {
    kind.name: kind for kind in (Constant, Step, Cosine, WarmUp, OneCycle)
}


def as_schedule(value: Schedule | str) -> Schedule:
    """A schedule, or the one of a text form."""
    if isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        return parse_schedule(value)
    raise InputError(
        f"schedule is {value!r}, expected Constant(), Step(...), Cosine(...), WarmUp(...),"
        " OneCycle(...) or a text form"
    )


def parse_schedule(text: str) -> Schedule:
    """The schedule of a text form: a name, and numbers that are not the usual ones.

    As in "one-cycle" or "step every 5 factor 0.1".  Raises `InputError`.
    """
    name, *words = text.split() or [""]
    words[::2] = [word.replace("-", "_") for word in words[::2]]  # warm-up, as the schedule
    if name not in KINDS:
        raise InputError(f"schedule is {text!r}, expected one of: {', '.join(KINDS)}")
    known = [field.name for field in fields(KINDS[name])]
    names, values = words[::2], words[1::2]
    if len(names) != len(values) or len({*names}) < len(names) or not {*names} <= {*known}:
        form = " ".join(f"{each} X" for each in known)
        expected = f"{name} with each at most once: {form}" if known else f"{name} alone"
        raise InputError(f"schedule is {text!r}, expected {expected}")
    try:
        schedule: Schedule = KINDS[name](**dict(zip(names, map(_parsed, values), strict=True)))
    except InputError as error:
        raise InputError(f"schedule is {text!r}: {error}") from None
    return schedule


def _parsed(word: str) -> int | float | str:
    """A number, or the word as it is for the check that names it."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word


def _line(steps: Steps, count: int) -> Factors:
    """From just above 0 to 1 in so many steps."""
    return (steps + 1) / max(count, 1)


def _half_cosine(start: float, end: float, steps: Steps, count: int) -> Factors:
    """From `start` towards `end`, which the step after the last of `count` would have."""
    angle = np.pi * np.clip(steps, 0, count) / max(count, 1)
    return end + (start - end) * (1 + _cosine(angle)) / 2


def _cosine(x: Factors) -> Factors:
    """By its series, for 0 <= x <= pi: the last bit of NumPy's depends on the machine."""
    term, total = np.ones_like(x), np.ones_like(x)
    for n in range(2, 40, 2):
        term = -term * x * x / (n * (n - 1))
        total += term
    return total


def _power(base: float, exponents: Steps) -> Factors:
    """By repeated squares, for the same reason."""
    result = np.ones(len(exponents))
    while exponents.any():
        result = np.where(exponents % 2, result * base, result)
        base, exponents = base * base, exponents // 2
    return result


def _whole(owner: object, name: str) -> None:
    value = as_count(getattr(owner, name), f"{type(owner).__name__}: {name}")
    object.__setattr__(owner, name, value)


def _number(owner: object, name: str, least: float, most: float) -> None:
    value = getattr(owner, name)
    if not is_number(value) or not least <= value <= most:
        kind = type(owner).__name__
        raise InputError(f"{kind}: {name} is {value!r}, expected a number from {least} to {most}")
    object.__setattr__(owner, name, float(value))
