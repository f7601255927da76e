"""Equations (1)-(15) against literal sums, hand values and central differences.

The assert_* functions without arguments are also what test_mutation.py expects to fail.
"""

from collections.abc import Callable, Iterator
from itertools import product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import equations as eq

STRIDES = list(product((1, 2, 3), repeat=2))
KERNELS = list(product(range(1, 8), repeat=2))


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Small whole numbers as floats: sums of their products are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def assert_derivative(
    f: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    contracted: Callable[[np.ndarray], np.ndarray],
    h: float = 1e-3,
) -> None:
    """contracted(u) is J^T u: <v, J^T u> is the difference of <u, f(x +- h v)> to 1e-6."""
    v = normal(*x.shape, seed=1)
    u = normal(*f(x).shape, seed=2)
    along = lambda s: float((u * f(x + s * v)).sum())  # noqa: E731
    difference = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    derivative = float((v * contracted(u)).sum())
    assert abs(derivative - difference) < 1e-6 * max(abs(derivative), abs(difference))


# ------------------------------------------------------------------------------ convolution (1)-(3)


def convolution_cases() -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """x (H, W, R), w (P+1, Q+1, R, K), stride, with a row and a column that no window reaches."""
    shapes = [((1, 1), 1, 1), ((3, 3), 1, 2), ((2, 4), 3, 2), ((5, 3), 2, 5), ((7, 1), 5, 1)]
    for stride, (kernel, r, k) in product(STRIDES, shapes):
        h, w = (n + 2 * s - (s == 1) for n, s in zip(kernel, stride, strict=True))
        yield integers(h, w, r), integers(*kernel, r, k, seed=1), stride


def out(size: int, kernel: int, stride: int) -> int:
    return (size - kernel) // stride + 1


def assert_convolution_is_its_sum() -> None:
    """(1), one output at a time."""
    for x, w, (s1, s2) in convolution_cases():
        p_max, q_max = w.shape[0] - 1, w.shape[1] - 1
        z = eq.conv2d(x, w, (s1, s2))
        assert z.shape == (
            out(x.shape[0], w.shape[0], s1),
            out(x.shape[1], w.shape[1], s2),
            w.shape[3],
        )
        for i, j, k in np.ndindex(*z.shape):
            total = 0.0
            for p, q, r in np.ndindex(*w.shape[:3]):
                total += x[s1 * i + p, s2 * j + q, r] * w[p_max - p, q_max - q, r, k]
            assert z[i, j, k] == total


def assert_convolution_dx_is_equation_2() -> None:
    """dC_ijk/dx_tuv = w_(P + s1 i - t)(Q + s2 j - u)vk where that tap exists, else 0."""
    for x, w, (s1, s2) in convolution_cases():
        p_max, q_max = w.shape[0] - 1, w.shape[1] - 1
        delta = integers(*eq.conv2d(x, w, (s1, s2)).shape, seed=2)
        expected = np.zeros_like(x)
        for i, j, k in np.ndindex(*delta.shape):
            for t, u, v in np.ndindex(*x.shape):
                c, d = p_max + s1 * i - t, q_max + s2 * j - u
                if 0 <= c <= p_max and 0 <= d <= q_max:
                    expected[t, u, v] += delta[i, j, k] * w[c, d, v, k]
        np.testing.assert_array_equal(eq.conv2d_dx(delta, w, x.shape, (s1, s2)), expected)


def assert_convolution_dw_is_equation_3() -> None:
    """dC_ijk/dw_cdvm = x_(s1 i + P - c)(s2 j + Q - d)v if k = m, else 0."""
    for x, w, (s1, s2) in convolution_cases():
        p_max, q_max = w.shape[0] - 1, w.shape[1] - 1
        delta = integers(*eq.conv2d(x, w, (s1, s2)).shape, seed=2)
        expected = np.zeros_like(w)
        for c, d, v, m in np.ndindex(*w.shape):
            for i, j in np.ndindex(*delta.shape[:2]):
                pixel = x[s1 * i + p_max - c, s2 * j + q_max - d, v]
                expected[c, d, v, m] += delta[i, j, m] * pixel
        dw = eq.conv2d_dw(delta[None], x[None], w.shape[:2], (s1, s2))
        np.testing.assert_array_equal(dw, expected)


