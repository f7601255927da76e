"""The training loop: epochs of shuffled minibatches, told to callbacks a few times a second."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, overload

import numpy as np

from convlet.engine import Samples
from convlet.randomness import Purpose, permutation

if TYPE_CHECKING:
    from convlet.network import Network

SECONDS_PER_CALL = 0.05
"""How long the engine may work before the loop looks up: progress and Ctrl-C are this quick."""


@dataclass(frozen=True)
class Row:
    """One epoch.

    Losses are means of (14); train_loss is over the epoch as it went, each minibatch before its
    step.  test_loss and test_accuracy are of the validation data after the epoch, None without any.
    seconds is training time, without the evaluation.
    """

    epoch: int  # from 1, counted over the network's whole life
    train_loss: float
    test_loss: float | None
    test_accuracy: float | None
    seconds: float


class History(Sequence[Row]):
    """A row an epoch: `history[-1].test_accuracy`, `for row in history`, `history.as_dicts()`."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows = list(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "History": ...
    def __getitem__(self, index: int | slice) -> "Row | History":
        return History(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def as_dicts(self) -> list[dict[str, int | float | None]]:
        """Rows as plain dicts, for JSON or a table."""
        return [asdict(row) for row in self.rows]

    def __repr__(self) -> str:
        lines = ["epoch train_loss  test_loss test_accuracy  seconds"]
        for row in self.rows:
            loss, accuracy = _cell(row.test_loss, 10), _cell(row.test_accuracy, 13)
            lines.append(
                f"{row.epoch:5} {row.train_loss:10.4f} {loss} {accuracy} {row.seconds:8.2f}"
            )
        return "\n".join(lines)


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.4f}"


@dataclass
class Run:
    """Where a call of `fit` stands.

    Callbacks read it, and may set `stop` to end after the current epoch or call.
    """

    network: "Network"
    epochs: int  # asked for in this call
    steps: int  # minibatches an epoch
    samples: int  # images an epoch
    epoch: int = 0  # of this call, from 1
    step: int = 0  # minibatches done in this epoch
    seen: int = 0  # images done in this epoch
    train_loss: float = 0.0  # mean of (14) over the images seen in this epoch
    history: History = field(default_factory=History)
    stop: bool = False


class Callback:
    """Told how training goes.  Override what you need."""

    def on_begin(self, run: Run) -> None:
        """Before the first epoch."""

    def on_steps(self, run: Run) -> None:
        """After every few steps, about twenty times a second."""

    def on_epoch(self, run: Run, row: Row) -> None:
        """After every epoch and its evaluation."""

    def on_end(self, run: Run) -> None:
        """After the last epoch; also when training was interrupted by an exception."""


def fit(
    network: "Network",
    data: Samples,
    validation: Samples | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    callbacks: Sequence[Callback],
    threads: int | None = None,
) -> History:
    """Minibatch gradient descent (13), (21) on checked data; see `Network.fit`.

    Epoch e of the network's life is shuffled by the words (seed, SHUFFLE, e), so that fit(epochs=1)
    twice is fit(epochs=2).
    """
    run = Run(network, epochs, -(-len(data) // batch_size), len(data))
    for callback in callbacks:
        callback.on_begin(run)
    try:
        for run.epoch in range(1, epochs + 1):
            seconds = _epoch(run, data, batch_size, learning_rate, seed, callbacks, threads)
            if run.step < run.steps:  # stopped inside the epoch
                break
            network.epochs += 1
            loss, accuracy = (
                (None, None) if validation is None else network.score(validation, threads)
            )
            row = Row(network.epochs, run.train_loss, loss, accuracy, seconds)
            run.history.rows.append(row)
            for callback in callbacks:
                callback.on_epoch(run, row)
            if run.stop:
                break
    finally:
        for callback in callbacks:
            callback.on_end(run)
    return run.history


def _epoch(
    run: Run,
    data: Samples,
    batch_size: int,
    learning_rate: float,
    seed: int,
    callbacks: Sequence[Callback],
    threads: int | None,
) -> float:
    """One epoch, a few steps per call of the engine -> seconds."""
    network = run.network
    order = permutation(seed, Purpose.SHUFFLE, network.epochs, len(data))
    run.step = run.seen = 0
    total = total_weight = seconds = 0.0
    steps = 1  # in the next call
    while run.step < run.steps and not run.stop:
        chosen = order[run.seen : run.seen + steps * batch_size]
        start = perf_counter()
        costs = network.engine.train(network.flat, data, chosen, batch_size, learning_rate, threads)
        elapsed = perf_counter() - start
        seconds += elapsed
        run.step += len(costs)
        run.seen += len(chosen)
        weights = _weights(data, chosen, batch_size)
        total += float(np.dot(costs, weights))
        total_weight += float(weights.sum())
        run.train_loss = total / total_weight if total_weight else 0.0
        steps = max(1, min(4 * steps, int(steps * SECONDS_PER_CALL / max(elapsed, 1e-6))))
        for callback in callbacks:
            callback.on_steps(run)
    return seconds


def _weights(
    data: Samples, chosen: "np.ndarray[tuple[int], np.dtype[np.int64]]", batch_size: int
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The weight of each minibatch in an epoch's mean: its images, or the sum of their omega."""
    starts = np.arange(0, len(chosen), batch_size)
    each = np.ones(len(chosen)) if data.weight is None else data.weight[chosen].astype(np.float64)
    return np.add.reduceat(each, starts)
