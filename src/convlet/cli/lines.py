"""What `convlet train` says before and after training, a line each."""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from convlet.datasets import Dataset
from convlet.layers import Layer
from convlet.network import Network
from convlet.recipes import Recipe
from convlet.settings import Settings
from convlet.text import format_layers
from convlet.wording import count, percent, size


def of_data(data: Dataset, images: int, held_out: int | None = None) -> Iterator[str]:
    """What is trained with.  images: to train with, without those held out."""
    yield from data.said
    parts = [count(images, "training image")]
    if held_out is not None:
        parts.append(f"{held_out:,} held out")
    if data.validation is not None:
        parts.append(count(len(data.validation), "validation image"))
    yield (
        f"{data.name}: {', '.join(parts)}, {count(len(data.test), 'test image')},"
        f" {size(data.train.images.shape[1:])}, {len(data.classes)} classes"
    )
    yield from of_drawn(data)
    judges = "the test images" if data.validation is None else "the validation images"
    yield f"validation after each epoch: {judges if held_out is None else 'the images held out'}"


def of_drawn(data: Dataset) -> Iterator[str]:
    """A line where the test images are none that somebody chose."""
    if data.held_back:
        yield "no test part: the test images are drawn by the seed"


def of_network(network: Network) -> Iterator[str]:
    """What is trained."""
    yield f"network: {format_layers(network.layers)}"
    yield f"{network.flat.size:,} parameters, {network.engine.name} engine"


def of_recipe(recipe: Recipe, settings: Settings) -> str:
    """Which recipe, and by what facts it was chosen."""
    why = f"; for {recipe.why}" if recipe.why else ""
    epochs = count(settings.epochs, "epoch")
    return f"recipe {recipe.name}: {epochs}, batch size {settings.batch_size}{why}"


def of_settings(settings: Settings, layers: Sequence[Layer]) -> Iterator[str]:
    """How it is trained: what is off is not said."""
    yield from (f"{name}: {words}" for name, words in settings.described(layers).items())


def of_chance(data: Dataset, accuracy: float) -> Iterator[str]:
    """A line where an accuracy of the test images is no better than chance, or hardly.

    Chance is the share of the most frequent class; hardly above it is what two standard errors of
    so many images may bring.
    """
    counts = np.bincount(data.test.labels, minlength=len(data.classes))
    images, most = int(counts.sum()), int(counts.argmax())
    share = counts[most] / images
    chance = f"of the test images {percent(share)} are of one class, {data.classes[most]}"
    if accuracy <= share:
        yield f"no better than chance: {chance}"
    elif accuracy < min(1, share + 2 * sqrt(share * (1 - share) / images)):
        yield f"hardly better than chance, by {images:,} test images: {chance}"
