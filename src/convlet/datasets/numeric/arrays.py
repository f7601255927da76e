"""Arrays of images and labels as a data set, whatever file they come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset, Split
from convlet.datasets.division import divided
from convlet.datasets.figure import PLACED, are_figures
from convlet.datasets.labels import alike, as_classes, without_labels
from convlet.datasets.naming import Part
from convlet.datasets.numeric.arrangement import Arrangement, arranged, arrangement, levelled
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError
from convlet.preparation import Preparation


@dataclass(frozen=True, eq=False)
class Stored:
    """An array where it is: what messages call it, its shape, and what reads it.

    Shapes are asked first, so that files are refused by them before their entries take memory.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


class Pair(NamedTuple):
    """The images and labels of a part."""

    images: Stored
    labels: Stored


def held(array: NDArray[Any], name: str) -> Stored:
    """An array that is in memory already."""
    return Stored(name, array.shape, lambda: array)


def make(
    name: str,
    source: str,
    parts: Mapping[Part | None, Pair],
    wishes: Wishes,
    classes: Sequence[str] | None = None,
    stated: tuple[int, ...] | None = None,
    said: Sequence[str] = (),
) -> Dataset:
    """The data set of pairs of arrays, each a part; None is one that has to be divided.

    source: the file or folder, for messages.  classes: names of the classes, where the data have
    such.  stated: the shape of rows of pixels.  said: what else a reader should know.  Raises
    `DataError`.
    """
    order = sorted(parts, key=lambda part: ("train", None, "test", "validation").index(part))
    pairs = [parts[part] for part in order]
    found = [_arrangement(pair, stated) for pair in pairs]
    for how, pair in zip(found, pairs, strict=True):
        if how.shape[1:] != found[0].shape[1:]:
            raise DataError(
                f"{source}: expected images {found[0].shape[1:]} in all parts, as in"
                f" {pairs[0].images.name}, found {how.shape[1:]} in {pair.images.name}"
            )
    # the small files first: damage is found sooner
    labels = {pair.labels.name: pair.labels.read() for pair in pairs}
    out = without_labels(labels)
    kept = [n for n, pair in enumerate(pairs) if pair.labels.name not in out]
    order, pairs, found = (
        [order[n] for n in kept],
        [pairs[n] for n in kept],
        [found[n] for n in kept],
    )
    labelled = as_classes({pair.labels.name: labels[pair.labels.name] for pair in pairs}, classes)
    images, levels = levelled(
        {
            pair.images.name: arranged(pair.images.read(), how)
            for pair, how in zip(pairs, found, strict=True)
        }
    )
    splits = {
        part: Split(array, labelled.labels[pair.labels.name])
        for part, array, pair in zip(order, images, pairs, strict=True)
    }
    shapes = dict.fromkeys(how.said for how in found if how.said)
    told = [
        *said,
        *(f"{name} left out: no label in it, all are -1" for name in out),
        *shapes,
        *levels,
        *labelled.said,
        *alike(labelled.classes),
    ]
    preparation = None
    if are_figures(images[0]):
        _, side, _, _ = images[0].shape
        preparation = Preparation(side, side, "grey", "figure")
        told.append(PLACED)
    return divided(name, source, splits, labelled.classes, wishes, told, preparation)


def _arrangement(pair: Pair, stated: tuple[int, ...] | None) -> Arrangement:
    """How the images of a part lie.  Refuses shapes that no part has."""
    x, y = pair
    if len(y.shape) not in (1, 2):
        raise DataError(
            f"{y.name}: expected labels (n,), or one-hot (n, classes), found shape {y.shape}"
        )
    how = arrangement(x.shape, y.shape[0], x.name, stated)
    if x.shape[0] != y.shape[0]:
        raise DataError(
            f"{y.name}: expected {x.shape[0]} labels, one for each image of {x.name}, found"
            f" {y.shape[0]}"
        )
    return how