@pytest.mark.equation(1)
def test_convolution_is_its_sum():
    assert_convolution_is_its_sum()


@pytest.mark.equation(1)
def test_convolution_flips_the_kernel():
    x = np.array([1.0, 2, 3]).reshape(1, 3, 1)
    w = np.array([10.0, 1]).reshape(1, 2, 1, 1)
    # z_0 = x_0 w_1 + x_1 w_0, z_1 = x_1 w_1 + x_2 w_0; cross-correlation would give 12, 23
    assert eq.conv2d(x, w).ravel().tolist() == [21, 32]


@pytest.mark.equation(1)
def test_convolution_by_a_shifted_unit_kernel_shifts():
    x = integers(4, 4, 1)
    w = np.zeros((3, 3, 1, 1))
    w[0, 0] = 1  # tap (0, 0) meets pixel (i + 2, j + 2)
    np.testing.assert_array_equal(eq.conv2d(x, w)[..., 0], x[2:, 2:, 0])


@pytest.mark.equation(2)
def test_convolution_dx_is_equation_2():
    assert_convolution_dx_is_equation_2()


@pytest.mark.equation(3)
def test_convolution_dw_is_equation_3():
    assert_convolution_dw_is_equation_3()


def assert_convolution_derivatives(b, rest, outputs, kernel, r, k, stride):
    h, w = (
        n + s * (m - 1) + min(d, s - 1)
        for n, s, m, d in zip(kernel, stride, outputs, rest, strict=True)
    )
    x, taps = normal(b, h, w, r), normal(*kernel, r, k, seed=3)
    assert_derivative(
        lambda x: eq.conv2d(x, taps, stride), x, lambda u: eq.conv2d_dx(u, taps, x.shape, stride)
    )
    assert_derivative(
        lambda w: eq.conv2d(x, w, stride), taps, lambda u: eq.conv2d_dw(u, x, kernel, stride)
    )


@pytest.mark.equation(2, 3)
@pytest.mark.parametrize("stride", STRIDES)
def test_convolution_derivatives_for_every_kernel_and_stride(stride):
    for number, kernel in enumerate(KERNELS):
        assert_convolution_derivatives(
            2, (1, 2), (2, 3), kernel, 1 + number % 5, 1 + number % 3, stride
        )


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@pytest.mark.equation(2, 3)
@given(
    b=st.integers(1, 3),
    rest=pairs(0, 2),
    outputs=pairs(1, 4),
    kernel=pairs(1, 7),
    r=st.integers(1, 5),
    k=st.integers(1, 5),
    stride=pairs(1, 3),
)
def test_convolution_derivatives(b, rest, outputs, kernel, r, k, stride):
    assert_convolution_derivatives(b, rest, outputs, kernel, r, k, stride)


@pytest.mark.equation(1, 2)
def test_padding_is_a_larger_x():
    x, margins = integers(2, 3, 1), ((1, 0), (2, 1))
    padded = eq.pad(x, margins)
    expected = np.zeros((3, 6, 1))
    expected[1:, 2:5] = x
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(eq.crop(padded, margins), x)
    assert_derivative(lambda x: eq.pad(x, margins), x, lambda u: eq.crop(u, margins))


# ------------------------------------------------------------------------------------ pooling (4)


def assert_max_pool_is_its_maximum() -> None:
    x = integers(7, 6, 2)
    for size, (s1, s2) in product(((2, 2), (3, 1), (2, 3)), STRIDES):
        z = eq.max_pool(x, size, (s1, s2))
        assert z.shape == (out(7, size[0], s1), out(6, size[1], s2), 2)
        for i, j, k in np.ndindex(*z.shape):
            window = [
                x[s1 * i + p, s2 * j + q, k] for p, q in product(range(size[0]), range(size[1]))
            ]
            assert z[i, j, k] == max(window)


