"""`convlet import`: layers and sentences are printed, the model is that of `from_onnx`."""

import numpy as np
import pytest

import convlet
from convlet.cli import main
from test_interchange_exporters import FOLDER, levels

pytestmark = pytest.mark.usefixtures("plain_terminal")


def test_import_says_what_it_folded_and_saves_the_model(tmp_path, capsys):
    path = FOLDER / "torch-parts-script.onnx"
    assert main(["import", str(path)]) == 0
    said = capsys.readouterr().out
    network = convlet.from_onnx(path)
    for line in network.said:
        assert line in said
    assert "softmax" in said
    assert said.endswith("images: 13x11x3\nmodel saved in torch-parts-script.safetensors\n")
    saved = convlet.load(tmp_path / "torch-parts-script.safetensors")
    x = levels((13, 11, 3))
    np.testing.assert_array_equal(saved.predict_proba(x), network.predict_proba(x))


def test_import_replaces_nothing_by_mistake(tmp_path, capsys):
    path = str(FOLDER / "sklearn-names.onnx")
    assert main(["import", path]) == main(["import", path]) == 0
    said = capsys.readouterr().out
    assert "classes: maybe, no, yes" in said
    assert "(sklearn-names.safetensors is there already)" in said
    (tmp_path / "mine.txt").write_text("not a model")
    assert main(["import", path, "--out", "mine.txt"]) == 2
    assert "which is there and not a convlet model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.onnx"], "FILE: missing.onnx cannot be read: No such file"),
        ([str(FOLDER / "torch.json")], "FILE: "),
        ([str(FOLDER / "keras-mnist.onnx"), "--input", "9x9"], "--input is (9, 9, 1), but the fil"),
        ([str(FOLDER / "keras-mnist.onnx"), "--input", "9"], "--input is '9', expected ROWSxCOLU"),
        ([str(FOLDER / "keras-mnist.onnx"), "--white", "0"], "--white is 0.0, expected a number"),
        ([str(FOLDER / "keras-mnist.onnx"), "--white", "much"], "--white is 'much', expected a nu"),
    ],
)
def test_import_refuses(arguments, sentence, capsys):
    assert main(["import", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_import_takes_what_is_white(capsys):
    assert main(["import", str(FOLDER / "keras-mnist.onnx"), "--white", "16"]) == 0
    assert "the file takes 16 for white" in capsys.readouterr().out
