"""What an explanation holds: the numbers of one sum, where each came from, and what they make."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.explaining.address import Address
from convlet.formats.json_values import finite

Where = Callable[..., Address | None]
"""Of the number at these indices of an array; None for a zero of the padding."""
MOST = 4096
"""Numbers of a term in JSON."""


@dataclass(frozen=True, eq=False)
class Term:
    """One factor of each product of a sum, or the products: an array for display.

    All terms of an explanation have one shape, and what stands at one place belongs together.
    role: "window", "kernel", "inputs", "weights", "errors", "slopes", "winners", "labels",
    "numbers", "exponentials", "logarithms" or "products".  letter: as in docs/equations.md.
    """

    role: str
    letter: str
    name: str
    values: Array
    where: Where | None = None

    @property
    def places(self) -> tuple[Address | None, ...] | None:
        """Where each number can be asked for in turn, in C order; None where none of them can."""
        return None if self.where is None else tuple(map(self._place, range(self.values.size)))

    def as_json(self, chosen: Sequence[int] | None = None) -> dict[str, Any]:
        """Plain JSON; chosen: numbers in C order, where these are not all."""
        shape = list(self.values.shape) if chosen is None else [len(chosen)]
        chosen = range(self.values.size) if chosen is None else chosen
        flat = self.values.reshape(-1)
        found = None if self.where is None else map(self._place, chosen)
        return {
            "role": self.role,
            "letter": self.letter,
            "name": self.name,
            "shape": shape,
            "values": [finite(flat[n].item()) for n in chosen],
            "places": None if found is None else [None if p is None else str(p) for p in found],
        }

    def _place(self, n: int) -> Address | None:
        assert self.where is not None
        return self.where(*map(int, np.unravel_index(n, self.values.shape)))


@dataclass(frozen=True)
class Bias:
    """The bias that (17) adds to a sum."""

    letter: str
    value: float
    place: Address

    def as_json(self) -> dict[str, Any]:
        return {"letter": self.letter, "value": finite(self.value), "place": str(self.place)}


@dataclass(frozen=True)
class Step:
    """What plain gradient descent makes of a parameter by this image alone, in float32.

    change = - eta dE/dw, after = before + change.
    """

    learning_rate: float
    change: float
    before: float
    after: float

    def as_json(self) -> dict[str, Any]:
        return {name: finite(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class CentralDifference:
    """A derivative by central differences of fourth order, in float64.

    epsilon: the step.  rounding: how much of the value may be rounding of the cost.
    relative_error: of what the core computed, |core - difference| / the greater one of both.
    kink: whether a ReLU or a pool changes sides within any step, however small: there is no
    derivative then, and (4), (10) say which one the core takes.
    """

    epsilon: float
    value: float
    relative_error: float
    rounding: float
    kink: bool

    def as_json(self) -> dict[str, Any]:
        return {name: finite(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class Explanation:
    """One number, the equation that made it, and the numbers that it was made of.

    equation: its number in docs/equations.md, None where it has none.  formula: the equation with
    this number's indices.  terms: the arrays whose products are summed.  bias: what (17) adds.
    value: what the engine computed, float32.  summed: the same from the terms, in float64.
    difference: where it was asked for a derivative.  step: where it is of a parameter.
    """

    what: Address
    equation: int | None
    title: str
    formula: str
    terms: tuple[Term, ...]
    value: float
    summed: float
    bias: Bias | None = None
    step: Step | None = None
    difference: CentralDifference | None = None

    def __str__(self) -> str:
        """In a few lines: what it is, its formula, its value twice, what was compared, the step."""
        number = "" if self.equation is None else f"({self.equation}) "
        lines = [f"{self.what}: {number}{self.title}", self.formula]
        lines.append(f"{self.value:.6g} by the engine, {self.summed:.6g} from its terms")
        if self.difference is not None:
            kink = ", on a kink" if self.difference.kink else ""
            lines.append(f"{self.difference.value:.6g} by central differences{kink}")
        if self.step is not None:
            step = self.step
            lines.append(f"a step of {step.learning_rate:g}: {step.before:.6g} -> {step.after:.6g}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Explanation {self.what}: {self.value:.6g}>"

    @property
    def places(self) -> Iterator[Address]:
        """Every number that this one was made of, which can be asked for in turn."""
        for term in self.terms:
            yield from (one for one in term.places or () if one is not None)
        if self.bias is not None:
            yield self.bias.place

    def term(self, role: str) -> Term:
        """The first term of that role."""
        return next(term for term in self.terms if term.role == role)

    def as_json(self, most: int = MOST) -> dict[str, Any]:
        """Plain JSON.  Of more than `most` numbers a term has those of the largest products.

        "count" is how many there are, "left_out" how many of these are not there: the terms are
        flat then.  What is not finite is null.
        """
        count = self.terms[0].values.size if self.terms else 0
        chosen = _largest(self.terms, most) if count > most else None
        return {
            "what": str(self.what),
            "equation": self.equation,
            "title": self.title,
            "formula": self.formula,
            "terms": [term.as_json(chosen) for term in self.terms],
            "count": count,
            "left_out": max(count - most, 0),
            "bias": None if self.bias is None else self.bias.as_json(),
            "value": finite(self.value),
            "summed": finite(self.summed),
            "step": None if self.step is None else self.step.as_json(),
            "difference": None if self.difference is None else self.difference.as_json(),
        }


def _largest(terms: Sequence[Term], most: int) -> list[int]:
    """Which products are farthest from 0, in their order."""
    sizes = np.abs(terms[-1].values.reshape(-1))
    return sorted(np.argsort(-sizes, kind="stable")[:most].tolist())
