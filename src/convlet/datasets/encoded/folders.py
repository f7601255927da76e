"""A folder of images: what is in it, by names alone.  layout.py says what the names mean."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from convlet.datasets.encoded.layout import labelled
from convlet.datasets.encoded.pictures import is_image
from convlet.datasets.encoded.source import Entry, Source, fingerprint, state_of
from convlet.datasets.kinds import KINDS, unknown
from convlet.datasets.listing import entries_of, is_folder
from convlet.errors import DataError, FileError
from convlet.files.paths import file_error
from convlet.files.streams import open_regular
from convlet.wording import listed

MAX_FILES = 1 << 21
MAX_DEPTH = 64  # of folders in folders
MOST_NAMED = 5  # folders without images, in a sentence

Seen = dict[tuple[int, int], str]
"""Folders by device and number, with the name under which each was found."""


def list_folder(folder: Path) -> Source:
    """Every image below a folder.  Raises `DataError`, `FileError`."""
    images: list[tuple[str, str]] = []  # path, state
    others: list[str] = []
    seen: Seen = {}
    for path, facts in _files(folder, "", seen):
        if is_image(path):
            images.append((path, facts))
        else:
            others.append(path)
        if len(images) + len(others) > MAX_FILES:
            raise DataError(f"{folder}: expected at most {MAX_FILES} files, found more")
    if not images:
        raise DataError(f"{folder}: expected {KINDS}, found {unknown(sorted(others))}")
    images.sort()
    entries, said = labelled(str(folder), [path for path, _ in images])

    def opened(entry: Entry) -> AbstractContextManager[IO[bytes]]:
        return open_regular(folder / entry.path)

    marks = (part for pair in images for part in pair)
    return Source(
        str(folder),
        entries,
        opened,
        fingerprint(os.path.realpath(folder), *marks),
        others=tuple(sorted(others)),
        said=(*said, *_without_images(seen.values(), [path for path, _ in images])),
    )


def _without_images(folders: Iterable[str], images: Iterable[str]) -> Iterator[str]:
    """Of folders that should perhaps hold images; those inside of others are not told."""
    full = {""}
    for path in images:
        while (path := os.path.dirname(path)) not in full:
            full.add(path)
    empty = sorted(path for path in set(folders) - full if os.path.dirname(path) in full)
    if empty:
        yield f"no images in {listed(empty, MOST_NAMED)}"


def image_files(folder: Path, others: list[str] | None = None) -> Iterator[str]:
    """Paths of the images below a folder, from there, in order of each folder.

    others: gets the paths of other files.  Raises `DataError`, `FileError`, of a folder that cannot
    be looked into after all others.
    """
    wrong: list[DataError | FileError] = []
    found = 0
    for path, _ in _files(folder, "", {}, wrong):
        if is_image(path):
            found += 1
            yield path
        elif others is not None:
            others.append(path)
    if wrong:
        raise wrong[0]
    if not found:
        raise DataError(f"{folder}: expected images, found none")


def _files(
    folder: Path, below: str, seen: Seen, wrong: list[DataError | FileError] | None = None
) -> Iterator[tuple[str, str]]:
    """Each file's path from the folder, with its state; junk is left aside.

    below: the path from the folder to where to look.  wrong: gets the errors of folders in it; if
    it is None the first of them is raised.
    """
    here = folder / below
    try:
        found = os.stat(here)
        identity = found.st_dev, found.st_ino
        if identity in seen:
            raise DataError(
                f"{here}: expected a folder of its own, found a symbolic link to"
                f" {folder / seen[identity]}, which is looked at already: remove the link"
            )
        seen[identity] = below
        if below.count(os.sep) >= MAX_DEPTH:
            raise DataError(f"{here}: expected at most {MAX_DEPTH} folders in one another")
        for entry in entries_of(here):
            path = os.path.join(below, entry.name)
            if is_folder(entry):
                try:
                    yield from _files(folder, path, seen, wrong)
                except (DataError, FileError) as error:
                    if wrong is None:
                        raise
                    wrong.append(error)
            else:
                yield path, _facts(entry)
    except FileError:
        raise
    except OSError as error:
        raise file_error("read", str(here), error) from error


def _facts(entry: "os.DirEntry[str]") -> str:
    """What tells its state; what cannot be asked will not open either, and is listed then."""
    try:
        return state_of(entry.stat())
    except OSError as error:
        return f"{error.strerror}"