def assert_unpool_takes_the_first_of_equal_maxima() -> None:
    x = np.array([[1.0, 3, 2, 2], [3, 0, 2, 2]])[..., None]
    error = np.array([[5.0, 7]])[..., None]
    expected = [[0, 5, 7, 0], [0, 0, 0, 0]]  # (0, 1) comes before (1, 0), (0, 2) before all
    assert eq.unpool(error, x)[..., 0].tolist() == expected


def assert_unpool_is_the_derivative() -> None:
    rng = np.random.default_rng(0)
    for size, stride in product(((2, 2), (3, 3), (3, 2), (1, 2)), STRIDES):
        x = rng.permutation(2 * 7 * 8 * 3).reshape(2, 7, 8, 3).astype(np.float64)
        pool = lambda x, size=size, stride=stride: eq.max_pool(x, size, stride)  # noqa: E731
        unpool = lambda u, x=x, size=size, stride=stride: eq.unpool(u, x, size, stride)  # noqa: E731
        assert_derivative(pool, x, unpool, h=0.02)


@pytest.mark.equation(4)
def test_max_pool_is_its_maximum():
    assert_max_pool_is_its_maximum()


@pytest.mark.equation(4)
def test_max_pool_drops_rows_and_columns_that_fill_no_window():
    x = np.arange(25.0).reshape(5, 5, 1)
    assert eq.max_pool(x)[..., 0].tolist() == [[6, 8], [16, 18]]
    dx = eq.unpool(np.ones((2, 2, 1)), x)
    assert not dx[4].any()
    assert not dx[:, 4].any()


@pytest.mark.equation(4)
def test_unpool_takes_the_first_of_equal_maxima():
    assert_unpool_takes_the_first_of_equal_maxima()


@pytest.mark.equation(4)
def test_unpool_of_a_constant_goes_to_the_first_position_of_each_window():
    dx = eq.unpool(np.ones((2, 2, 1)), np.zeros((4, 4, 1)))
    assert dx[..., 0].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


@pytest.mark.equation(4)
def test_unpool_of_overlapping_windows_adds():
    x = np.array([[0.0, 0, 0], [0, 9, 0], [0, 0, 0]])[..., None]
    dx = eq.unpool(np.array([[1.0, 2], [3, 4]])[..., None], x, (2, 2), (1, 1))
    assert dx[..., 0].tolist() == [[0, 0, 0], [0, 10, 0], [0, 0, 0]]


@pytest.mark.equation(4)
def test_unpool_is_the_derivative():
    assert_unpool_is_the_derivative()


# -------------------------------------------------------------------------------------- flatten (5)


def assert_flatten_is_its_index() -> None:
    x = integers(2, 3, 4, 5)
    units = eq.flatten(x)
    assert units.shape == (2, 60)
    for b, i, j, k in np.ndindex(*x.shape):
        assert units[b, i * 4 * 5 + j * 5 + k] == x[b, i, j, k]
    np.testing.assert_array_equal(eq.unflatten(units, (3, 4, 5)), x)


@pytest.mark.equation(5)
def test_flatten_is_its_index():
    assert_flatten_is_its_index()


@pytest.mark.equation(5)
def test_flatten_moves_no_data():
    x = integers(2, 3, 4, 5)
    assert np.shares_memory(eq.flatten(x), x)


@pytest.mark.equation(5)
def test_unflatten_is_the_derivative():
    assert_derivative(eq.flatten, normal(2, 3, 2, 4), lambda u: eq.unflatten(u, (3, 2, 4)))


# ------------------------------------------------------------------------------------ dense (6)-(8)


def assert_dense_is_its_sum() -> None:
    x, w = integers(3, 4), integers(4, 5, seed=1)
    z = eq.dense(x, w)
    for b, j in np.ndindex(3, 5):
        assert z[b, j] == sum(x[b, i] * w[i, j] for i in range(4))


