"""Chains as layers: the same probabilities as onnx's reference evaluator finds for the chain."""

import numpy as np
from hypothesis import given, settings

from chains import chains
from convlet import Network
from convlet.interchange import chain
from convlet.loading import network_of_chain
from onnx_models import model_of, run


def images(shape, n=3) -> np.ndarray:
    return np.random.default_rng(0).random((n, *shape)).astype(np.float32)


def assert_same(found: chain.Chain) -> Network:
    network = network_of_chain(found)
    x = images(found.input_shape)
    expected = run(model_of(found), x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)
    return network


@given(chains())
@settings(max_examples=200)
def test_any_chain_gives_the_same_probabilities(found):
    assert_same(found)
