"""Each fold, for any sizes: the same probabilities, and the layers that it should give."""

import re
from collections import Counter
from math import prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chains import Maker
from convlet import ArchitectureError, Network
from convlet.interchange import chain
from convlet.interchange.chain import Chain, batch_norm
from convlet.interchange.folding import fold
from convlet.interchange.maps import FLOOR
from convlet.layers import Conv2D, Dense
from test_interchange_folding import assert_same

pytestmark = pytest.mark.filterwarnings("error")


@st.composite
def makers(draw):
    """A chain that begins with a convolution and a ReLU, so that what follows stands inside."""
    made = Maker(draw)
    made.conv()
    made.relu()
    return made


def kinds(network: Network) -> str:
    """The layers without their numbers, as "conv relu dense"."""
    return " ".join(str(layer).split()[0] for layer in network.layers)


def settled(made: Maker) -> Network:
    """The network of a chain that ends in a dense layer, as it should be."""
    if len(made.shape) == 3:
        made.flatten()
    made.dense(3)
    made.add(chain.Softmax)
    return assert_same(Chain(made.input_shape, made.steps))


def norm(made: Maker, least: float = -2.0) -> None:
    """Batch normalisation; least: of its factors."""
    units = made.shape[-1]
    gamma = made.random.uniform(least, 2, units)
    var = made.random.uniform(0.1, 3, units)
    numbers = (gamma, made.numbers(units), made.numbers(units), var)
    source = f"step {len(made.steps)}"
    found = batch_norm(source, *numbers, 1e-3)
    if len(made.shape) == 3:
        found = chain.Affine(source, found.scale[None, None], found.shift[None, None])
    made.steps.append(found)


@given(makers())
def test_batch_normalisation_behind_a_convolution_is_part_of_it(made):
    made.conv()
    norm(made)
    made.relu()
    assert kinds(settled(made)) == "conv relu conv relu flatten dense softmax"


@given(makers())
def test_batch_normalisation_before_a_convolution_is_part_of_it(made):
    norm(made)
    made.conv()
    made.relu()
    network = settled(made)
    assert kinds(network) == "conv relu conv relu flatten dense softmax"
    conv, step = network.layers[2], made.steps[3]
    has_margins = step.margins != chain.NO_MARGINS
    assert has_margins or conv.bias == "channel"


@given(makers())
def test_batch_normalisation_of_units_is_part_of_a_dense_layer(made):
    made.flatten()
    norm(made)
    assert kinds(settled(made)) == "conv relu flatten dense softmax"


@given(makers())
def test_factors_above_0_move_behind_a_pool(made):
    norm(made, least=0.1)
    made.max_pool()
    made.conv()
    made.relu()
    assert kinds(settled(made)) == "conv relu pool conv relu flatten dense softmax"


@given(makers())
def test_factors_below_0_stay_before_a_pool(made):
    made.add(chain.Affine, -np.ones((1, 1, 1)), None)
    made.max_pool()
    assert kinds(settled(made)) == "conv relu conv pool flatten dense softmax"


@given(st.data(), st.sampled_from(["scale", "shift", "norm"]))
def test_constants_at_the_input_are_part_of_the_first_layer(data, what):
    made = Maker(data.draw)
    getattr(made, what)()
    made.shift()
    made.conv()
    made.relu()
    assert kinds(settled(made)) == "conv relu flatten dense softmax"


def test_a_shift_does_not_reach_the_margins():
    """By hand: x - 1 in a frame of zeros, summed over 3x3: at a corner 4 pixels, at an edge 6."""
    steps = [
        chain.Affine("mean", None, np.float64(-1)),
        chain.Conv("sum", np.ones((1, 1, 3, 3)), None, margins=((1, 1), (1, 1))),
        chain.ReLU("relu"),
        chain.Flatten("flat"),
        chain.Dense("dense", np.ones((9, 2))),
    ]
    network = assert_same(Chain((3, 3, 1), steps), "logits")
    assert str(network.layers[0]) == "conv 1 3 padding same bias position"
    b = network.parameters["b0"][..., 0]
    np.testing.assert_array_equal(b, [[-4, -6, -4], [-6, -9, -6], [-4, -6, -4]])
    assert any("a bias for each position" in sentence for sentence in network.said)


@given(makers())
def test_a_frame_is_part_of_the_convolution_behind_it(made):
    made.pad()
    made.conv()
    made.relu()
    assert kinds(settled(made)) == "conv relu conv relu flatten dense softmax"


