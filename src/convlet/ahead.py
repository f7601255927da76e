"""Images of a file that the next steps need, read while the core computes.

A shuffle asks a disk for small pieces from everywhere, one after the other: alone each waits for
the one before it, together they take little longer than one.  Nothing of it changes a number.
"""

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from mmap import MADV_NORMAL, MADV_RANDOM, mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Array

READERS = 64  # threads, which wait for the disk and do nothing else


class Ahead:
    """Reads images of a memory map, if training had to wait for its pages."""

    def __init__(self, images: Array, pool: ThreadPoolExecutor) -> None:
        self.images, self.pool, self.faults = images, pool, _faults()

    def read(self, chosen: NDArray[np.int64]) -> None:
        """Begin to read these images, if pages were missing since the last call."""
        before, self.faults = self.faults, _faults()
        if self.faults > before and len(chosen):
            for part in np.array_split(chosen, min(READERS, len(chosen))):
                self.pool.submit(self.images.take, part, axis=0)  # without Python's lock


class Nothing:
    """For images that are in memory anyway."""

    def read(self, chosen: NDArray[np.int64]) -> None:
        """They are there."""


@contextmanager
def ahead_of(images: Array) -> Iterator[Ahead | Nothing]:
    """Inside, what reads these images ahead."""
    pages = _map_of(images)
    if pages is None:
        yield Nothing()
        return
    with ThreadPoolExecutor(READERS, "convlet-ahead") as pool:
        pages.madvise(MADV_RANDOM)  # what lies around a piece is not the next one
        try:
            yield Ahead(images, pool)
        finally:
            pool.shutdown(cancel_futures=True)
            pages.madvise(MADV_NORMAL)


def _faults() -> int:
    """Pages that this process has waited for so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_majflt


def _map_of(array: Any) -> mmap | None:
    """The memory map of a file that an array is, or is a part of."""
    while array is not None and not isinstance(array, mmap):
        array = getattr(array, "base", None)
    return array
