"""What a data set is, and what holds for its arrays wherever they come from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.errors import DataError
from convlet.inputs import as_count, as_seed
from convlet.randomness import Purpose, permutation
from convlet.tables import Table

MAX_CLASSES = 1 << 16
MOST_SHOWN = 10  # classes in a description


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels.

    images: C-ordered (n, rows, columns, channels), uint8 (0 to 255 stands for 0 to 1) or float32.
    labels: int64 (n,), positions in the classes of the data set.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        return f"Split({len(self):,} images {size} {self.images.dtype})"

    def take(self, chosen: slice | NDArray[np.int64]) -> "Split":
        """The images at these positions with their labels."""
        return Split(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: its name, images to train with, images to test with, a name for each class."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}: {self._words()})"

    def _repr_html_(self) -> str:
        count = len(self.classes)
        counts = [np.bincount(part.labels, minlength=count) for part in (self.train, self.test)]
        rows = [
            (label(name), f"{n:,}", f"{m:,}")
            for name, n, m in zip(self.classes[:MOST_SHOWN], *counts, strict=False)
        ]
        rows.append(("all", f"{len(self.train):,}", f"{len(self.test):,}"))
        caption = f"{self.name}: {self._words()}"
        return Table(("class", "training", "test"), rows, "<>>", caption).html

    def _words(self) -> str:
        size = "x".join(map(str, self.train.images.shape[1:]))
        names = ", ".join(map(label, self.classes[:MOST_SHOWN]))
        more = ", ..." if len(self.classes) > MOST_SHOWN else ""
        return (
            f"{len(self.train):,} training and {len(self.test):,} test images, {size}"
            f" {self.train.images.dtype}, {len(self.classes)} classes: {names}{more}"
        )

    def hold_out(self, count: int, seed: int = 0) -> "Dataset":
        """A data set to choose settings with: its test images are `count` of the training images.

        The others stay to train with, both in their order; the seed alone says which.  What was
        chosen with it can then be tested once on images that had no part in the choice.  Raises
        `InputError`.
        """
        total = len(self.train)
        as_count(count, "count", 1, total - 1)
        order = permutation(as_seed(seed), Purpose.HOLD_OUT, 0, total)
        held, kept = np.sort(order[:count]), np.sort(order[count:])
        return replace(self, train=self.train.take(kept), test=self.train.take(held))


def label(name: str) -> str:
    """The name of a class, short and on one line."""
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= 30 else f"{text[:27]}..."


def make_split(
    images: NDArray[Any], labels: NDArray[Any], images_name: str, labels_name: str
) -> Split:
    """A split of arrays from a file.  The names are those of files, or of arrays in a file.

    images: (n, rows, columns) or (n, rows, columns, channels), uint8 or finite floats.
    labels: (n,) whole numbers of any dtype, or (n, classes) one-hot.  Raises `DataError`.
    """
    check_shapes(images.shape, labels.shape, images_name, labels_name)
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"{images_name}: expected uint8 or a float, found {images.dtype}")
    labels = _as_classes(labels, labels_name)
    outside = (labels < 0) | (labels >= MAX_CLASSES)
    if outside.any():
        first = int(outside.argmax())
        raise DataError(
            f"{labels_name}: expected labels 0 to {MAX_CLASSES - 1},"
            f" found {labels[first]} at position {first}"
        )
    if images.dtype.kind == "f":
        images = as_float32(images, images_name)
    if images.ndim == 3:
        images = images[..., None]
    return Split(np.ascontiguousarray(images), np.ascontiguousarray(labels, np.int64))


def check_shapes(
    images: tuple[int, ...], labels: tuple[int, ...], images_name: str, labels_name: str
) -> None:
    """Refuse shapes that no split has: files tell them before their entries take memory."""
    if len(images) not in (3, 4):
        raise DataError(
            f"{images_name}: expected images (n, rows, columns) or (n, rows, columns, channels),"
            f" found shape {images}"
        )
    if len(labels) not in (1, 2):
        raise DataError(
            f"{labels_name}: expected labels (n,), or one-hot (n, classes), found shape {labels}"
        )
    if 0 in images:
        raise DataError(
            f"{images_name}: expected at least one image of at least one pixel,"
            f" found shape {images}"
        )
    if images[0] != labels[0]:
        raise DataError(
            f"{labels_name}: expected {images[0]} labels, one for each image of {images_name},"
            f" found {labels[0]}"
        )


def make_dataset(
    name: str, train: Split, test: Split, source: str, classes: tuple[str, ...] | None = None
) -> Dataset:
    """A data set of two splits.

    source: the file or folder, for messages.  classes: a name for each, or None for the labels
    themselves, "0" up to the largest.  Raises `DataError`.
    """
    shape, test_shape = train.images.shape[1:], test.images.shape[1:]
    if shape != test_shape or train.images.dtype != test.images.dtype:
        raise DataError(
            f"{source}: expected test images {shape} {train.images.dtype} as in training,"
            f" found {test_shape} {test.images.dtype}"
        )
    largest = max(int(train.labels.max()), int(test.labels.max()))
    if classes is None:
        classes = tuple(map(str, range(largest + 1)))
    if largest >= len(classes):
        raise DataError(
            f"{source}: expected labels 0 to {len(classes) - 1} for {len(classes)} classes,"
            f" found {largest}"
        )
    if len(classes) < 2:
        raise DataError(f"{source}: expected at least two classes, found one")
    return Dataset(name, train, test, classes)


def every_fifth(count: int) -> NDArray[np.bool_]:
    """(count,) true at positions 4, 9, 14, ...: the test part of data that comes without one."""
    chosen = np.zeros(count, np.bool_)
    chosen[4::5] = True
    return chosen


def _as_classes(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels (n,) as whole numbers; one-hot rows (n, classes) become the place of their 1."""
    if labels.dtype.kind not in "buif":
        raise DataError(f"{name}: expected labels that are whole numbers, found {labels.dtype}")
    if labels.ndim == 2:
        one_hot = ((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1)
        if not one_hot.all():
            first = int(one_hot.argmin())
            raise DataError(
                f"{name}: expected one-hot rows, a single 1 among zeros,"
                f" found {labels[first].tolist()!s:.80} at position {first}"
            )
        return np.asarray(labels.argmax(axis=1))
    if labels.dtype.kind == "f":
        labels = labels.astype(np.float64)  # float16 ends below the limit
        whole = labels == np.floor(labels)  # infinity is refused as a number out of range
        if not whole.all():
            first = int(whole.argmin())
            raise DataError(
                f"{name}: expected labels that are whole numbers, found {labels[first]}"
                f" at position {first}"
            )
    return labels


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
