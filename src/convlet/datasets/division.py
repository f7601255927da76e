"""Which images are trained, validated and tested with: by the parts that came, or by a share."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset, Split
from convlet.datasets.naming import Part
from convlet.datasets.strata import Groups, first_of_each, whole_groups
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError
from convlet.held_back import HeldBack
from convlet.preparation import Preparation
from convlet.wording import composed, count, listed

MOST_NAMED = 5  # groups or classes, in a sentence
SHARE = 0.2  # to test with, where nobody says another
ALL = "no test part: all images are test images"
VALIDATION = "no test part: the validation images are the test images"


def main_part(parts: Collection[Part | None], wishes: Wishes, source: str) -> Part | None:
    """The part that is trained with; of data that are judged only, the one that is tested with.

    None is that of data without parts.  source: for messages.  Raises `DataError` without one,
    `InputError` for a share to test with beside a part for that.
    """
    if "test" in parts:
        wishes.refuse_share(source)
    rest: tuple[Part | None, ...] = ("train", None)
    draws = not wishes.judged or wishes.test_share is not None
    order = rest if draws else ("test", "validation", *rest)
    for part in order:
        if part in parts:
            return part
    raise DataError(
        f"{source}: expected a part of training images (train), found"
        f" {', '.join(sorted(map(str, parts)))}"
    )


def divided(
    name: str,
    source: str,
    splits: Mapping[Part | None, Split],
    classes: tuple[str, ...],
    wishes: Wishes,
    said: Iterable[str],
    preparation: Preparation | None = None,
) -> Dataset:
    """The data set of these parts.  source: the file or folder, for messages.

    The test images are those of the test part, else of the validation part, else a share of the
    others; a share also where one is asked for beside a validation part.  Of data that are judged
    only nothing else is wanted.  Raises `DataError`, `InputError`.
    """
    if len(classes) == 1 and not wishes.judged:
        raise DataError(f"{source}: expected at least two classes, found one, {classes[0]}")
    main = main_part(splits, wishes, source)
    drawn: HeldBack | None
    whole, validation, notes, drawn = splits[main], None, list(said), None
    if main not in ("train", None):
        train, test = whole.take(slice(0)), whole
    elif wishes.judged and wishes.test_share is None:
        train, test = whole.take(slice(0)), whole
        notes.append(ALL)
    elif "test" in splits:
        train, test, validation = whole, splits["test"], splits.get("validation")
    elif "validation" in splits and wishes.test_share is None:
        train, test = whole, splits["validation"]
    else:
        share = SHARE if wishes.test_share is None else wishes.test_share
        held = held_back(whole, classes, share, wishes.seed, source)
        train, test = (whole.take(np.flatnonzero(side)) for side in (~held, held))
        missing = np.setdiff1d(train.labels, test.labels).tolist()
        if missing:  # whole groups may leave a class out
            names = listed([classes[k] for k in missing], MOST_NAMED)
            notes.append(f"no test image of {names}: no group could be held back")
        grouped = None if wishes.group_by is None else wishes.group_by.pattern
        drawn, validation = HeldBack(share, wishes.seed, grouped), splits.get("validation")
    if "validation" in splits and "test" not in splits and not drawn:
        notes.append(VALIDATION)
    return Dataset(name, train, test, classes, validation, preparation, tuple(notes), drawn)


def held_back(
    part: Split, classes: Sequence[str], share: float, seed: int, source: str
) -> NDArray[np.bool_]:
    """(n,) true for the images to test with: `share` of each class, keyed by (seed, name).

    Images without names go by their positions.  Of a class one image is held back at least, and
    one is left.  Whole groups are held back, as near to that as they come.  Raises `DataError` for
    a class, or groups, too small.
    """
    counts = np.bincount(part.labels)
    exact = np.maximum(np.rint(share * counts).astype(np.int64), 1)
    places = np.minimum(exact, np.maximum(counts - 1, 0))
    if part.groups is not None:
        groups = Groups.found(part.labels, part.groups)
        held = whole_groups(groups, _drawn(seed, groups.names), places)
        if not held.any():
            raise DataError(
                f"{source}: expected groups of which one can be held back to test with, found"
                f" {len(groups.names)}, {groups.names[0]!r} the first, each the only one of a class"
            )
        return held
    for k in np.flatnonzero(counts == 1).tolist():
        raise DataError(
            f"{source}: class {classes[k]!r}: expected at least 2 images, one of them to test with,"
            " found one: add some, or divide the images into parts train and test"
        )
    return first_of_each(part.labels, np.array(_drawn(seed, _keys(part, classes))), places)


def _keys(part: Split, classes: Sequence[str]) -> Sequence[str]:
    """What tells the images of a part apart: their names from the folder of the class on."""
    if part.names is None:
        return [str(n) for n in range(len(part))]
    paths = [composed(name).split("/") for name in part.names]
    labels = [classes[k] for k in part.labels]
    around = 0
    while all(
        len(path) > around + 1 and path[around] == paths[0][around] != label
        for path, label in zip(paths, labels, strict=True)
    ):
        around += 1
    return ["/".join(path[around:]) for path in paths]


def groups_of(paths: Iterable[str], pattern: re.Pattern[str], source: str) -> tuple[str, ...]:
    """The group of each image: what the first group of the pattern, or all of it, matches.

    Raises `DataError` for a path that does not match.
    """
    found = []
    for path in paths:
        name = _group(path, pattern)
        if name is None:
            raise DataError(
                f"{source}: {path}: expected the name of a group where {pattern.pattern!r} matches,"
                " found no match"
            )
        found.append(name)
    return tuple(found)


def shared_groups(splits: Mapping[Part | None, Split], pattern: re.Pattern[str]) -> Iterator[str]:
    """What is said of groups of which two parts have images."""
    groups = {
        part: {_group(name, pattern) for name in split.names or ()} - {None}
        for part, split in splits.items()
    }
    for one, other in combinations(sorted(splits, key=str), 2):
        both = sorted(map(str, groups[one] & groups[other]))
        if both:
            names = listed(both, MOST_NAMED)
            yield f"{count(len(both), 'group')} in both {one} and {other}: {names}"


def _group(path: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.search(composed(path))
    return None if match is None else match[1] if pattern.groups else match[0]


def _drawn(seed: int, names: Sequence[str]) -> list[int]:
    """Positions of the names, in an order that says of two names alone which is before."""

    def word(n: int) -> bytes:
        return hashlib.sha256(f"{seed} {names[n]}".encode(errors="surrogateescape")).digest()

    return sorted(range(len(names)), key=word)
