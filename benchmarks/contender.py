"""What every library is asked for, and how its time is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from layout import Net, Weights

LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Data:
    """images (n, rows, columns, channels) uint8, labels (n,) int32, test_images as images."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]

    def floats(self) -> NDArray[np.float32]:
        """The training images as float32 in 0..1."""
        return np.divide(self.images, 255, dtype=np.float32)

    def test_floats(self) -> NDArray[np.float32]:
        return np.divide(self.test_images, 255, dtype=np.float32)


class Contender(Protocol):
    """A library on one network.  Made with its mode and the number of threads."""

    trains: bool
    dtype: str
    """Of the images that it predicts where a case leaves the choice: "uint8" or "float32"."""
    chunks: tuple[int, ...]
    """Into how many images at a time a large prediction may be cut: the fastest one counts."""

    def version(self) -> str: ...

    def load(self, data: Data) -> None:
        """Take other images, in the order and type that the library wants."""

    def build(self, net: Net, weights: Weights, batch_size: int) -> None:
        """Take the network with these weights, as convlet lays them out."""

    def losses(self, chosen: NDArray[np.int64]) -> list[float]:
        """Train a step on each row of image numbers (steps, batch) -> the loss before each."""

    def settle(self, seconds: float) -> str | None:
        """Warm up training, and take the fastest of several ways -> which, where there are some."""

    def train(self, seconds: float) -> tuple[int, float]:
        """Train for about so many seconds, shuffling as one does -> (images, seconds)."""

    def predictor(self, start: int, stop: int, dtype: str) -> Callable[[], NDArray[np.float32]]:
        """A call that predicts test images start..stop-1 -> probabilities (n, classes).

        dtype: "uint8", levels whose conversion is part of the call, or "float32", in 0..1.
        """


def repeat(step: Callable[[], object], seconds: float, finish: Callable[[], object] | None = None):
    """Call step until the time is over, then finish -> (calls, seconds)."""
    calls, now, start = 0, 0.0, perf_counter()
    while now < seconds:
        step()
        calls += 1
        now = perf_counter() - start
    if finish is not None:
        finish()
    return calls, perf_counter() - start


def each(call: Callable[[], object], seconds: float) -> NDArray[np.float64]:
    """Call until the time is over -> the seconds of every single call."""
    times: list[float] = []
    start = now = perf_counter()
    while now < start + seconds:
        call()
        before, now = now, perf_counter()
        times.append(now - before)
    return np.array(times)
