"""Layers: their normal form, their shape rules, and what they refuse."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import ArchitectureError, Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet import equations as eq


def test_one_number_stands_for_two():
    assert Conv2D(8, 5, 2) == Conv2D(8, (5, 5), (2, 2))
    assert MaxPool2D(3) == MaxPool2D((3, 3), (3, 3))
    assert MaxPool2D(3, 2).stride == (2, 2)
    assert Conv2D(np.int64(8), np.uint8(5), [1, np.int32(2)]) == Conv2D(8, 5, (1, 2))
    assert type(Conv2D(np.int64(8), 5).channels) is int


def test_numbers_of_numpy_become_those_of_python():
    assert Dropout(np.float32(0.5)) == Dropout(np.float64(0.5)) == Dropout(0.5)
    assert type(Dropout(np.float32(0.5)).rate) is float
    assert Dropout(np.int64(0)) == Dropout(0.0)
    assert Dense(np.uint8(8), bias=np.False_) == Dense(8, bias=False)
    assert type(Dense(8, np.True_).bias) is bool
    assert Conv2D(8, 5, padding=np.int16(1)) == Conv2D(8, 5, padding=1)
    for wrong in (np.True_, np.float32(0.995)):
        with pytest.raises(ArchitectureError, match=r"rate is .*, expected a number from 0 to"):
            Dropout(wrong)
    with pytest.raises(ArchitectureError, match=r"units is 8.0, expected a whole number"):
        Dense(np.float32(8))


def test_layers_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Conv2D(8, 5).channels = 9


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2D(8, 5), (28, 28, 1), (24, 24, 8)),
        (Conv2D(8, (5, 3), (2, 3)), (28, 27, 4), (12, 9, 8)),
        (Conv2D(1, 5), (5, 5, 3), (1, 1, 1)),
        (Conv2D(2, 3, padding=2), (4, 5, 1), (6, 7, 2)),
        (Conv2D(2, 5, padding="same"), (4, 7, 1), (4, 7, 2)),
        (Conv2D(2, (2, 4), (3, 2), "same"), (7, 7, 1), (3, 4, 2)),
        (Conv2D(2, 7, padding="same"), (2, 1, 1), (2, 1, 2)),
        (MaxPool2D(2), (5, 4, 3), (2, 2, 3)),
        (MaxPool2D((3, 2), (1, 2)), (5, 5, 3), (3, 2, 3)),
        (ReLU(), (5, 4, 3), (5, 4, 3)),
        (ReLU(), (5,), (5,)),
        (Flatten(), (5, 4, 3), (60,)),
        (Flatten(), (7,), (7,)),
        (Dense(9), (7,), (9,)),
        (Softmax(), (7,), (7,)),
    ],
)
def test_output_shapes(layer, shape, expected):
    assert layer.output_shape(shape) == expected


@given(
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_same_padding_keeps_one_output_per_stride_and_is_even_but_for_one(sides, kernel, stride):
    layer = Conv2D(3, kernel, stride, "same")
    shape = (*sides, 2)
    assert layer.output_shape(shape) == (-(-sides[0] // stride[0]), -(-sides[1] // stride[1]), 3)
    margins = layer.margins(shape)
    assert all(0 <= after - before <= 1 for before, after in margins)
    z = eq.conv2d(eq.pad(np.ones(shape), margins), np.ones((*kernel, 2, 3)), stride)
    assert z.shape == layer.output_shape(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(0, 5), r"Conv2D: channels is 0, expected a whole number from 1 to 1048576"),
        (lambda: Conv2D(-3, 5), r"channels is -3, expected a whole number from 1"),
        (lambda: Conv2D(8.0, 5), r"channels is 8.0, expected a whole number"),
        (lambda: Conv2D(True, 5), r"channels is True, expected a whole number"),
        (lambda: Conv2D("8", 5), r"channels is '8', expected a whole number"),
        (lambda: Conv2D(None, 5), r"channels is None, expected a whole number"),
        (lambda: Conv2D(2**20 + 1, 5), r"channels is 1048577, expected a whole number from 1"),
        (lambda: Conv2D(8, 0), r"kernel is 0, expected a whole number from 1 .*, or two of them"),
        (lambda: Conv2D(8, (5, -1)), r"kernel is \(5, -1\), expected a whole number"),
        (lambda: Conv2D(8, (5, 5, 5)), r"kernel is \(5, 5, 5\), expected .* two of them"),
        (lambda: Conv2D(8, ()), r"kernel is \(\), expected .* two of them"),
        (lambda: Conv2D(8, 2.5), r"kernel is 2.5, expected a whole number"),
        (lambda: Conv2D(8, 5, 0), r"stride is 0, expected a whole number"),
        (lambda: Conv2D(8, 5, (1, 0)), r"stride is \(1, 0\), expected a whole number"),
        (lambda: Conv2D(8, 5, padding=-1), r'padding is -1, expected "valid", "same" or a whole'),
        (lambda: Conv2D(8, 5, padding="full"), r"padding is 'full', expected \"valid\""),
        (lambda: Conv2D(8, 5, padding=True), r"padding is True, expected"),
        (lambda: Conv2D(8, 5, padding=None), r"padding is None, expected"),
        (lambda: Conv2D(8, 5, padding=(1, 1)), r"padding is \(1, 1\), expected"),
        (lambda: Conv2D(8, 5, bias="all"), r"bias is 'all', expected \"channel\", \"position\" or"),
        (lambda: Conv2D(8, 5, bias=True), r"bias is True, expected \"channel\""),
        (lambda: Conv2D(8, 5, bias=["channel"]), r"bias is \['channel'\], expected"),
        (lambda: MaxPool2D(0), r"MaxPool2D: size is 0, expected a whole number"),
        (lambda: MaxPool2D(2, 0), r"MaxPool2D: stride is 0, expected a whole number"),
        (lambda: MaxPool2D((2, 2.0)), r"size is \(2, 2.0\), expected a whole number"),
        (lambda: Dense(0), r"Dense: units is 0, expected a whole number from 1"),
        (lambda: Dense(-1), r"units is -1, expected a whole number from 1"),
        (lambda: Dense(1.5), r"units is 1.5, expected a whole number"),
        (lambda: Dense(8, bias="none"), r"Dense: bias is 'none', expected True or False"),
        (lambda: Dense(8, bias=1), r"Dense: bias is 1, expected True or False"),
    ],
)
def test_wrong_sizes_are_refused(make, message):
    with pytest.raises(ArchitectureError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2D(8, 5), (4, 9, 1), r"conv 8 5: kernel 5 is larger than its input, 4x9 pixels"),
        (Conv2D(8, (1, 7)), (9, 6, 1), r"kernel 1x7 is larger than its input, 9x6 pixels"),
        (Conv2D(8, 5, padding=1), (2, 9, 1), r"2x9 pixels with padding 1: take a smaller kernel"),
        (Conv2D(8, 5), (7,), r"conv 8 5 needs an input \(rows, columns, channels\), not \(7,\)"),
        (MaxPool2D(2), (1, 9, 1), r"pool 2: window 2 is larger than its input, 1x9 pixels"),
        (MaxPool2D(2), (7,), r"pool 2 needs an input \(rows, columns, channels\), not \(7,\)"),
        (Dense(8), (5, 4, 3), r"dense 8 needs a flat input, not \(5, 4, 3\): put flatten before"),
        (Softmax(), (5, 4, 3), r"softmax needs a flat input, not \(5, 4, 3\): put flatten before"),
    ],
)
def test_wrong_inputs_are_refused(layer, shape, message):
    with pytest.raises(ArchitectureError, match=message):
        layer.output_shape(shape)


def test_padding_may_be_a_numpy_integer():
    assert Conv2D(8, 5, padding=np.int64(2)) == Conv2D(8, 5, padding=2)
