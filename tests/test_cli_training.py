"""Options of `convlet train` on how steps are taken; `convlet find-lr` and `convlet augment`."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import convlet
from command_line import assert_refused
from convlet import SGD, Adam, AdamW, Augmentation, Cosine
from convlet.cli import main
from convlet.cli.choices import Choices

LAYERS = "flatten, dense 3, softmax"


pytestmark = pytest.mark.usefixtures("in_a_new_folder")


def train(images, *options):
    arguments = [
        "train",
        str(images),
        "--layers",
        LAYERS,
        "--epochs",
        "2",
        "--out",
        "m.safetensors",
    ]
    return main([*arguments, *options])


def test_every_option_reaches_fit(images, capsys):
    options = [
        *("--optimizer", "adamw", "--weight-decay", "0.1", "--schedule", "cosine end 0.1"),
        *("--clip-norm", "0.5", "--label-smoothing", "0.1", "--augment", "shift 1, flip"),
        *("--learning-rate", "0.01", "--batch-size", "16", "--seed", "3"),
    ]
    assert train(images, *options) == 0
    capsys.readouterr()
    data = convlet.datasets.load(str(images))
    network = convlet.Network(LAYERS, (6, 6, 1), seed=3)
    network.fit(
        data.train.images,
        data.train.labels,
        epochs=2,
        batch_size=16,
        learning_rate=0.01,
        seed=3,
        optimizer=AdamW(weight_decay=0.1),
        schedule=Cosine(end=0.1),
        clip_norm=0.5,
        label_smoothing=0.1,
        augmentation=Augmentation(shift=1, flip=True),
    )
    assert convlet.load("m.safetensors").flat.tobytes() == network.flat.tobytes()


def test_patience_saves_the_best_epoch(capsys):
    """Noise: what is learned of it soon makes the test loss rise."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((90, 6, 6)).astype(np.float32), rng.integers(0, 3, 90)
    images = Path("noise.npz")
    np.savez(images, x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    options = ["--epochs", "40", "--learning-rate", "0.1", "--patience", "2", "--json"]
    assert train(images, *options) == 0
    *rows, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    losses = [row["validation_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert len(rows) == best + 3 < 40
    assert last["test_accuracy"] == rows[best]["validation_accuracy"]
    data = convlet.datasets.load(str(images))
    found = convlet.load("m.safetensors").evaluate(data.test.images, data.test.labels)
    assert found.loss == losses[best]

    assert train(images, *options[:-1]) == 0
    assert f" of epoch {best + 1} after " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "optimizer", "rate"),
    [
        (["--optimizer", "adam"], Adam(), 0.001),
        (["--momentum", "0.8"], SGD(0.8), 0.02),
        (["--recipe", "default", "--optimizer", "nesterov"], SGD(0.9, nesterov=True), 0.01),
        (["--recipe", "default", "--optimizer", "adamw"], AdamW(), 0.008),
        (["--weight-decay", "0.1"], SGD(weight_decay=0.1), 0.1),
    ],
)
def test_another_optimizer_has_its_usual_rate(images, options, optimizer, rate):
    """A recipe's rate is for its own optimiser."""
    assert train(images, *options) == 0
    data = convlet.datasets.load(str(images))
    network = convlet.Network(LAYERS, (6, 6, 1))
    recipe = convlet.recipes.recipe("default" if "--recipe" in options else "plain", data)
    changes = {"epochs": 2, "optimizer": optimizer, "learning_rate": rate}
    network.fit(data.train.images, data.train.labels, **{**recipe.settings(), **changes})
    assert convlet.load("m.safetensors").flat.tobytes() == network.flat.tobytes()


def test_held_out_images_judge_each_epoch_and_the_test_images_the_end(images, capsys):
    options = ["--hold-out", "20", "--seed", "4"]
    assert train(images, *options, "--limit", "50", "--json") == 0
    *rows, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    data = convlet.datasets.load(str(images))
    seen = data.limited(50).hold_out(20, seed=4)
    network = convlet.load("m.safetensors")
    held = network.evaluate(seen.test.images, seen.test.labels)
    assert (held.loss, held.accuracy) == (
        rows[-1]["validation_loss"],
        rows[-1]["validation_accuracy"],
    )
    test = network.evaluate(data.test.images, data.test.labels)
    assert last["test_accuracy"] == test.accuracy

    alone = convlet.Network(LAYERS, (6, 6, 1), seed=4)
    recipe = convlet.recipes.recipe("default", data)
    alone.fit(seen.train.images, seen.train.labels, **{**recipe.settings(), "epochs": 2, "seed": 4})
    assert network.flat.tobytes() == alone.flat.tobytes()

    assert train(images, *options) == 0
    out = capsys.readouterr().out
    assert "40 training images, 20 held out, 30 test images" in out
    assert "\nvalidation after each epoch: the images held out\n" in out
    assert "test accuracy" in out
    assert train(images) == 0
    assert "\nvalidation after each epoch: the test images\n" in capsys.readouterr().out


@pytest.mark.parametrize(("given", "most"), [("60", 59), ("0", 2**31), ("x", 2**31)])
def test_a_hold_out_leaves_images_to_train_with(images, given, most, capsys):
    assert train(images, "--hold-out", given) == 2
    assert f"--hold-out is {given}" in (error := capsys.readouterr().err.replace("'", ""))
    assert f"from 1 to {most}" in error


def chosen(**given):
    """The choices of a user who gave these."""
    names = [field.name for field in fields(Choices)]
    return Choices(**{**dict.fromkeys(names), "seed": 0, "label_smoothing": 0.0, **given})


@pytest.mark.parametrize(
    ("given", "otherwise", "expected"),
    [
        ({"optimizer": "sgd"}, Adam(), SGD()),
        ({"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.1}, SGD(), SGD(0.5, False, 0.1)),
        ({"optimizer": "momentum"}, SGD(), SGD(0.9)),
        ({"optimizer": "momentum", "momentum": 0.99}, SGD(), SGD(0.99)),
        ({"optimizer": "nesterov", "momentum": 0.8}, SGD(), SGD(0.8, nesterov=True)),
        ({"optimizer": "adam", "weight_decay": 0.2}, SGD(), Adam(weight_decay=0.2)),
        ({"optimizer": "adamw", "weight_decay": 0}, SGD(), AdamW(weight_decay=0)),
        ({"momentum": 0.5}, SGD(), SGD(0.5)),
        ({"weight_decay": 0.5}, Adam(), Adam(weight_decay=0.5)),
    ],
)
def test_optimizers(given, otherwise, expected):
    recipe = replace(convlet.recipes.PLAIN, optimizer=otherwise)
    assert chosen(**given).settings(recipe).optimizer == expected


def test_an_option_wins_over_the_recipe_before_anything_is_checked(monkeypatch):
    """A recipe whose numbers nobody could give is no obstacle, where each of them is given."""

    def broken(self):
        return {"epochs": 0, "batch_size": -1, "optimizer": "none", "augmentation": "none such"}

    monkeypatch.setattr(convlet.recipes.Recipe, "settings", broken)
    given = chosen(batch_size=3, optimizer="adam", augmentation="none")
    settings = given.settings(convlet.recipes.PLAIN, epochs=2)
    assert settings == convlet.Settings(2, 3, optimizer="adam")
    with pytest.raises(convlet.InputError, match="epochs is 0"):
        given.settings(convlet.recipes.PLAIN)


@pytest.mark.parametrize("options", [[], ["--augment", "none"]])
def test_a_recipe_fitted_to_large_images_meets_no_limit(options, capsys):
    """Its lengths grow with the images: 1.5 pixels of 28 are 96 of 1,800."""
    x, y = np.zeros((4, 1800, 1800), np.uint8), np.arange(4) % 2
    np.savez("large.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    layers = "conv 1 9 stride 99, flatten, dense 2, softmax"
    arguments = ["train", "large.npz", "--recipe", "best-characters", "--layers", layers, *options]
    assert main([*arguments, "--epochs", "1", "--out", "m.safetensors"]) == 0
    out = capsys.readouterr().out
    said = "shift 96.43, rotation 10, scale 0.1, shear 0.1, elastic 20663.27, sigma 192.86"
    assert (f"\naugmentation: {said}\n" in out) == (not options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer", "rms"], "--optimizer is 'rms', expected one of: sgd, momentum, nesterov"),
        (["--momentum", "1"], "--momentum is 1.0, expected a number from 0, below 1"),
        (["--momentum", "x"], "--momentum is 'x'"),
        (["--optimizer", "adam", "--momentum", "0.5"], "--momentum is 0.5, but adam has its own"),
        (
            ["--optimizer", "nesterov", "--momentum", "0"],
            "--momentum is 0.0, expected a number above 0 for nesterov",
        ),
        (["--weight-decay", "-1"], "--weight-decay is -1.0, expected a number from 0"),
        (["--optimizer", "adam", "--weight-decay", "x"], "--weight-decay is 'x', expected"),
        (["--clip-norm", "0"], "--clip-norm is 0.0, expected a number above 0"),
        (["--label-smoothing", "1"], "--label-smoothing is 1.0, expected a number from 0, below 1"),
        (
            ["--augment", "tilt 3"],
            "--augment has 'tilt 3', expected each once, separated by commas",
        ),
        (["--augment", "scale 9"], "--augment: scale is 9.0, expected a number from 0 to 0.9"),
    ],
)
@pytest.mark.parametrize("command", ["train", "find-lr"])
def test_wrong_options_are_one_line(command, options, message, images, capsys):
    assert_refused([command, str(images), *options], capsys, message)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--schedule", "linear"], "--schedule is 'linear', expected one of: constant, step"),
        (["--schedule", "step every 0"], "--schedule: every is 0, expected a whole"),
        (["--patience", "0"], "--patience is 0, expected a whole number from 1"),
        (["--patience", "x"], "--patience is 'x'"),
    ],
)
def test_wrong_options_of_train_alone(options, message, images, capsys):
    assert_refused(["train", str(images), *options], capsys, message)


# -------------------------------------------------------------------------------------- find-lr

FIND = ["find-lr", "--layers", LAYERS, "--batch-size", "8"]


def test_find_lr_gives_the_curve_of_the_library(images, capsys):
    options = ["--most", "100", "--steps", "90", "--optimizer", "momentum", "--seed", "2"]
    assert main([*FIND, str(images), *options, "--json"]) == 0
    out, err = capsys.readouterr()
    *rows, last = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    data = convlet.datasets.load(str(images))
    network = convlet.Network(LAYERS, (6, 6, 1), seed=2)
    result = network.find_learning_rate(
        data.train.images, data.train.labels, 1e-5, 100, 90, 8, 2, optimizer="momentum"
    )
    assert err == ""
    assert [row["rate"] for row in rows] == result.rates.tolist()
    assert [row["loss"] for row in rows] == result.losses.tolist()
    assert [row["smoothed"] for row in rows] == result.smoothed.tolist()
    assert last == {
        "suggestion": result.suggestion,
        "diverged": result.diverged,
        "optimizer": "sgd, momentum 0.9",
        "batch_size": 8,
    }
    assert result.suggestion is not None

    assert main([*FIND, str(images), *options]) == 0
    said = f"suggested learning rate: {result.suggestion:.2g} for sgd, momentum 0.9, batch size 8\n"
    assert said in capsys.readouterr().out


def test_find_lr_draws_a_picture(images, capsys):
    assert main([*FIND, str(images), "--out", "rates.svg"]) == 0
    assert capsys.readouterr().out.endswith("picture saved in rates.svg\n")
    text = Path("rates.svg").read_text()
    assert "learning rate" in text
    assert "suggested: " in text


def test_find_lr_says_that_no_rate_helps(images, capsys):
    assert main([*FIND, str(images), "--most", "1e-4", "--steps", "20"]) == 0
    assert "no rate can be suggested" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--least", "0"], "--least is 0.0, expected a number above 0"),
        (["--least", "2", "--most", "1"], "--most is 1.0, expected more than --least, 2.0"),
        (["--steps", "1"], "--steps is 1, expected a whole number from 2"),
        (["--engine", "gpu"], "--engine is 'gpu', expected one of"),
        (["--out", "rates.gif"], "--out is 'rates.gif', expected a name that ends in .png"),
    ],
)
def test_find_lr_refuses(options, message, images, capsys):
    assert_refused([*FIND, str(images), *options], capsys, message)


