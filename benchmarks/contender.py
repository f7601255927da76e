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
    """MNIST: images (n, 28, 28, 1) uint8, labels (n,) int32."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    test_images: NDArray[np.uint8]

    def floats(self) -> NDArray[np.float32]:
        """The training images as float32 in 0..1."""
        return np.divide(self.images, 255, dtype=np.float32)

    def test_floats(self) -> NDArray[np.float32]:
        return np.divide(self.test_images, 255, dtype=np.float32)


class Contender(Protocol):
    """A library on one network.  Made with the data and the number of threads."""

    trains: bool
    chunks: tuple[int, ...]
    """Into how many images at a time a large prediction may be cut: the fastest one counts."""

    def version(self) -> str: ...

    def build(self, net: Net, weights: Weights, batch_size: int) -> None:
        """Take the network with these weights, as convlet lays them out."""

    def losses(self, chosen: NDArray[np.int64]) -> list[float]:
        """Train a step on each row of image numbers (steps, batch) -> the loss before each."""

    def train(self, seconds: float) -> tuple[int, float]:
        """Train for about so many seconds, shuffling as one does -> (images, seconds)."""

    def predictor(self, start: int, stop: int) -> Callable[[], NDArray[np.float32]]:
        """A call that predicts test images start..stop-1 -> probabilities (n, classes)."""


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
