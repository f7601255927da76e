"""What `convlet train` says before and after training, a line each."""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from convlet.datasets import Dataset
from convlet.layers import Layer
from convlet.network import Network
from convlet.settings import Settings
from convlet.text import format_layers
from convlet.wording import count, percent, size


def of_data(data: Dataset, images: int, held_out: int | None) -> Iterator[str]:
    """What is trained with.  images: to train with, without those held out."""
    held = "" if held_out is None else f"{held_out:,} held out, "
    yield (
        f"{data.name}: {images:,} training images, {held}{len(data.test.labels):,} test images,"
        f" {size(data.train.images.shape[1:])}, {len(data.classes)} classes"
    )
    judges = "the test images" if held_out is None else "the images held out"
    yield f"validation after each epoch: {judges}"


def of_network(network: Network) -> Iterator[str]:
    """What is trained."""
    yield f"network: {format_layers(network.layers)}"
    yield f"{network.flat.size:,} parameters, {network.engine.name} engine"


def of_settings(
    settings: Settings, layers: Sequence[Layer], patience: int | None = None
) -> Iterator[str]:
    """How it is trained: what is off is not said."""
    yield from (f"{name}: {words}" for name, words in settings.described(layers).items())
    if patience is not None:
        yield f"patience: {count(patience, 'epoch')} without a lower validation loss"


def of_chance(data: Dataset, accuracy: float) -> Iterator[str]:
    """A line where an accuracy of the test images is no better than chance.

    That is: not above the share of the most frequent class by more than two standard errors.
    """
    counts = np.bincount(data.test.labels, minlength=len(data.classes))
    images, most = int(counts.sum()), int(counts.argmax())
    share = counts[most] / images
    if accuracy <= share + 2 * sqrt(share * (1 - share) / images):
        yield (
            f"no better than chance: of the test images {percent(share)} are of one class,"
            f" {data.classes[most]}"
        )
