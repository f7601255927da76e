"""Counted randomness: every draw is a raw 64-bit Philox4x64-10 word, keyed (seed, purpose, epoch).

NumPy promises the raw words of its bit generators, not `permutation` or `uniform`; whoever draws
first changes nothing.
Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

MOST_SORTED = 1 << 20
"""Words that are sorted in one go, some 0.1 s."""


class Purpose(IntEnum):
    """What the words are for: streams of different purposes never meet.

    Numbers are part of the promise of equal bits.
    """

    WEIGHTS = 0
    SHUFFLE = 1
    CHECK = 2
    DROPOUT = 3
    AUGMENT = 4
    HOLD_OUT = 5
    CALIBRATE = 6


def raw_words(
    seed: int, purpose: Purpose, epoch: int, count: int, sample: int = 0, place: int = 0
) -> NDArray[np.uint64]:
    """`count` raw words of the stream (seed, purpose, epoch), or of one sample and place in it.

    seed: 0 to 2^64 - 1.
    """
    key = np.array([seed, purpose], np.uint64)  # as a list, a seed from 2^63 would become a float
    generator = np.random.Philox(key=key, counter=[0, sample, place, epoch])
    return generator.random_raw(count)


def uniform(seed: int, purpose: Purpose, epoch: int, count: int) -> NDArray[np.float64]:
    """Multiples of 2^-53 in [0, 1)."""
    high = raw_words(seed, purpose, epoch, count) >> np.uint64(11)  # 53 bits: exact in float64
    return high.astype(np.float64) * 2.0**-53


def permutation(seed: int, purpose: Purpose, epoch: int, count: int) -> NDArray[np.int64]:
    """A shuffle of 0..count-1: the order of `count` random words."""
    return _order(raw_words(seed, purpose, epoch, count))


def _order(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The positions that sort words, those of equal ones in their order.

    Many words are sorted in pieces that have their highest byte in common, for a moment each:
    Ctrl-C need not wait for the whole.
    """
    if len(words) <= MOST_SORTED:
        return np.argsort(words, kind="stable")
    highest = (words >> np.uint64(56)).astype(np.uint8)
    order = np.argsort(highest, kind="stable")  # by radix, which is quick for bytes
    start = 0
    for count in np.bincount(highest, minlength=256).tolist():
        piece = order[start : start + count]
        order[start : start + count] = piece[np.argsort(words[piece], kind="stable")]
        start += count
    return order


def kept(
    seed: int, epoch: int, sample: int, place: int, units: int, rate: float
) -> NDArray[np.float32]:
    """Dropout of one sample: 0 for a dropped unit, 1 / (1 - rate) for a kept one, (units,).

    Unit u is decided by 32 bits of the stream, the low half of a word first.
    """
    stream = raw_words(seed, Purpose.DROPOUT, epoch, -(-units // 2), sample, place)
    bits = stream.astype("<u8").view("<u4")[:units]
    rate32 = np.float32(rate)
    scale = np.float32(1) / (np.float32(1) - rate32)
    return np.where(bits >= np.uint64(float(rate32) * 2.0**32), scale, np.float32(0))
