"""Images that are still to be decoded: in the files of a folder, of an archive, of a table."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import IO, TypeVar

from convlet.datasets.naming import Part
from convlet.libraries import quiet
from convlet.threads import available

AT_ONCE = 64  # images between two looks at progress and signals

Progress = Callable[[str, int, int], None]
"""Told what is done with images, how many are done, of how many."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Entry:
    """One image.  path: names it inside its source, no two alike.  part: None without parts."""

    path: str
    label: str
    part: Part | None = None


@dataclass(frozen=True)
class Source:
    """Images with labels, encoded.

    name: of the folder or file, for messages.  entries: in the order of the data.  open: gives the
    bytes of one of them, a stream that can seek, in a `with` statement; several threads call it.
    fingerprint: of all that the bytes depend on, so that the cache knows them again.  classes:
    their order, or None for that of `sorted_classes`.  others: names of what holds no image.  said:
    what else a reader of the data should know.
    """

    name: str
    entries: tuple[Entry, ...]
    open: Callable[[Entry], AbstractContextManager[IO[bytes]]]
    fingerprint: str
    classes: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def parts(self) -> frozenset[Part | None]:
        """Those that it has; None where there are none."""
        return frozenset(entry.part for entry in self.entries)

    def only(self, part: Part | None) -> "Source":
        """One part of it."""
        if self.parts == {part}:
            return self
        entries = tuple(entry for entry in self.entries if entry.part == part)
        return replace(self, entries=entries, fingerprint=fingerprint(self.fingerprint, f"{part}"))

    def mark(self, how: str, *rules: str) -> str:
        """KEY-STATE, the name of what is made of it: one key in all of its states.

        how: it is made.  rules: versions of what makes it, a part of the state.
        """
        parts = " ".join(sorted(map(str, self.parts)))
        key = fingerprint(os.path.realpath(self.name), parts, how)[:16]
        return f"{key}-{fingerprint(*rules, self.fingerprint)}"

    def where(self, entry: Entry) -> str:
        """The name of an image, for messages."""
        return os.path.join(self.name, entry.path)


def fingerprint(*parts: str | bytes) -> str:
    """Of these texts or bytes, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode(errors="surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


def state_of(found: os.stat_result) -> str:
    """Of a file: another one under its name, and other bytes in it, have another state.

    Its number tells files that were exchanged for each other, both unpacked with one time.
    """
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def in_parallel(
    function: Callable[[Item], Answer], items: Sequence[Item], told: Callable[[int], object]
) -> Iterator[Answer]:
    """What the function makes of each item, in order, by several threads.

    told: how many are done, now and then.
    """
    with ThreadPoolExecutor(available()) as pool:
        for start in range(0, len(items), AT_ONCE):
            with quiet():
                answers = list(pool.map(function, items[start : start + AT_ONCE]))
            yield from answers
            told(min(start + AT_ONCE, len(items)))
