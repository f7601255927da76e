"""Networks brought in from ONNX models, beside what the reference evaluator makes of the models."""

from pathlib import Path

import numpy as np
import onnx

import convlet
from onnx_models import run


def images(shape, n: int = 3, seed: int = 0) -> np.ndarray:
    """(n, rows, columns, channels), 0 to 1."""
    return np.random.default_rng(seed).random((n, *shape)).astype(np.float32)


def network_in(model: onnx.ModelProto, folder: Path, **how) -> convlet.Network:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return convlet.from_onnx(path, **how)


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """Of what a model gives: logits, logarithms, probabilities, or that of the second class."""
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    if np.allclose(outputs.sum(axis=1), 1, atol=1e-4) and outputs.min() >= 0:
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def assert_same(model: onnx.ModelProto, folder: Path, layout: str = "nchw", **how):
    """The network of a model gives its probabilities -> the network."""
    network = network_in(model, folder, **how)
    x = images(network.input_shape)
    given = x.transpose(0, 3, 1, 2) if layout == "nchw" else x
    sizes = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
    expected = probabilities(run(model, given.reshape(len(x), *sizes[1:])))
    assert expected.max() < 0.9999  # no small change would be seen in what is
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)
    return network
