"""Files that each hold many encoded images: which of them, of which parts, as one source.

train-00000-of-00002.parquet, test-0000.tar, or train/0000.parquet: the name of a file, or of its
folder, tells the part.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.encoded.source import Entry, Source, fingerprint, state_of
from convlet.datasets.labels import as_classes, without_labels
from convlet.datasets.listing import entries_of, is_folder
from convlet.datasets.naming import Part, part_of
from convlet.errors import DataError
from convlet.wording import listed

MAX_IMAGE = 1 << 28  # bytes of an encoded image
MOST_NAMED, MOST_MISSING = 3, 1000  # files in a sentence, and those that are looked for
_NUMBERED = re.compile(r"(.*?)([0-9]{3,9})(-of-[0-9]{3,9})?", re.IGNORECASE)
BELOW = ("data", "default", "shards")
"""Folders in which shards are, too, beside those called after parts."""


@dataclass(frozen=True)
class Shard:
    """One file.  names: of its images, no two alike; labels: one for each, numbers or text."""

    path: Path
    part: Part | None
    names: Sequence[str]
    labels: NDArray[Any]


def find_shards(folder: Path, suffix: str) -> list[Path]:
    """The files of a kind in a folder, and in those below it that are called after parts, or data.

    In order.  Raises `FileError`.
    """
    found: list[Path] = []
    for entry in entries_of(folder):
        if not is_folder(entry):
            if entry.name.lower().endswith(suffix):
                found.append(Path(entry.path))
        elif entry.name.lower() in BELOW or part_of(entry.name):
            found += find_shards(Path(entry.path), suffix)
    return found


def missing_from(paths: Sequence[Path]) -> Iterator[str]:
    """What is said of files that others tell of: train-00001-of-00002, one between 003 and 005."""
    series: dict[tuple[str, int, str], set[int]] = {}
    for path in paths:
        if match := _NUMBERED.match(path.name):
            before, number, of = match.groups("")
            series.setdefault((before, len(number), of), set()).add(int(number))
    for (before, width, of), there in series.items():
        first, end = min(there), max(there) + 1
        if of:  # counted from 0, or from 1
            total = int(of.removeprefix("-of-"))
            first = int(total in there)
            end = first + total
        absent = [n for n in range(first, min(end, first + MOST_MISSING)) if n not in there]
        if absent:
            yield f"not there: {listed([f'{before}{n:0{width}}{of}' for n in absent], MOST_NAMED)}"


def parts_of(folder: Path, paths: Sequence[Path]) -> list[Part | None]:
    """The part of each file, by its name or that of a folder around it.  Raises `DataError`."""
    parts: list[Part | None] = []
    for path in paths:
        names = [path.stem, *reversed(path.relative_to(folder).parts[:-1])]
        parts.append(next(filter(None, map(part_of, names)), None))
    if None in parts and any(parts):
        odd = paths[parts.index(None)]
        raise DataError(
            f"{odd}: expected a name that tells the part (train, validation, test), as of the files"
            " beside it: rename it, or move it away"
        )
    if not any(parts) and len({path.parent for path in paths}) > 1:
        raise DataError(
            f"{folder}: expected files of one data set, found {paths[0]} and {paths[-1]}: name the"
            " folder of one"
        )
    return parts


def source_of(
    folder: Path,
    shards: Sequence[Shard],
    opened: Callable[[int, int], AbstractContextManager[IO[bytes]]],
    classes: Sequence[str] | None,
) -> Source:
    """The source of these files.

    opened: image by number of its shard and place in it.  classes: their names, where the data have
    such.  Raises `DataError`.
    """
    joined: dict[Part | None, list[NDArray[Any]]] = {}
    for shard in sorted(shards, key=lambda shard: _RANK[shard.part]):
        joined.setdefault(shard.part, []).append(shard.labels)
    together = {part: _together(labels, folder) for part, labels in joined.items()}
    out = without_labels(together)
    said = [f"{part} left out: no label in it, all are -1" for part in out]
    together = {part: labels for part, labels in together.items() if part not in out}
    found = as_classes(
        {f"{folder} ({part or 'all'})": labels for part, labels in together.items()}, classes
    )
    left = dict(zip(together, map(list, found.labels.values()), strict=True))
    entries: list[Entry] = []
    places: dict[str, tuple[int, int]] = {}
    marks = []
    for number, shard in enumerate(shards):
        if shard.part in out:
            continue
        file = os.path.relpath(shard.path, folder) if shard.path != folder else ""
        numbers = left[shard.part][: len(shard.names)]
        del left[shard.part][: len(shard.names)]
        for place, (name, k) in enumerate(zip(shard.names, numbers, strict=True)):
            path = os.path.join(file, name)
            if places.setdefault(path, (number, place)) != (number, place):
                raise DataError(f"{folder}: expected images of different names, found two {path}")
            entries.append(Entry(path, found.classes[k], shard.part))
        marks += [str(shard.path), state_of(os.stat(shard.path))]
    return Source(
        str(folder),
        tuple(entries),
        lambda entry: opened(*places[entry.path]),
        fingerprint(os.path.realpath(folder), *marks),
        classes=found.classes,
        said=(*said, *found.said, *missing_from([shard.path for shard in shards])),
    )


_RANK: Mapping[Part | None, int] = {"train": 0, None: 1, "test": 2, "validation": 3}


def _together(labels: Sequence[NDArray[Any]], folder: Path) -> NDArray[Any]:
    if len({array.dtype.kind == "U" for array in labels}) > 1:
        raise DataError(
            f"{folder}: expected labels that are names in all files, or numbers, found both"
        )
    return np.concatenate(labels)
