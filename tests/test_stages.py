"""Grouping layers into stages, names and views of parameters, and what does not fit."""

import numpy as np
import pytest

from convlet import ArchitectureError, Conv2D, Dense, Flatten, ReLU, Softmax, parse_layers
from convlet.stages import LIMIT, default_layers, group, parameter_shapes, views


def grouped(text: str, input_shape=(28, 28, 1)):
    return group(parse_layers(text), input_shape)


@pytest.mark.equation(22, 23)
def test_default_network_is_equation_23():
    stages = group(default_layers(), (28, 28, 1))
    assert len(stages) == 4
    assert [str(stage.affine) for stage in stages] == [
        "conv 8 5",
        "conv 16 5",
        "dense 128",
        "dense 10",
    ]
    assert [" ".join(map(str, stage.sigma)) for stage in stages] == [
        "relu pool 2",
        "relu pool 2 flatten",
        "relu",
        "softmax",
    ]
    assert [stage.x_shape for stage in stages] == [(28, 28, 1), (12, 12, 8), (256,), (128,)]
    assert [stage.z_shape for stage in stages] == [(24, 24, 8), (8, 8, 16), (128,), (10,)]
    assert [stage.output_shape for stage in stages] == [(12, 12, 8), (256,), (128,), (10,)]
    assert parameter_shapes(stages) == {
        "w0": (5, 5, 1, 8),
        "b0": (8,),
        "w1": (5, 5, 8, 16),
        "b1": (16,),
        "w2": (256, 128),
        "b2": (128,),
        "w3": (128, 10),
        "b3": (10,),
    }
    assert [stage.parameter_count for stage in stages] == [208, 3216, 32896, 1290]
    assert [stage.multiply_adds for stage in stages] == [115200, 204800, 32768, 1280]
    assert stages[0].activation_count == 28 * 28 + 24 * 24 * 8 + 12 * 12 * 8


def test_biases_by_position_channel_and_none():
    text = "conv 2 3 bias position, conv 3 3 padding 1 bias none, flatten, dense 4, softmax"
    stages = grouped(text, (5, 6, 1))
    assert [stage.b_shape for stage in stages] == [(3, 4, 2), None, (4,)]
    assert list(parameter_shapes(stages)) == ["w0", "b0", "w1", "w2", "b2"]
    h, w, r = stages[1].x_shape
    assert stages[1].padded_shape == (h + 2, w + 2, r)
    assert stages[1].activation_count == 5 * 6 * 2 + 3 * 4 * 3 + 36


def test_flatten_may_come_first():
    (stage,) = grouped("flatten, dense 3, softmax", (2, 3, 2))
    assert stage.x_shape == (12,)
    assert stage.w_shape == (12, 3)


def test_views_share_the_flat_vector_in_order():
    flat = np.arange(10.0)
    arrays = views(flat, {"w0": (2, 3), "b0": (3,), "w1": (1, 1)})
    assert arrays["w0"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["b0"].tolist() == [6, 7, 8]
    arrays["w1"][...] = -1
    assert flat[9] == -1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], r"layers is empty, expected at least one conv or dense layer and softmax at the end"),
        ([Softmax()], r"layers\[0\] is softmax, expected conv or dense"),
        ([Flatten(), Softmax()], r"layers\[1\] is softmax, expected conv or dense"),
        ([ReLU(), Flatten(), Dense(2), Softmax()], r"layers\[0\] is relu, expected conv or"),
        ([Flatten(), Dense(2)], r"the last layer is dense 2, expected softmax"),
        (
            [Flatten(), Dense(2), Softmax(), ReLU()],
            r"layers\[2\] is softmax, but .* last layer only",
        ),
        ([Flatten(), Dense(2), Softmax(), Softmax()], r"layers\[2\] is softmax, but"),
        ([Flatten(), Dense(1), Softmax()], r"the last layer has 1 class, expected 2 or more"),
        (
            [Flatten(), "dense 2", Softmax()],
            r"layers\[1\] is 'dense 2', expected Conv2D, MaxPool2D",
        ),
        ([Flatten(), Dense, Softmax()], r"layers\[1\] is <class 'convlet.layers.Dense'>, expected"),
        ([Flatten(), None, Softmax()], r"layers\[1\] is None, expected Conv2D"),
        (
            [Dense(2), Softmax()],
            r"layers\[0\], dense 2 needs a flat input, not \(6, 6, 1\): put flatten before",
        ),
        ([Conv2D(2, 3), Softmax()], r"layers\[1\], softmax needs a flat input, not \(4, 4, 2\)"),
        (
            [Flatten(), Conv2D(2, 3), Softmax()],
            r"conv 2 3 needs an input \(rows, columns, channels",
        ),
        ([Conv2D(2, 7), Flatten(), Dense(2), Softmax()], r"kernel 7 is larger than its input, 6x6"),
        (
            parse_layers("conv 2 3, pool 2, pool 3, flatten, dense 2, softmax"),
            r"layers\[2\], pool 3: window 3 is larger than its input, 2x2 pixels",
        ),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
    with pytest.raises(ArchitectureError, match=message):
        group(layers, (6, 6, 1))


def test_a_typing_error_is_refused_and_not_allocated():
    with pytest.raises(
        ArchitectureError,
        match=r"the layers need 823132160 parameters, expected at most 268435456: "
        r"make layer 'dense 1048576' smaller, which needs 823132160",
    ):
        grouped("flatten, dense 1048576, softmax")
    with pytest.raises(
        ArchitectureError,
        match=r"the layers need \d+ activations for one image, expected at most 268435456: "
        r"make layer 'conv 500000 1' smaller, which needs 392503136",
    ):
        grouped("conv 4 1, conv 500000 1, pool 28, flatten, dense 2, softmax")


def test_padding_counts_as_activations():
    """A huge margin under a huge stride leaves a small z, but it is allocated all the same."""
    with pytest.raises(ArchitectureError, match=r"activations for one image, expected at most"):
        grouped("conv 2 28 stride 90000 padding 90000, flatten, dense 2, softmax")


def test_the_limit_itself_is_allowed():
    side = 1 << 13
    assert side * (1 << 15) == LIMIT
    (stage,) = grouped("flatten, dense 32768 bias none, softmax", (side, 1, 1))
    assert stage.parameter_count == LIMIT
    with pytest.raises(ArchitectureError, match=r"need 268468224 parameters"):
        grouped("flatten, dense 32768, softmax", (side, 1, 1))
