"""What a data set is, and what holds for its arrays wherever they come from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.datasets import strata
from convlet.datasets.survey import Survey
from convlet.datasets.taking import joined, taken
from convlet.errors import DataError
from convlet.held_back import HeldBack
from convlet.inputs import as_count, as_seed
from convlet.preparation import Preparation
from convlet.tables import Table
from convlet.wording import label, listed, size

MOST_SHOWN = 10  # classes in a description
LONGEST = 30  # characters of their names there


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    images: C-ordered (n, rows, columns, channels), uint8 (0 to 255 stands for 0 to 1) or float32.
    labels: int64 (n,), positions in the classes of the data set.  names: of the images, as those of
    their files, or None.  groups: the name of each image's subject, or None; images of one subject
    are trained or tested with.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self):,} images {size(self.images.shape[1:])} {self.images.dtype})"

    def take(self, chosen: slice | NDArray[np.int64]) -> "Split":
        """The images at these positions with all that belongs to them."""
        places = np.arange(len(self))[chosen].tolist()
        names, groups = (
            None if texts is None else tuple(texts[n] for n in places)
            for texts in (self.names, self.groups)
        )
        return Split(taken(self.images, chosen), self.labels[chosen], names, groups)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: its name, images to train with, images to test with, a name for each class.

    validation: images to judge each epoch by, where the data have such a part.  preparation: what
    was done with image files.  said: what a reader of the data should know of that, a line each.
    held_back: how the test images were drawn from those that came; None where such a part came.
    survey: what the image files were, if they were such.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    validation: Split | None = None
    preparation: Preparation | None = None
    said: tuple[str, ...] = ()
    held_back: HeldBack | None = None
    survey: Survey | None = None

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}: {self._words()})"

    def _repr_html_(self) -> str:
        count = len(self.classes)
        counts = [np.bincount(part.labels, minlength=count) for part in (self.train, self.test)]
        rows = [
            (label(name, LONGEST), f"{n:,}", f"{m:,}")
            for name, n, m in zip(self.classes[:MOST_SHOWN], *counts, strict=False)
        ]
        rows.append(("all", f"{len(self.train):,}", f"{len(self.test):,}"))
        caption = f"{self.name}: {self._words()}"
        return Table(("class", "training", "test"), rows, "<>>", caption).html

    def _words(self) -> str:
        names = listed([label(name, LONGEST) for name in self.classes], MOST_SHOWN)
        return (
            f"{len(self.train):,} training and {len(self.test):,} test images,"
            f" {size(self.train.images.shape[1:])} {self.train.images.dtype},"
            f" {len(self.classes)} classes: {names}"
        )

    def hold_out(self, count: int, seed: int = 0) -> "Dataset":
        """A data set to choose settings with: its test images are `count` of the training images.

        Of each class its share; the others stay to train with, both in their order; the seed alone
        says which.  Where images have groups whole ones are held out, about `count` images.  What
        was chosen with it can then be tested once on images that had no part in the choice.  Raises
        `InputError`.
        """
        as_count(count, "count", 1, len(self.train) - 1)
        held = strata.chosen(self.train.labels, count, as_seed(seed), self.train.groups)
        return self._parted(held)

    def limited(self, count: int) -> "Dataset":
        """With `count` of the training images: of each class its share, the first ones.

        At least one of each.  Raises `InputError`.
        """
        as_count(count, "count")
        kept = strata.first(self.train.labels, count)
        return replace(self, train=self.train.take(np.flatnonzero(kept)))

    def folds(self, count: int, seed: int = 0) -> Iterator["Dataset"]:
        """`count` data sets, each with another part of the training images as its test images.

        Every image is tested once; a part has its share of each class, drawn by the seed, as far as
        groups, which stay whole, allow it.  Where the data came without test images those that were
        drawn from it belong to it again.  Raises `InputError`, `FileError`.
        """
        as_count(count, "count", 2)
        whole = self.pooled() if self.held_back else self
        dealt = whole._dealt(count, seed)
        return (whole._parted(dealt == n) for n in range(count))

    def fold(self, number: int, count: int, seed: int = 0) -> "Dataset":
        """Number `number`, from 1, of the `folds` of the training images alone.

        Test images have no part in it, also where they were drawn.  Raises `InputError`.
        """
        as_count(number, "number", 1, as_count(count, "count", 2))
        return self._parted(self._dealt(count, seed) == number - 1)

    def _dealt(self, count: int, seed: int) -> NDArray[np.int64]:
        """The fold of each training image, from 0."""
        return strata.folds(self.train.labels, count, as_seed(seed), self.train.groups)

    def pooled(self) -> "Dataset":
        """Its training and test images together, to train with and to test with."""
        parts = self.train, self.test
        both = Split(
            joined([part.images for part in parts]),
            np.concatenate([part.labels for part in parts]),
            _chained([part.names for part in parts]),
            _chained([part.groups for part in parts]),
        )
        return replace(self, train=both, test=both, held_back=None)

    def _parted(self, held: NDArray[np.bool_]) -> "Dataset":
        """The training images at these positions are its test images."""
        kept, tested = (self.train.take(np.flatnonzero(part)) for part in (~held, held))
        return replace(self, train=kept, test=tested, validation=None)


def _chained(texts: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """All of them, one after the other; None where some have none."""
    there = [part for part in texts if part is not None]
    return sum(there, ()) if len(there) == len(texts) else None


def as_float32(images: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Images as finite float32.  name: of the file, or of an array in it.  Raises `DataError`."""
    with np.errstate(over="ignore"):  # what overflows is found below
        images = images.astype(np.float32, copy=False)
    finite = np.isfinite(images)
    if not finite.all():
        first = tuple(int(i) for i in np.unravel_index(finite.argmin(), images.shape))
        raise DataError(
            f"{name}: expected finite float32 numbers, found {images[first]} at position {first}"
        )
    return images
