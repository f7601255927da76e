"""Winograd's F(2, 3) and F(2, 5) as matrices, and the bound of rounding of native/winograd.h."""

from fractions import Fraction as Q

import numpy as np

PIXELS = {
    3: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    5: [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
}  # B^T
TAPS = {
    3: [[1, 0, 0], [Q(1, 2), Q(1, 2), Q(1, 2)], [Q(1, 2), Q(-1, 2), Q(1, 2)], [0, 0, 1]],
    5: [
        [Q(1, 4), 0, 0, 0, 0],
        [Q(-1, 6), Q(-1, 6), Q(-1, 6), Q(-1, 6), Q(-1, 6)],
        [Q(-1, 6), Q(1, 6), Q(-1, 6), Q(1, 6), Q(-1, 6)],
        [Q(1, 24), Q(2, 24), Q(4, 24), Q(8, 24), Q(16, 24)],
        [Q(1, 24), Q(-2, 24), Q(4, 24), Q(-8, 24), Q(16, 24)],
        [0, 0, 0, 0, 1],
    ],
}  # G
OUTPUTS = {
    3: [[1, 1, 1, 0], [0, 1, -1, -1]],
    5: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 1]],
}  # A^T

ROUNDINGS = 30
"""Of a number on its way, beside the chain over r: 4 and 4 in pixels, 5 and 5 in taps, 4 and 4 in
outputs, the division, the bias, and the product."""


def absolute(rows) -> np.ndarray:
    return np.abs(np.array(rows, np.float64))


def terms(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """|A^T| [ (|G| |w| |G^T|) . sum over r (|B^T| |x| |B|) ] |A|, the sum that bounds a rounding.

    x (n, H, W, R) and w (T, T, R, K) absolute; T x T windows of stride 1 -> (n, I, J, K).
    """
    T = len(w)
    b, g, a = absolute(PIXELS[T]), absolute(TAPS[T]), absolute(OUTPUTS[T])
    rows, columns = x.shape[1] - T + 1, x.shape[2] - T + 1
    even = np.pad(x, ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)))  # tiles may be cut
    tiles = np.lib.stride_tricks.sliding_window_view(even, (T + 1, T + 1), axis=(1, 2))
    tiles = tiles[:, ::2, ::2]  # (n, I', J', R, N, N)
    v = np.einsum("ap,bq,nijrpq->nijabr", b, b, tiles, optimize=True)
    u = np.einsum("ap,bq,pqrk->abrk", g, g, w[::-1, ::-1], optimize=True)
    m = np.einsum("nijabr,abrk->nijabk", v, u, optimize=True)
    z = np.einsum("sa,tb,nijabk->nisjtk", a, a, m, optimize=True)
    whole = z.reshape(len(x), 2 * z.shape[1], 2 * z.shape[3], -1)
    return whole[:, :rows, :columns]
