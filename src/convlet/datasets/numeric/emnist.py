"""EMNIST (Cohen, Afshar, Tapson, van Schaik, 2017): its six divisions, as IDX or as tables.

Its images lie with columns as rows, and letters are counted from 1.
"""

from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

from numpy.typing import NDArray

from convlet.datasets.numeric.arrangement import arranged, arrangement
from convlet.datasets.numeric.arrays import Pair, Stored

_MERGED = digits + ascii_uppercase + "abdefghnqrt"
DIVISIONS = {
    "emnist-balanced": _MERGED,
    "emnist-byclass": digits + ascii_uppercase + ascii_lowercase,
    "emnist-bymerge": _MERGED,
    "emnist-digits": digits,
    "emnist-letters": ascii_uppercase,
    "emnist-mnist": digits,
}
"""What the names of their files begin with, and their classes."""
SAID = "EMNIST stores columns as rows: its images are turned upright"


def classes_of(file: str) -> tuple[str, ...] | None:
    """The classes of a file that is called as those of EMNIST are; None for another one."""
    found = (classes for name, classes in DIVISIONS.items() if file.lower().startswith(name))
    return next(map(tuple, found), None)


def upright(pair: Pair, classes: tuple[str, ...], stated: tuple[int, ...] | None = None) -> Pair:
    """Images as they are seen, (n, rows, columns) if they are grey, and labels from 0.

    stated: (rows, columns, channels) of rows of pixels.  Raises `DataError`.
    """
    x, y = pair.images, pair.labels
    turned = None if stated is None else (stated[1], stated[0], stated[2])
    how = arrangement(x.shape, y.shape[0], x.name, turned)
    n, columns, rows, channels = how.shape
    found = (n, rows, columns) if channels == 1 else (n, rows, columns, channels)
    images = Stored(x.name, found, lambda: arranged(x.read(), how).swapaxes(1, 2).reshape(found))
    if classes != tuple(ascii_uppercase):
        return Pair(images, y)
    return Pair(images, replace(y, read=lambda: _from_0(y.read())))


def _from_0(labels: NDArray[Any]) -> NDArray[Any]:
    """Letters are counted from 1 in EMNIST, from 0 by some who publish it anew."""
    return labels.astype("i8") - 1 if labels.dtype.kind in "iu" and labels.min() > 0 else labels
