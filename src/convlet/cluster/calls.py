"""What the caller asks of a worker, and what that answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Array, Float32, Float64
from convlet.settings import Settings


class File(NamedTuple):
    """Where an array stands in a file."""

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def opened(self) -> Array:
        """Raises `OSError`, `ValueError` for a file that is too short."""
        return np.memmap(self.path, np.dtype(self.dtype), "r", self.offset, self.shape)


class Block(NamedTuple):
    """Images start..stop-1 of the data: Dask keeps them under a key, or they stand in a file.

    key: None for images that nobody has yet.
    """

    start: int
    stop: int
    key: str | File | None
    holders: tuple[str, ...] = ()  # addresses of workers that had it when this was written


@dataclass(frozen=True)
class Call:
    """Steps to take together with other workers.

    numbers (m,): the samples of the own shards in their order; targets, weight: theirs.
    """

    number: int  # of the call in its run; a repeated one has a new number
    team: tuple[str, ...]  # addresses of all workers that take part
    edges: tuple[int, ...]  # see exchange.py
    worker: int  # which of them this one is
    count: int  # samples of all shards
    numbers: NDArray[np.int64]
    targets: Array
    weight: Float32 | None
    totals: Float64  # of the weights of each minibatch
    rates: Float32
    updates: int
    epoch: int
    settings: Settings
    threads: int | None  # None: those that Dask gave the worker
    blocks: tuple[Block, ...]
    shape: tuple[int, ...]  # of an image
    dtype: str
    digest: str  # of the vectors that the steps begin with
    vectors: tuple[Float32, ...] | None  # these, for a worker that has others
    answers: bool  # with the vectors after the steps


@dataclass(frozen=True)
class Answer:
    """What came of a call.  digest: of the vectors after it.  seconds: that its steps took."""

    costs: Float64
    diverged: bool
    digest: str
    vectors: tuple[Float32, ...] | None
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why nothing came of a call.

    kind: "gone" (the worker or the run on it), "stale" (it has other vectors), "peer" (blame, an
    address, is lost), "data" (images were not where they should be), "aborted", "failed".
    """

    kind: str
    words: str = ""
    blame: str | None = None


def digest_of(vectors: Sequence[Float32]) -> str:
    """Of the parameters and slots, to compare those of two workers."""
    digest = sha256()
    for vector in vectors:
        digest.update(vector.data)
    return digest.hexdigest()
