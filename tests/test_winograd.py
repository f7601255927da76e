"""Winograd's form where N is 6: its last step is a division by 9, correctly rounded."""

import numpy as np
import pytest

import convlet._native as _native
from test_kernels import Case, Memory


def any_numbers(K: int) -> np.ndarray:
    rng = np.random.default_rng(K)
    return np.ldexp(rng.random(K).astype(np.float32) + 1, rng.integers(-60, 60, K))


@pytest.mark.parametrize("K", [16384, 8, 9, 24, 41])
@pytest.mark.parametrize(("T", "M"), [(3, 4), (5, 2)])
def test_the_division_by_nine_is_correctly_rounded(k, K, T, M):
    """Kernels so made that each channel is any number over 9, at the first output of one window.

    In sums of small integers the quotient is a whole number, which a wrong division finds, too.
    """
    case = Case((T, T), (1, 1), (M, M), (0, 0), 8, K, 8, "none", tile=M)
    y = any_numbers(K)
    memory = Memory()
    x = np.zeros(case.x_shape, np.float32)
    x[4, 4, 0] = 1  # B^T x B at the point (0, 0) is 1
    taps = memory.array(np.zeros(case.shape.winograd_taps_size))
    taps[:K] = y  # of channel 0 at that point; everywhere else 0
    scratch, out = memory.empty(case.shape.winograd_scratch), memory.empty(M, M, K)
    winner, zeros = memory.numbers(np.full((M, M, case.lanes), -7)), np.zeros(K, np.float32)
    none, frame = _native.testing.Fused.none, memory.array(x)
    k.winograd(case.shape, none, frame, taps, zeros, 0, 0, out, M * K, K, winner, scratch)
    np.testing.assert_array_equal(out[0, 0], y / np.float32(9))
    assert (winner[0, 0, :K] == 0).all()
    memory.assert_guards_whole()


@pytest.mark.equation(3)
@pytest.mark.parametrize("K", [8192, 8, 9, 24, 41])
@pytest.mark.parametrize(("T", "M"), [(3, 4), (5, 2)])
def test_the_division_of_the_sums_is_correctly_rounded(k, K, T, M):
    """Sums of which only those at the point (0, 0) are not 0: the first tap's."""
    shape = Case((T, T), (1, 1), (M, M), (0, 0), 1, K, 8, "none", tile=M).shape
    y = any_numbers(K)
    memory = Memory()
    sums = memory.array(np.zeros(shape.winograd_sums_size))
    sums[:K] = y
    dw = memory.empty(T, T, K)
    k.winograd_dw_sum(shape, sums, dw)
    np.testing.assert_array_equal(dw[0, 0], y / np.float32(9))
    assert not dw[1:].any()
    memory.assert_guards_whole()