def assert_dense_dx_is_equation_7() -> None:
    delta, w = integers(3, 5), integers(4, 5, seed=1)
    dx = eq.dense_dx(delta, w)
    for b, k in np.ndindex(3, 4):
        assert dx[b, k] == sum(delta[b, j] * w[k, j] for j in range(5))


def assert_dense_dw_is_equation_8() -> None:
    delta, x = integers(3, 5), integers(3, 4, seed=1)
    dw = eq.dense_dw(delta, x)
    for c, k in np.ndindex(4, 5):
        assert dw[c, k] == sum(x[b, c] * delta[b, k] for b in range(3))


@pytest.mark.equation(6)
def test_dense_is_its_sum():
    assert_dense_is_its_sum()


@pytest.mark.equation(7)
def test_dense_dx_is_equation_7():
    assert_dense_dx_is_equation_7()


@pytest.mark.equation(8)
def test_dense_dw_is_equation_8():
    assert_dense_dw_is_equation_8()


@pytest.mark.equation(7, 8)
@given(b=st.integers(1, 4), n=st.integers(1, 9), m=st.integers(1, 9))
def test_dense_derivatives(b, n, m):
    x, w = normal(b, n), normal(n, m, seed=3)
    assert_derivative(lambda x: eq.dense(x, w), x, lambda u: eq.dense_dx(u, w))
    assert_derivative(lambda w: eq.dense(x, w), w, lambda u: eq.dense_dw(u, x))


# ----------------------------------------------------------------------------------- ReLU (9), (10)

AROUND_ZERO = np.array([-2.0, -5e-324, -0.0, 0.0, 5e-324, 3.0])


def assert_relu_values() -> None:
    assert eq.relu(AROUND_ZERO).tolist() == [0, 0, 0, 0, 5e-324, 3]


def assert_relu_derivative_values() -> None:
    assert eq.relu_derivative(AROUND_ZERO).tolist() == [0, 0, 0.5, 0.5, 1, 1]


@pytest.mark.equation(9)
def test_relu_values():
    assert_relu_values()


@pytest.mark.equation(10)
def test_relu_derivative_values():
    assert_relu_derivative_values()


@pytest.mark.equation(10)
def test_relu_derivative_is_the_difference():
    z = normal(4, 5)
    z += np.copysign(0.1, z)
    assert_derivative(eq.relu, z, lambda u: u * eq.relu_derivative(z))


# ------------------------------------------------------------------------------- softmax (11), (12)


def assert_softmax_values() -> None:
    z = np.array([[log(1), log(2), log(5)], [1, 0, -1]])
    total = exp(1) + 1 + exp(-1)
    expected = [[1 / 8, 2 / 8, 5 / 8], [exp(1) / total, 1 / total, exp(-1) / total]]
    np.testing.assert_allclose(eq.softmax(z), expected, rtol=1e-15)


def assert_softmax_is_finite() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        most = np.finfo(dtype).max
        z = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [most, 0, -most], [-most] * 3], dtype)
        s = eq.softmax(z)
        assert s.dtype == dtype
        expected = [[1, 0, 0], [1 / 3] * 3, [1, 0, 0], [1 / 3] * 3]
        np.testing.assert_allclose(s, expected, rtol=max(1e-6, np.finfo(dtype).eps))


def assert_softmax_jacobian_is_equation_12() -> None:
    z = np.array([[log(1), log(2), log(5)]])
    s = [1 / 8, 2 / 8, 5 / 8]
    jacobian = eq.softmax_jacobian(z)
    for i, j in np.ndindex(3, 3):
        expected = s[i] * (1 - s[j]) if i == j else -s[i] * s[j]
        assert jacobian[0, i, j] == pytest.approx(expected, rel=1e-14)


@pytest.mark.equation(11)
def test_softmax_values():
    assert_softmax_values()


@pytest.mark.equation(11)
def test_softmax_is_finite_for_extreme_z():
    assert_softmax_is_finite()


@pytest.mark.equation(12)
def test_softmax_jacobian_is_equation_12():
    assert_softmax_jacobian_is_equation_12()


