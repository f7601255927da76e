"""Predictions of checked data: what several pictures start from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet import equations as eq
from convlet.errors import InputError
from convlet.network import Network


@dataclass(frozen=True, eq=False)
class Predictions:
    """Images (n, rows, columns, channels), their classes (n,), probabilities (n, M), and loss.

    The loss is that of `Network.evaluate`; the class of a distribution is its most probable one.
    """

    images: NDArray[Any]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    loss: float

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class of each image, (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def accuracy(self) -> float:
        """Share of images whose most probable class is right, as of `Network.evaluate`."""
        return float((self.predicted == self.truth).mean())


def as_network(network: Any) -> Network:
    """A network.  Raises `InputError` for anything else."""
    if not isinstance(network, Network):
        raise InputError(
            f"network is {network!r}, expected a convlet.Network:"
            " convlet.load(path) reads one from a file"
        )
    return network


def predict(network: Network, x: Any, y: Any) -> Predictions:
    """Predictions for x; y as for `Network.evaluate`.  Raises `InputError`."""
    data = as_network(network).samples(x, y)
    z = network.engine.logits(network.flat, data.images).astype(np.float64)
    targets = data.targets if data.targets.ndim == 1 else data.targets.argmax(axis=1)
    loss = float(eq.mean_cost(eq.cross_entropy(z, data.targets)))
    return Predictions(data.images, np.asarray(targets, np.int64), eq.softmax(z), loss)
