"""train -> evaluate -> predict -> show on a small data set of images made here; check."""

import gzip
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest

import convlet
from convlet import gradcheck
from convlet.cli import main
from convlet.datasets import strata

LAYERS = "conv 4 3, relu, pool 2, flatten, dense 3, softmax"
EPOCH_KEYS = {"epoch", "train_loss", "validation_loss", "validation_accuracy", "seconds"}
MODEL_KEYS = {"model", "test_accuracy", "seconds", "said"}


def make_images(count, seed):
    """Images (count, 12, 12): noise, and a bright square in the corner that the label names."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 3, count)
    images = draws.integers(0, 120, (count, 12, 12))
    for image, label in zip(images, labels, strict=True):
        row, column = ((1, 1), (1, 7), (7, 4))[label]
        image[row : row + 4, column : column + 4] = 255
    return images.astype(np.uint8), labels.astype(np.uint8)


def write_idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.tobytes())


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A folder of IDX files, 300 + 90 images of 3 classes."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    folder.mkdir()
    for part, (images, labels) in {
        "train": make_images(300, 1),
        "t10k": make_images(90, 2),
    }.items():
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.fixture(scope="module")
def model(shapes, tmp_path_factory):
    """A trained network in a file."""
    path = tmp_path_factory.mktemp("model") / "shapes.safetensors"
    assert (
        main(["train", str(shapes), "--layers", LAYERS, "--epochs", "2", "--out", str(path)]) == 0
    )
    return path


pytestmark = pytest.mark.usefixtures("plain_terminal")


def json_lines(capsys):
    out, err = capsys.readouterr()
    assert err == ""
    return [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]


def test_train_json(shapes, capsys):
    arguments = ["--layers", LAYERS, "--epochs", "3", "--out", "m.safetensors", "--json"]
    assert main(["train", str(shapes), *arguments]) == 0
    *epochs, last = json_lines(capsys)
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    assert all(set(row) == EPOCH_KEYS for row in epochs)
    assert set(last) == MODEL_KEYS
    assert last["model"] == "m.safetensors"
    assert last["test_accuracy"] == epochs[-1]["validation_accuracy"] > 0.95
    assert last["seconds"] == pytest.approx(sum(row["seconds"] for row in epochs))
    assert epochs[2]["train_loss"] < epochs[0]["train_loss"] / 2

    images, labels = make_images(90, 2)
    network = convlet.load("m.safetensors")
    assert network.epochs == 3
    assert np.mean(network.predict(images) == labels) == last["test_accuracy"]


def test_train_in_a_pipe_prints_a_line_an_epoch(shapes, capsys):
    assert main(["train", str(shapes), "--layers", LAYERS, "--epochs", "2", "--limit", "100"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "\r" not in out
    assert "100 training images, 90 test images, 12x12x1, 3 classes" in out
    lines = [line for line in out.splitlines() if line.startswith("epoch ")]
    assert [line.split(",")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    accuracy = re.search(r"test accuracy (\S+ %) after", out)
    assert f", accuracy {accuracy[1]}, " in lines[-1]
    assert out.endswith("model saved in convlet-shapes.safetensors\n")
    assert convlet.load("convlet-shapes.safetensors").class_count == 3


def test_train_is_what_fit_does(shapes, capsys):
    options = ["--epochs", "1", "--batch-size", "7", "--learning-rate", "0.05", "--seed", "9"]
    limits = ["--limit", "50", "--engine", "reference", "--out", "m.safetensors", "--json"]
    assert main(["train", str(shapes), "--layers", LAYERS, *options, *limits]) == 0
    images, labels = make_images(300, 1)
    taken = strata.first(labels, 50)
    network = convlet.Network(LAYERS, (12, 12, 1), seed=9, engine="reference")
    network.fit(images[taken], labels[taken], epochs=1, batch_size=7, learning_rate=0.05, seed=9)
    np.testing.assert_array_equal(convlet.load("m.safetensors").flat, network.flat)


def test_small_images_get_smaller_kernels(shapes, capsys):
    assert main(["train", str(shapes), "--limit", "20", "--epochs", "1"]) == 0
    network = convlet.load("convlet-shapes.safetensors")
    assert network.class_count == 3
    assert len(network.stages) == 4
    assert network.stages[0].affine.kernel == (3, 3)


def test_tiny_images_are_refused(tmp_path, capsys):
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", np.zeros((4, 3, 3), np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(4, dtype=np.uint8))
    assert main(["train", str(tmp_path), "--out", "m.safetensors"]) == 2
    err = capsys.readouterr().err
    why = "layers[5], pool 2: window 2 is larger than its input, 1x1 pixels: take a smaller window"
    said = f"--recipe is 'default', but its network does not fit images 3x3x1 ({why}): describe"
    assert err == f"convlet: error: {said} one with --layers\n"


def test_diverging_training_is_one_error_and_keeps_the_old_file(shapes, capsys):
    convlet.Network(LAYERS, (12, 12, 1)).save("m.safetensors")
    old = Path("m.safetensors").read_bytes()
    layers = "flatten, dense 30, dense 30, dense 3, softmax"  # no ReLU that could die
    options = ["--learning-rate", "1e6", "--out", "m.safetensors"]
    assert main(["train", str(shapes), "--layers", layers, *options]) == 2
    err = capsys.readouterr().err
    expected = r"convlet: error: step \d of epoch 1 is not finite, first in .* of stage \d"
    assert re.match(expected, err)
    assert "try a --learning-rate below 1e+06, or --clip-norm" in err
    assert err.count("\n") == 1
    assert Path("m.safetensors").read_bytes() == old


def test_evaluate(model, shapes, capsys):
    images, labels = make_images(90, 2)
    network = convlet.load(model)
    predicted = network.predict(images)
    assert main(["evaluate", str(model), str(shapes), "--json"]) == 0
    (answer,) = json_lines(capsys)
    assert set(answer) == {"loss", "accuracy", "classes", "said"}
    probability = network.predict_proba(images)[np.arange(90), labels]
    assert answer["loss"] == pytest.approx(-np.log(probability.astype(float)).mean(), rel=1e-4)
    assert answer["accuracy"] == np.mean(predicted == labels)
    assert answer["classes"] == [
        {
            "class": str(k),
            "images": int(np.sum(labels == k)),
            "accuracy": pytest.approx(np.mean(predicted[labels == k] == k)),
        }
        for k in range(3)
    ]

    assert main(["evaluate", str(model), str(shapes)]) == 0
    first, _, header, _, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("shapes: 90 test images, loss ")
    assert header.split() == ["class", "images", "right", "accuracy"]
    for k, row in enumerate(rows):
        count, hits = np.sum(labels == k), np.sum((labels == k) & (predicted == k))
        assert row.split() == [str(k), str(count), str(hits), f"{100 * hits / count:.2f}", "%"]


def test_evaluate_refuses_other_data(model, capsys):
    assert main(["evaluate", str(model), "mnist"]) == 2
    err = capsys.readouterr().err
    assert "mnist has images 28x28x1" in err
    assert "12x12x1" in err
    assert err.count("\n") == 1


def test_evaluate_refuses_another_number_of_classes(shapes, capsys):
    layers = LAYERS.replace("dense 3", "dense 4")
    convlet.Network(layers, (12, 12, 1)).save("four.safetensors")
    assert main(["evaluate", "four.safetensors", str(shapes)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "shapes has 3 classes, but four.safetensors knows 4" in err


def test_evaluate_says_that_arrays_have_no_names_of_classes(shapes, capsys):
    convlet.Network(LAYERS, (12, 12, 1), classes=["a", "b", "c"]).save("abc.safetensors")
    assert main(["evaluate", "abc.safetensors", str(shapes), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [row["class"] for row in json.loads(out)["classes"]] == ["a", "b", "c"]
    assert err.startswith("convlet: warning: shapes has no names of classes: its numbers count")
    assert err.count("\n") == 1


def test_predict(model, capsys):
    pillow = pytest.importorskip("PIL.Image")
    images, _ = make_images(3, 5)
    pillow.fromarray(images[0]).save("first.png")
    np.save("two.npy", images[1:])
    assert main(["predict", str(model), "first.png", "two.npy", "--top", "2", "--json"]) == 0
    answers = json_lines(capsys)
    assert [answer["image"] for answer in answers] == ["first.png", "two.npy[0]", "two.npy[1]"]
    expected = convlet.load(model).predict_proba(images)
    for answer, row in zip(answers, expected, strict=True):
        assert set(answer) == {"image", "classes"}
        order = sorted(range(3), key=lambda k, row=row: -row[k])[:2]
        assert [guess["class"] for guess in answer["classes"]] == [str(k) for k in order]
        found = [guess["probability"] for guess in answer["classes"]]
        np.testing.assert_allclose(found, row[order], rtol=1e-6)

    assert main(["predict", str(model), "first.png"]) == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("first.png")
    assert [float(row.split()[-2]) for row in rows] == pytest.approx(
        sorted(100 * expected[0], reverse=True), abs=0.0051
    )


def test_predict_inverts(model, capsys):
    images, _ = make_images(1, 6)
    np.save("dark.npy", 255 - images)
    np.save("bright.npy", images)
    assert main(["predict", str(model), "dark.npy", "--invert", "--json"]) == 0
    assert main(["predict", str(model), "bright.npy", "--json"]) == 0
    dark, bright = json_lines(capsys)
    assert dark["classes"] == bright["classes"]


def test_predict_takes_floats_as_the_network_does(model, capsys):
    images, _ = make_images(2, 6)
    floats = images[1] / np.float32(255)
    np.save("levels.npy", images)
    np.save("floats.npy", floats)
    np.save("dark.npy", 1 - floats)
    assert main(["predict", str(model), "levels.npy", "floats.npy", "--json"]) == 0
    _, levels, mixed = json_lines(capsys)
    assert mixed["classes"] == [
        {"class": guess["class"], "probability": pytest.approx(guess["probability"], rel=1e-5)}
        for guess in levels["classes"]
    ]
    assert main(["predict", str(model), "floats.npy", "--json"]) == 0
    assert main(["predict", str(model), "dark.npy", "--invert", "--json"]) == 0
    alone, inverted = json_lines(capsys)
    assert alone["classes"] == mixed["classes"]
    expected = convlet.load(model).predict_proba(floats[None])[0].max()
    assert alone["classes"][0]["probability"] == pytest.approx(float(expected))
    assert [guess["probability"] for guess in inverted["classes"]] == pytest.approx(
        [guess["probability"] for guess in alone["classes"]], rel=1e-4
    )


def test_predict_goes_on_after_a_bad_file_and_ends_with_status_1(model, capsys):
    np.save("good.npy", make_images(1, 6)[0])
    assert main(["predict", str(model), "missing.png", "good.npy", "good.npy", "--json"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["image"] for line in out.splitlines()] == ["good.npy"] * 2
    assert err.startswith("convlet: error: IMAGE: missing.png cannot be read: No such file")
    assert err.count("\n") == 1


def cells(line):
    return re.split(r"\s{2,}", line.strip())


def test_show_model(model, capsys):
    assert main(["show", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    table = [cells(line) for line in lines]
    # 4 kernels of 3x3 and 4 biases; 10x10 outputs; 5x5x4 = 100 units to 3 classes
    assert ["0", "conv 4 3", "(1), (17)", "10x10x4", "40", "3,600", "160"] in table
    assert ["relu", "(9)", "10x10x4"] in table
    assert ["pool 2", "(4)", "5x5x4"] in table
    assert ["flatten", "(5)", "100"] in table
    assert ["1", "dense 3", "(6), (17)", "3", "303", "300", "1,212"] in table
    assert ["softmax", "(11)", "3"] in table
    assert ["all", "343", "3,900", "1,372"] in table
    assert "epochs trained: 2" in lines
    assert "classes: 0, 1, 2" in lines


def test_show_default_network_is_the_one_of_equation_23(capsys):
    assert main(["show"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    table = [cells(line) for line in out.splitlines()]
    affine = [row[1] for row in table if row[0] in "0123" and len(row) == 7]
    assert affine == ["conv 8 5", "conv 16 5", "dense 128", "dense 10"]
    assert ["all", "37,610", "354,048", "150,440"] in table  # 208 + 3216 + 32896 + 1290


@pytest.mark.parametrize("name", convlet.recipes.NAMES)
def test_show_recipes(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    layers = convlet.recipes.recipe(name).layers(10)
    assert main(["show", "--layers", convlet.format_layers(layers)]) == 0
    table = [cells(line) for line in capsys.readouterr().out.splitlines()]
    known = [row[1] if row[0].isdigit() else row[0] for row in table if row]
    assert [layer for layer in map(str, layers) if layer not in known] == []


def test_show_layers(capsys):
    layers = "flatten, dense 3, relu, dense 2 bias none, softmax"
    assert main(["show", "--layers", layers, "--input", "2x5x3"]) == 0
    table = [cells(line) for line in capsys.readouterr().out.splitlines()]
    assert ["flatten", "(5)", "30"] in table
    assert ["0", "dense 3", "(6), (17)", "3", "93", "90", "372"] in table
    assert ["1", "dense 2 bias none", "(6), (17)", "2", "6", "6", "24"] in table


def test_show_engine(capsys):
    assert main(["show", "--engine"]) == 0
    engine, why, threads = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"engine: (native, target \w+ \(.+\)|reference)", engine)
    assert why.startswith("why: ")
    assert re.fullmatch(r"threads: \d+, .+", threads)


@pytest.mark.filterwarnings("ignore:engine is 'native':RuntimeWarning")
def test_show_engine_says_why_these_layers_have_the_reference_engine(capsys):
    layers = f"conv 2 2, {'relu, ' * 31}flatten, dense 2, softmax"
    assert main(["show", "--engine", "--layers", layers]) == 0
    engine, why, _ = capsys.readouterr().out.splitlines()
    assert engine == "engine: reference"
    assert "30 ReLU" in why or "this CPU has none of" in why


def test_a_model_knows_the_data_set_that_it_was_trained_on(shapes, capsys):
    assert main(["train", "digits", "--epochs", "1"]) == 0
    capsys.readouterr()
    model = "convlet-digits.safetensors"
    assert convlet.load(model).data == "digits"
    assert main(["evaluate", model, "--json"]) == 0
    alone = capsys.readouterr().out
    assert main(["evaluate", model, "digits", "--json"]) == 0
    assert capsys.readouterr().out == alone


def test_a_model_of_other_data_asks_for_them(shapes, model, capsys):
    assert convlet.load(model).data is None
    for command in (["evaluate"], ["plot", "confusion"]):
        assert main([*command, str(model)]) == 2
        message = f"DATA is not given, but {model} does not say that it was trained on one of"
        assert message in capsys.readouterr().err
    network = convlet.load(model)
    network.data = "somebody-elses"
    network.save("other.safetensors")
    assert main(["evaluate", "other.safetensors"]) == 2
    assert "DATA is not given" in capsys.readouterr().err


def test_class_names_cannot_write_to_the_terminal(tmp_path, capsys):
    network = convlet.Network(LAYERS, (12, 12, 1), classes=["[red]a", "b\x1b[2J", "c\nd"])
    network.save("names.safetensors")
    np.save("one.npy", make_images(1, 6)[0])
    assert main(["predict", "names.safetensors", "one.npy"]) == 0
    out = capsys.readouterr().out
    assert {cells(line)[-2] for line in out.splitlines()[2:]} == {"[red]a", "b\\x1b[2J", "c\\nd"}


def test_check(capsys):
    layers = ["--layers", "conv 2 3, relu, flatten, dense 3, softmax", "--input", "6x6"]
    assert main(["check", *layers]) == 0
    *table, _, last = capsys.readouterr().out.splitlines()
    assert max(map(len, table)) <= 80
    rows = [line for line in table if line.rstrip().endswith("ok")]
    assert last == f"{len(rows)} of {len(rows)} derivatives agree"
    numbers = [int(re.match(r"\((\d+)\)", row)[1]) for row in rows]
    assert numbers == sorted(numbers)
    assert {2, 3, 7, 8, 10, 12, 15} <= set(numbers)

    assert main(["check", *layers, "--json"]) == 0
    answers = json_lines(capsys)
    assert len(answers) == len(rows)
    keys = {"equation", "what", "name", "relative_difference", "limit", "passed"}
    assert all(set(answer) == keys for answer in answers)


def test_check_of_a_wrong_derivative_has_status_1(capsys, monkeypatch):
    rows = [
        gradcheck.CheckRow("(3)", "dC/dw", "stage 0", 1e-12, 1e-6, True),
        gradcheck.CheckRow("(2)", "dC/dx", "stage 0", 1e-2, 1e-6, False),
    ]
    monkeypatch.setattr(gradcheck, "check_network", lambda *args, **kwargs: rows)
    assert main(["check"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    _, _, first, second, _, last = out.splitlines()
    assert first.split()[:2] == ["(2)", "dC/dx"]
    assert first.rstrip().endswith("WRONG")
    assert second.rstrip().endswith("ok")
    assert last == "1 of 2 derivatives agree"
    assert main(["check", "--json"]) == 1
