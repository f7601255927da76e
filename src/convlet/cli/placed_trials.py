"""The trials of a sweep on the workers of a Dask cluster."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from convlet import datasets
from convlet.callbacks import Callback
from convlet.cli import trials as those
from convlet.cli.console import warn
from convlet.cli.sweep_screen import Screen
from convlet.cli.trials import Plan, marks
from convlet.cluster import USUAL_SILENCE
from convlet.datasets import Dataset
from convlet.errors import ConvletError, InputError, one_line
from convlet.run import Run
from convlet.sweeps.outcomes import Outcome, Trial
from convlet.wording import count

MOST_SENT = 1 << 30
"""Bytes of images that are sent to workers that cannot open them."""

KEPT = 60.0
"""Seconds for which a worker keeps the data after a trial, for the next one."""


# -------------------------------------------------------------------------------- on the caller


def trials_there(
    client: Any,
    plan: Plan,
    data: Dataset,
    named: tuple[str, Mapping[str, Any]],
    trials: Sequence[Trial],
    screen: Screen,
) -> Iterator[Outcome]:
    """Outcomes as they come, one trial at a time on each worker.

    named: DATA, and how they were loaded; where a worker can open them, they are not sent to it.
    Raises `ClusterError` where no worker is left, `InputError` for data that are too large to send.
    """
    from convlet.cluster.placing import Placed
    from convlet.cluster.probing import Fit

    sender = _Sender(client, plan, data, Source.of(*named, data))
    placed = Placed(client, trials, sender.start, Fit(client, USUAL_SILENCE, warn))
    try:
        for one in placed.ended(lambda n: screen.progress(f"on {count(n, 'worker')}")):
            if isinstance(one.returned, Lacking):
                assert one.worker is not None
                sender.send_to(one.worker, one.returned)
                placed.again(one.task)
            elif one.why:
                yield Outcome(one.task, error=one.why, again=True)
            else:
                yield one.returned
    finally:
        placed.cancel()
        with suppress(Exception):  # they forget by themselves, later
            client.sync(client.run, forget, callback_timeout=5)


class _Sender:
    """Starts trials on workers; those that cannot open the data get them, which are sent once."""

    def __init__(self, client: Any, plan: Plan, data: Dataset, source: "Source") -> None:
        self.client, self.plan, self.source = client, plan, source
        none = data.train.take(slice(0))
        self.data, self.sent = replace(data, test=none, survey=None), None
        self.lacking: set[str] = set()

    def start(self, trial: Trial, worker: str) -> Any:
        """The future of a trial on that worker."""
        return self.client.submit(
            run_on_worker,
            self.plan.only(trial),
            trial,
            self.source,
            self._there() if worker in self.lacking else None,
            workers=[worker],
            allow_other_workers=False,
            pure=False,
        )

    def send_to(self, worker: str, why: "Lacking") -> None:
        """From now on that worker gets the data.  Raises `InputError` where they are too large."""
        parts = filter(None, (self.data.train, self.data.validation))
        size = sum(part.images.nbytes for part in parts)
        if size > MOST_SENT:
            raise InputError(
                "cluster",
                found=f"has the worker {worker}",
                but=f"it cannot open the data ({why}), and {size / 1e9:.1f} GB of images are more"
                f" than the {MOST_SENT / 1e9:.1f} that are sent",
                hint="put DATA where the workers find it, at the same path",
            )
        if not self.lacking:
            warn(f"the data are sent to workers that cannot open them ({why})")
        self.lacking.add(worker)

    def _there(self) -> Any:
        """The data on the cluster; again, where all workers that had them are gone."""
        if self.sent is None or self.sent.status != "finished":
            self.sent = self.client.scatter(self.data, hash=False)
        return self.sent


@dataclass(frozen=True)
class Source:
    """Where a worker finds the data: a name or an absolute path, and arguments of `load`."""

    name: str
    arguments: tuple[tuple[str, Any], ...]
    marks: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, Any], data: Dataset) -> "Source":
        """That of data that were loaded so."""
        known = name in datasets.names()
        place = name if known else os.path.abspath(name)
        return cls(place, tuple(arguments.items()), tuple(marks(data).items()))


# ---------------------------------------------------------------------------------- on a worker


class Lacking(str):
    """Why a worker could not open the data."""


class Abandoned(Exception):
    """Nobody waits for this trial any more."""


class WhileWanted(Callback):
    """Ends a trial of a worker that nobody waits for: its client is gone, or has cancelled it."""

    def __init__(self, worker: Any) -> None:
        self.tasks, self.key = worker.state.tasks, worker.get_current_task()

    def on_progress(self, run: Run) -> None:
        task = self.tasks.get(self.key)
        if task is None or task.state != "executing":
            raise Abandoned


def run_on_worker(
    plan: Plan, trial: Trial, source: Source, data: Dataset | None
) -> Outcome | Lacking:
    """A trial on the worker of a cluster, with all its threads.  data: None to open the source."""
    from distributed import get_worker

    worker = get_worker()
    held = worker.extensions.setdefault("convlet trials", Held())
    held.used += 1
    try:
        found = opened(source) if data is None else data
        if isinstance(found, Lacking):
            return found
        threads: int = worker.state.nthreads
        return plan.run(found, trial, [WhileWanted(worker)], threads)
    finally:
        used = held.used
        worker.loop.add_callback(worker.loop.call_later, KEPT, held.forget_unless_used, used)


class Held:
    """How often a worker used the data that it keeps; they go where nobody uses them again."""

    def __init__(self) -> None:
        self.used = 0

    def forget_unless_used(self, used: int) -> None:
        if used == self.used:
            forget()


@lru_cache(maxsize=1)
def opened(source: Source) -> Dataset | Lacking:
    """The data on this worker, if they are those of the caller."""
    try:
        data = datasets.load(source.name, progress=False, **dict(source.arguments))
    except (ConvletError, OSError, MemoryError) as error:
        return Lacking(one_line(error))
    if tuple(marks(data).items()) != source.marks:
        return Lacking(f"{source.name} holds other images there")
    return data


def forget() -> None:
    """Let the data go that the last trials used."""
    opened.cache_clear()
    those.forget()
