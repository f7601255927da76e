"""Equations (26)-(36) against hand values, fractions and integers of Python.

The assert_* functions without arguments are also what test_mutation.py expects to fail.
"""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.layers import Conv2D
from convlet.quantised import equations as eq
from convlet.quantised import ranges
from convlet.quantised.equations import Grid
from convlet.quantised.stages import QuantizedStage
from convlet.stages import group
from convlet.text import parse_layers
from whole_numbers import bytes_of, images_of, networks, random_network

HALF = Fraction(1, 2)


def int8(*values: int) -> np.ndarray:
    return np.array(values, np.int8)


def int32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


# --------------------------------------------------------------------------- bytes for numbers


def assert_nearest_rounds_halves_upward() -> None:
    values = [0.5, 1.5, -0.5, -2.5, -2.6, 2.4, 0.49999999999999994, -0.5000000000000001]
    assert eq.nearest(np.array(values)).tolist() == [1, 2, 0, -2, -3, 2, 0, -1]


def assert_bytes_stand_for_numbers() -> None:
    """(26) with g = 1/2, o = 3: 2.25 is 4.5 steps and becomes 5; -70 is below the grid."""
    grid = Grid(0.5, 3)
    assert eq.real(int8(-128, 3, 4, 127), grid).tolist() == [-65.5, 0, 0.5, 62]
    found = eq.rounded(np.array([2.25, -2.25, 0, -70, 70]), grid)
    assert found.dtype == np.int8
    assert found.tolist() == [8, -1, 3, -128, 127]


def assert_pixels_are_exact() -> None:
    """(27): every level is itself, u / 255."""
    u = np.arange(256, dtype=np.uint8)
    x_hat = eq.pixels(u)
    assert x_hat.dtype == np.int8
    assert x_hat.tolist() == list(range(-128, 128))
    np.testing.assert_allclose(eq.real(x_hat, eq.PIXELS), u / 255, rtol=1e-15)


def assert_weights_by_hand() -> None:
    """(28): channel 0 has 127 as its largest, so h = 1; channel 2 is all zeros."""
    w = np.array([[127, -2.54, 0], [63.5, 1, 0], [-2.5, 0.02, 0]], np.float32)
    h = eq.weight_scales(w, None, 1.0)
    assert h.tolist() == [1, pytest.approx(0.02), 1]
    w_hat = eq.whole_weights(w, h)
    assert w_hat.dtype == np.int8
    assert w_hat.tolist() == [[127, -127, 0], [64, 50, 0], [-2, 1, 0]]
    assert eq.weight_scales(np.zeros((2, 2)), None, 1.0).tolist() == [1, 1]


def assert_a_bias_without_weights_fits() -> None:
    """(28), its second term: b / (g h) is 2^29 at most."""
    w, b = np.full((1, 2), 1e-30), np.array([-3.0, 1e-30])
    h = eq.weight_scales(w, b, 0.25)
    assert h[0] == 3 / (0.25 * 2**29)
    assert eq.whole_biases(b, 0.25, h)[0] == -(2**29)
    positions = np.stack([b, 2 * b])  # the largest over (i, j) counts
    assert eq.weight_scales(w, positions, 0.25)[0] == 2 * h[0]


def assert_biases_by_hand() -> None:
    """(29): g h = 1/8, 1/4."""
    found = eq.whole_biases(np.array([[1.0, -1.0], [0.3125, 0.125]]), 0.5, np.array([0.25, 0.5]))
    assert found.dtype == np.int32
    assert found.tolist() == [[8, -4], [3, 1]]


# ----------------------------------------------------------------------------------- one stage


def stage_of(text: str, shape: tuple[int, int, int]):
    return group(parse_layers(text), shape)[0]


