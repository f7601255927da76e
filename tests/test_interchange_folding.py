"""Chains as layers: the same probabilities as onnx's reference evaluator finds for the chain."""

import numpy as np
from hypothesis import given, settings

from brought_in import images
from chains import chains
from convlet import Network
from convlet.interchange import chain
from convlet.loading import network_of_chain
from onnx_models import model_of, run


def assert_same(found: chain.Chain, kind: str = "probabilities") -> Network:
    """The network of a chain gives its probabilities.  kind: what the chain gives.

    "probabilities", "logits" (or their logarithms), or "second", the probability of that class.
    """
    network = network_of_chain(found)
    x = images(found.input_shape)
    expected = run(model_of(found), x.transpose(0, 3, 1, 2)).astype(np.float64)
    if kind == "logits":
        powers = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected = powers / powers.sum(axis=1, keepdims=True)
    if kind == "second":
        expected = np.concatenate([1 - expected, expected], axis=1)
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)
    return network


@given(chains())
@settings(max_examples=200)
def test_any_chain_gives_the_same_probabilities(found):
    assert_same(found)
