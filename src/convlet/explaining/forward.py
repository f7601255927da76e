"""Numbers of the forward pass, each as the sum or the choice that made it."""

from typing import assert_never

import numpy as np

from convlet import equations as eq
from convlet.explaining.address import Address
from convlet.explaining.records import Bias, Explanation, Term
from convlet.explaining.seen import Seen, input_address
from convlet.explaining.softmax import probability
from convlet.explaining.words import at, moved, of_stage, output
from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet.stages import Stage


def pixel(seen: Seen, address: Address) -> Explanation:
    """A pixel of the image."""
    place = seen.x_address(0, address.place).place
    value = seen.value(address)
    formula = at(of_stage("x", 0), *place)
    terms: tuple[Term, ...] = ()
    summed = value
    if seen.images.dtype == np.uint8:
        level = seen.images[(0, *place)]
        terms = (Term("numbers", "u", "level of the image, 0 to 255", np.asarray(level)),)
        formula, summed = f"{formula} = u / 255", float(level) / 255
    return Explanation(address, None, "a pixel of the image", formula, terms, value, summed)


def weighted(seen: Seen, address: Address) -> Explanation:
    """z^l (17): (1) or (6), and the bias."""
    stage = seen.stages[address.stage or 0]
    match stage.affine:
        case Conv2D() as conv:
            return _convolved(seen, address, stage, conv)
        case Dense():
            return _dense(seen, address, stage)
        case _:
            assert_never(stage.affine)


def _convolved(seen: Seen, address: Address, stage: Stage, conv: Conv2D) -> Explanation:
    index, (i, j, k) = stage.index, address.place
    (s1, s2), (rows, columns) = conv.stride, conv.kernel
    (above, _), (left, _) = margins = conv.margins(stage.x_shape)
    x = seen.forward[index].x[0]
    window = eq.pad(x, margins)[s1 * i : s1 * i + rows, s2 * j : s2 * j + columns]
    kernel = seen.parameters[stage.w_name][::-1, ::-1, :, k]
    products = window.astype(np.float64) * kernel
    t, u = s1 * i - above, s2 * j - left  # the corner of the window

    def of_x(p: int, q: int, r: int) -> Address | None:
        row, column = t + p, u + q
        inside = 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
        return seen.x_address(index, (row, column, r)) if inside else None

    def of_w(p: int, q: int, r: int) -> Address:
        return Address("w", index, None, (rows - 1 - p, columns - 1 - q, r, k))

    bias = _bias(seen, stage, address.place)
    xs, ws = of_stage("x", index), of_stage("w", index)
    sum_of = (
        f"{at(xs, moved(t, 'p'), moved(u, 'q'), 'r')}"
        f" · {at(ws, moved(rows - 1, 'p', '-'), moved(columns - 1, 'q', '-'), 'r', k)}"
    )
    terms = (
        Term("window", xs, "the pixels under the window", window, of_x),
        Term("kernel", ws, "the taps that they meet, the kernel flipped", kernel, of_w),
        Term("products", f"{xs} · {ws}", "pixel times tap", products),
    )
    formula = f"{at(of_stage('z', index), i, j, k)} = Σ over p, q, r of {sum_of}{_plus(bias)}"
    title = f"{stage.affine}: a pixel of map {k}"
    summed = float(products.sum()) + (0.0 if bias is None else bias.value)
    return Explanation(address, 1, title, formula, terms, seen.value(address), summed, bias=bias)


def _dense(seen: Seen, address: Address, stage: Stage) -> Explanation:
    index, (j,) = stage.index, address.place
    x, w = seen.forward[index].x[0], seen.parameters[stage.w_name][:, j]
    products = x.astype(np.float64) * w
    bias = _bias(seen, stage, address.place)
    xs, ws = of_stage("x", index), of_stage("w", index)
    terms = (
        Term("inputs", xs, "the inputs", x, lambda i: seen.x_address(index, (i,))),
        Term("weights", ws, "their weights", w, lambda i: Address("w", index, None, (i, j))),
        Term("products", f"{xs} · {ws}", "input times weight", products),
    )
    formula = (
        f"{at(of_stage('z', index), j)} = Σ over i of {at(xs, 'i')} · {at(ws, 'i', j)}{_plus(bias)}"
    )
    summed = float(products.sum()) + (0.0 if bias is None else bias.value)
    title = f"{stage.affine}: unit {j}"
    return Explanation(address, 6, title, formula, terms, seen.value(address), summed, bias=bias)