def assert_sums_by_hand() -> None:
    """(30): the flipped kernel ((1, 3), (-2, 2)) of the example of the derivation, zero -128."""
    stage = stage_of("conv 1 2, flatten, dense 2, softmax", (3, 3, 1))
    x = np.array([[1, 2, 3], [0, 1, 2], [1, 0, 2]])[None, ..., None]
    w = np.array([[1, 3], [-2, 2]], np.int8)[..., None, None]
    z = eq.sums(stage, (x - 128).astype(np.int8), -128, w, int32(10))
    assert z.dtype == np.int64
    assert z[0, ..., 0].tolist() == [[9, 13], [11, 10]]


def assert_frames_are_the_zero_point() -> None:
    """(30): padding adds nothing, whatever byte stands for 0."""
    stage = stage_of("conv 1 3 padding same, flatten, dense 2, softmax", (2, 2, 1))
    x = int8(5, 7, 9, 4).reshape(1, 2, 2, 1)
    z = eq.sums(stage, x, 5, np.ones((3, 3, 1, 1), np.int8), int32(0))
    assert z.ravel().tolist() == [0 + 2 + 4 - 1] * 4


def assert_large_sums_are_exact() -> None:
    """(30): beyond what float32 holds, to the last unit, in stages of both kinds."""
    stage = stage_of("flatten, dense 1, dense 2, softmax", (40, 40, 1))
    w = np.full((1600, 1), 127, np.int8)
    w[0] = 126
    z = eq.sums(stage, np.full((1, 1600), 127, np.int8), -128, w, int32(1))
    assert z.item() == 1600 * 127 * 255 - 255 + 1
    assert eq.largest_sum(w, int32(1)) > 1 << 24


def assert_the_bound_holds() -> None:
    """(31): no image can give more, and one nearly does; folded in, the zero point too."""
    rng = np.random.default_rng(0)
    w, b = rng.integers(-127, 128, (50, 3)).astype(np.int8), int32(9, -100, 2**20)
    bound = eq.largest_sum(w, b)
    assert bound == max(256 * sum(abs(int(v)) for v in w[:, k]) + abs(int(b[k])) for k in range(3))
    for zero, far in ((-128, 127), (127, -128)):
        worst = [abs((far - zero) * int(w[:, k][w[:, k] > 0].sum())) for k in range(3)]
        worst += [abs((far - zero) * int(w[:, k][w[:, k] < 0].sum())) for k in range(3)]
        folded = [abs(zero) * int(np.abs(w[:, k]).sum(dtype=np.int64)) for k in range(3)]
        assert max(worst) + int(np.abs(b).max()) <= bound
        assert all(2 * one + abs(int(b[k])) <= bound for k, one in enumerate(folded))
    positions = np.zeros((2, 2, 3), np.int32)
    positions[1, 1] = b
    assert eq.largest_sum(w, positions) == bound


def assert_grids_by_hand() -> None:
    """(32): -1 to 4 in 255 steps; behind a ReLU 0 is -128; a dead stage has the grid of sums."""
    scales = np.array([0.01, 0.02])
    assert eq.grid_of(-1.0, 4.1, 0.1, scales) == (pytest.approx(0.02), -78)
    assert eq.grid_of(-1.27, 1.28, 0.1, scales).zero == -1
    assert eq.grid_of(0.0, 5.1, 0.1, scales) == (pytest.approx(0.02), -128)
    assert eq.grid_of(1.0, 5.1, 0.1, scales) == (pytest.approx(0.02), -128)
    assert eq.grid_of(-5.1, -1.0, 0.1, scales) == (pytest.approx(0.02), 127)
    assert eq.grid_of(0.0, 0.0, 0.1, scales) == (0.1 * 0.02, -128)


def assert_multipliers_by_hand() -> None:
    """(33): 1 is 2^30 2^-30, 3/8 is 3 2^29 2^-32; nu is 62 at most.

    What rounds up to 2^31 is 2^30 with less shift.
    """
    m, nu = eq.multipliers(1.0, np.array([1, 0.375, 1 - 2.0**-40, 2.0**-33, 2.0**-60, 0]), 1.0)
    assert m.dtype == nu.dtype == np.int32
    assert m.tolist() == [2**30, 3 * 2**29, 2**30, 2**29, 4, 0]
    assert nu.tolist() == [30, 32, 30, 62, 62, 31]


