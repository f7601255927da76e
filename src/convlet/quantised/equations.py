"""Equations (26)-(36): a network in whole numbers, int8 with sums of int32.

The numbers and the letters are those of docs/quantisation.md, which continues docs/equations.md.
Whatever is fast, in C or on a device, is tested against this module, byte for byte.

x_hat is int8 (..., rows, columns, channels) or (..., units), w_hat int8 like w, b_hat int32.  Every
function is exact but for its one rounding, to the nearest whole number, halves upward.
"""

from typing import NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from convlet import equations as eq
from convlet.equations import Array, Float64
from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet.stages import Stage

Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

LEAST, MOST = -128, 127
"""Of an activation; weights leave out -128, so that they are symmetric."""
MOST_BIAS = 1 << 29
"""Of a bias: a channel with a bias and next to no weights gets a scale under which it fits."""
MOST_SUM = (1 << 31) - (1 << 8)
"""Of a sum (31), so that a zero point may be added to it in int32, too."""
MOST_SHIFT = 62


class Grid(NamedTuple):
    """What a byte of x^l means, (26): x = scale (x_hat - zero)."""

    scale: float  # g^l
    zero: int  # o^l, -128 to 127


PIXELS = Grid(1 / 255, LEAST)
"""Of x^0, (27)."""


def nearest(v: Array) -> Array:
    """The whole number nearest to each v, halves upward: floor(v + 1/2), exactly, as float64."""
    below = np.floor(v)
    return below + (v - below >= 0.5)  # v + 0.5 itself may round up


def real(x_hat: Array, grid: Grid) -> Float64:
    """What bytes stand for (26), as float64."""
    return grid.scale * (x_hat.astype(np.float64) - grid.zero)  # (26)


def rounded(x: Array, grid: Grid) -> Int8:
    """The byte nearest to x (26); what is off the grid becomes its end."""
    steps = nearest(np.asarray(x, np.float64) / grid.scale) + grid.zero
    return np.clip(steps, LEAST, MOST).astype(np.int8)  # (26)


def pixels(u: NDArray[np.uint8]) -> Int8:
    """x^0 of levels 0 to 255 (27): on the grid `PIXELS` exactly u / 255."""
    return (u.astype(np.int16) + LEAST).astype(np.int8)  # (27)


def weight_scales(w: Array, b: Array | None, x_scale: float) -> Float64:
    """h_k (28), a scale for each output channel.  w (..., K), b (..., K) or None -> (K,).

    A channel of zeros takes the largest scale of the others, 1 if there is none.
    """
    k = w.shape[-1]
    scales = np.abs(w.reshape(-1, k).astype(np.float64)).max(axis=0) / MOST  # (28)
    if b is not None:
        biases = np.abs(b.reshape(-1, k).astype(np.float64)).max(axis=0)
        scales = np.maximum(scales, biases / (x_scale * MOST_BIAS))  # (28)
    return np.where(scales > 0, scales, scales.max() or 1.0)


def whole_weights(w: Array, scales: Float64) -> Int8:
    """w_hat (28), -127 to 127.  w (..., K), scales (K,)."""
    return nearest(w.astype(np.float64) / scales).astype(np.int8)  # (28)


def whole_biases(b: Array, x_scale: float, scales: Float64) -> Int32:
    """b_hat (29) on the grid of the sums.  b (..., K), scales (K,)."""
    return nearest(b.astype(np.float64) / (x_scale * scales)).astype(np.int32)  # (29)


def sums(stage: Stage, x_hat: Int8, zero: int, w_hat: Int8, b_hat: Int32) -> Int64:
    """z_hat (30) = f(x_hat - o, w_hat) + b_hat.  x_hat (B, *x_shape) -> (B, *z_shape).

    The affine map is that of `equations`, (1) or (6), on whole numbers in floats.  No sum of terms
    exceeds (31), so each of them is a float, and the result exact in any order of adding.
    """
    exact = "float32" if largest_sum(w_hat, b_hat) <= 1 << 24 else "float64"
    x, w = (x_hat.astype(np.int16) - np.int16(zero)).astype(exact), w_hat.astype(exact)
    match stage.affine:
        case Conv2D(stride=stride) as conv:
            z = eq.conv2d(eq.pad(x, conv.margins(stage.x_shape)), w, stride)
        case Dense():
            z = eq.dense(x, w)
        case _:
            assert_never(stage.affine)
    return z.astype(np.int64) + b_hat  # (30)


def largest_sum(w_hat: Int8, b_hat: Int32) -> int:
    """The bound (31) of every sum of terms of (30), in any order, zero point folded in or not."""
    k = w_hat.shape[-1]
    taps = np.abs(w_hat.reshape(-1, k).astype(np.int64)).sum(axis=0)
    biases = np.abs(b_hat.reshape(-1, k).astype(np.int64)).max(axis=0)
    return int((256 * taps + biases).max())  # (31)


def grid_of(low: float, high: float, x_scale: float, scales: Float64) -> Grid:
    """g^{l+1} and o^{l+1} (32) for values of a stage from low to high; 0 is always on the grid."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / (MOST - LEAST), x_scale * float(scales.max()))  # (32)
    return Grid(scale, LEAST - int(nearest(np.array(low / scale))))  # (32)


def multipliers(x_scale: float, scales: Float64, y_scale: float) -> tuple[Int32, Int32]:
    """m_k and nu_k (33): g^l h_k / g^{l+1} = m_k 2^-nu_k, to 31 bits.  scales (K,) -> two (K,)."""
    fraction, exponent = np.frexp(x_scale * scales / y_scale)  # 1/2 <= fraction < 1
    shift = np.minimum(31 - exponent, MOST_SHIFT)
    m = nearest(np.ldexp(fraction, exponent + shift))  # (33)
    carried = m == 1 << 31
    return np.where(carried, 1 << 30, m).astype(np.int32), (shift - carried).astype(np.int32)


def requantised(z_hat: Array, m: Int32, shift: Int32, zero: int) -> Int8:
    """Sums as bytes of the next grid (34): one product of 64 bits, one rounding, halves upward.

    z_hat (..., K), m and shift (K,).  A ReLU is the lower end of the clamp: its zero is -128.
    """
    product = z_hat.astype(np.int64) * m  # (34): |z_hat| < 2^31, 0 <= m < 2^31
    half = np.int64(1) << (shift.astype(np.int64) - 1)
    steps = (product + half) >> shift.astype(np.int64)  # (34): >> goes down, also below 0
    return np.clip(zero + steps, LEAST, MOST).astype(np.int8)  # (34)


def handed_on(stage: Stage, y_hat: Int8) -> Int8:
    """x_hat^{l+1} (35): pooling and flattening of bytes, which are exact.

    y_hat (B, *z_shape) -> (B, *output_shape).  ReLU is in (34); softmax changes no order, (36).
    """
    for layer in stage.sigma:
        match layer:
            case MaxPool2D(size=size, stride=stride):
                y_hat = eq.max_pool(y_hat, size, stride)  # (35)
            case Flatten():
                y_hat = eq.flatten(y_hat) if y_hat.ndim == 4 else y_hat  # (35)
            case ReLU() | Dropout() | Softmax():
                pass
            case _:
                assert_never(layer)
    return y_hat


def decided(x_hat: Int8) -> Int64:
    """The class of each row of bytes (36), of equal ones the first.  x_hat (..., M) -> (...)."""
    return np.asarray(x_hat.argmax(axis=-1), np.int64)  # (36)
