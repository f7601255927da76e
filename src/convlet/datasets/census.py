"""What is in a data set, and what one should know before training on it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlet.datasets.dataset import Dataset, Split

PIXELS = 1 << 22
"""Read at a time: data may be larger than memory."""
FEW = 10
"""Images of a class, below which an accuracy of it says little."""
SKEW = 10
"""How many times as many images the largest class may have before it is said."""


@dataclass(frozen=True)
class Twin:
    """Images with equal pixels.  A place is a part and a position in it; a label its class."""

    places: tuple[tuple[str, int], ...]
    labels: tuple[int, ...]

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(part for part, _ in self.places)

    @property
    def leaks(self) -> bool:
        """Whether an image to train with is one to judge with."""
        return len(self.parts) > 1

    @property
    def disagrees(self) -> bool:
        """Whether the same image is said to be of several classes."""
        return len(set(self.labels)) > 1


@dataclass(frozen=True)
class Census:
    """Counts over a data set.

    counts: images of each class, (classes,), by part.  mean, spread: of each channel over the
    training images, 1 is white; the spread is the standard deviation.  least, greatest: values
    there.  twins: images that occur more than once.
    """

    counts: Mapping[str, tuple[int, ...]]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    least: float
    greatest: float
    twins: tuple[Twin, ...]

    def problems(self, classes: tuple[str, ...]) -> Iterator[str]:
        """What should be mended, or known, a sentence each; nothing where all is well."""
        for part, counts in self.counts.items():
            missing = [name for name, count in zip(classes, counts, strict=True) if count == 0]
            if missing:
                yield f"no {part} image of {_listed(missing)}"
        training = self.counts["training"]
        few = [
            f"{name} ({count})"
            for name, count in zip(classes, training, strict=True)
            if 0 < count < FEW
        ]
        if few:
            yield f"fewer than {FEW} training images of {_listed(few)}"
        most, fewest = max(training), min(count for count in training if count)
        if most > SKEW * fewest:
            yield (
                f"the largest class has {most / fewest:.0f} times as many training images as the"
                ' smallest: consider class_weight="balanced" (--class-weight balanced)'
            )
        for first, second in (
            ("training", "test"),
            ("training", "validation"),
            ("validation", "test"),
        ):
            shared = sum({first, second} <= twin.parts for twin in self.twins)
            if shared:
                yield (
                    f"copies between the {first} and the {second} part: {shared:,}; what is"
                    " measured with them is too good"
                )
        repeated = sum(len(twin.places) - 1 for twin in self.twins if not twin.leaks)
        if repeated:
            yield f"copies inside of a part: {repeated:,}"
        disagreeing = sum(twin.disagrees for twin in self.twins)
        if disagreeing:
            yield f"images that occur with several labels: {disagreeing:,}"
        if self.least == self.greatest:
            yield "all pixels of the training images are equal"


def census(data: Dataset) -> Census:
    """Look at every image of a data set once."""
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    there = {name: part for name, part in parts.items() if part is not None}
    count = len(data.classes)
    counts = {
        name: tuple(np.bincount(part.labels, minlength=count).tolist())
        for name, part in there.items()
    }
    mean, spread, least, greatest = _moments(data.train)
    return Census(counts, mean, spread, least, greatest, _twins(there))


def _chunks(part: Split) -> Iterator[tuple[int, Any]]:
    """Some images at a time, with the position of the first."""
    step = max(1, PIXELS // int(np.prod(part.images.shape[1:])))
    for start in range(0, len(part), step):
        yield start, part.images[start : start + step]


def _moments(part: Split) -> tuple[tuple[float, ...], tuple[float, ...], float, float]:
    """Mean and standard deviation of each channel, least and greatest value; 1 is white."""
    white = 255.0 if part.images.dtype == np.uint8 else 1.0
    channels = part.images.shape[3]
    total, squares = np.zeros(channels), np.zeros(channels)
    least, greatest = np.inf, -np.inf
    for _, images in _chunks(part):
        values = images.reshape(-1, channels) / np.float64(white)
        total += values.sum(axis=0)
        squares += (values * values).sum(axis=0)
        least, greatest = min(least, float(values.min())), max(greatest, float(values.max()))
    pixels = len(part) * int(np.prod(part.images.shape[1:3]))
    mean = total / pixels
    spread = np.sqrt(np.maximum(squares / pixels - mean * mean, 0))
    return tuple(mean.tolist()), tuple(spread.tolist()), least, greatest


def _twins(parts: Mapping[str, Split]) -> tuple[Twin, ...]:
    """Images with equal pixels, told by their hashes, in the order of the first of each."""
    found: dict[bytes, list[tuple[str, int]]] = {}
    for name, part in parts.items():
        for start, images in _chunks(part):
            for n, image in enumerate(images, start):
                key = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
                found.setdefault(key, []).append((name, n))
    return tuple(
        Twin(tuple(places), tuple(int(parts[part].labels[n]) for part, n in places))
        for places in found.values()
        if len(places) > 1
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
