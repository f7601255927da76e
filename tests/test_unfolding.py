"""Networks as steps of a chain, and folded again: what leaves convlet comes back."""

import numpy as np
import pytest
from hypothesis import given

from convlet import InputError, Network
from convlet.interchange import chain
from convlet.interchange.chain import Chain
from convlet.interchange.unfolding import steps_of
from convlet.loading import network_of_chain
from networks import networks, some_levels


@pytest.mark.parametrize("order", ["chw", "hwc"])
@given(networks())
def test_what_leaves_comes_back(order, network):
    found = network_of_chain(Chain(network.input_shape, [*steps_of(network, order)]))
    images = some_levels(network)
    expected = network.predict_proba(images)
    np.testing.assert_allclose(found.predict_proba(images), expected, rtol=0, atol=1e-5)


def test_kernels_are_turned_and_rows_sorted_once():
    """By hand: two channels of 1 x 2 pixels, kernel of 1 x 2 taps."""
    network = Network("conv 2 1x2, flatten, dense 2, softmax", (1, 3, 1))
    network.parameters["w0"][...] = np.array([[1, 2], [3, 4]]).reshape(1, 2, 1, 2)
    network.parameters["w1"][...] = [[0, 10], [1, 11], [2, 12], [3, 13]]  # rows (column, channel)
    conv, flatten, dense, _ = steps_of(network, "chw")
    assert conv.w.tolist() == [[[[3, 1]]], [[[4, 2]]]]  # (channel, 1, row, column)
    assert flatten.order == "chw"
    assert dense.w.tolist() == [[0, 10], [2, 12], [1, 11], [3, 13]]  # (channel, column)
    *_, flatten, dense, _ = steps_of(network, "hwc")
    assert flatten.order == "hwc"
    assert dense.w.tolist() == [[0, 10], [1, 11], [2, 12], [3, 13]]


def test_classes_that_were_flattened_stay_in_order():
    network = Network("conv 2 1, flatten, softmax", (2, 1, 1))
    kinds = [step for step in steps_of(network, "chw") if isinstance(step, chain.Flatten)]
    assert [step.order for step in kinds] == ["hwc"]


def test_numbers_that_are_not_finite_are_refused():
    network = Network("flatten, dense 2, softmax", (1, 2))
    network.parameters["w0"][1, 0] = np.inf
    with pytest.raises(InputError, match=r"parameter w0\[1, 0\] is inf"):
        next(iter(steps_of(network, "chw")))
