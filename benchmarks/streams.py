"""Bytes a second that one core loads, and updates, in arrays of its L1 cache, its L2 and beyond.

Measured by a compiled loop over whole vectors, as many times as fit in a short window; the fastest
counts.  An update loads, adds and stores back.
"""

import ctypes
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from peak import library

SIZES = {"L1": 24 << 10, "L2": 768 << 10, "memory": 96 << 20}
"""Bytes of the arrays: within L1 and L2 of this size, and larger than any L2."""
LINE = 64

SOURCE = """
#if defined(__AVX512F__)
constexpr int bytes = 64;
#elif defined(__AVX__)
constexpr int bytes = 32;
#else
constexpr int bytes = 16;
#endif
typedef float vec __attribute__((vector_size(bytes)));

extern "C" float load(const vec* a, long n, long rounds) {
    vec sum[8] = {};
    for (long i = 0; i < rounds; ++i) {
        for (long j = 0; j < n / bytes; j += 8)
#pragma GCC unroll 8
            for (int c = 0; c < 8; ++c) sum[c] += a[j + c];
        asm volatile("" ::: "memory");
    }
    for (int c = 1; c < 8; ++c) sum[0] += sum[c];
    return sum[0][0];
}

extern "C" float update(vec* a, long n, long rounds) {
    for (long i = 0; i < rounds; ++i) {
        for (long j = 0; j < n / bytes; j += 8)
#pragma GCC unroll 8
            for (int c = 0; c < 8; ++c) a[j + c] += 1.0f;
        asm volatile("" ::: "memory");
    }
    return a[0][0];
}
"""


@dataclass(frozen=True)
class Rates:
    """Bytes a second from the level: those that are loaded, and those that are updated."""

    load: float
    update: float


def measured(seconds: float = 0.3) -> dict[str, Rates] | None:
    """The rates of each level, on one thread; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        loops = library(SOURCE, Path(folder))
    if loops is None:
        return None
    return {level: Rates(*_rates(loops, size, seconds)) for level, size in SIZES.items()}


def _rates(loops: ctypes.CDLL, size: int, seconds: float) -> list[float]:
    memory = np.full(size + 4096, 1, np.uint8)  # written, so that its pages are its own
    start = memory.ctypes.data
    at = ctypes.c_void_p(start + -start % 64)
    rounds = max(1, (64 << 20) // size)
    best = []
    for loop in (loops.load, loops.update):
        loop.restype = ctypes.c_float
        rate, end = 0.0, perf_counter() + seconds
        while perf_counter() < end:
            begin = perf_counter()
            loop(at, ctypes.c_long(size), ctypes.c_long(rounds))
            rate = max(rate, size * rounds / (perf_counter() - begin))
        best.append(rate)
    return best