def assert_rounding_at_ties() -> None:
    """(34): halves go up, on both sides of 0: 1/2, -1/2, 3/2, -3/2 become 1, 0, 2, -1."""
    m, nu = int32(2**30), int32(31)  # a factor of 1/2
    z = np.array([1, -1, 3, -3, 2, -2])[:, None]
    assert eq.requantised(z, m, nu, 0).ravel().tolist() == [1, 0, 2, -1, 1, -1]
    assert eq.requantised(z, m, nu, 5).ravel().tolist() == [6, 5, 7, 4, 6, 4]


def assert_bytes_end_at_the_ends() -> None:
    """(34): below and above the grid; the largest sums of int32 do not overflow 64 bits."""
    m, nu = int32(2**31 - 1, 2**30), int32(31, 30)
    most = eq.MOST_SUM
    found = eq.requantised(np.array([[most, most], [-most, -most]]), m, nu, -128)
    assert found.tolist() == [[127, 127], [-128, -128]]
    small = eq.requantised(np.array([[most], [-most]]), int32(2**31 - 1), int32(62), 3)
    assert small.tolist() == [[4], [2]]


def assert_handed_on_by_hand() -> None:
    """(35): the maximum of each window, and C order."""
    stage = stage_of("conv 2 1, pool 1x2, relu, dropout 0.5, flatten, dense 2, softmax", (2, 4, 1))
    y = np.arange(-8, 8, dtype=np.int8).reshape(1, 2, 4, 2)
    assert eq.handed_on(stage, y).tolist() == [[-6, -5, -2, -1, 2, 3, 6, 7]]


def assert_the_first_of_equal_classes() -> None:
    """(36)."""
    assert eq.decided(np.array([[-128, 5, 5], [7, 7, -1]], np.int8)).tolist() == [1, 0]


@pytest.mark.equation(26)
def test_bytes_stand_for_numbers():
    assert_nearest_rounds_halves_upward()
    assert_bytes_stand_for_numbers()


@pytest.mark.equation(27)
def test_pixels_are_exact():
    assert_pixels_are_exact()


@pytest.mark.equation(28)
def test_weights_by_hand():
    assert_weights_by_hand()
    assert_a_bias_without_weights_fits()


@pytest.mark.equation(29)
def test_biases_by_hand():
    assert_biases_by_hand()


@pytest.mark.equation(30)
def test_sums_by_hand():
    assert_sums_by_hand()
    assert_frames_are_the_zero_point()
    assert_large_sums_are_exact()


@pytest.mark.equation(31)
def test_the_bound_holds():
    assert_the_bound_holds()


@pytest.mark.equation(32)
def test_grids_by_hand():
    assert_grids_by_hand()


@pytest.mark.equation(33)
def test_multipliers_by_hand():
    assert_multipliers_by_hand()


@pytest.mark.equation(34)
def test_back_to_bytes():
    assert_rounding_at_ties()
    assert_bytes_end_at_the_ends()


@pytest.mark.equation(35)
def test_handed_on_by_hand():
    assert_handed_on_by_hand()


@pytest.mark.equation(36)
def test_the_first_of_equal_classes():
    assert_the_first_of_equal_classes()


# ------------------------------------------------------------------------- against fractions


@given(st.floats(-1e9, 1e9))
def test_nearest_is_exact(v):
    assert eq.nearest(np.array(v)) == floor(Fraction(v) + HALF)


@given(st.floats(1e-12, 1))
def test_multipliers_are_the_factor_to_31_bits(factor):
    m, nu = (int(one[0]) for one in eq.multipliers(1.0, np.array([factor]), 1.0))
    assert 0 <= m < 2**31
    assert m >= 2**30 or nu == 62
    assert abs(Fraction(m, 2**nu) - Fraction(factor)) <= Fraction(1, 2 ** (nu + 1))


