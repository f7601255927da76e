"""Two affine maps as one: the same numbers as one after the other, or none at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlet.interchange.chain import NO_MARGINS
from convlet.interchange.maps import Map, TooLargeError, compose, full, matrix

SIDES = st.integers(1, 7)
PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
MARGINS = st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2)


def computed(of: Map, x: np.ndarray) -> np.ndarray:
    """y by the definition, a window at a time."""
    taps = full(of)
    (above, _), (left, _) = of.margins
    padded = np.pad(x, [*of.margins, (0, 0)])
    y = np.zeros(of.output_shape)
    for i, j in np.ndindex(y.shape[:2]):
        row, column = i * of.stride[0], j * of.stride[1]
        window = padded[row : row + of.size[0], column : column + of.size[1]]
        y[i, j] = np.einsum("pqr,pqrk->k", window, taps)
    assert (above, left) == (of.margins[0][0], of.margins[1][0])
    y = y if of.gain is None else of.gain * y
    return y if of.constant is None else y + of.constant


@st.composite
def maps(draw, x_shape=None) -> Map:
    shape = x_shape or draw(st.tuples(SIDES, SIDES, st.integers(1, 2)))
    margins = draw(MARGINS)
    size = [draw(st.integers(1, min(4, n + sum(m)))) for n, m in zip(shape, margins, strict=False)]
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    outputs = draw(st.integers(0, 2))  # 0: each channel by itself
    taps = random.normal(size=(*size, shape[2], *[outputs] * (outputs > 0)))
    found = Map(shape, taps, draw(PAIRS), margins)
    i, j, k = found.output_shape
    gain = random.normal(size=(i, j, k)) if draw(st.booleans()) and draw(st.booleans()) else None
    kinds = [None, random.normal(size=k), random.normal(size=(i, j, k))]
    constant = draw(st.sampled_from(kinds))
    return Map(shape, taps, found.stride, margins, gain, constant)


@st.composite
def pairs(draw) -> tuple[Map, Map]:
    first = draw(maps())
    return first, draw(maps(first.output_shape))


def assert_same(first: Map, second: Map) -> Map | None:
    x = np.random.default_rng(0).normal(size=first.x_shape)
    together = compose(first, second)
    if together is not None:
        assert together.output_shape == second.output_shape
        expected = computed(second, computed(first, x))
        np.testing.assert_allclose(computed(together, x), expected, rtol=0, atol=1e-10)
    return together


@given(pairs())
@settings(max_examples=400)
def test_two_maps_as_one(pair):
    assert_same(*pair)


@given(pairs())
def test_without_margins_and_gain_two_maps_are_always_one(pair):
    first, second = pair
    first = Map(first.x_shape, first.taps, first.stride, first.margins)
    size = [min(a, b) for a, b in zip(second.size, first.output_shape[:2], strict=True)]
    second = Map(second.x_shape, second.taps[: size[0], : size[1]], second.stride)
    assert assert_same(first, second) is not None


@pytest.mark.parametrize(
    ("side", "taps", "stride", "margin", "later", "is_one"),
    [
        (6, 2, 2, (0, 0), (1, 1), True),  # windows side by side, and no rest
        (7, 2, 2, (0, 0), (1, 0), True),
        (7, 2, 2, (0, 0), (0, 1), False),  # the rest would come in
        (6, 3, 2, (0, 0), (1, 0), False),  # the window before the first meets one pixel
        (6, 3, 2, (1, 0), (1, 0), True),
        (6, 3, 2, (2, 0), (1, 0), True),
        (6, 1, 1, (0, 0), (3, 3), True),
    ],
)
def test_a_margin_between_two_maps(side, taps, stride, margin, later, is_one):
    """By hand: one map where windows that stand in the margin meet zeros only."""
    first = Map(
        (side, 1, 1), np.arange(1.0, taps + 1)[:, None, None], (stride, 1), (margin, (0, 0))
    )
    second = Map(first.output_shape, np.ones((2, 1, 1)), (1, 1), (later, (0, 0)))
    assert (assert_same(first, second) is not None) == is_one


def test_more_work_than_allowed_is_none():
    first = Map((4, 4, 1), np.ones((2, 2, 1, 3)))
    second = Map((3, 3, 3), np.ones((3, 3, 3, 2)))
    assert compose(first, second, 32).output_shape == (1, 1, 2)
    assert compose(first, second, 31) is None


@given(maps())
def test_one_window_as_a_matrix(found):
    """Taps in the margins meet zeros, and pixels that no window meets have weight 0."""
    (above, below), (left, right) = found.margins
    height, width, _ = found.x_shape
    stride = (height + above + below, width + left + right)
    one = Map(found.x_shape, found.taps, stride, found.margins)
    assert one.output_shape[:2] == (1, 1)
    x = np.random.default_rng(0).normal(size=found.x_shape)
    np.testing.assert_allclose(x.ravel() @ matrix(one), computed(one, x)[0, 0], rtol=0, atol=1e-12)


def test_too_many_zeros():
    wide = Map((1, 1, 3000), np.ones((1, 1, 3000)), (1, 1), NO_MARGINS)
    with pytest.raises(TooLargeError, match="would need 9,000,000 numbers, 4,194,304 are allowed"):
        full(wide)
