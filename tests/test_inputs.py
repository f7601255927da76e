"""The border: what is taken as it is, what is converted, and what is refused with which words."""

import numpy as np
import pytest

from convlet import InputError
from convlet.arrays import as_images, as_labels, as_sample_weight
from convlet.inputs import as_count, as_input_shape, as_number_below, as_positive, as_seed

SHAPE = (3, 4, 2)
GRAY = (3, 4, 1)


def images(dtype, shape=(5, 3, 4, 2)) -> np.ndarray:
    """Numbers 0 to 99, or floats 0 to 0.99."""
    levels = (np.arange(np.prod(shape)) % 100).reshape(shape)
    return (levels if dtype == np.uint8 else levels / 100).astype(dtype)


# ------------------------------------------------------------------------------------------- images


def test_uint8_and_float32_are_taken_without_a_copy():
    for dtype in (np.uint8, np.float32):
        x = images(dtype)
        assert np.shares_memory(as_images(x, SHAPE), x)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble, ">f4", ">f8"])
def test_other_floats_become_float32(dtype):
    taken = as_images(images(dtype), SHAPE)
    assert taken.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(taken, images(dtype).astype(np.float32))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::-1, ::-1, ::-1],
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: x.swapaxes(1, 2).copy().swapaxes(1, 2),
    ],
)
def test_views_become_c_ordered_with_the_same_values(view):
    x = view(images(np.float32))
    taken = as_images(x, SHAPE)
    assert taken.flags.c_contiguous
    np.testing.assert_array_equal(taken, x)


def test_read_only_and_nested_lists_are_taken():
    x = images(np.uint8)
    x.flags.writeable = False
    assert as_images(x, SHAPE) is x
    assert as_images(images(float).tolist(), SHAPE).shape == (5, 3, 4, 2)


def test_one_channel_may_be_left_out():
    x = images(np.uint8, (5, 3, 4))
    assert as_images(x, GRAY).shape == (5, 3, 4, 1)
    np.testing.assert_array_equal(as_images(x, GRAY)[..., 0], x)


def with_value(value, dtype=np.float64):
    x = images(dtype)
    x[2, 1, 3, 0] = value
    return x


@pytest.mark.parametrize(
    ("x", "shape", "message"),
    [
        (
            images(np.uint8)[0],
            SHAPE,
            r"x has shape \(3, 4, 2\), expected \(n, 3, 4, 2\), .*x\[None\]",
        ),
        (
            images(np.uint8, (3, 4)),
            GRAY,
            r"x has shape \(3, 4\), expected \(n, 3, 4, 1\).*x\[None\]",
        ),
        (images(np.uint8, GRAY), GRAY, r"x has shape \(3, 4, 1\), expected .*x\[None\]"),
        (images(np.uint8)[None], SHAPE, r"x has shape \(1, 5, 3, 4, 2\), expected \(n, 3, 4, 2\)"),
        (images(np.uint8), (4, 3, 2), r"x has shape \(5, 3, 4, 2\), expected \(n, 4, 3, 2\)"),
        (images(np.uint8), (3, 4, 1), r"x has shape \(5, 3, 4, 2\), expected \(n, 3, 4, 1\)"),
        (images(np.uint8, (5, 3, 4)), SHAPE, r"x has shape \(5, 3, 4\), expected \(n, 3, 4, 2\)"),
        (images(np.uint8, (5, 24)), SHAPE, r"x has shape \(5, 24\), expected \(n, 3, 4, 2\)"),
        (images(np.uint8)[:0], SHAPE, r"x has shape \(0, 3, 4, 2\), expected at least one image"),
        (np.float64(3), SHAPE, r"x has shape \(\), expected \(n, 3, 4, 2\)"),
        (images(np.int64), SHAPE, r"x has dtype int64, expected uint8 \(0 to 255\) or a float"),
        (images(np.int8), SHAPE, r"x has dtype int8, expected uint8"),
        (images(np.bool_), SHAPE, r"x has dtype bool, expected uint8"),
        (images(np.complex64), SHAPE, r"x has dtype complex64, expected uint8"),
        (images(str), SHAPE, r"x has dtype <U\d+, expected uint8"),
        (None, SHAPE, r"x is a NoneType, expected \(n, 3, 4, 2\)"),
        ([[1.0, 2.0], [3.0]], SHAPE, r"x is no array .* expected \(n, 3, 4, 2\)"),
        (with_value(np.nan), SHAPE, r"x\[2, 1, 3, 0\] is nan, expected finite float32 numbers"),
        (with_value(np.inf), SHAPE, r"x\[2, 1, 3, 0\] is inf, expected finite"),
        (with_value(-np.inf, np.float16), SHAPE, r"x\[2, 1, 3, 0\] is -inf, expected finite"),
        (with_value(1e39), SHAPE, r"x\[2, 1, 3, 0\] is inf, expected finite float32"),
        (
            np.stack([with_value(np.inf), with_value(-np.inf)])[:, 2],
            SHAPE,
            r"x\[0, 1, 3, 0\] is inf",
        ),
    ],
)
def test_wrong_images_are_refused(x, shape, message):
    with pytest.raises(InputError, match=message):
        as_images(x, shape)


