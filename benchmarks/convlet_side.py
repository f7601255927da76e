"""convlet, through its public interface: `fit` and `predict_proba`."""

import convlet
from contender import LEARNING_RATE, Data
from convlet.bench import NETWORKS, StopAfter
from convlet.native import TARGET


class Convlet:
    """Images stay uint8, as the data set holds them.

    Threads are what convlet takes by itself of the CPUs that this process may use.
    """

    trains = True
    chunks = ()  # always the whole array in one call

    def __init__(self, mode: str, data: Data, threads: int) -> None:
        self.data = data

    def version(self) -> str:
        return f"{convlet.__version__} ({TARGET.name})"

    def build(self, net, weights, batch_size):
        self.batch_size = batch_size
        self.network = convlet.Network(NETWORKS[net.name])
        for name, values in weights.items():
            self.network.parameters[name][...] = values

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

    def predictor(self, start, stop):
        images = self.data.test_images[start:stop]
        return lambda: self.network.predict_proba(images)
