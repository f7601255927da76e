"""Engines: whoever computes.  What a network asks of one, and what goes to and fro.

Both engines, native.py and reference.py, know stages and one flat float32 vector only.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from convlet.augmentation import Augmentation
from convlet.equations import Array, Float32, Float64
from convlet.settings import Settings


@dataclass(frozen=True)
class Samples:
    """Checked images with their labels.

    images (n, rows, columns, channels) uint8 or float32; targets (n,) int32 classes or (n, M)
    float32 distributions; weight (n,) float32 or None.
    """

    images: Array
    targets: Array
    weight: Float32 | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Steps:
    """Which steps a call of `train` takes.

    order (n,): the samples, one minibatch after the other; the last one may be smaller.  rates:
    eta of each step.  updates: steps taken before, for Adam.  epoch: of the network's life; it keys
    dropout and augmentation, with the seed and the sample.
    """

    order: NDArray[np.int64]
    rates: Float32
    updates: int = 0
    epoch: int = 0


class Trained(NamedTuple):
    """What a call of `train` did."""

    costs: Float64  # (13) of each step that is whole
    diverged: bool = False  # the step after these has a cost or a gradient that is not finite

    @property
    def done(self) -> int:
        """Whole steps."""
        return len(self.costs)


@runtime_checkable
class Engine(Protocol):
    """What a network asks of an engine.

    parameters is the flat vector; `train` changes it in place.

    threads: None is the engine's choice; the result does not depend on it.
    """

    @property
    def name(self) -> str: ...

    def predict(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        """Images (n, rows, columns, channels) -> probabilities (n, M)."""

    def logits(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        """Images (n, rows, columns, channels) -> what enters the softmax, (n, M)."""

    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        """Cost (13) of one minibatch and its derivative, a flat vector like parameters."""

    def train(
        self,
        parameters: Float32,
        slots: tuple[Float32, ...],
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None = None,
    ) -> Trained:
        """Take steps, in place; slots: of the optimiser, like parameters.

        Of the settings it reads all but the learning rate and its schedule, whose product are the
        rates of the steps, and the number of epochs.  A minibatch whose weights are all 0 changes
        nothing and has cost 0.  Ends before a step whose cost or gradient is not finite.
        """

    def augment(self, images: Array, augmentation: Augmentation, seed: int, epoch: int) -> Float32:
        """Images (n, rows, columns, channels) as training sees samples 0, 1, ... of that epoch."""


def as_floats(images: Array) -> Float32:
    """Images as float32; uint8 levels u become u / 255."""
    floats: Float32 = images
    if images.dtype == np.uint8:
        floats = np.divide(images, 255, dtype=np.float32)
    return floats
