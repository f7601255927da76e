"""The command line says what it does: settings, validation, chance; tables on narrow terminals."""

import re
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

import convlet
from convlet.cli import lines, main

LAYERS = (
    "conv 4 3, relu, dropout 0.25, pool 2, flatten, dense 8, relu, dropout 0.5, dense 3, softmax"
)


@pytest.fixture(autouse=True)
def _in_a_new_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def head(arguments, capsys):
    """What train says before its first epoch."""
    assert main(["train", *arguments, "--out", "m.safetensors"]) == 0
    said = capsys.readouterr().out.splitlines()
    return said[: next(n for n, line in enumerate(said) if line.startswith("epoch "))]


def test_train_says_every_setting_that_is_on(images, capsys):
    options = [
        *("--optimizer", "adamw", "--weight-decay", "0.15", "--learning-rate", "0.002"),
        *("--schedule", "cosine warm_up 0.1", "--clip-norm", "2.5", "--label-smoothing", "0.1"),
        *("--augment", "shift 1, flip", "--patience", "3", "--hold-out", "20", "--epochs", "2"),
        *("--batch-size", "16", "--layers", LAYERS, "--engine", "reference"),
    ]
    assert head([str(images), *options], capsys) == [
        "rows: 40 training images, 20 held out, 30 test images, 6x6x1, 3 classes",
        "validation after each epoch: the images held out",
        f"network: {LAYERS}",
        "203 parameters, reference engine",
        "recipe plain: 2 epochs, batch size 16",
        "optimizer: adamw, weight decay 0.15",
        "learning rate: 0.002, cosine warm-up 0.1",
        "clipping: gradients to a norm of 2.5",
        "dropout: 0.25, 0.5",
        "label smoothing: 0.1",
        "augmentation: shift 1, flip",
        "patience: 3 epochs without a lower validation loss",
    ]


def test_train_does_not_say_what_is_off(images, capsys):
    layers = "flatten, dense 3, softmax"
    options = ["--recipe", "plain", "--epochs", "1", "--layers", layers, "--engine", "reference"]
    assert head([str(images), *options], capsys) == [
        "rows: 60 training images, 30 test images, 6x6x1, 3 classes",
        "validation after each epoch: the test images",
        f"network: {layers}",
        "111 parameters, reference engine",
        "recipe plain: 1 epoch, batch size 32",
        "optimizer: sgd",
        "learning rate: 0.1, constant",
    ]


def test_the_optimizer_is_said_as_it_is(images, capsys):
    for options, said in (
        (["--recipe", "best-characters"], "adamw, weight decay 0.15"),
        (["--optimizer", "nesterov", "--momentum", "0.8"], "nesterov, momentum 0.8"),
    ):
        arguments = [str(images), "--limit", "9", "--epochs", "1", *options]
        layers = ["--layers", "flatten, dense 3, softmax", "--augment", "none"]
        assert f"optimizer: {said}" in head([*arguments, *layers], capsys)


# ---------------------------------------------------------------------------------------- chance


def data_of(counts):
    """Data whose test images are so many of each class."""
    y = np.repeat(np.arange(len(counts)), counts)
    split = convlet.datasets.Split(np.zeros((len(y), 2, 2, 1), np.uint8), y)
    return convlet.datasets.Dataset("own", split, split, tuple("abcdef"[: len(counts)]))


@pytest.mark.parametrize("counts", [(100, 300, 600), (5, 5), (1, 0, 1000)])
def test_chance_is_the_most_frequent_class_and_two_standard_errors(counts):
    data, images = data_of(counts), sum(counts)
    share = max(counts) / images
    limit = share + 2 * sqrt(share * (1 - share) / images)
    most = "abc"[int(np.argmax(counts))]
    what = f"of the test images {100 * share:.2f} % are of one class, {most}"
    assert list(lines.of_chance(data, share)) == [f"no better than chance: {what}"]
    hardly = f"hardly better than chance, by {images:,} test images: {what}"
    within = [(share + min(limit, 1)) / 2] if share < 1 else []
    assert [list(lines.of_chance(data, accuracy)) for accuracy in within] == [[hardly]] * len(
        within
    )
    assert list(lines.of_chance(data, limit + 1e-9)) == []
    assert share == 1 or list(lines.of_chance(data, 1.0)) == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_run_that_learned_nothing_says_so_and_ends_well(options, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (400, 6, 6), np.uint8), np.arange(400) % 4
    np.savez("noise.npz", x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])
    layers = ["--layers", "flatten, dense 4, softmax", "--epochs", "1"]
    assert main(["train", "noise.npz", *layers, *options]) == 0
    out, err = capsys.readouterr()
    said = " better than chance"
    assert [said in text for text in (out, err)] == [not options, bool(options)]
    if options:
        assert err.startswith(("convlet: warning: no better", "convlet: warning: hardly better"))
        assert err.count("\n") == 1


