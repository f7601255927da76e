"""Recipes: their networks, their settings, and the facts that choose one.

benchmarks/recipes.py measures their accuracy.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convlet
from convlet import Augmentation, Settings, recipes
from convlet.cli import main
from convlet.datasets import Dataset, Split
from convlet.facts import Facts, Mirror, measure, mirror
from convlet.stages import group


@pytest.mark.parametrize("name", recipes.NAMES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
def test_every_recipe_is_a_network_of_four_stages_that_trains(name, shape):
    recipe = recipes.recipe(name)
    assert recipe.name == ("best-characters" if name == "best" else name)
    network = convlet.Network(recipe.layers(10), shape)
    assert len(network.stages) == 4
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (64, *shape)).astype(np.uint8), rng.integers(0, 10, 64)
    before = network.flat.copy()
    history = network.fit(x, y, **{**recipe.settings(), "epochs": 1})
    assert np.isfinite(history[-1].train_loss)
    assert (network.flat != before).any()


def test_the_recipe_for_digits_has_at_most_300_000_parameters():
    assert convlet.Network(recipes.recipe("best-characters").layers(10)).flat.size <= 300_000


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
    for name in ("plain", "default", "best", "best-characters"):
        assert replace(recipes.recipe(name, data), why="") == recipes.recipe(name)


@given(side=st.integers(4, 60), count=st.integers(1, 100_000))
def test_a_recipe_fits_any_images(side, count):
    images = np.broadcast_to(np.uint8(0), (count, side, side + 1, 3))
    split = Split(images, np.broadcast_to(np.int64(0), count))
    data = Dataset("own", split, split, ("a", "b", "c"))
    for plain in recipes.RECIPES.values():
        recipe = plain.fitted(data)
        assert group(recipe.layers(3), images.shape[1:])[-1].output_shape == (3,)
        assert plain.epochs <= recipe.epochs <= plain.most_repeats * plain.epochs
        steps = plain.epochs * min(plain.count, plain.most_repeats * count)
        assert recipe.epochs * count >= steps
        if plain.augmentation is not None and recipe.augmentation is not None:
            assert recipe.augmentation.shift == pytest.approx(
                plain.augmentation.shift * side / plain.side, abs=0.006
            )
            source = plain.few if plain.few is not None and count < 10_000 else plain.augmentation
            assert recipe.augmentation.rotation == source.rotation


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
        alone = recipes.recipe(name)
        expected = alone.augmentation.shift * side / alone.side
        assert settings.augmentation.shift == pytest.approx(expected, abs=0.01)
    group(fitted.layers(2), (side, side, 1))


GLYPHS = {
    "b": "10000 10000 10110 11001 10001 10001 11110",
    "d": "00001 00001 01101 10011 10001 10001 01111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "A": "00100 01010 10001 10001 11111 10001 10001",
    "T": "11111 00100 00100 00100 00100 00100 00100",
}


def characters(names, count=400, ground=0, ink=255, channels=1, shade=0.0) -> Dataset:
    """Characters (28, 28) of somewhat different place, size and ink on one ground.

    shade: how much darker they are at the left or at the right.
    """
    rng = np.random.default_rng(0)
    y = np.arange(count) % len(names)
    x = np.full((count, 28, 28, channels), ground, np.float64)
    for image, label in zip(x, y, strict=True):
        shape = np.array([[int(bit) for bit in row] for row in GLYPHS[names[label]].split()])
        shape = np.kron(shape, np.ones(rng.integers(2, 4, 2)))[..., None]
        shape = shape * (
            1 - shade * np.linspace(0, 1, shape.shape[1])[:: rng.choice([-1, 1]), None]
        )
        h, w = shape.shape[:2]
        top, left = np.array([28 - h, 28 - w]) // 2 + rng.integers(-2, 3, 2)
        colour = ground + (ink - ground) * rng.uniform(0.6, 1, channels)
        image[top : top + h, left : left + w] += shape * (colour - ground)
    part = Split(x.round().astype(np.uint8), y)
    return Dataset("own", part, part, tuple(names))


def scenes(count=400, sides=False, channels=3) -> Dataset:
    """Frames (32, 32) with a bright spot on slopes and noise.

    The class is the height of the spot, or with `sides` whether it is at the left or the right.
    """
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    across, down = rng.uniform(-4, 4, (2, count, 1, 1, channels))
    r, c = np.indices((1, 32, 32))[1:, ..., None]
    x = 120 + across * (c - 15.5) / 2 + down * (r - 15.5) / 2
    x = x + rng.normal(0, 10, (count, 32, 32, channels))
    for image, label in zip(x, y, strict=True):
        row, column = rng.integers(2, 24, 2)
        if sides:
            column = 4 + 18 * label
        else:
            row = 4 + 18 * label
        image[row : row + 6, column : column + 6] += 90
    part = Split(x.clip(0, 255).astype(np.uint8), y)
    return Dataset("own", part, part, ("a", "b"))


@pytest.mark.parametrize(
    ("data", "name", "flip"),
    [
        (characters("FL"), "best-characters", False),
        (characters("bd"), "best-characters", False),  # each the mirror image of the other
        (characters("FLbd", ground=250, ink=20), "best-characters", False),  # ink on paper
        (characters("FLbd", ground=250, ink=0, channels=3), "best-characters", False),
        (characters("AT", shade=0.5), "best-things", True),
        (scenes(), "best-photos", True),
        (scenes(channels=1), "best-photos", True),
        (scenes(sides=True), "best-photos", False),
    ],
)
@pytest.mark.parametrize("called", ["mnist", "cifar10"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_facts_choose_the_best_recipe_and_no_name_does(data, name, flip, called, dtype):
    images = data.train.images if dtype is np.uint8 else data.train.images / np.float32(255)
    data = replace(data, name=called, train=Split(images, data.train.labels))
    chosen = recipes.recipe("best", data)
    assert (chosen.name, chosen.augmentation.flip) == (name, flip)
    assert chosen.augmentation.shift or chosen.name == "best-things"
    # whoever names a recipe gets it, but no mirror images that are of another class
    for named in ("best-things", "best-photos"):
        own = recipes.recipe(named, data)
        assert own.name == named
        assert bool(own.augmentation and own.augmentation.flip) == flip
    for named in ("plain", "default", "best-characters"):
        augmentation = recipes.recipe(named, data).augmentation
        assert augmentation is None or not augmentation.flip


ON_GROUND, FULL = Facts(900, 28, 28, 0.0, 0.5), Facts(900, 28, 28, 1.0, 0.49)


@pytest.mark.parametrize(
    ("facts", "mirrored", "name"),
    [
        (
            ON_GROUND,
            Mirror(100, 16, 3, 0, 50, 10, 0),
            "best-characters",
        ),  # 10 and two errors of 3 are 16
        (ON_GROUND, Mirror(100, 17, 3, 3, 50, 10, 0), "best-things"),
        (
            ON_GROUND,
            Mirror(100, 17, 3, 6, 50, 10, 0),
            "best-things",
        ),  # 3 more of 9 are one standard error
        (
            ON_GROUND,
            Mirror(100, 17, 3, 7, 50, 10, 0),
            "best-characters",
        ),  # they are of another class
        (ON_GROUND, Mirror(1, 0, 0, 0, 0, 0, 0), "best-characters"),
        (ON_GROUND, Mirror(100, 17, 3, 3, 16, 10, 0), "best-characters"),  # they tell no class
        (ON_GROUND, Mirror(100, 17, 3, 3, 17, 10, 0), "best-things"),  # 10 and two errors of 3
        (ON_GROUND, Mirror(100, 17, 3, 3, 50, 10, 1), "best-characters"),
        (FULL, Mirror(100, 50, 3, 3, 50, 10, 0), "best-photos"),
        (FULL, Mirror(100, 0, 0, 0, 50, 10, 0), "best-photos"),
    ],
)
def test_the_rule(facts, mirrored, name):
    assert recipes.best(facts, mirrored).name == name


def test_what_mirroring_forbids_goes_and_nothing_else():
    assert recipes.BEST_THINGS.unmirrored() == replace(recipes.BEST_THINGS, augmentation=None)
    photos = recipes.BEST_PHOTOS
    assert photos.unmirrored().augmentation == replace(photos.augmentation, flip=False)
    assert recipes.BEST_CHARACTERS.unmirrored() is recipes.BEST_CHARACTERS
    assert recipes.PLAIN.unmirrored() is recipes.PLAIN
    assert Augmentation(flip=True) == recipes.BEST_THINGS.augmentation


def test_few_characters_are_never_mirrored():
    """Chance shows shares in a few images that they do not have."""
    data = convlet.datasets.load("mnist")
    for seed in range(5):
        few = data.hold_out(len(data.train) - 300, seed).train
        chosen = recipes.recipe("best", replace(data, train=few))
        assert (chosen.name, chosen.augmentation.flip) == ("best-characters", False)


def test_the_facts_of_a_few_pixels():
    images = np.full((3, 4, 5, 3), 200, np.uint8)
    images[:, 1:-1, 1:-1] = np.reshape([0, 255, 9], (3, 1, 1, 1))  # the border: 18, corners twice
    images[0, 0, 1] = [192, 200, 208]  # still blank, and in colour
    images[1, 0, 1] = [191, 200, 200]  # not blank, and in colour
    found = measure(images)
    assert (found.count, found.rows, found.columns) == (3, 4, 5)
    assert found.coloured == pytest.approx(2 / 60)
    assert found.blank == pytest.approx(1 - 1 / 54)
    assert str(found) == "3 images 4x5 in colour, 98 % of the border blank"
    grey = measure(images[..., :1] / np.float32(100))
    assert (grey.coloured, grey.blank) == (0, pytest.approx(1 - 1 / 54))


def test_images_beside_mirror_images():
    """The last is the mirror image of the first, and otherwise near to the second."""
    images = np.zeros((5, 14, 14, 1), np.uint8)
    images[0, 2:9, 2:5] = images[4, 2:9, 9:12] = 200
    images[1, 3:9, 9:12] = 200
    images[2, 12], images[3, 0] = 200, 200  # lines, the nearest to the first without mirror images

    def told(x, y):
        found = mirror(x, np.array(y))
        return found.compared, found.nearer, found.won, found.lost

    for seen in (images, images[:, :, ::-1], images / np.float32(7)):
        assert told(seen, [1, 0, 0, 0, 0]) == (5, 2, 0, 1)  # the last loses
        assert told(seen, [1, 0, 0, 0, 1]) == (5, 2, 2, 0)  # both win
        assert told(seen, [1, 1, 0, 0, 1]) == (5, 2, 1, 0)  # the first wins
    images[1] = images[4]  # an equal one: none is nearer to either
    assert told(images, [1, 0, 0, 0, 1]) == (5, 1, 0, 0)
    assert told(images[:1], [0]) == (1, 0, 0, 0)
    assert not mirror(images[:1], np.array([0])).is_harmless


def arrows(count, noise):
    """Arrows to the left, to the right and upwards, in noise."""
    rng = np.random.default_rng(0)
    left = np.zeros((16, 16))
    left[8, 2:14] = left[7:10, 3] = left[6:11, 4] = 255
    kinds = np.stack([left, left[:, ::-1], left.T])
    y = np.arange(count) % 3
    x = kinds[y] + rng.normal(0, noise, (count, 16, 16))
    return np.clip(x, 0, 255).astype(np.uint8)[..., None], y


def test_classes_that_mirroring_swaps_are_found():
    found = mirror(*arrows(90, 30))
    assert found.swapped == 1
    assert found.known == 90
    assert found.chance == pytest.approx(90 * 29 / 89)
    assert not found.is_harmless
    assert not mirror(*arrows(90, 3000)).is_harmless  # nothing is known of such


def test_the_facts_of_mnist_are_said(in_a_new_folder, capsys):
    """Before training, in the line of the recipe; its settings are those it was measured with."""
    options = ["--recipe", "best", "--layers", "flatten, dense 10, softmax", "--augment", "none"]
    assert (
        main(["train", *options, "--limit", "99", "--epochs", "1", "--out", "m.safetensors"]) == 0
    )
    (line,) = (row for row in capsys.readouterr().out.splitlines() if row.startswith("recipe"))
    assert line.startswith(
        "recipe best-characters: 1 epoch, batch size 128; for 60,000 images 28x28 in grey,"
        " 100 % of the border blank, 5 % nearest to a mirror image ("
    )


@pytest.mark.parametrize("data", [3, "mnist", None])
def test_data_are_a_data_set(data):
    if data is None:
        assert recipes.recipe("default", data) is recipes.DEFAULT
        return
    with pytest.raises(convlet.InputError, match=r"data is .*, expected a convlet.datasets.Dat"):
        recipes.recipe("default", data)
