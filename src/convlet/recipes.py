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
from convlet.facts import Facts, Mirror, measure, mirror
from convlet.layers import Layer
from convlet.optimizers import SGD, Adam, AdamW, Optimizer
from convlet.schedules import Constant, OneCycle, Schedule
from convlet.settings import Settings, settings_but
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
WIDE = (
    "conv 64 5, relu, pool {pool}, conv 128 5, relu, pool 2, flatten, dropout 0.2, dense 384, relu,"
    " dropout 0.5, dense {classes}, softmax"
)
WIDE_PADDED = (
    "conv 64 3 padding same, relu, pool {pool}, conv 128 3 padding same, relu, pool 2, flatten,"
    " dropout 0.2, dense 384, relu, dropout 0.5, dense {classes}, softmax"
)
TINY = (
    "conv {0} 3, relu, pool {{pool}}, conv {1} 3, relu, pool 2, conv {2} 3, relu, flatten,{3}"
    " dense {{classes}}, softmax"
)
TINY_PADDED = TINY.replace(" 3, relu", " 3 padding same, relu")

LEAST_SIDE = 16  # of an image, for two 5x5 kernels without padding
FEW = 10_000


@dataclass(frozen=True)
class Recipe:
    """Layers and settings that belong together.

    side, count: of the images that they were chosen on, with those held out.  rows_behind: what
    the first pool leaves of a large image; the layers behind it were chosen for such.  least_side:
    of images for the layers without padding.  most_repeats: of the epochs, for fewer images.  few:
    the augmentation for fewer than 10,000, where it is another one.  why: what it was chosen by for
    some data.
    """

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
    side: int = 28
    count: int = 60_000
    rows_behind: int = 56
    least_side: int = LEAST_SIDE
    most_repeats: float = 20
    few: Augmentation | None = None
    why: str = ""

    def layers(self, classes: int) -> tuple[Layer, ...]:
        """The layers for so many classes."""
        return parse_layers(self.text.format(classes=classes, pool=self.pool))

    def settings(self) -> dict[str, Any]:
        """Arguments of `Network.fit`: the fields that `Settings` has, too."""
        return {f.name: getattr(self, f.name) for f in fields(Settings) if f.name in vars(self)}

    def settings_but(self, **given: Any) -> Settings:
        """Those of the recipe with other values, as `settings.settings_but`."""
        return settings_but(self.settings(), self.optimizer, given)

    def fitted(self, data: Dataset) -> "Recipe":
        """This recipe for images of another size, and another number of them.

        Lengths in pixels grow with the images, and small ones get padded kernels; from some size on
        the first pool grows with them, too.  Fewer images are used more often, up to a limit, so
        that the steps stay as many, and few may be changed more.  Raises `InputError`.
        """
        if not isinstance(data, Dataset):
            raise InputError("data", data, "a convlet.datasets.Dataset")
        count, side = len(data.train), min(data.train.images.shape[1:3])
        repeats = min(self.most_repeats, max(1, self.count / count))
        few = self.few if count < FEW else None
        return replace(
            self,
            text=self.text if side >= self.least_side else self.padded_text,
            pool=max(2, round(side / self.rows_behind)),
            epochs=ceil(self.epochs * repeats),
            augmentation=_resized(few or self.augmentation, side / self.side),
        )

    def unmirrored(self) -> "Recipe":
        """This recipe for images that are others when mirrored."""
        if self.augmentation is None or not self.augmentation.flip:
            return self
        changes = replace(self.augmentation, flip=False)
        return replace(self, augmentation=None if changes == Augmentation() else changes)


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
"""The same for things on blank ground, which may be mirrored but not bent."""

BEST_PHOTOS = Recipe(
    "best-photos",
    WIDE,
    WIDE_PADDED,
    epochs=48,
    batch_size=128,
    learning_rate=0.002,
    optimizer=AdamW(weight_decay=0.1),
    schedule=OneCycle(),
    augmentation=Augmentation(shift=2, flip=True),
    side=32,
    count=50_000,
    rows_behind=16,
    most_repeats=1.25,
    few=Augmentation(shift=2, rotation=10, scale=0.1, flip=True),
)
"""The same for images that fill their frame, as photographs do."""


def _tiny(
    name: str,
    channels: tuple[int, int, int],
    dropout: str = "",
    epochs: int = 30,
    learning_rate: float = 0.005,
    decay: float = 0.05,
) -> Recipe:
    """For small devices: all that one keeps of the stages takes so many kB in int8."""
    return Recipe(
        name,
        TINY.format(*channels, dropout),
        TINY_PADDED.format(*channels, dropout),
        epochs,
        64,
        learning_rate,
        AdamW(weight_decay=decay),
        OneCycle(),
        BEST_CHARACTERS.augmentation,
        rows_behind=14,
        least_side=18,  # for two pools, and 3x3 kernels before, between and behind them
    )


TINY_4K = _tiny("tiny-4k", (8, 12, 13), epochs=60, learning_rate=0.008, decay=0.02)
TINY_16K = _tiny("tiny-16k", (14, 28, 34), epochs=30, learning_rate=0.005, decay=0.05)
TINY_64K = _tiny("tiny-64k", (28, 56, 72), " dropout 0.3,", 20, 0.003, 0.05)

ALL = (PLAIN, DEFAULT, BEST_CHARACTERS, BEST_THINGS, BEST_PHOTOS, TINY_4K, TINY_16K, TINY_64K)
RECIPES = {one.name: one for one in ALL}
NAMES = ("plain", "default", "best", *list(RECIPES)[2:])


def recipe(name: str = "default", data: Dataset | None = None) -> Recipe:
    """The recipe of that name, fitted to the training images of a data set.

    "best" is the one that `best` chooses.  Without data it is as for 60,000 handwritten digits of
    28x28 pixels.  Raises `InputError`.
    """
    if name not in NAMES:
        raise InputError("recipe", name, f"one of: {', '.join(NAMES)}")
    if data is None:
        return BEST_CHARACTERS if name == "best" else RECIPES[name]
    if not isinstance(data, Dataset):
        raise InputError("data", data, "a convlet.datasets.Dataset or None")
    if name in ("plain", "default"):
        return RECIPES[name].fitted(data)
    facts, mirrored = measure(data.train.images), mirror(data.train.images, data.train.labels)
    chosen = best(facts, mirrored) if name == "best" else RECIPES[name]
    fitted = replace(chosen.fitted(data), why=f"{facts}, {mirrored}")
    return fitted if mirrored.is_harmless else fitted.unmirrored()


def best(facts: Facts, mirrored: Mirror) -> Recipe:
    """Which recipe gives the most for such images: the facts decide, no name does."""
    if not facts.is_on_ground:
        return BEST_PHOTOS
    return BEST_THINGS if mirrored.is_harmless else BEST_CHARACTERS