@given(
    st.integers(-eq.MOST_SUM, eq.MOST_SUM),
    st.integers(0, 2**31 - 1),
    st.integers(31, 62),
    st.integers(-128, 127),
)
def test_requantised_is_the_nearest_of_the_product(z, m, nu, zero):
    expected = max(-128, min(127, zero + floor(Fraction(z * m, 2**nu) + HALF)))
    assert eq.requantised(np.array([z]), int32(m), int32(nu), zero).item() == expected
    assert max(-128, min(127, zero + (((z * m >> nu - 1) + 1) >> 1))) == expected  # as on ARM
    assert abs(max(-128, min(127, zero + rounded_twice(z, m, nu))) - expected) <= 1


def rounded_twice(z: int, m: int, nu: int) -> int:
    """At bit 31 and behind the shift, halves away from 0, as older kernels do."""
    once = (abs(z * m) + 2**30) >> 31
    twice = (once + (1 << nu - 31 >> 1)) >> (nu - 31)
    return twice if z > 0 else -twice


# -------------------------------------------------------------------------- whole networks


@settings(max_examples=60, deadline=None)
@given(networks(), st.sampled_from(list(ranges.CHOICES)), st.integers(0, 100))
def test_bytes_are_those_of_integers_of_python(network, choice, seed):
    small = network.quantize(images_of(network.input_shape, 5, seed), ranges=choice)
    images = images_of(network.input_shape, 3, seed + 1)
    found = small.predict_bytes(images)
    assert found.dtype == np.int8
    assert found.tolist() == [bytes_of(small, image) for image in images]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("conv 3 3x2 stride 2x1 padding same bias position, relu, pool 2 stride 1", (7, 6, 3)),
        ("conv 2 1 padding 2, pool 3 stride 1, relu, conv 3 2 bias none", (5, 5, 1)),
        ("conv 2 3 stride 2 bias position, conv 3 1, relu", (7, 7, 1)),
    ],
)
def test_odd_networks_are_near_their_floats(text, shape):
    """A byte of the logits is off by little: it is the network's that it was made of."""
    network = random_network(f"{text}, flatten, dense 4, softmax", shape, 3)
    images = images_of(shape, 40, 1)
    small = network.quantize(images)
    z = network.engine.logits(network.flat, images)
    spread = float(z.max() - z.min())
    assert np.abs(small.predict_logits(images) - z).max() < 0.03 * spread
    assert np.abs(small.predict_proba(images).sum(axis=1) - 1).max() < 1e-6


def parts_of(stage: QuantizedStage) -> dict[str, np.ndarray]:
    return {name: getattr(stage, name) for name in ("w", "b", "multiplier", "shift", "scales")}


def test_the_arrays_of_a_stage_are_as_they_are_said_to_be():
    network = random_network(
        "conv 3 2 bias position, relu, flatten, dense 2, softmax", (4, 5, 1), 0
    )
    small = network.quantize(images_of((4, 5, 1), 9, 0))
    conv, dense = small.parts
    assert {n: (a.dtype.str, a.shape) for n, a in parts_of(conv).items()} == {
        "w": ("|i1", (2, 2, 1, 3)),
        "b": ("<i4", (3, 4, 3)),
        "multiplier": ("<i4", (3,)),
        "shift": ("<i4", (3,)),
        "scales": ("<f8", (3,)),
    }
    assert dense.w.shape == (36, 2)
    assert (conv.x, conv.y.zero, dense.x) == (eq.PIXELS, -128, conv.y)
    assert (conv.weight_bytes, conv.other_bytes) == (12, 36 * 4 + 3 * 4 + 3)
    with pytest.raises(ValueError, match="read-only"):
        conv.w[...] = 0
    assert isinstance(conv.stage.affine, Conv2D)
