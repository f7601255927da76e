"""Derivatives of f^l: by its input, by its weights and by its biases, each as a sum of errors."""

from dataclasses import replace
from itertools import product
from typing import assert_never

import numpy as np

from convlet import equations as eq
from convlet.explaining.address import Address
from convlet.explaining.records import Explanation, Step, Term
from convlet.explaining.seen import Seen
from convlet.explaining.words import at, of_stage
from convlet.layers import Conv2D, Dense
from convlet.shapes import Pair
from convlet.stages import Stage


def by_input(seen: Seen, address: Address) -> Explanation:
    """dE/dx^l: (2) or (7)."""
    stage = seen.stages[address.stage or 0]
    match stage.affine:
        case Conv2D() as conv:
            return _conv_dx(seen, address, stage, conv)
        case Dense():
            return _dense_dx(seen, address, stage)
        case _:
            assert_never(stage.affine)


def _conv_dx(seen: Seen, address: Address, stage: Stage, conv: Conv2D) -> Explanation:
    index, (t, u, v) = stage.index, address.place
    (s1, s2), (rows, columns) = conv.stride, conv.kernel
    (above, _), (left, _) = conv.margins(stage.x_shape)
    t, u = t + above, u + left  # in the padded image
    outputs = stage.z_shape[0], stage.z_shape[1]
    where_i, where_j = windows((t, u), conv.kernel, conv.stride, outputs)
    w = seen.parameters[stage.w_name]
    delta = seen.backward[index].delta[0][
        where_i.start : where_i.stop, where_j.start : where_j.stop
    ]
    taps = np.zeros((len(where_i), len(where_j), w.shape[3]), np.float32)
    for (a, i), (b, j) in product(enumerate(where_i), enumerate(where_j)):
        taps[a, b] = w[rows - 1 + s1 * i - t, columns - 1 + s2 * j - u, v]  # (2)
    products = delta.astype(np.float64) * taps

    def of_delta(a: int, b: int, k: int) -> Address:
        return Address("delta", index, None, (where_i[a], where_j[b], k))

    def of_w(a: int, b: int, k: int) -> Address:
        row = rows - 1 + s1 * where_i[a] - t
        return Address("w", index, None, (row, columns - 1 + s2 * where_j[b] - u, v, k))

    ds, ws = of_stage("δ", index), of_stage("w", index)
    terms = (
        Term("errors", ds, "the errors of the windows that it is in", delta, of_delta),
        Term("kernel", ws, "the taps that it met there", taps, of_w),
        Term("products", f"{ds} · {ws}", "error times tap", products),
    )
    tap = at(ws, _index(rows - 1 - t, s1, "i"), _index(columns - 1 - u, s2, "j"), v, "k")
    name = at(of_stage("e", index), *address.place)
    formula = f"{name} = Σ over i, j, k of {at(ds, 'i', 'j', 'k')} · {tap}"
    what = "of the image" if index == 0 else f"of {of_stage('x', index)}"
    title = f"{stage.affine}: the error of a pixel {what}"
    return Explanation(
        address, 2, title, formula, terms, seen.value(address), float(products.sum())
    )


def _index(start: int, stride: int, index: str) -> str:
    """As in i-2, 2 i+1, i."""
    name = index if stride == 1 else f"{stride} {index}"
    return name if not start else f"{name}{start:+d}"


def _dense_dx(seen: Seen, address: Address, stage: Stage) -> Explanation:
    index, (t,) = stage.index, address.place
    delta, w = seen.backward[index].delta[0], seen.parameters[stage.w_name][t]
    products = delta.astype(np.float64) * w
    ds, ws = of_stage("δ", index), of_stage("w", index)
    terms = (
        Term(
            "errors",
            ds,
            "the errors of all units",
            delta,
            lambda j: Address("delta", index, None, (j,)),
        ),
        Term("weights", ws, "its weights", w, lambda j: Address("w", index, None, (t, j))),
        Term("products", f"{ds} · {ws}", "error times weight", products),
    )
    formula = f"{at(of_stage('e', index), t)} = Σ over j of {at(ds, 'j')} · {at(ws, t, 'j')}"
    title = f"{stage.affine}: the error of input {t}"
    return Explanation(
        address, 7, title, formula, terms, seen.value(address), float(products.sum())
    )


def by_weight(seen: Seen, address: Address, learning_rate: float) -> Explanation:
    """dE/dw^l (21): (3) or (8), and the step."""
    stage = seen.stages[address.stage or 0]
    match stage.affine:
        case Conv2D() as conv:
            told = _conv_dw(seen, address, stage, conv)
        case Dense():
            told = _dense_dw(seen, address, stage)
        case _:
            assert_never(stage.affine)
    return replace(told, step=_step(seen, address, stage.w_name, learning_rate))


