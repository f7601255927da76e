"""Tar shards of WebDataset: key.jpg with key.cls, or key.json that has a label, for each image.

The key of an image is its name up to the last dot where a label has that key, 1.v2.jpg with
1.v2.cls; else up to the first dot, as WebDataset has it: 1.rgb.jpg with 1.cls, if that has no other
image.  What is neither an image nor the label of one is left out, and said.
"""

import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from convlet.datasets.encoded.pictures import SUFFIXES as IMAGES
from convlet.datasets.encoded.shards import MAX_IMAGE, Shard, parts_of, source_of
from convlet.datasets.encoded.source import Source
from convlet.datasets.listing import is_junk_member
from convlet.datasets.naming import Part
from convlet.errors import ConvletError, DataError, one_line
from convlet.files.streams import open_regular, read_up_to

SUFFIX = ".tar"
KEYS = ("label", "cls", "class", "class_id", "category")
"""What a label is called in key.json, the first that is there."""
WHOLE = re.compile(r"-?[0-9]{1,18}")
MAX_LABEL = 1 << 16  # bytes of a label's file
MAX_MEMBERS = 1 << 22
BLOCK = 512  # bytes


@dataclass(frozen=True)
class Place:
    """Where an image is in its file."""

    name: str
    start: int
    size: int


def tar_source(folder: Path, paths: list[Path]) -> Source:
    """The images of tar shards in a folder, or of one, which is its own folder.

    Raises `DataError`, `FileError`.
    """
    parts: list[Part | None] = [None] if paths == [folder] else parts_of(folder, paths)
    shards: list[Shard] = []
    places: list[list[Place]] = []
    left: list[str] = []
    for path, part in zip(paths, parts, strict=True):
        found, others = _samples(path)
        left += others
        places.append([place for place, _ in found])
        names = [place.name for place in places[-1]]
        shards.append(Shard(path, part, names, np.array([label for _, label in found])))
    if all(WHOLE.fullmatch(label) for shard in shards for label in shard.labels.tolist()):
        shards = [replace(shard, labels=shard.labels.astype(np.int64)) for shard in shards]

    @contextmanager
    def opened(shard: int, number: int) -> Iterator[IO[bytes]]:
        place = places[shard][number]
        with open_regular(paths[shard]) as file:
            file.seek(place.start)
            data = read_up_to(file, place.size)
        yield BytesIO(data)

    source = source_of(folder, shards, opened, None)
    if left:
        said = f"{len(left):,} other file{'s' * (len(left) > 1)} in .tar left out, as {left[0]}"
        source = replace(source, said=(*source.said, said))
    return source


def _samples(path: Path) -> tuple[list[tuple[Place, str]], list[str]]:
    """The images of a shard with their labels, in order, and the names of all that is left out.

    Raises `DataError`, `FileError`.
    """
    images: list[Place] = []
    labels: dict[str, tuple[str, str]] = {}  # by key: the label, the name of its file
    others: list[str] = []
    for name, start, data, size in _members(path):
        key, suffix = _key(name)
        if suffix in IMAGES:
            if size > MAX_IMAGE:
                raise DataError(
                    f"{path}: expected images of at most {MAX_IMAGE} bytes, found {size} in {name}"
                )
            images.append(Place(name, start, size))
        elif suffix == ".cls" or (suffix == ".json" and key not in labels):
            if key in labels:
                others.append(labels[key][1])
            labels[key] = _label(f"{path}/{name}", suffix, data), name
        else:
            others.append(name)
    if not images:
        raise DataError(f"{path}: expected images with labels, key.jpg and key.cls, found no image")
    known = {key for key, (label, _) in labels.items() if label}
    found: dict[str, Place] = {}
    unpaired = []
    for image in images:
        key, _ = _key(image.name)
        if key in known:
            _put(path, found, key, image)
        else:
            unpaired.append(image)
    taken = set(found)
    for image in unpaired:
        key = _first(image.name)
        if key in taken:
            others.append(image.name)
        elif key in known:
            _put(path, found, key, image)
        else:
            raise _without_label(path, image.name, bool(labels))
    others += [name for key, (_, name) in labels.items() if key not in found]
    ordered = sorted(found.items(), key=lambda pair: pair[1].start)
    return [(image, labels[key][0]) for key, image in ordered], others


def _put(path: Path, found: dict[str, Place], key: str, image: Place) -> None:
    other = found.setdefault(key, image)
    if other != image:
        raise DataError(
            f"{path}: expected one image of each key, found {other.name} and {image.name}"
        )


def _without_label(path: Path, name: str, labels: bool) -> DataError:
    key = Path(_key(name)[0]).name
    folders = "/" in name.removeprefix("./") and not labels
    hint = ": unpack it, and name the folder" if folders else ""
    return DataError(
        f"{path}: expected {key}.cls beside {name}, or {key}.json with a label, found none{hint}"
    )


def _members(path: Path) -> Iterator[tuple[str, int, bytes, int]]:
    """Name, place, bytes if they are few, and size of each regular file.  Raises `DataError`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with tarfile.open(fileobj=_Bounded(file, size), mode="r:") as archive:  # type: ignore[call-overload]
                count = 0
                while (member := archive.next()) is not None:
                    archive.members = []  # it would keep them all
                    count += 1
                    if count > MAX_MEMBERS:
                        raise DataError(f"{path}: expected at most {MAX_MEMBERS} files, found more")
                    if not member.isreg() or member.issparse() or is_junk_member(member.name):
                        continue
                    start, end = member.offset_data, member.offset_data + member.size
                    if end > size:
                        raise tarfile.ReadError(f"{member.name} is cut off")
                    small = b""
                    if member.size <= MAX_LABEL:
                        file.seek(start)
                        small = file.read(member.size)
                    yield member.name, start, small, member.size
                file.seek(archive.offset)
                if file.read(BLOCK) != bytes(BLOCK):
                    raise tarfile.ReadError("its end is missing")
        except ConvletError:
            raise
        except Exception as error:  # on strangers' bytes tarfile fails in many ways
            reason = one_line(error)
            raise DataError(
                f"{path}: expected a whole .tar file, found a damaged one or something else"
                f" ({reason}): get it again"
            ) from error


class _Bounded:
    """A file that is asked for what it has at most: a header may promise any number of bytes."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.tell, self.seek = file.tell, file.seek

    def read(self, count: int = -1) -> bytes:
        left = max(0, self.size - self.file.tell())
        return self.file.read(left if count < 0 else min(count, left))


def _key(name: str) -> tuple[str, str]:
    """What comes before the last dot of the file's name, and the rest, in small letters."""
    folder, _, file = name.rpartition("/")
    key, dot, suffix = file.rpartition(".")
    return f"{folder}/{key}", (dot + suffix).lower()


def _first(name: str) -> str:
    """What comes before the first dot of the file's name."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}"


def _label(name: str, suffix: str, data: bytes) -> str:
    """The label in a small file, "" if there is none."""
    text = data.decode("utf-8", "surrogateescape").strip()
    if suffix == ".cls":
        if not text or "\n" in text:
            raise DataError(f"{name}: expected a label on one line, found {text[:40]!r}")
        return text
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: expected JSON with a label, found damage ({error})") from error
    if not isinstance(found, dict):
        return ""
    label = next((found[key] for key in KEYS if key in found), "")
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise DataError(f"{name}: expected a label that is a name or a number, found {label!r:.40}")
    return str(label)
