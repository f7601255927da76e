"""A folder with the IDX files of a data set, named like those of MNIST, EMNIST or QMNIST.

Four of them, or two, the images and labels of one part.
"""

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset
from convlet.datasets.listing import entries_of, files_in
from convlet.datasets.naming import Part
from convlet.datasets.numeric import emnist
from convlet.datasets.numeric.arrays import Pair, Stored, make
from convlet.datasets.numeric.idx import read_idx, read_idx_header
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError

FILE = re.compile(
    r"(?:([\w.-]+?)[-_.])?(train|t10k|test)[-_](images|labels)[-.]idx\d[-.](?:ubyte|int)(?:\.gz)?",
    re.IGNORECASE,
)
"""The collection, where a name says it, as emnist-letters, then part and role."""
EXAMPLES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
QMNIST_COLUMNS = 8

Files = Mapping[tuple[str, str], Path]
"""By part and role, as ("train", "images")."""


def find_idx(folder: Path, collection: str | None = None) -> dict[tuple[str, str], Path]:
    """The IDX files of a folder by part, such as ("train", "images"): both of each part, or none.

    Names are those of EXAMPLES, or with test for t10k, a dot for a dash, .gz at the end, the name
    of a collection in front.  A .gz file beside its unpacked twin is left aside.  collection: the
    only one that is looked for, "" for one without a name.
    Raises `DataError` for a file that is missing or there twice, `FileError`.
    """
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    entries = files_in(folder)
    for entry in entries:
        unpacked_too = entry.endswith(".gz") and entry[:-3] in entries
        if not unpacked_too and (match := FILE.fullmatch(entry)):
            named, part, role = (match[1] or "").lower(), match[2].lower(), match[3].lower()
            if collection in (None, named):
                key = ("train" if part == "train" else "test", role)
                found.setdefault(named, {}).setdefault(key, []).append(entry)
    if not found:
        return {}
    if len(found) > 1:
        first = next(iter(next(iter(found.values())).values()))[0]
        raise DataError(
            f"{folder}: expected the files of one collection, found {', '.join(map(repr, found))}:"
            f" name one of its files, as {folder / first}"
        )
    ((named, files),) = found.items()
    parts = {part for part, _ in files}
    for key, example in EXAMPLES.items():
        if key[0] not in parts:
            continue
        if key not in files:
            example = f"{named}-{example}" if named else example
            have = ", ".join(name for names in files.values() for name in names)
            raise DataError(f"{folder}: expected a file {example} or {example}.gz, found {have}")
        if len(files[key]) > 1:
            raise DataError(
                f"{folder}: expected one file with {key[0]} {key[1]},"
                f" found {' and '.join(files[key])}: keep one of them"
            )
    return {key: folder / names[0] for key, names in files.items()}


def find_idx_below(folder: Path) -> dict[tuple[str, str], Path]:
    """As `find_idx`, in the folder or where torchvision puts them, raw/ or NAME/raw/ below it."""
    for place in (folder, folder / "raw"):
        if place.is_dir() and (files := find_idx(place)):
            return files
    below = {place.parent.name: found for place in _raw(folder) if (found := find_idx(place))}
    if len(below) > 1:
        raise DataError(
            f"{folder}: expected the files of one collection, found {', '.join(below)}: name the"
            f" folder of one, as {folder / next(iter(below))}"
        )
    return next(iter(below.values()), {})


def load_idx(
    name: str,
    files: Files,
    classes: tuple[str, ...] | None = None,
    wishes: Wishes | None = None,
) -> Dataset:
    """The data set of the files that `find_idx` found.

    Raises `DataError`, `FileError`, `InputError`.
    """
    wishes = wishes or Wishes()
    first = next(iter(files.values()))
    source = str(first.parent)
    wishes.refuse_for_arrays(source)
    said: list[str] = []
    parts: dict[Part | None, Pair] = {}
    for part in _PARTS:
        if (part, "images") not in files:
            continue
        images, labels = files[part, "images"], files[part, "labels"]
        (_, x), (dtype, y) = read_idx_header(images), read_idx_header(labels)
        stored = Stored(str(labels), y, partial(read_idx, labels))
        if len(y) == 2 and y[1] == QMNIST_COLUMNS and dtype.itemsize == 4:
            said = [f"labels have {QMNIST_COLUMNS} columns, the first is the class"]
            stored = Stored(str(labels), y[:1], partial(_first_column, labels))
        parts[part] = Pair(Stored(str(images), x, partial(read_idx, images)), stored)
    if letters := emnist.classes_of(first.name):
        classes = letters
        parts = {part: emnist.upright(pair, letters) for part, pair in parts.items()}
        said.append(emnist.SAID)
    return make(name, source, parts, wishes, classes, said=said)


_PARTS: tuple[Part, ...] = ("train", "test")


def _first_column(path: Path) -> NDArray[Any]:
    return read_idx(path)[:, 0]


def _raw(folder: Path) -> list[Path]:
    places = [Path(entry.path) / "raw" for entry in entries_of(folder)]
    return [place for place in places if os.path.isdir(place)]
