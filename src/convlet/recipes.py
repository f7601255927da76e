"""Recipes: settings of a whole training, chosen on held-out training images (docs/recipes.md).

data = convlet.datasets.load("mnist")
recipe = convlet.recipes.recipe("best", data)
network = convlet.Network(recipe.layers(classes=10))
network.fit(data.train.images, data.train.labels, **recipe.settings())
"""

from dataclasses import dataclass, field, fields, replace
from math import ceil
from typing import Any

from convlet.augmentation import Augmentation
from convlet.datasets import Dataset
from convlet.errors import InputError
from convlet.layers import Layer
from convlet.optimizers import SGD, Adam, AdamW, Optimizer
from convlet.schedules import Constant, OneCycle, Schedule
from convlet.settings import Settings
from convlet.text import parse_layers

SMALL = (
    "conv 8 5, relu, pool {pool}, conv 16 5, relu, pool 2, flatten, dense 128, relu,"
    " dense {classes}, softmax"
)
SMALL_PADDED = (
    "conv 8 3 padding same, relu, pool {pool}, conv 16 3 padding same, relu, pool 2, flatten,"
    " dense 128, relu, dense {classes}, softmax"
)
LARGE = (
    "conv 32 5, relu, pool {pool}, conv 64 5, relu, pool 2, flatten, dropout 0.3, dense 200, relu,"
    " dropout 0.5, dense {classes}, softmax"
)
LARGE_PADDED = (
    "conv 32 3 padding same, relu, pool {pool}, conv 64 3 padding same, relu, pool 2, flatten,"
    " dropout 0.3, dense 256, relu, dropout 0.5, dense {classes}, softmax"
)

SIDE, COUNT = 28, 60_000
"""Of the images that the recipes were chosen on, and how many they are with those held out."""
LEAST_SIDE = 16  # of an image, for two 5x5 kernels without padding
MOST_REPEATS = 20
"""Of the epochs, for fewer images."""
ROWS_BEHIND = 56
"""Of a large image, what the first pool leaves: the layers behind it were chosen for such."""


@dataclass(frozen=True)
class Recipe:
    """Layers and settings that belong together."""

    name: str
    text: str  # of the layers, with {classes} and {pool}
    padded_text: str  # of those for small images
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Optimizer = field(default_factory=SGD)
    schedule: Schedule = field(default_factory=Constant)
    augmentation: Augmentation | None = None
    pool: int = 2  # of the first stage

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers for so many classes."""
        return parse_layers(self.text.format(classes=classes, pool=self.pool))

    def settings(self) -> dict[str, Any]:
        """Arguments of `Network.fit`: the fields that `Settings` has, too."""
        return {f.name: getattr(self, f.name) for f in fields(Settings) if f.name in vars(self)}

    def fitted(self, data: Dataset) -> "Recipe":
        """This recipe for images of another size, and another number of them.

        Lengths in pixels grow with the images, and small ones get padded kernels; from 141 pixels
        on the first pool grows with them, too.  Fewer images are used more often, up to 20 times,
        so that the steps stay as many.  Raises `InputError`.
        """
        if not isinstance(data, Dataset):
            raise InputError("data", data, "a convlet.datasets.Dataset")
        count, side = len(data.train.labels), min(data.train.images.shape[1:3])
        repeats = min(MOST_REPEATS, max(1, COUNT / count))
        return replace(
            self,
            text=self.text if side >= LEAST_SIDE else self.padded_text,
            pool=max(2, round(side / ROWS_BEHIND)),
            epochs=ceil(self.epochs * repeats),
            augmentation=_resized(self.augmentation, side / SIDE),
        )


def _resized(augmentation: Augmentation | None, factor: float) -> Augmentation | None:
    """With its lengths in pixels times a factor; those of the field are as alpha / sigma."""
    if augmentation is None or factor == 1:
        return augmentation
    return replace(
        augmentation,
        shift=round(augmentation.shift * factor, 2),
        elastic=round(augmentation.elastic * factor**2, 2),
        sigma=max(0.5, round(augmentation.sigma * factor, 2)),
    )


PLAIN = Recipe("plain", SMALL, SMALL_PADDED, 5, 32, 0.1)
"""(13), (21) and nothing else."""

DEFAULT = Recipe(
    "default",
    SMALL,
    SMALL_PADDED,
    epochs=3,
    batch_size=64,
    learning_rate=0.008,
    optimizer=Adam(),
    schedule=OneCycle(),
    augmentation=Augmentation(shift=1, rotation=5, scale=0.05),
)
"""A good network in a few seconds."""

BEST_CHARACTERS = Recipe(
    "best-characters",
    LARGE,
    LARGE_PADDED,
    epochs=40,
    batch_size=128,
    learning_rate=0.002,
    optimizer=AdamW(weight_decay=0.15),
    schedule=OneCycle(),
    augmentation=Augmentation(shift=1.5, rotation=10, scale=0.1, shear=0.1, elastic=5, sigma=3),
)
"""For handwritten characters: all that this architecture gives, in minutes."""

BEST_THINGS = Recipe(
    "best-things",
    LARGE_PADDED,
    LARGE_PADDED,
    epochs=30,
    batch_size=64,
    learning_rate=0.001,
    optimizer=Adam(),
    schedule=OneCycle(),
    augmentation=Augmentation(flip=True),
)
"""The same for pictures of things, which may be mirrored but not bent."""

NAMES = ("plain", "default", "best", "best-characters", "best-things")
CHARACTERS = ("mnist", "digits")  # data of which `best` knows that they are


def recipe(name: str = "default", data: str | Dataset = "mnist") -> Recipe:
    """The recipe of that name, for a data set or for one of that name.

    "best" is "best-characters" for the characters among the known data sets, else "best-things".
    Raises `InputError`.
    """
    if not isinstance(data, str | Dataset):
        raise InputError("data", data, "a convlet.datasets.Dataset, or the name of one")
    chosen = _named(name, data if isinstance(data, str) else data.name)
    return chosen if isinstance(data, str) else chosen.fitted(data)


def _named(name: str, data: str) -> Recipe:
    match name:
        case "plain":
            return PLAIN
        case "default":
            return DEFAULT
        case "best":
            return BEST_CHARACTERS if data in CHARACTERS else BEST_THINGS
        case "best-characters":
            return BEST_CHARACTERS
        case "best-things":
            return BEST_THINGS
    raise InputError("recipe", name, f"one of: {', '.join(NAMES)}")
