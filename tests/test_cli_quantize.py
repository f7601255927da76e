"""`convlet quantize`, and what other commands do with its models."""

import json
from pathlib import Path

import numpy as np
import pytest

import convlet
from command_line import assert_refused
from convlet.cli import main
from made_data import bright_rows


@pytest.fixture(autouse=True)
def _places(monkeypatch, tmp_path):
    """A model in m.safetensors, its data in rows.npz."""
    monkeypatch.chdir(tmp_path)
    (x, y), (x_test, y_test) = bright_rows(300), bright_rows(100, seed=1)
    np.savez("rows.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    network = convlet.Network("conv 4 3, relu, flatten, dense 3, softmax", (6, 6, 1), seed=0)
    network.fit(x, y, epochs=5, progress=False)
    network.save("m.safetensors")


def test_it_says_what_it_keeps_and_what_it_costs(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["quantize", "m.safetensors", "rows.npz", "--count", "50"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "0 conv 4 3, relu, flatten 64 36 36 576" in out
    assert "1 dense 3, softmax 3 192 27 192" in out
    assert "all 228 63 768" in out
    assert out.count(" dB") == 2
    assert "calibrated with 50 images of 300, seed 0, ranges: maximum" in out
    assert "rows: 100 test images, accuracy " in out
    assert "of another class than before: " in out
    assert out.endswith("model saved in m-int8.safetensors")
    small = convlet.load_quantized("m-int8.safetensors")
    assert small.calibration.record() == {
        "count": 50,
        "given": 300,
        "seed": 0,
        "ranges": "maximum",
    }


def test_json_is_the_comparison(capsys):
    options = ["--out", "q", "--calibration-seed", "3", "--ranges", "error", "--json"]
    assert main(["quantize", "m.safetensors", "rows.npz", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    small, network = convlet.load_quantized("q"), convlet.load("m.safetensors")
    x, y = bright_rows(100, seed=1)
    assert found["model"] == "q"
    assert found["calibration"] == small.calibration.record()
    assert (found["calibration"]["seed"], found["calibration"]["ranges"]) == (3, "error")
    assert found["accuracy"] == small.evaluate(x, y).accuracy
    assert found["float_accuracy"] == network.evaluate(x, y).accuracy
    assert found["changed"] == (small.predict(x) != network.predict(x)).sum()
    assert [stage["weight_bytes"] for stage in found["stages"]] == [36, 192]
    assert [stage["largest_sum"] for stage in found["stages"]] == [
        part.largest_sum for part in small.parts
    ]


def test_evaluate_predict_and_show_take_it(capsys):
    assert main(["quantize", "m.safetensors", "rows.npz", "--out", "q"]) == 0
    capsys.readouterr()
    small, (x, y) = convlet.load_quantized("q"), bright_rows(100, seed=1)
    assert main(["evaluate", "q", "rows.npz", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["loss"], found["accuracy"]) == small.evaluate(x, y)

    np.save("some.npy", x[:4])
    assert main(["predict", "q", "some.npy", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    named = [answer["classes"][0]["class"] for answer in answers]
    assert named == [str(k) for k in small.predict(x[:4])]

    assert main(["show", "q"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "all 228 63 768" in out
    assert "calibrated with 300 images of 300, seed 0, ranges: maximum classes: " in out
    assert main(["show", "q", "--engine"]) == 0
    assert capsys.readouterr().out == "engine: NumPy, in whole numbers\n"


def test_a_float_that_is_no_level_is_refused_by_its_file(capsys):
    assert main(["quantize", "m.safetensors", "rows.npz", "--out", "q"]) == 0
    np.save("half.npy", np.full((1, 6, 6, 1), 0.5, np.float32))
    capsys.readouterr()
    assert main(["predict", "q", "half.npy"]) == 1
    err = capsys.readouterr().err
    assert "half.npy[0, 0, 0, 0] is 0.5, expected uint8, or floats that are a level" in err


@pytest.mark.parametrize(
    "command",
    [
        ["quantize", "q", "rows.npz"],
        ["plot", "mistakes", "q", "rows.npz"],
        ["report", "q", "rows.npz"],
    ],
)
def test_other_commands_say_which_model_to_give(command, capsys):
    assert main(["quantize", "m.safetensors", "rows.npz", "--out", "q"]) == 0
    capsys.readouterr()
    said = "q is a network in whole numbers: give the model that it was made of"
    assert_refused(command, capsys, "MODEL: ", said)


def test_it_replaces_its_own_kind_only(capsys):
    arguments = ["quantize", "m.safetensors", "rows.npz", "--out"]
    assert main([*arguments, "q"]) == main([*arguments, "q"]) == 0
    assert "model saved in q (replaced)" in capsys.readouterr().out
    before = Path("m.safetensors").read_bytes()
    assert_refused([*arguments, "m.safetensors"], capsys, "--out", "not a network in whole numbers")
    assert Path("m.safetensors").read_bytes() == before
