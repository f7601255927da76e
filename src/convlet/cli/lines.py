"""What `convlet train` says before and after training, a line each."""

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from convlet.cli.console import size
from convlet.datasets import Dataset
from convlet.layers import Dropout, Layer
from convlet.network import Network
from convlet.settings import Settings
from convlet.text import format_layers


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
    yield f"optimizer: {settings.optimizer}"
    yield f"learning rate: {settings.learning_rate:g}, {settings.schedule}"
    if settings.clip_norm is not None:
        yield f"clipping: gradients to a norm of {settings.clip_norm:g}"
    rates = [f"{layer.rate:g}" for layer in layers if isinstance(layer, Dropout)]
    if rates:
        yield f"dropout: {', '.join(rates)}"
    if settings.label_smoothing:
        yield f"label smoothing: {settings.label_smoothing:g}"
    if settings.augmentation is not None:
        yield f"augmentation: {settings.augmentation}"
    if patience is not None:
        yield f"patience: {count(patience, 'epoch')} without a lower validation loss"


def count(number: int, what: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def of_chance(data: Dataset, accuracy: float) -> Iterator[str]:
    """A line where an accuracy of the test images is no better than chance.

    That is: not above the share of the most frequent class by more than two standard errors.
    """
    counts = np.bincount(data.test.labels, minlength=len(data.classes))
    images, most = int(counts.sum()), int(counts.argmax())
    share = counts[most] / images
    if accuracy <= share + 2 * sqrt(share * (1 - share) / images):
        yield (
            f"no better than chance: of the test images {100 * share:.2f} % are of one class,"
            f" {data.classes[most]}"
        )