@given(makers())
def test_dropout_stays_where_a_layer_of_sigma_may_stand(made):
    made.dropout()
    made.conv()
    made.dropout()
    made.relu()
    assert kinds(settled(made)) == "conv relu dropout conv dropout relu flatten dense softmax"


def test_dropout_of_the_input_is_left_out_and_said():
    steps = [chain.Flatten("flat"), chain.Dropout("drop", 0.2), chain.Dense("dense", np.eye(4))]
    network = assert_same(Chain((2, 2, 1), steps), "logits")
    assert network.said[0] == "drop is left out: convlet drops no pixels of the input"


@given(makers(), st.booleans())
def test_means_are_part_of_what_follows_or_a_layer_of_their_own(made, before_a_convolution):
    """Of their own where that is less work, or where windows would differ from place to place."""
    made.average()
    if before_a_convolution:
        made.conv()
        made.relu()
    found = kinds(settled(made))
    middle = "conv relu" if before_a_convolution else ""
    assert found in (
        " ".join(f"conv relu {own} {middle} flatten dense softmax".split()) for own in ("", "conv")
    )


def test_a_mean_is_folded_where_that_is_less_work():
    """2x2 windows of 8 channels: a layer of its own needs 8 times the work of the dense one."""
    random = np.random.default_rng(0)
    steps = [
        chain.Conv("conv", random.normal(size=(8, 1, 1, 1))),
        chain.ReLU("relu"),
        chain.AveragePool("mean", (2, 2), (2, 2)),
        chain.Flatten("flat", "chw"),
        chain.Dense("dense", random.normal(size=(32, 2))),
    ]
    network = assert_same(Chain((4, 4, 1), steps), "logits")
    assert kinds(network) == "conv relu flatten dense softmax"
    assert "layer dense 2 bias none does the work of mean, dense" in network.said


@given(makers())
def test_the_mean_of_channels_is_part_of_a_dense_layer(made):
    assume(made.shape[2] >= 3)
    made.mean()
    assert kinds(settled(made)) == "conv relu flatten dense softmax"


@given(makers(), st.booleans())
def test_means_that_leave_margins_out_are_part_of_a_dense_layer(made, counts):
    made.average()
    made.steps[-1] = (
        chain.AveragePool(*vars(made.steps[-1]).values())
        if counts
        else (chain.AveragePool(*list(vars(made.steps[-1]).values())[:-1], False))
    )
    found = kinds(settled(made))
    assert re.fullmatch("conv relu (conv )?flatten dense softmax", found)


@given(makers())
def test_groups_and_dilation_are_zeros_in_a_dense_kernel(made):
    made.grouped()
    step = made.steps[-1]
    made.relu()
    network = settled(made)
    assert kinds(network) == "conv relu conv relu flatten dense softmax"
    w = network.parameters["w1"]
    assert np.count_nonzero(w) <= step.w.size  # and random numbers are hardly 0
    assert np.count_nonzero(w) == np.count_nonzero(step.w.astype(np.float32))
    assert sorted(w[w != 0]) == sorted(step.w.astype(np.float32).ravel())


def test_zeros_beyond_the_stated_blow_up_are_refused():
    channels = 1 + int(np.sqrt(FLOOR / 9))
    conv = chain.Conv("wide", np.ones((2 * channels, 1, 3, 3), np.float32), groups=channels)
    with pytest.raises(ArchitectureError, match=r"^wide would need .* numbers, 4,194,304 are"):
        fold(Chain((3, 3, channels), [conv]))


@given(makers())
def test_two_dense_layers_without_activation_are_one_where_that_is_less_work(made):
    made.flatten()
    units, (narrow,) = 4, made.shape
    made.dense(units)
    network = settled(made)
    dense = [layer.units for layer in network.layers if isinstance(layer, Dense)]
    assert dense == ([3] if 3 * narrow <= units * (narrow + 3) else [4, 3])


@given(makers())
def test_a_sigmoid_of_one_unit_is_a_softmax_of_two_classes(made):
    made.flatten()
    made.dense(1)
    made.add(chain.Sigmoid)
    network = assert_same(Chain(made.input_shape, made.steps), "second")
    assert str(network.layers[-2]).startswith("dense 2")
    assert not network.parameters[network.stages[-1].w_name][:, 0].any()


@given(makers(), st.booleans())
def test_a_softmax_is_added_where_none_is(made, log):
    made.flatten()
    made.dense(3)
    if log:
        made.add(chain.Softmax, True)
    network = assert_same(Chain(made.input_shape, made.steps), "logits")
    (said,) = [line for line in network.said if "softmax was added" in line or "logarithm" in line]
    assert ("logarithms" in said) == log


