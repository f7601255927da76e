"""A network in whole numbers beside the one that it was made of: what was lost, and where."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet import backprop
from convlet.engine import as_floats
from convlet.equations import Array
from convlet.errors import InputError
from convlet.measures import Counts, Predictions, as_network, confusion_counts, predict
from convlet.network import Network
from convlet.quantised import equations as eq
from convlet.quantised.network import QuantizedNetwork
from convlet.quantised.stages import chunks

MOST_COMPARED = 1000
"""Images by which the error of each stage is measured."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Both networks on the same images.

    original, quantized: their predictions.  signal_to_noise: of what each stage hands on, in
    decibels, on at most 1,000 images spread over all of them; inf where nothing was lost.
    """

    original: Predictions
    quantized: Predictions
    signal_to_noise: tuple[float, ...]

    @property
    def changed(self) -> NDArray[np.int64]:
        """Positions of the images that one network takes for another class than the other does."""
        return np.flatnonzero(self.original.predicted != self.quantized.predicted)

    @property
    def lost(self) -> int:
        """Images that only the original is right about."""
        return int((self._right(self.original) & ~self._right(self.quantized)).sum())

    @property
    def won(self) -> int:
        """Images that only the network in whole numbers is right about."""
        return int((self._right(self.quantized) & ~self._right(self.original)).sum())

    @property
    def confusion_difference(self) -> Counts:
        """How much more often class i is taken for class j, (M, M): negative for less often."""
        classes = self.original.probabilities.shape[1]
        after, before = (
            confusion_counts(found.labels, found.predicted, classes)
            for found in (self.quantized, self.original)
        )
        return after - before

    def _right(self, found: Predictions) -> NDArray[np.bool_]:
        return np.asarray(found.predicted == found.labels)


def compare(
    network: Network, quantized: QuantizedNetwork, x: Any, y: Any, threads: int | None = None
) -> Comparison:
    """Predictions of both for x, y, and how far each stage is off.

    x: as `QuantizedNetwork.predict_bytes` takes it; y, threads: as for `Network.evaluate`.  Raises
    `InputError`, also for two networks of other layers or images.
    """
    as_network(network)
    if not isinstance(quantized, QuantizedNetwork):
        expected = "a convlet.QuantizedNetwork"
        raise InputError("quantized", quantized, expected, "network.quantize(images) makes one")
    if (network.layers, network.input_shape) != (quantized.layers, quantized.input_shape):
        but = f"the network is {network!r}"
        raise InputError("quantized", quantized, but=but, hint="give the one it was made of")
    after = predict(quantized, x, y)
    before = predict(network, after.images, y, threads)
    step = -(-len(after.images) // MOST_COMPARED)
    return Comparison(before, after, tuple(_noise(network, quantized, after.images[::step])))


def _noise(
    network: Network, quantized: QuantizedNetwork, images: NDArray[np.uint8]
) -> Iterator[float]:
    """Decibels of what each stage hands on, before a softmax."""
    sums = np.zeros((len(quantized.parts), 2))
    for piece in chunks(images):
        x: Array = as_floats(piece).reshape(len(piece), *network.stages[0].x_shape)
        traces = backprop.forward(network.stages, network.parameters, x)
        outputs = [*(trace.output for trace in traces[:-1]), backprop.logits(traces)]
        x_hat = eq.pixels(piece).reshape(x.shape)
        for n, (part, output) in enumerate(zip(quantized.parts, outputs, strict=True)):
            x_hat = part.forward(x_hat)
            wrong = eq.real(x_hat, part.y) - output
            sums[n] += (output.astype(np.float64) ** 2).sum(), (wrong**2).sum()
    for signal, noise in sums.tolist():
        yield 10 * log10(signal / noise) if signal and noise else (inf if not noise else -inf)
