"""Equations (1)-(15): every layer and its derivatives, forward and backward side by side.

This module is the contract: whatever is fast is tested against it.  The numbers and the letters are
those of docs/equations.md.  Arrays are (..., rows, columns, channels) or (..., units); the leading
axes "..." are samples, usually one axis, the minibatch.  Any float dtype; the result has the dtype
of the arguments.

delta is dE/dz, E the cost of the minibatch.  A derivative by x is contracted with the delta of its
sample: one array like x.  A derivative by w is contracted with delta and added over the samples.
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convlet.shapes import Margins, Pair

Array = NDArray[Any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


# ------------------------------------------------------------------------------ convolution (1)-(3)


def conv2d(x: Array, w: Array, stride: Pair = (1, 1)) -> Array:
    """Convolution (1): pixel (s1 i + p, s2 j + q) meets tap (P-p, Q-q).

    x (..., H, W, R), w (P+1, Q+1, R, K) -> z (..., I, J, K), I = (H - 1 - P) // s1 + 1.
    """
    taps = patches(x, w.shape[:2], stride)  # (..., I, J, P+1, Q+1, R)
    return np.tensordot(taps, w[::-1, ::-1], axes=3)  # (1): sum over p, q, r


def conv2d_dx(delta: Array, w: Array, x_shape: tuple[int, ...], stride: Pair = (1, 1)) -> Array:
    """Derivative of (1) by x: pixel (t, u) met tap (P + s1 i - t, Q + s2 j - u).

    Contracted with delta (..., I, J, K) -> dx with x_shape (..., H, W, R).
    """
    dx = np.zeros(x_shape, np.result_type(delta, w))
    for p, q in product(*map(range, w.shape[:2])):
        pixels = _reached(dx, p, q, delta.shape[-3:-1], stride)  # t = s1 i + p, u = s2 j + q
        pixels += delta @ w[-1 - p, -1 - q].T  # (2): tap (P-p, Q-q)
    return dx


def conv2d_dw(delta: Array, x: Array, taps_shape: Pair, stride: Pair = (1, 1)) -> Array:
    """Derivative of (1) by w: tap (c, d) met pixel (s1 i + P - c, s2 j + Q - d).

    Contracted with delta (..., I, J, K) and added over samples -> dw (P+1, Q+1, R, K).
    """
    taps = patches(x, taps_shape, stride)  # (..., I, J, P+1, Q+1, R)
    axes = tuple(range(delta.ndim - 1))  # samples, i, j
    return np.tensordot(taps, delta, axes=(axes, axes))[::-1, ::-1]  # (3)


def patches(x: Array, taps_shape: Pair, stride: Pair) -> Array:
    """The pixels under each window, a view: x (..., H, W, R) -> (..., I, J, P+1, Q+1, R)."""
    windows = sliding_window_view(x, taps_shape, axis=(-3, -2))  # (..., H-P, W-Q, R, P+1, Q+1)
    strided = windows[..., :: stride[0], :: stride[1], :, :, :]
    return np.moveaxis(strided, -3, -1)


def _reached(x: Array, p: int, q: int, outputs: Pair, stride: Pair) -> Array:
    """View of the pixels (s1 i + p, s2 j + q), one for each output (i, j)."""
    rows = slice(p, p + stride[0] * (outputs[0] - 1) + 1, stride[0])
    columns = slice(q, q + stride[1] * (outputs[1] - 1) + 1, stride[1])
    return x[..., rows, columns, :]


def pad(x: Array, margins: Margins) -> Array:
    """x (..., H, W, R) inside a frame of zeros: padding is a larger x in (1)."""
    if margins == ((0, 0), (0, 0)):
        return x
    return np.pad(x, [(0, 0)] * (x.ndim - 3) + [*margins, (0, 0)])


def crop(dx: Array, margins: Margins) -> Array:
    """Derivative of `pad`: the frame is constant, so its errors go nowhere."""
    (above, below), (left, right) = margins
    return dx[..., above : dx.shape[-3] - below, left : dx.shape[-2] - right, :]


# ---------------------------------------------------------------------------------- max pooling (4)


def max_pool(x: Array, size: Pair = (2, 2), stride: Pair = (2, 2)) -> Array:
    """Max pooling (4).  x (..., H, W, K) -> (..., I, J, K), I = (H - size) // stride + 1.

    A rest that fills no window drops.
    """
    return patches(x, size, stride).max(axis=(-3, -2))  # (4)


def unpool(error: Array, x: Array, size: Pair = (2, 2), stride: Pair = (2, 2)) -> Array:
    """Derivative of (4), the P^-1 of (24), (25): each window's error goes to its maximum -> like x.

    Of equal maxima the first in row-major order wins, so that there is exactly one winner.  Where
    windows overlap errors add.
    """
    windows = patches(x, size, stride)  # (..., I, J, p, q, K)
    places = windows.reshape(*windows.shape[:-3], -1, windows.shape[-1])  # (..., I, J, p q, K)
    winner = places.argmax(axis=-2)  # first of equals
    dx = np.zeros(x.shape, error.dtype)
    for place, (p, q) in enumerate(product(*map(range, size))):
        pixels = _reached(dx, p, q, error.shape[-3:-1], stride)
        pixels += np.where(winner == place, error, 0)  # (4): 1 at the maximum, 0 elsewhere
    return dx


# -------------------------------------------------------------------------------------- flatten (5)


def flatten(x: Array) -> Array:
    """Flatten (5).  x (..., I, J, K) -> (..., I J K): unit i J K + j K + k is x_ijk.

    C order, so no data moves.
    """
    return x.reshape(*x.shape[:-3], -1)  # (5)


def unflatten(error: Array, shape: tuple[int, ...]) -> Array:
    """Inverse and derivative of (5), the F^-1 of (24), (25).

    error (..., I J K) -> (..., I, J, K) = (..., *shape).
    """
    return error.reshape(*error.shape[:-1], *shape)


# ------------------------------------------------------------------------------------ dense (6)-(8)


def dense(x: Array, w: Array) -> Array:
    """Dense map (6).  x (..., N), w (N, M) -> z (..., M)."""
    return x @ w  # (6)


def dense_dx(delta: Array, w: Array) -> Array:
    """Derivative of (6) by x, contracted with delta (..., M) -> dx (..., N)."""
    return delta @ w.T  # (7)


def dense_dw(delta: Array, x: Array) -> Array:
    """Derivative of (6) by w, contracted with delta (..., M), added over samples -> dw (N, M)."""
    axes = tuple(range(delta.ndim - 1))
    return np.tensordot(x, delta, axes=(axes, axes))  # (8)


# ----------------------------------------------------------------------------------- ReLU (9), (10)


def relu(z: Array) -> Array:
    """Rectifier (9), any shape."""
    return np.maximum(z, 0)  # (9)


def relu_derivative(z: Array) -> Array:
    """Derivative of (9) by z, the diagonal of (10): 1, 0, and 1/2 where z is exactly 0."""
    return np.heaviside(z, z.dtype.type(0.5))  # (10)


# ------------------------------------------------------------------------------- softmax (11), (12)


def softmax(z: Array) -> Array:
    """Softmax (11) over the last axis.  z (..., M) -> probabilities (..., M).

    No overflow for any finite z.
    """
    exp = np.exp(below_maximum(z))
    return exp / exp.sum(axis=-1, keepdims=True)  # (11)


def below_maximum(z: Array) -> Array:
    """z less its maximum over the last axis: 0 or below, -inf where the dtype ends."""
    with np.errstate(over="ignore"):
        return z - z.max(axis=-1, keepdims=True)


def softmax_jacobian(z: Array) -> Array:
    """Jacobian of (11).  z (..., M) -> dS_i/dz_j (..., M, M)."""
    s = softmax(z)
    return s[..., :, None] * (np.eye(z.shape[-1], dtype=z.dtype) - s[..., None, :])  # (12)


# ----------------------------------------------------------------------------------- cost (13)-(15)


def mean_cost(costs: Array, weight: Array | None = None) -> Any:
    """Cost of a minibatch (13): E = sum_n omega_n E^n / sum_n omega_n.

    costs E^n (B,), weight omega (B,) or None for equal ones.
    """
    return (costs * sample_weights(costs, weight)).sum()  # (13)


def mean_cost_derivative(costs: Array, weight: Array | None = None) -> Array:
    """Derivative of (13) by each E^n: 1/B, or omega_n / sum omega -> (B,)."""
    return sample_weights(costs, weight)  # (13)


def sample_weights(like: Array, weight: Array | None) -> Array:
    """Factors of the samples in (13), which add up to 1 -> (B,), in the dtype of like (B, ...)."""
    if weight is None:
        return np.full(len(like), 1 / len(like), like.dtype)
    weight = weight.astype(np.result_type(weight, np.float64))  # a sum of float32 may overflow
    return np.asarray(weight / weight.sum(), like.dtype)


def cross_entropy(z: Array, y: Array) -> Array:
    """Softmax cross-entropy (14).

    z (..., M), y (..., M) distributions or (...) classes -> E^n (...).
    From z by log-sum-exp, - sum_i y_i log S_i(z) = sum_i y_i (log sum_k exp z_k - z_i), so that no
    probability underflows.  Where y_i = 0 there is no term, whatever z_i.
    """
    shifted, y = below_maximum(z), distribution(y, z)
    log_s = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    terms = np.multiply(y, log_s, out=np.zeros_like(log_s), where=y != 0)
    return -terms.sum(axis=-1)  # (14)


def cross_entropy_dz(z: Array, y: Array) -> Array:
    """Derivative of (14) by z -> dE^n/dz = x^L - y, like z (..., M).  Needs sum_k y_k = 1."""
    return softmax(z) - distribution(y, z)  # (15)


def distribution(y: Array, z: Array) -> Array:
    """Labels as distributions (..., M) in the dtype of z (..., M): classes (...) become one-hot."""
    if y.ndim == z.ndim:
        return y.astype(z.dtype, copy=False)
    return (y[..., None] == np.arange(z.shape[-1])).astype(z.dtype)