@pytest.mark.equation(12)
@given(b=st.integers(1, 3), m=st.integers(2, 8))
def test_softmax_jacobian_is_the_difference(b, m):
    z = normal(b, m)
    contract = lambda u: np.einsum("bi,bij->bj", u, eq.softmax_jacobian(z))  # noqa: E731
    assert_derivative(eq.softmax, z, contract)


# ----------------------------------------------------------------------------------- cost (13)-(15)


def assert_mean_cost_values() -> None:
    costs, weight = np.array([1.0, 2, 6]), np.array([1.0, 0, 3])
    assert eq.mean_cost(costs) == pytest.approx(3, rel=1e-15)
    assert eq.mean_cost(costs, weight) == pytest.approx(19 / 4, rel=1e-15)


def assert_mean_cost_derivative_values() -> None:
    costs, weight = np.array([1.0, 2, 6]), np.array([1.0, 0, 3])
    np.testing.assert_allclose(eq.mean_cost_derivative(costs), [1 / 3] * 3, rtol=1e-15)
    np.testing.assert_allclose(eq.mean_cost_derivative(costs, weight), [0.25, 0, 0.75], rtol=1e-15)


def assert_large_weights_are_shares() -> None:
    """Their sum is no number of float32."""
    costs = np.arange(20, dtype=np.float32)
    for weight in (np.full(20, 3e38, np.float32), np.full(20, 6e4, np.float16)):
        assert eq.mean_cost(costs, weight) == pytest.approx(9.5, rel=1e-6)
        np.testing.assert_allclose(eq.mean_cost_derivative(costs, weight), [0.05] * 20, rtol=1e-6)


def assert_cross_entropy_values() -> None:
    z = np.array([[log(1), log(2), log(5)]] * 2)
    classes = eq.cross_entropy(z, np.array([1, 2]))
    np.testing.assert_allclose(classes, [log(4), log(8 / 5)], rtol=1e-14)
    soft = eq.cross_entropy(z, np.array([[0.5, 0, 0.5], [0, 1, 0]]))
    np.testing.assert_allclose(soft, [(log(8) + log(8 / 5)) / 2, log(4)], rtol=1e-14)


def assert_cross_entropy_does_not_underflow() -> None:
    """At z = (1e4, -1e4) the probability of class 1 is e^-20000; its cost is exactly 20000."""
    for dtype in (np.float32, np.float64):
        z = np.array([[1e4, -1e4]] * 2, dtype)
        assert eq.cross_entropy(z, np.array([0, 1])).tolist() == [0, 20000]
        assert eq.cross_entropy_dz(z, np.array([0, 1])).tolist() == [[0, 0], [1, -1]]


def assert_cross_entropy_has_no_term_where_y_is_0() -> None:
    """Not even at the ends of a dtype, where the logarithm of the probability is no number."""
    for dtype in (np.float16, np.float32, np.float64):
        most = np.finfo(dtype).max
        z = np.array([[most, -most, 0], [-most, -most, -most]], dtype)
        costs = eq.cross_entropy(z, np.array([0, 2]))
        assert costs.dtype == dtype
        np.testing.assert_allclose(costs, [0, log(3)], rtol=1e-3)
        soft = eq.cross_entropy(z, np.array([[1, 0, 0], [0.5, 0.5, 0]], dtype))
        np.testing.assert_allclose(soft, [0, log(3)], rtol=1e-3)
        # the true cost, twice the greatest number, is none of this dtype
        assert eq.cross_entropy(z, np.array([1, 0]))[0] == np.inf
        assert eq.cross_entropy_dz(z, np.array([1, 0]))[0].tolist() == [1, -1, 0]


def assert_cross_entropy_dz_is_equation_15() -> None:
    z = np.array([[log(1), log(2), log(5)]] * 2)
    np.testing.assert_allclose(
        eq.cross_entropy_dz(z, np.array([[0.5, 0, 0.5], [0, 1, 0]])),
        [[1 / 8 - 0.5, 2 / 8, 5 / 8 - 0.5], [1 / 8, 2 / 8 - 1, 5 / 8]],
        rtol=1e-14,
    )


