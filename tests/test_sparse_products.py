"""Products that skip zeros: the bits of those that meet them, and of a chain, term after term.

Up to 12 rows skip none below 131,072 weights, nor does (8) without its update; so each is compared
with such a form.  Sizes lie around panels of 64 and 128 columns, blocks of 64 terms and
groups of 128 rows.
"""

import numpy as np
import pytest

from convlet import Network, _native
from convlet import equations as eq
from test_kernels import Memory, assert_same, integers, product_of

SIZES = [  # rows, depth, columns
    (1, 70, 640),
    (12, 64, 700),
    (13, 64, 640),
    (64, 63, 128),
    (64, 64, 128),
    (96, 65, 127),
    (97, 128, 130),
    (127, 129, 191),
    (128, 300, 257),
    (129, 192, 64),
    (130, 200, 70),
    (260, 67, 193),
]


def some_zeros(rng, rows, columns, share=0.5):
    """Zeros of both signs among normal numbers."""
    x = rng.normal(size=(rows, columns))
    zeros = np.copysign(0, rng.normal(size=x.shape))
    return np.where(rng.random(x.shape) < share, zeros, x).astype(np.float32)


def same(one, other):
    """The same bits; a NaN is a NaN."""
    numbers = ~(np.isnan(one) & np.isnan(other))
    return one[numbers].tobytes() == other[numbers].tobytes()


def few_by_few(k, memory, x, w, b, rng):
    """The product of so few rows at a time that none skips a zero."""
    N, M = w.shape
    parts = [x[first : first + 12] for first in range(0, len(x), 12)]
    z = [product_of(k, memory, part, (N, 1), len(part), N, w, b, M, rng) for part in parts]
    return np.concatenate(z)


@pytest.mark.equation(6)
@pytest.mark.parametrize(("rows", "N", "M"), SIZES)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1])
def test_outputs(k, rows, N, M, share):
    rng = np.random.default_rng(rows)
    memory = Memory()
    x, w = memory.array(some_zeros(rng, rows, N, share)), memory.array(rng.normal(size=(N, M)))
    signs = np.copysign(rng.integers(0, 2, M), rng.normal(size=M))  # 0, -0, 1 and -1
    for b in (None, memory.array(rng.normal(size=M)), memory.array(signs)):
        z = product_of(k, memory, x, (N, 1), rows, N, w, b, M, rng)
        assert same(z, few_by_few(k, memory, x, w, b, rng))
    whole = integers(rng, rows, N) * (x != 0)
    z = product_of(
        k, memory, memory.array(whole), (N, 1), rows, N, memory.array(np.rint(w)), None, M, rng
    )
    assert_same(z, eq.dense(whole, np.rint(w)))


@pytest.mark.equation(6)
def test_what_is_not_finite_is_not_lost(k):
    """NaN and infinity are no zeros, and 0 times one of them is NaN as in the sum of all terms."""
    rng = np.random.default_rng(3)
    rows, N, M = 128, 130, 256
    for value in (np.nan, np.inf, -np.inf):
        memory = Memory()
        x, w = memory.array(some_zeros(rng, rows, N)), memory.array(rng.normal(size=(N, M)))
        x[7, 129] = value
        z = product_of(k, memory, x, (N, 1), rows, N, w, None, M, rng)
        assert same(z, few_by_few(k, memory, x, w, None, rng))
        assert not np.isfinite(z[7]).any()
        assert np.isfinite(np.delete(z, 7, 0)).all()
        x[7, 129], w[65, 140] = 0, value
        z = product_of(k, memory, x, (N, 1), rows, N, w, None, M, rng)
        assert same(z, few_by_few(k, memory, x, w, None, rng))
        assert np.isnan(z[x[:, 65] == 0, 140]).all()
        assert np.isfinite(np.delete(z, 140, 1)).all()


def fading(rng, rows, N):
    """Rows whose sums are so small that they round to -0 before the last term, 0 or -0."""
    x = np.zeros((rows, N), np.float32)
    x[:, -2] = 1e-30
    x[:, -1] = np.copysign(0, rng.normal(size=rows))
    return x


@pytest.mark.equation(6, 8)
def test_a_sum_that_rounds_to_negative_zero(k):
    """-0 + 0 is 0: the terms that are 0 count there."""
    rng = np.random.default_rng(4)
    N, M, rows = 70, 256, 128
    memory = Memory()
    x, w = memory.array(fading(rng, rows, N)), memory.array(rng.normal(size=(N, M)))
    w[-2] = -1e-30
    z = product_of(k, memory, x, (N, 1), rows, N, w, None, M, rng)
    assert same(z, few_by_few(k, memory, x, w, None, rng))
    assert (z == 0).all()
    assert 0 < np.signbit(z).mean() < 1

    columns = memory.array(x.T.copy())  # (N, rows): N samples
    outputs = {}
    for shards in (1, 2):  # the sums of shards are never without the zeros
        delta, flat = memory.array(w), memory.array(np.zeros((rows, M)))
        optimizer = _native.Optimizer(_native.UpdateKind.momentum, 0, 0, 0, 0)
        rule = _native.testing.update_rule(optimizer, 1, 1, 1)
        m, v = memory.array(np.full((rows, M), -1.0)), memory.array(np.ones((rows, M)))
        k.product_update(rule, columns, 1, rows, rows, N, shards, delta, M, M, flat, M, m, v)
        outputs[shards] = m
    expected = memory.empty(rows, M)
    k.product(columns, 1, rows, rows, N, memory.array(w), M, M, None, expected, M)
    assert 0 < np.signbit(expected).mean() < 1
    memory.assert_guards_whole()
    zero = memory.array(np.full((rows, M), -1.0))
    k.update(
        rule, memory.array(np.zeros((rows, M))), expected, zero, memory.array(np.ones((rows, M)))
    )
    assert same(outputs[1], zero)


