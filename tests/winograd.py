"""Winograd's F(M x M, T x T) as matrices, and the bounds of rounding of native/winograd.h.

A tile has N = T + M - 1 pixels along an axis.  (3) takes M x M errors for the taps, and has T x T
outputs.
"""

from fractions import Fraction as Q

import numpy as np

FORMS = ((3, 4), (3, 2), (5, 2))
"""(T, M) of the kernels."""

PIXELS = {
    4: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    6: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}  # B^T
POINTS = {  # and what a tap is divided by there, after the points infinity: 1 and -1 or 1
    4: ((0, 1, -1), (1, 2, 2), -1),
    6: ((0, 1, -1, 2, -2), (4, -6, -6, 24, 24), 1),
}

ROUNDINGS = 30
"""Of a number on its way, beside the chain: at most 4 and 4 in pixels, 5 and 5 in taps, 4 and 4 in
outputs, the division, the bias, and the product."""


def taps(N: int, count: int) -> list[list[Q]]:
    """G of so many taps: the powers of each point."""
    points, divisors, _ = POINTS[N]
    finite = zip(points, divisors, strict=True)
    return [[Q(p**j, d) for j in range(count)] for p, d in finite] + [last(count, 1)]


def outputs(N: int, count: int) -> list[list[Q]]:
    """A^T of so many outputs."""
    points, _, sign = POINTS[N]
    ends = last(count, sign)
    return [[*(Q(p**i) for p in points), ends[i]] for i in range(count)]


def last(count: int, value: int) -> list[Q]:
    return [*[Q(0)] * (count - 1), Q(value)]


def absolute(rows) -> np.ndarray:
    return np.abs(np.array(rows, np.float64))


def pixels_of_tiles(x: np.ndarray, T: int, M: int) -> np.ndarray:
    """|B^T| |x| |B| of the tiles of x (n, H, W, R), zeros behind it -> (n, I', J', N, N, R)."""
    N = T + M - 1
    b = absolute(PIXELS[N])
    over = ((0, 0), *((0, -(n - T + 1) % M) for n in x.shape[1:3]), (0, 0))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, over), (N, N), axis=(1, 2))
    return np.einsum("ap,bq,nijrpq->nijabr", b, b, windows[:, ::M, ::M], optimize=True)


def terms(x: np.ndarray, w: np.ndarray, M: int) -> np.ndarray:
    """|A^T| [ (|G| |w| |G^T|) . sum over r (|B^T| |x| |B|) ] |A|, the sum that bounds a rounding.

    x (n, H, W, R) and w (T, T, R, K) absolute; T x T windows of stride 1 -> (n, I, J, K).
    """
    T = len(w)
    N = T + M - 1
    g, a = absolute(taps(N, T)), absolute(outputs(N, M))
    v = pixels_of_tiles(x, T, M)
    u = np.einsum("ap,bq,pqrk->abrk", g, g, w[::-1, ::-1], optimize=True)
    m = np.einsum("nijabr,abrk->nijabk", v, u, optimize=True)
    z = np.einsum("sa,tb,nijabk->nisjtk", a, a, m, optimize=True)
    whole = z.reshape(len(x), M * z.shape[1], M * z.shape[3], -1)
    return whole[:, : x.shape[1] - T + 1, : x.shape[2] - T + 1]


def dw_terms(x: np.ndarray, delta: np.ndarray, M: int) -> np.ndarray:
    """The same of (3): x (n, H, W, R) and delta (n, I, J, K) absolute -> (T, T, R, K), like w."""
    T = x.shape[1] - delta.shape[1] + 1
    N = T + M - 1
    g, a = absolute(taps(N, M)), absolute(outputs(N, T))
    v = pixels_of_tiles(x, T, M)
    tiles, n, K = v.shape[1:3], len(x), delta.shape[-1]
    over = zip(delta.shape[1:3], tiles, strict=True)
    whole = np.pad(delta, ((0, 0), *((0, M * count - size) for size, count in over), (0, 0)))
    errors = whole.reshape(n, tiles[0], M, tiles[1], M, K)
    d = np.einsum("ap,bq,nipjqk->nijabk", g, g, errors, optimize=True)
    sums = np.einsum("nijabr,nijabk->abrk", v, d, optimize=True)
    return np.einsum("sa,tb,abrk->strk", a, a, sums, optimize=True)[::-1, ::-1]