def _conv_dw(seen: Seen, address: Address, stage: Stage, conv: Conv2D) -> Explanation:
    index, (c, d, v, m) = stage.index, address.place
    (s1, s2), (rows, columns) = conv.stride, conv.kernel
    (above, _), (left, _) = margins = conv.margins(stage.x_shape)
    x, delta = seen.forward[index].x[0], seen.backward[index].delta[0][:, :, m]
    met = eq.patches(eq.pad(x, margins), conv.kernel, conv.stride)
    pixels = met[:, :, rows - 1 - c, columns - 1 - d, v]  # (3): those that met the tap
    products = pixels.astype(np.float64) * delta
    t, u = rows - 1 - c - above, columns - 1 - d - left

    def of_x(i: int, j: int) -> Address | None:
        row, column = s1 * i + t, s2 * j + u
        inside = 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
        return seen.x_address(index, (row, column, v)) if inside else None

    ds, xs = of_stage("δ", index), of_stage("x", index)
    terms = (
        Term("window", xs, "the pixels that met the tap", pixels, of_x),
        Term(
            "errors",
            ds,
            f"the errors of those windows in map {m}",
            delta,
            lambda i, j: Address("delta", index, None, (i, j, m)),
        ),
        Term("products", f"{ds} · {xs}", "error times pixel", products),
    )
    met_at = at(xs, _index(t, s1, "i"), _index(u, s2, "j"), v)
    name = f"∂E/∂{at(of_stage('w', index), c, d, v, m)}"
    formula = f"{name} = Σ over i, j of {at(ds, 'i', 'j', m)} · {met_at}"
    title = f"{stage.affine}: a tap from channel {v} to map {m}"
    return Explanation(
        address, 3, title, formula, terms, seen.value(address), float(products.sum())
    )


def _dense_dw(seen: Seen, address: Address, stage: Stage) -> Explanation:
    index, (c, m) = stage.index, address.place
    x, delta = seen.forward[index].x[0][c], seen.backward[index].delta[0][m]
    products = np.asarray(x.astype(np.float64) * delta)
    ds, xs = of_stage("δ", index), of_stage("x", index)
    terms = (
        Term("inputs", xs, "the input", x, lambda: seen.x_address(index, (c,))),
        Term(
            "errors",
            ds,
            "the error of the unit",
            delta,
            lambda: Address("delta", index, None, (m,)),
        ),
        Term("products", f"{xs} · {ds}", "input times error", products),
    )
    formula = f"∂E/∂{at(of_stage('w', index), c, m)} = {at(xs, c)} · {at(ds, m)}"
    title = f"{stage.affine}: a weight from input {c} to unit {m}"
    return Explanation(address, 8, title, formula, terms, seen.value(address), float(products))


def by_bias(seen: Seen, address: Address, learning_rate: float) -> Explanation:
    """dE/db^l (18), and the step."""
    stage, place = seen.stages[address.stage or 0], address.place
    index, shared = stage.index, len(stage.z_shape) - len(place)
    delta = seen.backward[index].delta[0][(..., *place)]
    products = delta.astype(np.float64)
    ds = of_stage("δ", index)
    terms = (
        Term(
            "errors",
            ds,
            "the errors",
            delta,
            lambda *ij: Address("delta", index, None, (*ij, *place)),
        ),
        Term("products", ds, "the factor of each is 1", products),
    )
    indices = ("i", "j")[:shared]
    over = f"Σ over {', '.join(indices)} of " if indices else ""
    formula = f"∂E/∂{at(of_stage('b', index), *place)} = {over}{at(ds, *indices, *place)}"
    title = f"{stage.affine}: a bias"
    return Explanation(
        address,
        18,
        title,
        formula,
        terms,
        seen.value(address),
        float(products.sum()),
        step=_step(seen, address, stage.b_name, learning_rate),
    )


def _step(seen: Seen, address: Address, name: str, learning_rate: float) -> Step:
    """(21) and the update, in float32 as `SGD` has it."""
    before = seen.parameters[name][address.place]
    change = np.float32(learning_rate) * seen.gradients[name][address.place]
    return Step(learning_rate, -float(change), float(before), float(before - change))


def windows(place: tuple[int, ...], taps: Pair, stride: Pair, outputs: Pair) -> tuple[range, range]:
    """The windows, rows and columns of them, that a pixel (row, column, ...) is in."""
    rows, columns = (
        range(
            max(-((taps[a] - 1 - place[a]) // stride[a]), 0),
            min(place[a] // stride[a] + 1, outputs[a]),
        )
        for a in (0, 1)
    )
    return rows, columns
