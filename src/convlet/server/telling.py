"""The callback that tells pages how training goes: points of the curve, epochs, health."""

from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any

from convlet.callbacks import Callback
from convlet.run import Row, Run
from convlet.server.hub import Hub
from convlet.server.records import Record

APART = 0.04
"""Seconds between two events of progress: the loop looks up twenty times a second."""
WINDOW = 0.25
"""Seconds that the rate is a mean of."""


class Teller(Callback):
    """Publishes progress and epochs, and keeps them in the record of the run.

    looks: called now and then between two calls of the engine, as health is looked at.  judged:
    called with the run after each epoch, while its answers are there.
    """

    def __init__(
        self,
        hub: Hub,
        record: Record,
        looks: Callable[[Run], None],
        judged: Callable[[Run], None],
    ) -> None:
        self.hub, self.record = hub, record
        self.looks, self.judged = looks, judged
        self.progress: dict[str, Any] = {}
        self.skipped = False
        """Whether epochs were too short to be told one by one."""

    def on_begin(self, run: Run) -> None:
        self.mark = self.told = perf_counter()
        self.closed = 0.0  # when an epoch was told
        self.marked = self.seen = _seen(run)
        self.rate: float | None = None
        self.before = (run.total, run.total_weight)
        self._keep(run)

    def on_progress(self, run: Run) -> None:
        now = perf_counter()
        if now - self.told < APART and run.step < run.steps:
            self._keep(run)
            return
        self.told = now
        seen = _seen(run)
        if now - self.mark >= WINDOW:
            self.rate = (seen - self.marked) / (now - self.mark)
            self.mark, self.marked = now, seen
        point = self._point(run)
        self._keep(run, point)
        self.hub.publish(lambda: {"type": "progress", **self.progress})
        self.looks(run)

    def on_epoch(self, run: Run, row: Row) -> None:
        self.record.rows.append(row)
        now = perf_counter()
        if now - self.closed >= APART or run.epoch == run.epochs:
            self.closed = now
            self.hub.publish(lambda: {"type": "epoch", "run": self.record.id, **asdict(row)})
        else:
            self.skipped = True
        self.judged(run)
        self.before = (0.0, 0.0)

    def resumed(self) -> None:
        """After a pause, which is no part of the rate."""
        self.mark, self.marked = perf_counter(), self.seen

    def _point(self, run: Run) -> tuple[float, float] | None:
        """Where the network's life stands, and the mean loss since then, where a point is due."""
        total, weight = run.total - self.before[0], run.total_weight - self.before[1]
        self.before = (run.total, run.total_weight)
        if weight <= 0:
            return None
        return self.record.curve.add(run.network.epochs + run.step / run.steps, total / weight)

    def _keep(self, run: Run, point: tuple[float, float] | None = None) -> None:
        seen, total = _seen(run), run.epochs * run.samples
        self.seen = seen
        left = None if not self.rate else (total - seen) / self.rate
        self.progress = {
            "run": self.record.id,
            "epoch": run.epoch,
            "epochs": run.epochs,
            "step": run.step,
            "steps": run.steps,
            "trained": run.network.epochs,
            "loss": run.train_loss,
            "images_per_second": self.rate,
            "seconds_left": left,
            "point": None if point is None else list(point),
        }


def _seen(run: Run) -> int:
    """Images done in this call of `fit`."""
    return (run.epoch - 1) * run.samples + run.seen
