"""convlet, through its public interface: `fit` and `predict_proba`."""

import numpy as np

import convlet
import layout
from contender import LEARNING_RATE
from convlet.bench import StopAfter
from convlet.native import TARGET


class Convlet:
    """Images stay uint8, as the data set holds them.

    Threads are what convlet takes by itself of the CPUs that this process may use.
    """

    trains = True
    dtype = "uint8"
    chunks = ()  # always the whole array in one call

    def __init__(self, mode: str, threads: int) -> None:
        pass

    def version(self) -> str:
        return f"{convlet.__version__} ({TARGET.name})"

    def load(self, data):
        self.data = data

    def build(self, net, weights, batch_size):
        self.batch_size = batch_size
        self.network = layout.network(net, weights)

    def losses(self, chosen):
        """A call of `fit` for each minibatch: an epoch of one step."""
        histories = (
            self.network.fit(
                self.data.images[row],
                self.data.labels[row],
                epochs=1,
                batch_size=len(row),
                learning_rate=LEARNING_RATE,
            )
            for row in chosen
        )
        return [history[-1].train_loss for history in histories]

    def settle(self, seconds):
        self.train(seconds)

    def train(self, seconds):
        watch = StopAfter(seconds)
        self.network.fit(
            self.data.images,
            self.data.labels,
            epochs=1 << 30,
            batch_size=self.batch_size,
            learning_rate=LEARNING_RATE,
            callbacks=[watch],
        )
        return watch.images, watch.elapsed

    def predictor(self, start, stop, dtype):
        images = self.data.test_images[start:stop]
        if dtype == "float32":
            images = np.divide(images, 255, dtype=np.float32)
        return lambda: self.network.predict_proba(images)
