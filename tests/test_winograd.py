"""Winograd's form of 5x5 kernels: its last step is a division by 9, correctly rounded."""

import numpy as np
import pytest

import convlet._native as _native
from test_kernels import Case, Memory


@pytest.mark.parametrize("K", [16384, 8, 9, 24, 41])
def test_the_division_by_nine_is_correctly_rounded(k, K):
    """Kernels so made that each channel is any number over 9, at the first output of one window.

    In sums of small integers the quotient is a whole number, which a wrong division finds, too.
    """
    rng = np.random.default_rng(K)
    case = Case((5, 5), (1, 1), (2, 2), (0, 0), 8, K, 8, "none")
    y = rng.random(K).astype(np.float32) + 1
    y = np.ldexp(y, rng.integers(-60, 60, K))
    memory = Memory()
    x = np.zeros(case.x_shape, np.float32)
    x[4, 4, 0] = 1  # B^T x B at the point (0, 0) is 1
    taps = memory.array(np.zeros(case.shape.winograd_taps_size))
    taps[:K] = y  # of channel 0 at that point; everywhere else 0
    scratch, out = memory.empty(case.shape.winograd_scratch), memory.empty(K)
    winner, zeros = memory.numbers(np.full(case.lanes, -7)), np.zeros(K, np.float32)
    fused, frame = _native.testing.Fused.pool, memory.array(x)
    k.winograd(case.shape, fused, frame, taps, zeros, 0, 0, out, K, K, winner, scratch)
    np.testing.assert_array_equal(out, y / np.float32(9))
    assert (winner[:K] == 0).all()
    memory.assert_guards_whole()
