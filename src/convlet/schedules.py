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
from convlet.inputs import as_count, as_number, normalise

Factors = NDArray[np.float64]
StepNumbers = NDArray[np.int64]


class _Described:
    """A schedule as text, which `parse_schedule` reads, without numbers that are the usual ones."""

    name: ClassVar[str]

    def __str__(self) -> str:
        words = [self.name]
        for field in fields(self):  # type: ignore[arg-type]  # of the dataclass below
            value = getattr(self, field.name)
            if value != field.default:
                words += [field.name.replace("_", "-"), repr(value).removesuffix(".0")]
        return " ".join(words)


@dataclass(frozen=True)
class Constant(_Described):
    """The same rate all the time."""

    name: ClassVar[str] = "constant"

    def factors(self, steps: StepNumbers, total: int, epochs: int) -> Factors:
        return np.ones(len(steps))


@dataclass(frozen=True)
class StepDecay(_Described):
    """The rate times `factor` after every `every` epochs."""

    every: int = 1
    factor: float = 0.5
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        normalise(self, "every", as_count)
        normalise(self, "factor", as_number, 0, 1)

    def factors(self, steps: StepNumbers, total: int, epochs: int) -> Factors:
        epoch = steps // max(total // epochs, 1)
        return _power(self.factor, epoch // self.every)


@dataclass(frozen=True)
class Cosine(_Described):
    """Half a cosine from 1 to `end`, after a straight rise over the first `warm_up` of all steps.

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    end: float = 0.0
    warm_up: float = 0.0
    name: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        normalise(self, "end", as_number, 0, 1)
        normalise(self, "warm_up", as_number, 0, 1)

    def factors(self, steps: StepNumbers, total: int, epochs: int) -> Factors:
        rise = round(self.warm_up * total)
        down = _half_cosine(1, self.end, steps - rise, total - rise)
        return np.where(steps < rise, _line(steps, rise), down)


@dataclass(frozen=True)
class WarmUp(_Described):
    """A straight rise from 0 to 1 over the first `share` of all steps, then constant."""

    share: float = 0.1
    name: ClassVar[str] = "warm-up"

    def __post_init__(self) -> None:
        normalise(self, "share", as_number, 0, 1)

    def factors(self, steps: StepNumbers, total: int, epochs: int) -> Factors:
        rise = round(self.share * total)
        return np.where(steps < rise, _line(steps, rise), 1.0)


@dataclass(frozen=True)
class OneCycle(_Described):
    """Half a cosine up from `start` to 1 over the first `rise` of all steps, another down to `end`.

    Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.
    """

    rise: float = 0.3
    start: float = 0.04
    end: float = 0.0
    name: ClassVar[str] = "one-cycle"

    def __post_init__(self) -> None:
        normalise(self, "rise", as_number, 0, 1)
        normalise(self, "start", as_number, 0, 1)
        normalise(self, "end", as_number, 0, 1)

    def factors(self, steps: StepNumbers, total: int, epochs: int) -> Factors:
        top = round(self.rise * total)
        up = _half_cosine(self.start, 1, steps, top)
        return np.where(steps < top, up, _half_cosine(1, self.end, steps - top, total - top))


Schedule = Constant | StepDecay | Cosine | WarmUp | OneCycle

SCHEDULES: dict[str, type[Any]] = {
    kind.name: kind for kind in (Constant, StepDecay, Cosine, WarmUp, OneCycle)
}


def as_schedule(value: Any) -> Schedule:
    """A schedule, or the one of a text form."""
    if isinstance(value, Schedule):
        return value
    if isinstance(value, str):
        return parse_schedule(value)
    expected = "Constant(), StepDecay(...), Cosine(...), WarmUp(...), OneCycle(...) or a text form"
    raise InputError("schedule", value, expected)


def parse_schedule(text: str) -> Schedule:
    """The schedule of a text form: a name, and numbers that are not the usual ones.

    As in "one-cycle" or "step every 5 factor 0.1".  Raises `InputError`.
    """
    name, *words = text.split() or [""]
    words[::2] = [word.replace("-", "_") for word in words[::2]]  # warm-up, as the schedule
    if name not in SCHEDULES:
        raise InputError("schedule", text, f"one of: {', '.join(SCHEDULES)}")
    known = [field.name for field in fields(SCHEDULES[name])]
    names, values = words[::2], words[1::2]
    if len(names) != len(values) or len({*names}) < len(names) or not {*names} <= {*known}:
        numbers = ", ".join(f"{each.replace('_', '-')} NUMBER" for each in known)
        expected = f"{name} alone" + f", or with each at most once: {numbers}" * bool(known)
        raise InputError("schedule", text, expected)
    schedule: Schedule = SCHEDULES[name](**dict(zip(names, map(_parsed, values), strict=True)))
    return schedule


def _parsed(word: str) -> int | float | str:
    """A number, or the word as it is for the check that names it."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word


def _line(steps: StepNumbers, count: int) -> Factors:
    """From just above 0 to 1 in so many steps."""
    return (steps + 1) / max(count, 1)


def _half_cosine(start: float, end: float, steps: StepNumbers, count: int) -> Factors:
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


def _power(base: float, exponents: StepNumbers) -> Factors:
    """By repeated squares, for the same reason."""
    result = np.ones(len(exponents))
    while exponents.any():
        result = np.where(exponents % 2, result * base, result)
        base, exponents = base * base, exponents // 2
    return result