@given(makers())
@settings(max_examples=20)
def test_classes_in_the_order_of_channels_first_are_sorted(made):
    """Nothing behind a flatten: its units are the classes, and convlet has another order."""
    made.conv()
    made.add(chain.Flatten, "chw")
    assume(prod(made.shape) > 1)
    assert_same(Chain(made.input_shape, [*made.steps, chain.Softmax("softmax")]))


REFUSED = {
    "a pool with margins": (
        [chain.MaxPool("pool", (2, 2), (2, 2), ((1, 0), (0, 0)))],
        "pool has margins ((1, 0), (0, 0)): a pool without: convlet's has none",
    ),
    "means without margins before a convolution": (
        [
            chain.AveragePool("the mean", (2, 2), (1, 1), ((0, 1), (0, 1)), False),
            chain.Conv("conv", np.ones((2, 1, 2, 2))),
        ],
        "the mean weighs each position by itself: a dense layer right behind it: a convolution",
    ),
    "no image": (
        [chain.Flatten("flat"), chain.Conv("conv", np.ones((1, 1, 1, 1)))],
        "conv meets flat numbers: an image: put it before flatten",
    ),
    "a dense map of pixels": (
        [chain.Dense("dense", np.ones((1, 2)))],
        "dense is a dense map of images 4x4x1, which leaves each pixel where it is: flatten the",
    ),
    "many sigmoids": (
        [chain.Flatten("flat"), chain.Sigmoid("sigmoid")],
        "sigmoid is a sigmoid of 16 numbers: a ReLU inside of a network, at its end a softmax or",
    ),
    "one number": (
        [chain.Flatten("flat"), chain.Dense("dense", np.ones((16, 1)))],
        "dense gives one number, which may be a logit or anything else: a sigmoid behind it, or",
    ),
    "more behind the softmax": (
        [chain.Flatten("flat"), chain.Softmax("softmax"), chain.ReLU("relu")],
        "relu stands behind the softmax: a network that ends with one",
    ),
    "a class for each pixel": (
        [chain.Conv("conv", np.ones((2, 1, 1, 1))), chain.Softmax("softmax")],
        "softmax gives probabilities for each of 4x4 positions: one class for the whole image",
    ),
    "not finite": (
        [chain.Affine("scale", scale=np.inf), chain.Flatten("flat")],
        "scale has numbers that are not finite: train it anew",
    ),
    "another number of channels": (
        [chain.Conv("conv", np.ones((2, 3, 1, 1)))],
        "conv has weights 2x3x1x1 in 1 groups for images 4x4x1, where (outputs, 1 / groups, rows,",
    ),
    "another number of rows": (
        [chain.Flatten("flat"), chain.Dense("dense", np.ones((3, 2)))],
        "dense has weights 3x2, where 16 rows would fit: get the file again",
    ),
    "another number of biases": (
        [chain.Conv("conv", np.ones((2, 1, 1, 1)), np.ones(3))],
        "conv has a bias (3,), where (2,) would fit: get the file again",
    ),
    "a large kernel": (
        [chain.Conv("conv", np.ones((2, 1, 5, 1)))],
        "conv has a kernel of 5x1 pixels, larger than its input, 4x4 with margins ((0, 0), (0, 0))",
    ),
    "numbers that do not fit": (
        [chain.Affine("mean", shift=np.ones((3, 1)))],
        "mean has numbers (3, 1) for each x (4, 4, 1): one number for each, or for each channel",
    ),
    "a frame that cuts": (
        [chain.Pad("pad", ((-1, 0), (0, 0)))],
        "pad cuts the image, margins ((-1, 0), (0, 0)): a frame of 0 or more pixels on each side",
    ),
    "too long": ([chain.ReLU("relu")] * 1001, "the network has 1001 steps: at most 1000"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    steps, sentence = REFUSED[name]
    with pytest.raises(ArchitectureError, match="^" + re.escape(sentence)):
        fold(Chain((4, 4, 1), steps))


def test_a_network_may_begin_with_a_pool():
    steps = [chain.MaxPool("pool", (2, 2), (2, 2)), chain.Flatten("flat"), chain.Softmax("softmax")]
    network = assert_same(Chain((4, 4, 2), steps))
    assert network.said[0].startswith("layer conv 2 1 bias none changes nothing")
    assert Counter(map(type, network.layers))[Conv2D] == 1
