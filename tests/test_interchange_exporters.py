"""Files of the real exporters, made by scripts/interchange_files: the library's own answers."""

import json
from pathlib import Path

import numpy as np
import pytest

import convlet

FOLDER = Path(__file__).parent / "data" / "onnx"
CASES = {
    name: case
    for path in sorted(FOLDER.glob("*.json"))
    for name, case in json.loads(path.read_text(encoding="utf-8"))["cases"].items()
}
LAYERS = {
    "torch-mnist": "conv 2 3, relu, conv 2 3, relu, pool 2, flatten, dense 4, relu, dense 10",
    "torch-cifar": "conv 2 5, relu, pool 2, conv 3 5, relu, pool 2, flatten, dense 6, relu,"
    " dense 5, relu, dense 10",
    "keras-mnist": "conv 3 3, relu, pool 2, conv 4 3, relu, pool 2, flatten, dense 10",
    "jax-mnist": "conv 3 3, relu, pool 2, conv 4 3, relu, pool 2, flatten, dense 10",
}
CLASSES = {
    "sklearn-binary.onnx": ("0", "1"),
    "sklearn-numbers.onnx": ("5", "6", "7"),
    "sklearn-names.onnx": ("maybe", "no", "yes"),
    "sklearn-columns.onnx": ("maybe", "no"),
}


def levels(shape, count=3):
    """The images of scripts/interchange_files."""
    k = np.arange(count * np.prod(shape), dtype=np.int64)
    noise = ((k * k * 31 + k * 7919) >> 3).astype(np.uint8).reshape(count, *shape)
    return noise // np.array([8, 2, 1], np.uint8)[:, None, None, None]


@pytest.mark.parametrize("name", CASES)
def test_probabilities_are_those_of_the_library(name):
    case = CASES[name]
    network = convlet.from_onnx(FOLDER / name)
    assert np.prod(network.input_shape) == np.prod(case["shape"])
    x = levels(network.input_shape)
    p = network.predict_proba(x)
    np.testing.assert_allclose(p, case["p"], rtol=0, atol=1e-5)
    assert np.ptp(p, axis=0).max() > 1e-3  # the images do matter
    takes_levels = any("takes 255 for white" in sentence for sentence in network.said)
    assert takes_levels == (case["white"] == 255)
    assert network.classes == CLASSES.get(name)
    for start, layers in LAYERS.items():
        if name.startswith(start):
            assert convlet.format_layers(network.layers) == f"{layers}, softmax"


def test_every_exporter_is_there():
    kinds = {name.split("-")[0] for name in CASES}
    assert kinds == {"torch", "keras", "jax", "sklearn"}
    assert {path.name for path in FOLDER.glob("*.onnx")} == set(CASES)
