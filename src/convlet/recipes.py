"""Recipes: settings of a whole training, chosen on held-out training images (docs/recipes.md).

recipe = convlet.recipes.recipe("best", "mnist")
network = convlet.Network(recipe.layers(classes=10))
network.fit(x, y, **recipe.settings())
"""

from dataclasses import dataclass, field
from typing import Any

from convlet.augmentation import Augmentation
from convlet.errors import InputError
from convlet.layers import Layer
from convlet.optimizers import SGD, Adam, AdamW, Optimizer
from convlet.schedules import Constant, OneCycle, Schedule
from convlet.text import parse_layers

SMALL = (
    "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu,"
    " dense {classes}, softmax"
)
LARGE = (
    "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten, dropout 0.3, dense 200, relu,"
    " dropout 0.5, dense {classes}, softmax"
)
PADDED = (
    "conv 32 3 padding same, relu, pool 2, conv 64 3 padding same, relu, pool 2, flatten,"
    " dropout 0.3, dense 256, relu, dropout 0.5, dense {classes}, softmax"
)


@dataclass(frozen=True)
class Recipe:
    """Layers and settings that belong together."""

    name: str
    text: str  # of the layers, with {classes}
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Optimizer = field(default_factory=SGD)
    schedule: Schedule = field(default_factory=Constant)
    augmentation: Augmentation | None = None

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers for so many classes."""
        return parse_layers(self.text.format(classes=classes))

    def settings(self) -> dict[str, Any]:
        """Arguments of `Network.fit`."""
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "augmentation": self.augmentation,
        }


PLAIN = Recipe("plain", SMALL, 5, 32, 0.1)
"""(13), (21) and nothing else."""

DEFAULT = Recipe(
    "default",
    SMALL,
    epochs=3,
    batch_size=64,
    learning_rate=0.008,
    optimizer=Adam(),
    schedule=OneCycle(),
    augmentation=Augmentation(shift=1, rotation=5, scale=0.05),
)
"""A good network in a few seconds."""

BEST = Recipe(
    "best",
    LARGE,
    epochs=40,
    batch_size=128,
    learning_rate=0.002,
    optimizer=AdamW(weight_decay=0.05),
    schedule=OneCycle(),
    augmentation=Augmentation(shift=1.5, rotation=10, scale=0.15, shear=0.1, elastic=15, sigma=3),
)
"""For handwritten characters: all that this architecture gives, in minutes."""

BEST_THINGS = Recipe(
    "best",
    PADDED,
    epochs=30,
    batch_size=64,
    learning_rate=0.001,
    optimizer=Adam(),
    schedule=OneCycle(),
    augmentation=Augmentation(flip=True),
)
"""The same for pictures of things, which may be mirrored but not bent."""

NAMES = ("plain", "default", "best")


def recipe(name: str = "default", data: str = "mnist") -> Recipe:
    """The recipe of that name for a data set.  Raises `InputError`."""
    match name:
        case "plain":
            return PLAIN
        case "default":
            return DEFAULT
        case "best":
            return BEST if data in ("mnist", "digits") else BEST_THINGS
    raise InputError(f"recipe is {name!r}, expected one of: {', '.join(NAMES)}")
