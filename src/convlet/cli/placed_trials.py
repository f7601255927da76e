"""The trials of a sweep on the workers of a Dask cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from convlet.cli.console import warn
from convlet.cli.sweep_screen import Screen
from convlet.cli.trials import Lacking, Plan, Source, forget, run_on_worker
from convlet.datasets import Dataset
from convlet.sweeps.outcomes import Outcome, Trial
from convlet.wording import count


def on_cluster(
    client: Any,
    plan: Plan,
    data: Dataset,
    named: tuple[str, Mapping[str, Any]],
    trials: Sequence[Trial],
    screen: Screen,
) -> Iterator[Outcome]:
    """Outcomes as they come, one trial at a time on each worker.

    named: DATA, and how they were loaded; where a worker can open them, they are not sent to it.
    Raises `ClusterError` where no worker is left.
    """
    from convlet.cluster.placing import Placed

    sender = _Sender(client, plan, data, Source.of(*named, data))
    placed = Placed(client, trials, sender.start)
    try:
        for one in placed.ended(lambda n: screen.progress(f"on {count(n, 'worker')}")):
            if isinstance(one.returned, Lacking):
                sender.send_to(one.worker, one.returned)
                placed.again(one.task)
            elif one.why:
                yield Outcome(one.task, error=one.why, again=True)
            else:
                yield one.returned
    finally:
        placed.cancel()
        with suppress(Exception):  # it matters to the memory of the workers alone
            client.sync(client._run, forget, callback_timeout=5)


class _Sender:
    """Starts trials on workers; those that cannot open the data get them, which are sent once."""

    def __init__(self, client: Any, plan: Plan, data: Dataset, source: Source) -> None:
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

    def send_to(self, worker: str | None, why: Lacking) -> None:
        """From now on that worker gets the data."""
        if not self.lacking:
            warn(f"the data are sent to workers that cannot open them ({why})")
        self.lacking.add(worker or "")

    def _there(self) -> Any:
        """The data on the cluster; again, where all workers that had them are gone."""
        if self.sent is None or self.sent.status != "finished":
            self.sent = self.client.scatter(self.data, hash=False)
        return self.sent
