"""Labels as data have them, and the classes that they become: by one rule, which is said.

- One-hot rows (n, classes) become the place of their 1, a column (n, 1) becomes (n,).
- Names that differ only in how Unicode writes them (é as one character or two) are one.
- Where the data name their classes, labels are places in these names.
- Names become classes in the order of the alphabet, or by value if all of them are whole numbers.
- Whole numbers from 0, or from 1, of which at least half are used up to the largest, are classes in
  this order; those that no image has are kept, and said.
- Other whole numbers, as large ids, or -1 and 1: each that occurs is a class, by value.

A class is called by its name, or by its number in the data.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import LONGEST
from convlet.datasets.label_columns import label_column, refuse_unreadable
from convlet.errors import DataError
from convlet.wording import composed, label, listed

Key = TypeVar("Key")
MAX_CLASSES = 1 << 16
MOST_NAMED = 10  # classes in a line


@dataclass(frozen=True, eq=False)
class Labelled:
    """labels: int64 (n,) for each part, by the names that they came with; classes: their names."""

    labels: Mapping[str, NDArray[np.int64]]
    classes: tuple[str, ...]
    said: tuple[str, ...]


def without_labels(parts: Mapping[Key, NDArray[Any]]) -> list[Key]:
    """The parts, beside the first, that of training, in which every label is -1: none is known."""
    numbers = {part: labels for part, labels in parts.items() if labels.dtype.kind in "if"}
    first, *others = parts
    if first in numbers and (numbers[first] == -1).any():  # -1 and 1 may be two classes
        return []
    return [part for part in others if part in numbers and (numbers[part] == -1).all()]


def as_classes(parts: Mapping[str, NDArray[Any]], names: Sequence[str] | None = None) -> Labelled:
    """Classes of the labels of all parts, the training part first, by the rule above.

    parts: labels of each part, called as messages should call them.  names: of the classes, where
    the data have such.  Raises `DataError`.
    """
    names = None if names is None else tuple(map(composed, names))
    columns = {name: label_column(labels, name) for name, labels in parts.items()}
    for name, (labels, _) in columns.items():
        refuse_unreadable(labels, name)
    refuse_unreadable(np.array(names or [], str), next(iter(parts)))
    kinds = {labels.dtype.kind for labels, _ in columns.values()}
    if "U" in kinds and len(kinds) > 1:
        raise DataError(
            f"{', '.join(parts)}: expected names in all of them, or numbers, found both: write all"
            " labels in the same way"
        )
    plain = {name: labels for name, (labels, _) in columns.items()}
    if "U" in kinds:
        return _of_names(plain, names)
    widths = {width for _, width in columns.values() if width}
    if names is None and widths:
        names = tuple(map(str, range(max(widths))))
    return _of_numbers(plain) if names is None else _of_places(plain, names)


def _of_places(parts: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Labelled:
    """Numbers that are places in the names of the classes."""
    labels = {}
    for name, found in parts.items():
        outside = (found < 0) | (found >= len(names))
        if outside.any():
            first = int(outside.argmax())
            raise DataError(
                f"{name}: expected labels 0 to {len(names) - 1} for {len(names)} classes,"
                f" found {found[first]} at position {first}{_no_label(int(found[first]))}"
            )
        labels[name] = found.astype(np.int64)
    return Labelled(labels, tuple(names), _missing(labels, tuple(names)))


def _of_names(parts: Mapping[str, NDArray[Any]], names: Sequence[str] | None) -> Labelled:
    """Text: each name is a class."""
    found = {name: np.unique(labels) for name, labels in parts.items()}
    for name, unique in found.items():
        if "" in unique:
            first = int((parts[name] == "").argmax())
            raise DataError(f"{name}: expected a label for each image, found none at {first}")
    first_part, *others = found
    classes = tuple(names or sorted_classes(map(str, found[first_part])))
    _check_count(len(classes), first_part)
    number = {name: k for k, name in enumerate(classes)}
    for name in others if names is None else found:
        unknown = [text for text in map(str, found[name]) if text not in number]
        if unknown:
            raise DataError(
                f"{name}: expected classes of {first_part}, found {unknown[0]!r}: rename it, or"
                " leave its images out"
            )
    labels = {}
    for name, texts in parts.items():
        unique, inverse = np.unique(texts, return_inverse=True)
        numbers = np.array([number[text] for text in map(str, unique)], np.int64)
        labels[name] = numbers[inverse]
    order = "by value" if all(c.isdecimal() for c in classes) else "in the order of their names"
    said = (f"labels are names: {_some(classes)} are classes {order}",)
    return Labelled(labels, classes, (*said, *_missing(labels, classes)))


def _of_numbers(parts: Mapping[str, NDArray[Any]]) -> Labelled:
    """Whole numbers without names."""
    unique = {name: [int(n) for n in np.unique(labels)] for name, labels in parts.items()}
    first_part = next(iter(parts))
    used = sorted({number for numbers in unique.values() for number in numbers})
    if used[0] < 0 and used != [-1, 1]:
        name = next(name for name, numbers in unique.items() if numbers[0] < 0)
        first = int((parts[name] < 0).argmax())
        number = int(parts[name][first])
        raise DataError(
            f"{name}: expected labels from 0, found {number} at position {first}{_no_label(number)}"
        )
    start = used[0] if used[0] in (0, 1) else None
    if start is not None and used[-1] - start + 1 <= 2 * len(used):
        _check_count(used[-1] - start + 1, first_part)
        classes = tuple(map(str, range(start, used[-1] + 1)))
        labels = {name: found.astype(np.int64) - start for name, found in parts.items()}
        said = (f"labels start at 1: the classes are called 1 to {used[-1]}",) * start
    else:
        _check_count(len(used), first_part)
        classes = tuple(map(str, used))
        unknown = sorted(set(used) - set(unique[first_part]))
        if unknown:
            raise DataError(
                f"{', '.join(list(parts)[1:])}: expected classes of {first_part}, found"
                f" {unknown[0]}: leave its images out"
            )
        labels = {}
        for name, found in parts.items():
            some, inverse = np.unique(found, return_inverse=True)
            places = np.searchsorted(np.array(used, object), some.astype(object))
            labels[name] = places.astype(np.int64)[inverse]
        said = (
            f"labels are {len(used)} of the numbers {used[0]} to {used[-1]}:"
            f" {_some(classes)} are classes by value",
        )
    return Labelled(labels, classes, (*said, *_missing(labels, classes)))


def _missing(labels: Mapping[str, NDArray[np.int64]], classes: tuple[str, ...]) -> tuple[str, ...]:
    """What to say of classes that no image has, or none to train with."""
    counts = [np.bincount(found, minlength=len(classes)) for found in labels.values()]
    total = np.sum(counts, axis=0)
    said = []
    if unused := [name for name, count in zip(classes, total, strict=True) if not count]:
        said.append(_without(unused, "image"))
    if untrained := [
        name
        for name, count, whole in zip(classes, counts[0], total, strict=True)
        if whole and not count
    ]:
        said.append(_without(untrained, "image to train with"))
    return tuple(said)


def _without(names: Sequence[str], what: str) -> str:
    return (
        f"class {_some(names)} has no {what}"
        if len(names) == 1
        else (f"classes {_some(names)} have no {what}")
    )


def _some(names: Sequence[str]) -> str:
    return listed([label(name, LONGEST) for name in names], MOST_NAMED)


def _no_label(number: int) -> str:
    return ": -1 stands for no label in many data sets, leave these images out" * (number == -1)


def _check_count(count: int, name: str) -> None:
    if count > MAX_CLASSES:
        raise DataError(
            f"{name}: expected at most {MAX_CLASSES} classes, found {count}: are these labels?"
        )


def alike(classes: Sequence[str]) -> Iterator[str]:
    """What is said of names that differ in their case only; single letters may well do so."""
    found: dict[str, list[str]] = {}
    for name in classes:
        found.setdefault(composed(name.casefold()), []).append(name)
    for names in found.values():
        if len(names) > 1 and len(names[0]) > 1:
            yield f"classes differ in case only: {_some(names)}: rename them if they are one"


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """By name, or by value if all of them are whole numbers."""
    names = set(names)
    numbers = all(name.isascii() and name.isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if numbers else (0, name)))
