"""Errors inside sigma^l: what comes from above, through each ReLU and each pool."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import assert_never

import numpy as np

from convlet import equations as eq
from convlet.errors import InputError
from convlet.explaining.address import Address
from convlet.explaining.affine import by_input, windows
from convlet.explaining.records import Explanation, Term
from convlet.explaining.seen import Seen, input_address
from convlet.explaining.softmax import entering
from convlet.explaining.words import at, of_stage, output
from convlet.layers import Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet.stages import Stage
from convlet.tracing import below_softmax

MOST_WAYS = 1 << 16
"""From a number through the pools behind it."""


@dataclass(frozen=True)
class Path:
    """A way from a number to one that leaves sigma^l: where it is behind each layer.

    factors: the derivatives of each ReLU and each pool on the way.  lost: whether it is in a window
    that another number won.
    """

    places: tuple[tuple[int, ...], ...]
    factors: tuple[float, ...] = ()
    lost: bool = False

    @property
    def place(self) -> tuple[int, ...]:
        return self.places[-1]

    def on(self, place: tuple[int, ...], *factors: float, lost: bool = False) -> "Path":
        return Path((*self.places, place), (*self.factors, *factors), self.lost or lost)


def through(seen: Seen, address: Address) -> Explanation:
    """An error inside sigma^l: that of x^{l+1}, times (10) of each ReLU and P^-1 of each pool.

    Raises `InputError` where too many windows hold it.
    """
    stage = seen.stages[address.stage or 0]
    index, first = stage.index, 0 if address.kind == "delta" else (address.layer or 0) + 1
    layers = below_softmax(stage)
    is_last = index == len(seen.stages) - 1
    if first == len(layers):  # no layer is between it and the error above
        above = _above(index, is_last, address.place)
        told = entering(seen, above) if is_last else by_input(seen, above)
        return replace(told, what=address)
    ways = _ways(seen, stage, address, range(first, len(layers)))
    error_letter = f"∂E/∂{output(layers, index)}" if is_last else of_stage("e", index + 1)
    errors = np.array([seen.value(_above(index, is_last, way.place)) for way in ways], np.float32)
    terms = [
        Term(
            "errors",
            error_letter,
            "the errors above",
            errors,
            lambda m: _above(index, is_last, ways[m].place),
        )
    ]
    factors = np.ones(len(ways))
    letters = [error_letter]
    kinked = [n for n in range(first, len(layers)) if isinstance(layers[n], ReLU | MaxPool2D)]
    for column, n in enumerate(kinked):
        values = np.array([way.factors[column] for way in ways])
        factors = factors * values
        term = _factor(stage, n, n - first, values, ways)
        terms.append(term)
        letters.append(term.letter)
    products = errors.astype(np.float64) * factors
    terms.append(Term("products", " · ".join(letters), "error times factors", products))
    kinds = {type(layers[n]) for n in kinked}
    equation = 10 if ReLU in kinds else 4 if MaxPool2D in kinds else 20
    here = output(layers[:first], index)
    name = of_stage("δ", index) if address.kind == "delta" else f"∂E/∂{here}"
    over = "Σ over windows of " if MaxPool2D in kinds else ""
    formula = f"{at(name, *address.place)} = {over}{' · '.join(letters)}"
    words = ", ".join(str(layer) for layer in reversed(layers[first:]))
    title = f"the error of {here}, back through {words}"
    return Explanation(
        address, equation, title, formula, tuple(terms), seen.value(address), float(products.sum())
    )


def _above(index: int, is_last: bool, place: tuple[int, ...]) -> Address:
    """The error at which the way through sigma^l begins."""
    return (
        Address("error", index, None, place) if is_last else Address("dx", index + 1, None, place)
    )


def _ways(seen: Seen, stage: Stage, address: Address, layers: range) -> list[Path]:
    """From an address through these layers of sigma^l.

    A way that lost a window is not followed into the windows of another pool.
    """
    ways = [Path((address.place,))]
    for n in layers:
        if isinstance(pool := stage.sigma[n], MaxPool2D):
            ways = [way for way in ways if not way.lost]
            each = [-(-pool.size[axis] // pool.stride[axis]) for axis in (0, 1)]
            if len(ways) * each[0] * each[1] > MOST_WAYS:
                but = f"more than {MOST_WAYS} windows of {pool} may hold it"
                raise InputError("what", str(address), but=but)
        ways = [way for path in ways for way in _behind(seen, stage, n, path)]
    return ways


def _behind(seen: Seen, stage: Stage, n: int, path: Path) -> Iterator[Path]:
    """Where a number goes in layer n of sigma^l, with the derivative of that."""
    x, place = seen.forward[stage.index].inputs[n][0], path.place
    match stage.sigma[n]:
        case ReLU():
            yield path.on(place, float(eq.relu_derivative(x[place])))
        case MaxPool2D(size=size, stride=stride) as pool:
            shape = pool.output_shape(x.shape)
            (rows, columns), k = windows(place, size, stride, (shape[0], shape[1])), place[2]
            for i, j in product(rows, columns):
                p, q = place[0] - stride[0] * i, place[1] - stride[1] * j
                corner = stride[0] * i, stride[1] * j
                window = x[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1], k]
                won = int(window.argmax()) == p * size[1] + q
                yield path.on((i, j, k), float(won), lost=not won)
        case Flatten():
            yield path.on((int(np.ravel_multi_index(place, x.shape)),))
        case Dropout():
            yield path.on(place)
        case Softmax():
            raise AssertionError("an error enters below the softmax (15)")
        case _ as layer:
            assert_never(layer)


def _factor(stage: Stage, n: int, behind: int, values: np.ndarray, ways: list[Path]) -> Term:
    """The derivative of a ReLU or a pool on each way; behind: the number of its place on a way."""
    letter = output(stage.sigma[:n], stage.index)
    if isinstance(stage.sigma[n], ReLU):
        return Term(
            "slopes",
            f"R'({letter})",
            "1 above 0, 1/2 at 0, 0 below",
            values,
            lambda m: input_address(stage, n, ways[m].places[behind]),
        )
    return Term(
        "winners",
        "P⁻¹",
        "1 where it won the window",
        values,
        lambda m: Address("out", stage.index, n, ways[m].places[behind + 1]),
    )