def _bias(seen: Seen, stage: Stage, place: tuple[int, ...]) -> Bias | None:
    """What (17) adds at a place of z^l."""
    if stage.b_shape is None:
        return None
    own = place[-len(stage.b_shape) :]  # of the channel, or of the place
    value = float(seen.parameters[stage.b_name][own])
    letter = at(of_stage("b", stage.index), *own)
    return Bias(letter, value, Address("b", stage.index, None, own))


def _plus(bias: Bias | None) -> str:
    return "" if bias is None else f" + {bias.letter}"


def passed(seen: Seen, address: Address) -> Explanation:
    """The output of a layer of sigma^l (16)."""
    stage, n = seen.stages[address.stage or 0], address.layer or 0
    match stage.sigma[n]:
        case ReLU():
            return _rectified(seen, address, stage, n)
        case MaxPool2D() as pool:
            return _pooled(seen, address, stage, n, pool)
        case Flatten() | Dropout():
            return _renamed(seen, address, stage, n)
        case Softmax():
            return probability(seen, address, stage, n)
        case _ as layer:
            assert_never(layer)


def _rectified(seen: Seen, address: Address, stage: Stage, n: int) -> Explanation:
    place, letter = address.place, output(stage.sigma[:n], stage.index)
    z = seen.forward[stage.index].inputs[n][0][place]
    at_input = at(letter, *place)
    terms = (Term("inputs", letter, "what enters", z, lambda: input_address(stage, n, place)),)
    formula = f"{at(f'R({letter})', *place)} = max({at_input}, 0)"
    return Explanation(address, 9, "ReLU", formula, terms, seen.value(address), max(float(z), 0.0))


def _pooled(seen: Seen, address: Address, stage: Stage, n: int, pool: MaxPool2D) -> Explanation:
    i, j, k = address.place
    (s1, s2), (rows, columns) = pool.stride, pool.size
    letter = output(stage.sigma[:n], stage.index)
    x = seen.forward[stage.index].inputs[n][0]
    window = x[s1 * i : s1 * i + rows, s2 * j : s2 * j + columns, k]
    winner = np.zeros(window.size)
    winner[window.argmax()] = 1  # first of equals
    winner = winner.reshape(window.shape)
    products = np.where(winner, window, 0).astype(np.float64)

    def of_x(p: int, q: int) -> Address:
        return input_address(stage, n, (s1 * i + p, s2 * j + q, k))

    terms = (
        Term("window", letter, "the pixels under the window", window, of_x),
        Term("winners", "a", "1 for the greatest, the first of equals", winner),
        Term("products", "max", "the greatest", products),
    )
    inside = at(letter, moved(s1 * i, "p"), moved(s2 * j, "q"), k)
    formula = f"{at(f'P({letter})', i, j, k)} = max over p, q of {inside}"
    title = f"max {stage.sigma[n]}: a pixel of map {k}"
    return Explanation(
        address, 4, title, formula, terms, seen.value(address), float(products.sum())
    )


def _renamed(seen: Seen, address: Address, stage: Stage, n: int) -> Explanation:
    """Flatten gives a number another place; dropout, outside training, not even that."""
    place, letter = address.place, output(stage.sigma[:n], stage.index)
    here = output(stage.sigma[: n + 1], stage.index)
    x = seen.forward[stage.index].inputs[n][0]
    flat = isinstance(stage.sigma[n], Flatten)
    is_new = len(place) < x.ndim  # a vector may be flattened, too: it stays as it is
    from_place = tuple(map(int, np.unravel_index(place[0], x.shape))) if is_new else place
    value = x[from_place]
    terms = (
        Term("inputs", letter, "what enters", value, lambda: input_address(stage, n, from_place)),
    )
    formula = f"{at(here, *place)} = {at(letter, *from_place)}"
    moves = "flatten: the same number in another place"
    title = moves if flat else "dropout: changes nothing outside training"
    equation = 5 if flat else None
    return Explanation(address, equation, title, formula, terms, seen.value(address), float(value))
