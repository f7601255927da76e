"""Dense stages beside the widths of vectors and tiles, for one image and several, in every bit.

All numbers are small integers: every order of adding gives the same sum.
"""

from itertools import product

import numpy as np
import pytest

from convlet import Network
from convlet import equations as eq
from test_kernels import Memory, assert_same, integers, product_of

VECTORS = (8, 16)
WIDTHS = sorted(
    {n for N in VECTORS for n in (1, N - 1, N, N + 1, 3 * N, 8 * N - 1, 8 * N, 8 * N + 2, 17 * N)}
)
IMAGES = (1, 2, 5, 6, 7, 8, 9, 17)


@pytest.mark.equation(6)
@pytest.mark.parametrize("images", IMAGES)
def test_product_with_a_bias_and_without(k, images):
    rng = np.random.default_rng(images)
    for M, biased in product(WIDTHS, (True, False)):
        N = int(rng.integers(1, 20))
        x, w, b = integers(rng, images, N), integers(rng, N, M), integers(rng, M) + 10
        memory = Memory()
        arrays = memory.array(x), memory.array(w), memory.array(b) if biased else None
        z = product_of(k, memory, arrays[0], (N, 1), images, N, *arrays[1:], M, rng)
        assert_same(z, eq.dense(x, w) + (b if biased else 0), f"{N} to {M}, bias: {biased}")


@pytest.mark.equation(6, 16, 17)
@pytest.mark.parametrize("images", [1, 2, 9])
@pytest.mark.parametrize("units", WIDTHS)
def test_logits_of_a_network(target, units, images):
    rng = np.random.default_rng(units)
    net = Network(f"flatten, dense {units}, relu, dense {units + 1}, softmax", (2, 3, 2))
    assert net.engine.core.target == target
    net.flat[...] = integers(rng, net.flat.size)
    w0, b0, w1, b1 = (net.parameters[name].astype(np.float64) for name in ("w0", "b0", "w1", "b1"))
    x = integers(rng, images, 2, 3, 2)
    z = np.maximum(x.reshape(images, 12) @ w0 + b0, 0) @ w1 + b1
    for threads in (1, 2):
        assert_same(net.engine.logits(net.flat, x, threads), z, f"{threads} threads")
