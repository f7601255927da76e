"""A map as a layer of convlet with its parameters.

Here, and nowhere else, taps are turned into those of (1), which meets pixel (s1 i + p, s2 j + q)
with tap (P-p, Q-q), and numbers are rounded to float32.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from convlet.equations import Array, Float32
from convlet.interchange.maps import Map, allow, full, matrix
from convlet.layers import Affine, Conv2D, Dense
from convlet.shapes import Margins


@dataclass(frozen=True, eq=False)
class Emitted:
    """A layer with w and b, as `Network.parameters` has them, and what is remarkable about it."""

    layer: Affine
    w: Float32
    b: Float32 | None
    remarks: tuple[str, ...] = ()


def emitted(of: Map, flat: bool) -> Emitted:
    """The layer that computes a map without gain; flat: it may be a dense one.

    Raises `TooLargeError`, `ArchitectureError`.
    """
    constant = None if of.constant is None else _rounded(of.constant)
    if flat and of.output_shape[:2] == (1, 1):
        w = matrix(of)
        bias = None if constant is None else constant.ravel()
        return Emitted(Dense(w.shape[1], bias=bias is not None), _rounded(w), bias)
    remarks = []
    padding = _padding(of)
    if padding is None:
        of = _with_even_margins(of)
        padding = of.margins[0][0]
        remarks.append("has zeros around its taps, as its margins differ from side to side")
    kind: Literal["channel", "position"] | None = None
    if constant is not None:
        kind = "channel" if constant.ndim == 1 else "position"
    layer = Conv2D(of.taps.shape[-1], of.size, of.stride, padding, kind)
    w = full(of)[::-1, ::-1]  # (1)
    return Emitted(layer, _rounded(w), constant, tuple(remarks))


def _padding(of: Map) -> int | Literal["valid", "same"] | None:
    """Margins as convlet says them, None where it has no word for them."""
    (above, below), (left, right) = of.margins
    if above == below == left == right:
        usual = Conv2D(1, of.size, of.stride, "same").margins(of.x_shape) == of.margins
        return "valid" if above == 0 else "same" if usual else above
    if Conv2D(1, of.size, of.stride, "same").margins(of.x_shape) == of.margins:
        return "same"
    return None


def _with_even_margins(of: Map) -> Map:
    """The same map with the greatest margin on all sides: taps of zero meet what it has too much.

    Raises `TooLargeError`.
    """
    most = max(map(max, of.margins))
    more = [(most - before, most - after) for before, after in of.margins]
    size = [n + sum(frame) for n, frame in zip(of.size, more, strict=True)]
    allow(size[0] * size[1] * of.x_shape[2] * of.taps.shape[-1], of.numbers)
    taps = np.pad(of.taps, [*more, *[(0, 0)] * (of.taps.ndim - 2)])
    even: Margins = ((most, most), (most, most))
    return replace(of, taps=taps, margins=even)


def _rounded(values: Array) -> Float32:
    return np.ascontiguousarray(values, np.float32)