def test_a_range_test_without_a_step_is_no_picture():
    empty = convlet.LearningRates(np.array([]), np.array([]), np.array([]), True, None)
    with pytest.raises(convlet.InputError, match="result has no steps"):
        convlet.plots.learning_rates(empty)


# -------------------------------------------------------------------------------------- augment


def test_augment_draws_originals_and_what_training_sees(images, capsys):
    arguments = ["augment", str(images), "--augment", "shift 2, flip", "--preview", "a.png"]
    assert main([*arguments, "--count", "3", "--seed", "5"]) == 0
    assert capsys.readouterr().out == "picture saved in a.png\n"
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_the_images_of_preview(images):
    x = convlet.datasets.load(str(images)).train.images[:3]
    network = convlet.Network(LAYERS, (6, 6, 1))
    drawing = convlet.plots.augmented(x, "shift 2, flip", versions=4, seed=5)
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in drawing.axes]
    assert len(shown) == 3 * 5
    for column in range(5):
        seen = (
            x / 255
            if column == 0
            else network.preview(x, "shift 2, flip", seed=5, epoch=column - 1)
        )
        for row in range(3):
            expected = np.rint(255 * seen[row].reshape(6, 6))
            np.testing.assert_allclose(shown[5 * row + column][..., 0], expected, atol=1)
    titles = [axes.get_title() for axes in drawing.axes[:5]]
    assert titles == ["original", "epoch 1", "epoch 2", "epoch 3", "epoch 4"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preview", "a.png"], "Missing option '--augment'"),
        (["--augment", "flip"], "Missing option '--preview'"),
        (["--augment", "none", "--preview", "a.png"], "--augment is 'none', expected one that"),
        (["--augment", "turn 3", "--preview", "a.png"], "--augment has 'turn 3'"),
        (["--augment", "flip", "--preview", "a.jpg"], "--preview is 'a.jpg', expected a name"),
        (["--augment", "flip", "--preview", "no/a.png"], "the folder 'no' does not exist"),
        (["--augment", "flip", "--preview", "a.png", "--count", "0"], "--count is 0, expected"),
        (["--augment", "flip", "--preview", "a.png", "--seed", "-1"], "--seed is -1, expected"),
    ],
)
def test_augment_refuses(options, message, images, capsys):
    assert_refused(["augment", str(images), *options], capsys, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 4, 4)), "none"), "augmentation is 'none'"),
        ((np.zeros((4, 4)), "flip"), "x has shape"),
        ((np.zeros((51, 4, 4)), "flip"), "expected 1 to 50 images"),
        ((np.zeros((2, 4, 4)), "flip", 21), "versions is 21"),
        ((np.zeros((2, 4, 4)), "flip", 3, -1), "seed is -1"),
    ],
)
def test_the_picture_refuses(arguments, message):
    with pytest.raises(convlet.InputError, match=message):
        convlet.plots.augmented(*arguments)


