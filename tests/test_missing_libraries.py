"""Where a library is missing, one line names the command to install it."""

import sys

import pytest

import convlet
from convlet import MissingDependencyError, Network

NETWORK = Network("flatten, dense 2, softmax", (2, 2))
CALLS = {
    "onnx": (lambda: NETWORK.to_onnx("model.onnx"), 'an ONNX file needs onnx, .* "convlet[onnx]"'),
    "distributed": (
        lambda: NETWORK.fit([[[0, 255]] * 2], [0], cluster="tcp://127.0.0.1:1"),
        'a cluster needs Dask, .* "convlet[cluster]"',
    ),
    "to torch": (NETWORK.to_torch, "to_torch needs torch, .*: pip install torch"),
    "from torch": (lambda: convlet.from_torch(None, (2, 2)), "from_torch needs torch, .* torch"),
    "to keras": (NETWORK.to_keras, "to_keras needs keras, .*: pip install keras"),
    "from keras": (
        lambda: convlet.from_keras(None),
        "from_keras needs keras, .*: pip install keras",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_line_says_how_to_install_it(name, monkeypatch, in_a_new_folder):
    call, sentence = CALLS[name]
    monkeypatch.setitem(sys.modules, name.split()[-1], None)
    with pytest.raises(MissingDependencyError, match=sentence.replace("[", r"\[")) as caught:
        call()
    assert "\n" not in str(caught.value)
