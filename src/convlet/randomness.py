"""Counted randomness: every draw is a raw 64-bit word of Philox4x64-10, keyed by (seed, purpose, epoch).

NumPy promises the raw words of its bit generators, not `permutation` or `uniform`; whoever draws first changes nothing.
Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """What the words are for: streams of different purposes never meet.  Numbers are part of the promise of equal bits."""

    WEIGHTS = 0
    SHUFFLE = 1
    CHECK = 2


def words(seed: int, purpose: Purpose, epoch: int, count: int) -> NDArray[np.uint64]:
    """`count` raw words of the stream (seed, purpose, epoch).  seed: 0 to 2^64 - 1."""
    generator = np.random.Philox(key=[seed, int(purpose)], counter=[0, 0, 0, epoch])
    return generator.random_raw(count)


def uniform(seed: int, purpose: Purpose, epoch: int, count: int) -> NDArray[np.float64]:
    """Multiples of 2^-53 in [0, 1)."""
    return (words(seed, purpose, epoch, count) >> np.uint64(11)) * 2.0**-53


def permutation(seed: int, purpose: Purpose, epoch: int, count: int) -> NDArray[np.int64]:
    """A shuffle of 0..count-1: the order of `count` random words."""
    return np.argsort(words(seed, purpose, epoch, count), kind="stable")