def test_large_finite_values_are_refused_as_what_they_are():
    with pytest.raises(InputError, match=r"x holds floats from 3e\+38 to 3e\+38, expected black"):
        as_images(np.full((5, *SHAPE), 3e38, np.float32), SHAPE)


# ------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    "y",
    [
        [0, 2, 1],
        np.array([0, 2, 1], np.uint8),
        np.array([0, 2, 1], np.int64),
        np.array([0.0, 2.0, 1.0]),
        np.array([0, 9, 2, 9, 1])[::2],
    ],
)
def test_classes_become_int32(y):
    taken = as_labels(y, 3, 3)
    assert taken.dtype == np.int32
    assert taken.flags.c_contiguous
    assert taken.tolist() == [0, 2, 1]


def test_booleans_are_two_classes():
    assert as_labels([True, False], 2, 2).tolist() == [1, 0]


def test_distributions_become_float32():
    taken = as_labels(np.array([[0.25, 0.75], [1, 0]]), 2, 2)
    assert taken.dtype == np.float32
    assert taken.tolist() == [[0.25, 0.75], [1, 0]]
    assert as_labels([[1, 0], [0, 1]], 2, 2).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 3, 1], r"y\[1\] is 3, expected 0 to 2: the network has 3 classes"),
        ([0, 1, -1], r"y\[2\] is -1, expected 0 to 2"),
        (np.array([0, 2**63, 1], np.uint64), r"y\[1\] is 9223372036854775808, expected 0 to 2"),
        ([0, 1.5, 1], r"y\[1\] is 1.5, expected a whole number: classes are 0 to 2"),
        ([0, 1, np.nan], r"y\[2\] is nan, expected a whole number"),
        ([np.inf, 1, 1], r"y\[0\] is inf, expected a whole number"),
        ([0, 1e300, 1], r"y\[1\] is 1e\+300, expected 0 to 2"),
        ([0, 1], r"y has 2 labels for 3 images, expected one label for each image"),
        ([0, 1, 2, 1], r"y has 4 labels for 3 images"),
        ([], r"y has 0 labels for 3 images"),
        (np.int64(1), r"y has shape \(\), expected \(n,\) classes or \(n, 3\) distributions"),
        (np.zeros((3, 1), int), r"y has shape \(3, 1\), expected \(n,\) classes or \(n, 3\)"),
        (np.full((3, 4), 0.25), r"y has shape \(3, 4\), expected \(n,\) classes or \(n, 3\)"),
        (np.zeros((3, 3, 3)), r"y has shape \(3, 3, 3\), expected \(n,\) classes"),
        (["0", "1", "2"], r"y has dtype <U1, expected whole numbers 0 to 2 or distributions"),
        ([None, 1, 2], r"y has dtype object, expected whole numbers"),
        (np.array([0, 1, 2], complex), r"y has dtype complex128, expected whole numbers"),
        ([[1, 0], [1]], r"y is no array .* expected \(n,\) classes or \(n, 3\) distributions"),
        ([[0, 1, 0], [0.5, 0.6, 0], [1, 0, 0]], r"y\[1\] adds up to 1.1, expected 1: \(15\) needs"),
        ([[0, 1, 0], [0, 0, 0], [1, 0, 0]], r"y\[1\] adds up to 0, expected 1"),
        ([[0, 1, 0], [1.5, -0.5, 0], [1, 0, 0]], r"y\[1, 1\] is -0.5, expected a probability of 0"),
        ([[0, 1, 0], [np.nan, 1, 0], [1, 0, 0]], r"y\[1, 0\] is nan, expected a probability"),
        ([[0, np.inf, 0], [0, 1, 0], [1, 0, 0]], r"y\[0, 1\] is inf, expected a probability"),
    ],
)
def test_wrong_labels_are_refused(y, message):
    with pytest.raises(InputError, match=message):
        as_labels(y, 3, 3)


# ------------------------------------------------------------------------------------------ weights