@pytest.mark.equation(13)
def test_mean_cost_values():
    assert_mean_cost_values()


@pytest.mark.equation(13)
def test_mean_cost_derivative_values():
    assert_mean_cost_derivative_values()


@pytest.mark.equation(13)
def test_mean_cost_derivative_is_the_difference():
    costs, weight = normal(5), np.array([0.0, 1, 2, 0.5, 7])
    for w in (None, weight):
        mean = lambda c, w=w: np.asarray(eq.mean_cost(c, w))  # noqa: E731
        assert_derivative(mean, costs, lambda u, w=w: u * eq.mean_cost_derivative(costs, w))


@pytest.mark.equation(13)
def test_equal_weights_are_none_and_a_weight_of_two_is_a_sample_twice():
    costs = np.array([1.0, 5.0, 3.0])
    assert eq.mean_cost(costs, np.full(3, 7.0)) == pytest.approx(eq.mean_cost(costs), rel=1e-15)
    twice = np.array([1.0, 1.0, 5.0, 3.0])
    weighted = eq.mean_cost(costs, np.array([2.0, 1, 1]))
    assert weighted == pytest.approx(eq.mean_cost(twice), rel=1e-15)


@pytest.mark.equation(13)
def test_large_weights_are_shares():
    assert_large_weights_are_shares()


@pytest.mark.equation(14)
def test_cross_entropy_values():
    assert_cross_entropy_values()


@pytest.mark.equation(14, 15)
def test_cross_entropy_does_not_underflow():
    assert_cross_entropy_does_not_underflow()


@pytest.mark.equation(14, 15)
def test_cross_entropy_has_no_term_where_y_is_0():
    assert_cross_entropy_has_no_term_where_y_is_0()


@pytest.mark.equation(15)
def test_cross_entropy_dz_is_equation_15():
    assert_cross_entropy_dz_is_equation_15()


@pytest.mark.equation(15)
@given(b=st.integers(1, 4), m=st.integers(2, 8), soft=st.booleans())
def test_cross_entropy_dz_is_the_difference(b, m, soft):
    z = normal(b, m)
    y = eq.softmax(normal(b, m, seed=3)) if soft else np.arange(b) % m
    dz = lambda u: u[:, None] * eq.cross_entropy_dz(z, y)  # noqa: E731
    assert_derivative(lambda z: eq.cross_entropy(z, y), z, dz)


@pytest.mark.equation(14, 15)
def test_the_cost_through_the_jacobian_is_its_short_form():
    """(15), its first line: dE/dx . dS/dz with E = - sum y log x gives x - y."""
    z, y = normal(3, 5), eq.softmax(normal(3, 5, seed=1))
    by_x = -y / eq.softmax(z)
    long = np.einsum("bi,bij->bj", by_x, eq.softmax_jacobian(z))
    np.testing.assert_allclose(long, eq.cross_entropy_dz(z, y), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_results_have_the_dtype_of_the_arguments(dtype):
    x, w, delta = (np.ones(s, dtype) for s in ((1, 4, 4, 1), (2, 2, 1, 1), (1, 3, 3, 1)))
    z = np.ones((2, 3), dtype)
    y = np.array([0, 2])
    results = [
        eq.conv2d(x, w),
        eq.conv2d_dx(delta, w, x.shape),
        eq.conv2d_dw(delta, x, (2, 2)),
        eq.max_pool(x),
        eq.unpool(np.ones((1, 2, 2, 1), dtype), x),
        eq.relu(z),
        eq.relu_derivative(z),
        eq.softmax(z),
        eq.softmax_jacobian(z),
        eq.cross_entropy(z, y),
        eq.cross_entropy_dz(z, y),
        eq.mean_cost_derivative(np.ones(3, dtype)),
    ]
    assert {result.dtype for result in results} == {np.dtype(dtype)}