# ---------------------------------------------------------------------------------- narrow tables


def words_of(text):
    return re.findall(r"[\w.,%-]+", text)


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["show", "--layers", "conv 32 5 padding same, relu, flatten, dense 10, softmax"],
        ["check", "--layers", "conv 2 3, relu, flatten, dense 3, softmax", "--input", "6x6"],
        ["evaluate", "m.safetensors", "mnist"],
        ["predict", "m.safetensors", "one.npy"],
    ],
)
def test_tables_break_no_number_and_no_word(arguments, width, capsys, monkeypatch):
    convlet.Network("flatten, dense 10, softmax").save("m.safetensors")
    np.save("one.npy", np.zeros((28, 28), np.uint8))
    monkeypatch.setenv("COLUMNS", "200")
    main(arguments)
    wide = words_of(capsys.readouterr().out)
    monkeypatch.setenv("COLUMNS", str(width))
    main(arguments)
    narrow = capsys.readouterr().out
    table = [line for line in narrow.splitlines() if "agree with" not in line]
    assert max(len(line) for line in table if "test images" not in line) <= width
    assert set(words_of(narrow)) <= set(wide)  # nothing is broken; columns may be left out
    if width == 80:
        assert sorted(words_of(narrow)) == sorted(wide)


def test_show_says_what_a_checkpoint_knows(images, capsys):
    run = ["--epochs", "1", "--checkpoint", "run", "--clip-norm", "3", "--momentum", "0.5"]
    layers = ["--layers", LAYERS, "--schedule", "step every 3", "--augment", "flip"]
    assert main(["train", str(images), *run, *layers, "--batch-size", "8"]) == 0
    capsys.readouterr()
    assert main(["show", "run/checkpoint-00001-000000.safetensors"]) == 0
    shown = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert shown == [
        "epochs trained: 1",
        "classes: 0, 1, 2",
        "batch size: 8",
        "optimizer: sgd, momentum 0.5",
        "learning rate: 0.05, step every 3",
        "clipping: gradients to a norm of 3",
        "dropout: 0.25, 0.5",
        "augmentation: flip",
    ]


def test_no_two_derivatives_look_alike_at_40_columns(capsys, monkeypatch):
    """What tells them apart is the layer: their numbers go first."""
    monkeypatch.setenv("COLUMNS", "40")
    layers = "conv 2 3, relu, pool 2, flatten, dense 4, relu, dense 3, softmax"
    assert main(["check", "--layers", layers, "--input", "6x6"]) == 0
    rows = [""]
    for line in capsys.readouterr().out.split("\n\n")[0].splitlines()[2:]:
        if line.rstrip().endswith(" ok"):  # the first line of a row
            rows.append("")
        rows[-1] += " ".join(line.split()) + " "
    rows = rows[1:]
    assert len(set(rows)) == len(rows) > 15


def test_settings_come_whole_out_of_a_checkpoint(images):
    from convlet.checkpoint import read, settings_in

    data = convlet.datasets.load(str(images))
    network = convlet.Network("flatten, dense 3, softmax", (6, 6, 1))
    settings = convlet.Settings(
        epochs=1,
        batch_size=9,
        learning_rate=0.004,
        seed=5,
        optimizer=convlet.AdamW(beta1=0.8, weight_decay=0.2),
        schedule=convlet.Cosine(end=0.1),
        clip_norm=2.0,
        label_smoothing=0.1,
        augmentation="shift 1, elastic 3, sigma 2",
    )
    network.fit(data.train.images, data.train.labels, checkpoint="run", **settings.arguments())
    identity = read("run/checkpoint-00001-000000.safetensors").identity
    assert settings_in(identity) == settings
    for key, value in (("settings.optimizer", "rms"), ("settings.batch_size", 0)):
        assert settings_in({**identity, key: value}) is None
    del identity["settings.seed"]
    assert settings_in(identity) is None
    assert replace(settings, seed=0) != settings


def test_show_says_patience(images, capsys):
    options = ["--patience", "3", "--hold-out", "20", "--epochs", "2", "--out", "m.safetensors"]
    assert main(["train", str(images), "--layers", LAYERS, *options]) == 0
    said = "\npatience: 3 epochs without a lower validation loss\n"
    assert said in capsys.readouterr().out
    assert main(["show", "m.safetensors"]) == 0
    assert said in capsys.readouterr().out
    assert convlet.load("m.safetensors").settings.patience == 3
