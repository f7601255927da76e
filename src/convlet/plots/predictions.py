"""Predictions of checked data: what several pictures start from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.network import Network


@dataclass(frozen=True, eq=False)
class Predictions:
    """Images (n, rows, columns, channels), their classes (n,), probabilities (n, M)."""

    images: NDArray[Any]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class of each image, (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)


def predict(network: Network, x: Any, y: Any) -> Predictions:
    """Predictions for x; y as for `Network.evaluate`.  Raises `InputError`."""
    data = network.samples(x, y)
    targets = data.targets if data.targets.ndim == 1 else data.targets.argmax(axis=1)
    probabilities = network.predict_proba(data.images)
    return Predictions(data.images, np.asarray(targets, np.int64), probabilities)
