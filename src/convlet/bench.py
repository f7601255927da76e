"""How fast this machine trains and predicts: five networks on MNIST.

The comparison with other frameworks is in the folder benchmarks of the source.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from convlet.callbacks import Callback
from convlet.equations import Array
from convlet.network import Network
from convlet.run import Run

EPOCH = 60_000
"""Images in an epoch of MNIST: times of training are given for so many."""

NETWORKS = {
    "8,16,128": "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten,"
    " dense 128, relu, dense 10, softmax",
    "lenet-5": "conv 6 5 padding 2, relu, pool 2, conv 16 5, relu, pool 2, flatten,"
    " dense 120, relu, dense 84, relu, dense 10, softmax",
    "16,32,128": "conv 16 5, relu, pool 2, conv 32 5, relu, pool 2, flatten,"
    " dense 128, relu, dense 10, softmax",
    "32,64,128": "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten,"
    " dense 128, relu, dense 10, softmax",
    "32,64,1024": "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten,"
    " dense 1024, relu, dense 10, softmax",
}
"""The networks that are timed, for images of 28 x 28 x 1: channels, channels, hidden units."""

BATCH_SIZES = (1, 8, 32, 128, 1024)
PREDICTIONS = (1, 64, 10_000)
"""Images in one call of `predict_proba`."""

LEARNING_RATE = 0.01
"""Small: a network that diverged would be timed on other numbers than one that learns."""


@dataclass(frozen=True)
class Timing:
    """Seconds of an image, one number a round.

    what: "training" or "prediction".  size: images in a step, or in a call.
    """

    what: str
    network: str
    size: int
    seconds: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median round."""
        return median(self.seconds)


class StopAfter(Callback):
    """Ends training after so many seconds; then knows the images seen and the seconds taken."""

    def __init__(self, seconds: float) -> None:
        self.limit = seconds
        self.images = 0
        self.elapsed = 0.0

    def on_begin(self, run: Run) -> None:
        self.start = perf_counter()
        self.before = 0  # images of finished epochs

    def on_progress(self, run: Run) -> None:
        self.elapsed = perf_counter() - self.start
        self.images = self.before + run.seen
        run.stop = self.elapsed >= self.limit

    def on_epoch(self, run: Run, row: object) -> None:
        self.before += run.samples


def training_seconds(
    network: Network, x: Array, y: Array, batch_size: int, seconds: float, threads: int | None
) -> float:
    """Train for about so many seconds by `fit`, shuffling included -> seconds an image."""
    watch = StopAfter(seconds)
    network.fit(x, y, None, 1 << 30, batch_size, LEARNING_RATE, callbacks=[watch], threads=threads)
    return watch.elapsed / watch.images


def prediction_seconds(network: Network, x: Array, seconds: float, threads: int | None) -> float:
    """Call `predict_proba(x)` for about so many seconds -> seconds an image."""
    calls, elapsed, start = 0, 0.0, perf_counter()
    while elapsed < seconds:
        network.predict_proba(x, threads=threads)
        calls += 1
        elapsed = perf_counter() - start
    return elapsed / (calls * len(x))


def same_bits(
    network: Network, x: Array, y: Array, threads: Sequence[int], batch_size: int = 32
) -> bool:
    """Whether an epoch ends with the same weights for each of these numbers of threads.

    Each starts from the network's weights, which are as before in the end.
    """
    start, epochs = network.flat.copy(), network.epochs
    ends = []
    for count in threads:
        network.fit(x, y, epochs=1, batch_size=batch_size, threads=count)
        ends.append(network.flat.tobytes())
        network.flat[...], network.epochs = start, epochs
    return len(set(ends)) == 1


def timings(
    name: str,
    train: tuple[Array, Array],
    test: Array,
    batch_sizes: Sequence[int],
    predictions: Sequence[int],
    seconds: float,
    rounds: int,
    threads: int | None,
) -> Iterator[Timing]:
    """Each timing of one network, as soon as it is known.  A first, shorter round is not counted.

    train: images and labels; test: images.  seconds: of one round.
    """
    for batch_size in batch_sizes:
        network = Network(NETWORKS[name])
        training_seconds(network, *train, batch_size, seconds / 4, threads)
        yield Timing(
            "training",
            name,
            batch_size,
            tuple(
                training_seconds(network, *train, batch_size, seconds, threads)
                for _ in range(rounds)
            ),
        )
    network = Network(NETWORKS[name])
    for count in predictions:
        x = test[:count]
        prediction_seconds(network, x, seconds / 4, threads)
        rates = (prediction_seconds(network, x, seconds, threads) for _ in range(rounds))
        yield Timing("prediction", name, len(x), tuple(rates))