def test_weights_become_float32_and_none_stays():
    assert as_sample_weight(None, 3) is None
    taken = as_sample_weight([0, 2, 1], 3)
    assert taken.dtype == np.float32
    assert taken.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, -1, 1], r"sample_weight\[1\] is -1.0, expected a finite number of 0 or more"),
        ([1, 1, np.nan], r"sample_weight\[2\] is nan, expected a finite number"),
        ([np.inf, 1, 1], r"sample_weight\[0\] is inf, expected a finite number"),
        ([1e39, 1, 1], r"sample_weight\[0\] is inf, expected a finite number"),
        ([0, 0, 0], r"sample_weight is zero everywhere, expected at least one positive weight"),
        ([0, 1e-300, 0], r"sample_weight is at most 1e-300, which float32 rounds to 0: scale"),
        (
            [1, 1],
            r"sample_weight has shape \(2,\) and dtype int64, expected \(3,\) numbers, one for",
        ),
        (np.ones((3, 1)), r"sample_weight has shape \(3, 1\) .*, expected \(3,\) numbers"),
        (2.0, r"sample_weight has shape \(\) .*, expected \(3,\) numbers"),
        (["a", "b", "c"], r"sample_weight has shape \(3,\) and dtype <U1, expected \(3,\) numbers"),
        ([1, [2], 3], r"sample_weight is no array .* expected \(3,\) numbers"),
    ],
)
def test_wrong_weights_are_refused(weight, message):
    with pytest.raises(InputError, match=message):
        as_sample_weight(weight, 3)


# ------------------------------------------------------------------------------------------ numbers


def test_numbers_that_are_taken():
    assert as_count(np.int64(7), "n") == 7
    assert as_seed(2**64 - 1) == 2**64 - 1
    assert as_seed(0) == 0
    assert as_positive(np.float32(0.5), "rate", 1) == 0.5
    assert as_positive(1, "rate", 1) == 1.0
    assert as_positive(np.finfo(np.float32).tiny, "rate", 1) == 2.0**-126
    halves = np.float32(0.5), np.float64(0.5)
    assert [as_number_below(half, "share", 0, 1) for half in halves] == [0.5, 0.5]
    assert as_number_below(np.uint8(0), "share", 0, 1) == 0.0
    assert as_input_shape([28, 27]) == (28, 27, 1)
    assert as_input_shape(np.array([28, 27, 3])) == (28, 27, 3)


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, 1.5, "3", None, True, np.True_, [3], 2**31 + 1, np.nan]
)
def test_wrong_counts_are_refused(value):
    with pytest.raises(
        InputError, match=r"epochs is .*, expected a whole number from 1 to 2147483648"
    ):
        as_count(value, "epochs")


@pytest.mark.parametrize("value", [-1, 2**64, 0.0, "0", None, False])
def test_wrong_seeds_are_refused(value):
    with pytest.raises(
        InputError, match=r"seed is .*, expected a whole number from 0 to 1844674407"
    ):
        as_seed(value)


@pytest.mark.parametrize(
    "value", [0, -0.1, np.nan, np.inf, "0.1", None, True, np.True_, 1e7, 10**400, [0.1], 1j]
)
def test_wrong_positive_numbers_are_refused(value):
    with pytest.raises(
        InputError, match=r"learning_rate is .*, expected a number above 0, at most"
    ):
        as_positive(value, "learning_rate", 1e6)


@pytest.mark.parametrize("value", [1e-39, 1e-300, 5e-324])
def test_numbers_that_float32_rounds_away_are_refused(value):
    with pytest.raises(InputError, match=r"learning_rate is .*, expected 1.18e-38 or more"):
        as_positive(value, "learning_rate", 1e6)


@pytest.mark.parametrize("value", [np.float32(1), np.float64(-0.1), np.True_, True, "0", None])
def test_wrong_shares_are_refused(value):
    with pytest.raises(InputError, match=r"share is .*, expected a number from 0, below 1"):
        as_number_below(value, "share", 0, 1)


@pytest.mark.parametrize(
    "value",
    [
        (),
        (28,),
        (28, 28, 1, 1),
        (0, 28, 1),
        (28, -1),
        (28, 28, 0),
        (28.0, 28),
        28,
        "28x28",
        None,
        (1 << 17, 1, 1),
        (1 << 14, 1 << 13, 1),
    ],
)
def test_wrong_input_shapes_are_refused(value):
    with pytest.raises(
        InputError,
        match=r"input_shape is .*, expected \(rows, columns, channels\), as in \(28, 28, 1\): each"
        r" from 1 to 65536, together at most 67108864",
    ):
        as_input_shape(value)
