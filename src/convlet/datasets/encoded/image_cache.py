"""Images decoded once: a memory-mapped array of uint8 for a source prepared in one way.

A cache is a folder called after what it was made of: the source and the preparation, and a
fingerprint of all that its bytes depend on.  It is filled under another name, by several threads,
goes on where an interrupted filling stopped, and gets its name in one step; those of an earlier
state of the same source go.  Two processes at once write the same bytes to the same places.  If one
is deleted while it is filled, filling begins again.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.cache import cache_folder, earlier
from convlet.datasets.encoded.pictures import opened, pillow, why_not
from convlet.datasets.encoded.pixels import prepared
from convlet.datasets.encoded.source import Progress, Source, in_parallel
from convlet.errors import ConvletError, DataError, FileError, MissingDependencyError
from convlet.files.atomic import make_folder, write_atomic
from convlet.files.paths import file_error
from convlet.preparation import Preparation
from convlet.wording import size

RULES = "rules 7"
"""Of decoding: colours.py, figure.py, ground.py, orientation.py, pictures.py, pixels.py,
profiles.py, tiff.py, preparation.BACKGROUND; a change of one that changes pixels, or which files
are refused, counts it up."""
IMAGES, MARKS, ABOUT = "images.u8", "marks.u8", "about.json"
PARTIAL = ".partial"
DONE, DAMAGED = 1, 2  # marks; 0 is to do
SAVE = 1024  # images between two states that survive a power cut
ROUNDS = 5  # of decoding, each after another process has deleted what was decoded
LARGE = 1 << 30
"""Bytes of images for which there is memory anyway."""

Map: TypeAlias = "np.memmap[tuple[int, ...], np.dtype[np.uint8]]"


@dataclass(frozen=True)
class Cached:
    """One cache on disk."""

    path: Path
    source: str
    images: int
    size: str  # of an image, as 64x64x3
    bytes: int
    whole: bool

    @property
    def words(self) -> str:
        """What stands against using it."""
        return "" if self.whole else "not finished"


class Decoded(NamedTuple):
    """Images (n, rows, columns, channels), read-only, what is wrong with which, what to say."""

    images: NDArray[np.uint8]
    damaged: dict[int, str]
    said: tuple[str, ...] = ()


def decoded(source: Source, preparation: Preparation, progress: Progress) -> Decoded:
    """The images of a source, from the cache, or decoded into it; a damaged one is black.

    Where the cache cannot be written they are in memory.  Raises `FileError` if there are too many
    for that, or another process deletes the cache again and again, `DataError` for a cache that
    somebody cut.
    """
    for _ in range(ROUNDS):
        try:
            return _decoded(source, preparation, progress)
        except _DeletedError:
            continue
    raise FileError(
        f"{cache_folder()} cannot be filled: another process has deleted it {ROUNDS} times: end"
        " that, or set CONVLET_CACHE to another folder"
    )


class _DeletedError(Exception):
    """Another process has deleted the cache meanwhile (convlet cache --clear)."""


def _decoded(source: Source, preparation: Preparation, progress: Progress) -> Decoded:
    place, shape = _place(source, preparation), (len(source.entries), *preparation.shape)
    if place.is_dir():
        damaged = _mended(place, source, preparation, progress)
    else:
        try:
            maps = _partial(place, source, preparation)
        except FileError as error:
            if place.is_dir():  # another process has just finished it
                return _decoded(source, preparation, progress)
            if prod(shape) > LARGE:
                hint = "or set CONVLET_CACHE to a folder with room"
                raise FileError(f"{error}, {hint} for {prod(shape) / 1e6:,.0f} MB") from error
            return _in_memory(source, preparation, progress, str(error))
        damaged = _decode(source, preparation, *maps, progress)
        _finish(place)
    try:
        if not np.fromfile(place / MARKS, np.uint8).all():  # others have begun it anew meanwhile
            raise _DeletedError
        return Decoded(np.memmap(place / IMAGES, np.uint8, "r", shape=shape), damaged)
    except (OSError, ValueError) as error:
        if not place.is_dir():
            raise _DeletedError from None
        raise DataError(
            f"{place}: expected {prod(shape)} bytes of decoded images, found damage: remove it"
            " with convlet cache --clear"
        ) from error


def caches() -> Iterator[Cached]:
    """Every cache on this machine, whole or not."""
    root = cache_folder() / "images"
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        with suppress(OSError, ValueError, KeyError, TypeError):
            about = json.loads((path / ABOUT).read_text())
            used = sum(file.stat().st_blocks * 512 for file in path.iterdir())
            whole = not path.name.endswith(PARTIAL)
            yield Cached(path, about["source"], about["images"], about["size"], used, whole)


def clear() -> None:
    """Delete all of them, and what is remembered of sources.  Raises `FileError`."""
    for name in ("images", "surveys"):
        place = cache_folder() / name
        try:
            if place.exists():
                shutil.rmtree(place)
        except OSError as error:
            raise file_error("deleted", str(place), error) from error


def _place(source: Source, preparation: Preparation) -> Path:
    """The folder of a cache."""
    how = json.dumps(preparation.record(), sort_keys=True)
    return cache_folder() / "images" / source.mark(how, RULES, pillow().__version__)


def _partial(place: Path, source: Source, preparation: Preparation) -> tuple[Map, Map]:
    """Where a cache is filled: its images, and a mark for each.  Raises `FileError`."""
    partial = place.with_name(place.name + PARTIAL)
    make_folder(str(partial))
    about = {
        "source": " ".join([os.path.realpath(source.name), *filter(None, source.parts)]),
        "images": len(source.entries),
        "size": size(preparation.shape),
    }
    write_atomic(partial / ABOUT, json.dumps(about).encode())
    shape = (len(source.entries), *preparation.shape)
    return _map(partial / IMAGES, shape), _map(partial / MARKS, shape[:1])


def _finish(place: Path) -> None:
    """Give a cache its name, and delete those of an earlier state of its source."""
    partial = place.with_name(place.name + PARTIAL)
    try:
        os.replace(partial, place)
    except OSError as error:
        if not place.is_dir():  # else another process was first, with the same bytes
            if not partial.exists():
                raise _DeletedError from None
            raise file_error("written", str(place), error) from error
        shutil.rmtree(partial, ignore_errors=True)
    for other in earlier(place):
        shutil.rmtree(other, ignore_errors=True)


def _in_memory(source: Source, preparation: Preparation, progress: Progress, why: str) -> Decoded:
    images = np.zeros((len(source.entries), *preparation.shape), np.uint8)
    marks = np.zeros(len(images), np.uint8)
    damaged = _decode(source, preparation, images, marks, progress)
    images.flags.writeable = False
    return Decoded(images, damaged, (f"images are decoded each time: {why}",))


def _mended(
    place: Path, source: Source, preparation: Preparation, progress: Progress
) -> dict[int, str]:
    """Look again at the damaged images of a whole cache: they may have become readable."""
    try:
        if (np.fromfile(place / MARKS, np.uint8) == DONE).all():
            return {}
    except OSError as error:
        if not place.is_dir():
            raise _DeletedError from None
        raise file_error("read", str(place), error) from error
    shape = (len(source.entries), *preparation.shape)
    images, marks = _map(place / IMAGES, shape), _map(place / MARKS, shape[:1])
    return _decode(source, preparation, images, marks, progress)


def _decode(
    source: Source,
    preparation: Preparation,
    images: NDArray[np.uint8],
    marks: NDArray[np.uint8],
    progress: Progress,
) -> dict[int, str]:
    """Decode what is not done -> what is wrong with which image."""
    done = np.array(marks)

    def decode(n: int) -> tuple[int, str]:
        entry = source.entries[n]
        name = source.where(entry)
        try:
            with source.open(entry) as file, opened(file, name) as picture:
                images[n], _ = prepared(picture, preparation, name)
        except MissingDependencyError:
            raise
        except ConvletError as error:
            images[n], done[n] = 0, DAMAGED
            return n, why_not(error)
        done[n] = DONE
        return n, ""

    def save() -> None:
        """Marks after images: a power cut must not leave one for an image that is not there."""
        if isinstance(images, np.memmap) and isinstance(marks, np.memmap):
            images.flush()
            marks[...] = done
            marks.flush()

    todo = np.flatnonzero(done != DONE).tolist()
    before, total = len(done) - len(todo), len(done)

    def told(count: int) -> None:
        progress("decoding", before + count, total)
        if count % SAVE == 0:
            save()

    try:
        return {n: wrong for n, wrong in in_parallel(decode, todo, told) if wrong}
    finally:  # Ctrl-C too
        save()


def _map(path: Path, shape: tuple[int, ...]) -> Map:
    """An array in a file, which keeps what is in it already.  Raises `FileError`."""
    try:
        with open(path, "ab") as file:
            # a full disk says so now, not by SIGBUS
            os.posix_fallocate(file.fileno(), 0, prod(shape))
        return np.memmap(path, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise file_error("written", str(path), error) from error
