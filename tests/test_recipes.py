"""Recipes: their networks and settings.  benchmarks/recipes.py measures their accuracy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convlet
from convlet import Augmentation, Settings, recipes
from convlet.cli import main
from convlet.datasets import Dataset, Split
from convlet.stages import group

ALL = [(name, data) for name in recipes.NAMES for data in ("mnist", "fashion-mnist")]


@pytest.mark.parametrize(("name", "data"), ALL)
def test_every_recipe_is_a_network_of_four_stages_that_trains(name, data):
    recipe = recipes.recipe(name, data)
    best = "best-characters" if data == "mnist" else "best-things"
    assert recipe.name == (best if name == "best" else name)
    network = convlet.Network(recipe.layers(10), (28, 28, 1))
    assert len(network.stages) == 4
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (64, 28, 28)).astype(np.uint8), rng.integers(0, 10, 64)
    before = network.flat.copy()
    history = network.fit(x, y, **{**recipe.settings(), "epochs": 1})
    assert np.isfinite(history[-1].train_loss)
    assert (network.flat != before).any()


def test_the_recipe_for_digits_has_at_most_300_000_parameters():
    assert convlet.Network(recipes.recipe("best", "mnist").layers(10)).flat.size <= 300_000


def test_plain_is_13_and_21_and_nothing_else():
    settings = recipes.recipe("plain").settings()
    assert settings == {
        "epochs": 5,
        "batch_size": 32,
        "learning_rate": 0.1,
        "optimizer": convlet.SGD(),
        "schedule": convlet.Constant(),
        "augmentation": None,
    }
    assert recipes.recipe("plain").layers(10) == convlet.Network().layers


def test_things_may_be_mirrored_and_characters_may_not():
    assert recipes.recipe("best", "fashion-mnist").augmentation == Augmentation(flip=True)
    for data in ("mnist", "digits"):
        for name in ("default", "best"):
            assert not recipes.recipe(name, data).augmentation.flip


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_recipe_learns_small_images(name):
    """A fifth of the epochs: those that few images get in the place of many."""
    data = convlet.datasets.load("digits")
    recipe = recipes.recipe(name, data)
    network = convlet.Network(recipe.layers(10), (8, 8, 1))
    assert len(network.stages) == 4
    changes = {"epochs": recipe.epochs // (5 if recipe.epochs <= 100 else 40)}
    network.fit(data.train.images, data.train.labels, **{**recipe.settings(), **changes})
    assert network.evaluate(data.test.images, data.test.labels).accuracy > 0.95


def test_a_recipe_fitted_to_its_own_data_stays_as_it_is():
    data = convlet.datasets.load("mnist")
    for name in recipes.NAMES:
        assert recipes.recipe(name, data) == recipes.recipe(name, "mnist")


@given(side=st.integers(4, 60), count=st.integers(1, 100_000))
def test_a_recipe_fits_any_images(side, count):
    images = np.broadcast_to(np.uint8(0), (count, side, side + 1, 3))
    split = convlet.datasets.Split(images, np.broadcast_to(np.int64(0), count))
    data = convlet.datasets.Dataset("own", split, split, ("a", "b", "c"))
    for name in recipes.NAMES:
        plain, recipe = recipes.recipe(name, "own"), recipes.recipe(name, data)
        network = convlet.Network(recipe.layers(3), images.shape[1:])
        assert network.class_count == 3
        assert plain.epochs <= recipe.epochs <= 20 * plain.epochs
        assert recipe.epochs * count >= min(plain.epochs * 60_000, 20 * plain.epochs * count)
        if plain.augmentation is not None:
            assert recipe.augmentation.shift == pytest.approx(
                plain.augmentation.shift * side / 28, abs=0.006
            )
            assert recipe.augmentation.rotation == plain.augmentation.rotation


def test_default_learns_some_of_mnist():
    """A tenth of the images, one epoch: not the accuracy of the table, but near it."""
    data = convlet.datasets.load("mnist")
    recipe = recipes.recipe()
    network = convlet.Network(recipe.layers(10))
    network.fit(data.train.images[:6000], data.train.labels[:6000], **recipe.settings())
    assert network.evaluate(data.test.images, data.test.labels).accuracy > 0.96


def test_an_unknown_recipe_is_refused(capsys):
    with pytest.raises(convlet.InputError, match="recipe is 'fast', expected one of: plain, def"):
        recipes.recipe("fast")
    assert main(["train", "--recipe", "fast"]) == 2
    with pytest.raises(convlet.InputError, match=r"data is 3, expected a convlet.datasets.Dataset"):
        recipes.PLAIN.fitted(3)
    assert "--recipe is 'fast', expected one of: plain, default, best" in capsys.readouterr().err


@pytest.mark.parametrize("name", recipes.NAMES)
@pytest.mark.parametrize("side", [16, 28, 400, 1800])
def test_a_recipe_fits_images_of_any_size(name, side):
    """Lengths that the program scaled meet no limit that was made for what a user types."""
    images = np.zeros((4, side, side, 1), np.uint8)
    part = Split(images, np.array([0, 1, 0, 1]))
    fitted = recipes.recipe(name, Dataset("photos", part, part, ("a", "b")))
    settings = Settings(**fitted.settings())
    if settings.augmentation is not None and fitted.augmentation.shift:
        assert settings.augmentation.shift == pytest.approx(
            recipes.recipe(name).augmentation.shift * side / 28, abs=0.01
        )
    group(fitted.layers(2), (side, side, 1))
