"""Engines: whoever computes.  What a network asks of one, and what goes to and fro.

Both engines, native.py and reference.py, know stages and one flat float32 vector only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from convlet.augmentation import Augmentation
from convlet.equations import Array, Float32, Float64
from convlet.settings import Settings
from convlet.stages import Stage


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


@dataclass(frozen=True)
class Share:
    """The shards first..last-1 of every minibatch, which one of several workers sums.

    rows (n,): where each sample of the order stands among the images of this worker; those of other
    shards are not read.  totals: of the weights of each minibatch.

    exchange(sums, costs, gradient) is called once a step.  sums (nodes, parameters): of each node
    that `shard_nodes` lists; costs (shards,): of the shards here.  It gives them to the others, and
    fills costs, and gradient with the sum over all shards.  What it raises ends the call before the
    step.
    """

    first: int
    last: int
    rows: NDArray[np.int64]
    totals: Float64
    exchange: Callable[[Float32, Float64, Float32], None]


def shard_start(shard: int, shards: int, size: int) -> int:
    """The first of the `size` samples of a minibatch that belongs to a shard."""
    return shard * size // shards


def middle_of(node: tuple[int, int]) -> int:
    """Where the right half of a node of two shards or more begins."""
    return node[0] + (1 << (node[1] - node[0] - 1).bit_length() - 1)


def shard_nodes(shards: int, first: int, last: int) -> list[tuple[int, int]]:
    """The largest nodes [a, b) of the tree over shards that lie in [first, last), in their order.

    A node of 2 shards or more is the sum of its left half, the greatest power of two below their
    number, and of the rest.
    """
    nodes = []
    while first < last:
        end, step = first + 1, 1
        while first % (2 * step) == 0 and end < min(first + 2 * step, shards) <= last:
            step, end = 2 * step, min(first + 2 * step, shards)
        nodes.append((first, end))
        first = end
    return nodes


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

    @property
    def stages(self) -> Sequence[Stage]: ...

    def predict(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        """Images (n, rows, columns, channels) -> probabilities (n, M)."""

    def logits(self, parameters: Float32, images: Array, threads: int | None = None) -> Float32:
        """Images (n, rows, columns, channels) -> what enters the softmax, (n, M)."""

    def gradients(
        self, parameters: Float32, batch: Samples, threads: int | None = None
    ) -> tuple[float, Float32]:
        """Cost (13) of one minibatch and its derivative, a flat vector like parameters."""

    def trace(
        self, parameters: Float32, images: Array, threads: int | None = None
    ) -> list[tuple[Float32, Float32]]:
        """z^l (n, *z_shape) and x^{l+1} (n, *output_shape) of every stage l, outside training."""

    def errors(
        self, parameters: Float32, images: Array, targets: Array, threads: int | None = None
    ) -> list[tuple[Float32, Float32]]:
        """dE/dz^l (n, *z_shape) and dE/dx^l (n, *x_shape) of every stage l, by (19), (20).

        E is each sample's own cost E^n (14): there is no 1 / B.  targets: as those of `Samples`.
        """

    def train(
        self,
        parameters: Float32,
        slots: tuple[Float32, ...],
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None = None,
        share: Share | None = None,
    ) -> Trained:
        """Take steps, in place; slots: of the optimiser, like parameters.  share: of a worker.

        Of the settings it reads all but the learning rate and its schedule, whose product are the
        rates of the steps, and the number of epochs.  A minibatch whose weights are all 0 changes
        nothing and has cost 0.  Ends before a step whose cost or gradient is not finite.
        """

    def augment(self, images: Array, augmentation: Augmentation, seed: int, epoch: int) -> Float32:
        """Images (n, rows, columns, channels) as training sees samples 0, 1, ... of that epoch."""


class Trainer(Protocol):
    """Who takes the steps in the place of the network's engine, to the same bits."""

    @property
    def seconds_per_call(self) -> float:
        """How long a call may take, before the loop looks up; it may change from call to call."""

    def train(
        self,
        parameters: Float32,
        slots: tuple[Float32, ...],
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None = None,
    ) -> Trained:
        """As `Engine.train`; what it raises leaves parameters and slots as they were."""


def as_floats(images: Array) -> Float32:
    """Images as float32; uint8 levels u become u / 255."""
    floats: Float32 = images
    if images.dtype == np.uint8:
        floats = np.divide(images, 255, dtype=np.float32)
    return floats