# ----------------------------------------------------------------------------- balance and folds


def test_class_weights_reach_fit_and_are_said(images, capsys):
    assert train(images, "--class-weight", "0=3, 2=0.5") == 0
    assert "\nclass weights: 0 3, 2 0.5\n" in capsys.readouterr().out
    data = convlet.datasets.load(str(images))
    network = convlet.Network(LAYERS, (6, 6, 1), classes=data.classes)
    recipe = convlet.recipes.recipe("default", data)
    network.fit(
        data.train.images,
        data.train.labels,
        class_weight={"0": 3, "2": 0.5},
        **{**recipe.settings(), "epochs": 2},
    )
    assert convlet.load("m.safetensors").flat.tobytes() == network.flat.tobytes()
    assert train(images, "--class-weight", "balanced") == 0
    assert "\nclass weights: balanced\n" in capsys.readouterr().out


def test_folds_are_trained_and_tested_one_by_one(images, capsys):
    refused = ["train", str(images), "--folds", "3", "--out", "m"]
    assert_refused(refused, capsys, "--out is 'm'", "no single network", "leave out --folds")
    command = ["train", str(images), "--layers", LAYERS, "--epochs", "2", "--folds", "3"]
    assert main([*command, "--seed", "2", "--json"]) == 0
    *folds, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    data = convlet.datasets.load(str(images))
    for n, part in enumerate(data.folds(3, seed=2)):
        network = convlet.Network(LAYERS, (6, 6, 1), seed=2, classes=data.classes)
        recipe = convlet.recipes.recipe("default", part)
        network.fit(
            part.train.images,
            part.train.labels,
            **{**recipe.settings(), "epochs": 2, "seed": 2},
        )
        expected = network.evaluate(part.test.images, part.test.labels)
        assert folds[n] == {"fold": n + 1, **expected._asdict()}
    accuracies = [fold["accuracy"] for fold in folds]
    assert last["accuracy"] == pytest.approx(np.mean(accuracies))
    assert last["spread"] == pytest.approx(np.std(accuracies, ddof=1))

    assert main(command) == 0
    out = capsys.readouterr().out
    assert "60 images in 3 folds, by --seed; the test images are not used" in out
    assert "\nfold 3 of 3: loss " in out
    assert "\nmean accuracy " in out


@pytest.mark.parametrize(
    "option",
    [("--hold-out", "5"), ("--patience", "3"), ("--history", "h.csv"), ("--checkpoint", "c")],
)
def test_what_folds_leave_no_room_for_is_refused(images, option, capsys):
    refused = ["train", str(images), "--folds", "3", *option]
    assert_refused(refused, capsys, option[0], "leave out --folds")