@pytest.mark.equation(6)
@pytest.mark.parametrize("bias", [None, 0.0])
@pytest.mark.parametrize(("N", "M"), [(300, 441), (1200, 441)])
def test_a_sum_of_one_row_that_rounds_to_negative_zero(k, bias, N, M):
    """Rows of w whose factor is 0 are not read: a form from 131,072 weights, one from 524,288."""
    rng = np.random.default_rng(5)
    memory = Memory()
    w = memory.array(rng.normal(size=(N, M)))
    b = bias if bias is None else memory.array(np.full(M, bias))
    for last in (0.0, -0.0):
        x = memory.array(np.zeros((1, N)))
        x[0, -3:] = 1e-30, 0, last
        w[-3] = -1e-30
        few = [memory.array(w[:, j : j + 49]) for j in range(0, M, 49)]
        parts = [
            product_of(k, memory, x, (N, 1), 1, N, one, b if b is None else b[:49], 49, rng)
            for one in few
        ]
        z = product_of(k, memory, x, (N, 1), 1, N, w, b, M, rng)
        assert same(z, np.concatenate(parts, 1))
        assert (z == 0).all()
        assert 0 < np.signbit(z).mean() < 1


@pytest.mark.equation(7)
@pytest.mark.parametrize(("rows", "M", "N"), SIZES)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_errors(k, rows, M, N, share):
    """Columns in whole panels, or none where it does not pay: the bits of the sum of all terms."""
    rng = np.random.default_rng(rows)
    memory = Memory()
    dx_row = N + 3
    dx = memory.empty(rows, dx_row)
    delta = memory.array(some_zeros(rng, rows, M + 2, share))
    w = memory.array(rng.normal(size=(N, M)))
    done = k.sparse_error(delta, M + 2, rows, M, w, N, dx, dx_row)
    memory.assert_guards_whole()
    pays = rows >= 96 and M >= 64 and share >= 0.5
    assert done in ((N // 64 * 64, N // 128 * 128) if pays else (0,))
    turned = memory.array(delta[:, :M].T)
    whole = product_of(k, memory, w, (M, 1), N, M, turned, None, rows, rng)
    assert same(dx[:, :done].copy(), whole[:done].T.copy())
    assert (np.ascontiguousarray(dx[:, done:]).view(np.uint32) == 0xFBFBFBFB).all()


@pytest.mark.equation(7)
def test_errors_through_weights_that_are_not_finite(k):
    rng = np.random.default_rng(8)
    memory = Memory()
    delta, w = memory.array(some_zeros(rng, 128, 100)), memory.array(rng.normal(size=(128, 100)))
    w[70, 90] = np.inf
    dx = memory.empty(128, 128)
    assert k.sparse_error(delta, 100, 128, 100, w, 128, dx, 128) == 128
    whole = product_of(k, memory, w, (100, 1), 128, 100, memory.array(delta.T), None, 128, rng)
    assert same(dx, whole.T.copy())
    assert np.isnan(dx[delta[:, 90] == 0, 70]).all()


@pytest.mark.equation(8, 21)
@pytest.mark.parametrize("B", [15, 16, 64, 65, 200, 256, 257])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1])
def test_updates(k, B, share):
    """The step fused with (8) where x has zeros; in shards they are met."""
    rng = np.random.default_rng(B)
    rule = _native.testing.update_rule(
        _native.Optimizer(_native.UpdateKind.adam, 0.9, 0.99, 1e-6, 0.01), 3, 0.1, 0.7
    )
    for N, M in ((1, 128), (31, 127), (33, 130), (64, 257), (70, 63)):
        memory = Memory()
        x = memory.array(some_zeros(rng, B, N + 3, share))
        delta = memory.array(some_zeros(rng, B, M, 0.3))
        w, m, v = (memory.array(np.abs(rng.normal(size=(N, M)))) for _ in range(3))
        apart = [memory.array(array) for array in (w, m, v)]
        for shards in (1, 2):
            parts = []
            for n in range(shards):
                first, last = n * B // shards, (n + 1) * B // shards
                parts.append(memory.empty(N, M))
                k.product(
                    x[first:], 1, N + 3, N, last - first, delta[first:], M, M, None, parts[-1], M
                )
            k.update(rule, apart[0], memory.array(sum(parts[1:], parts[0])), *apart[1:])
            k.product_update(rule, x, 1, N + 3, N, B, shards, delta, M, M, w, M, m, v)
            for one, other in zip((w, m, v), apart, strict=True):
                assert one.tobytes() == other.tobytes(), f"{B} samples, {N} to {M}, {shards} shards"
        memory.assert_guards_whole()


@pytest.mark.equation(6, 7, 8)
@pytest.mark.parametrize("images", [1, 40, 130, 300])
def test_a_network_gives_the_same_bits_for_any_number_of_threads(target, images):
    """Chunks are larger on one thread, and more products skip zeros."""
    net = Network("flatten, dense 256, relu, dense 192, relu, dense 10, softmax", (9, 9, 1), seed=1)
    assert net.engine.core.target == target
    rng = np.random.default_rng(images)
    x = np.maximum(rng.normal(size=(images, 9, 9, 1)), 0).astype(np.float32)
    one = net.engine.logits(net.flat, x, 1)
    for threads in (2, 3):
        assert net.engine.logits(net.flat, x, threads).tobytes() == one.tobytes()
    for some in range(0, images, 7):  # few at a time skip nothing
        part = net.engine.logits(net.flat, x[some : some + 7], 1)
        assert part.tobytes() == one[some : some + 7].tobytes()
