"""Tasks on a cluster, one at a time on each worker: a task has all threads of its worker."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from convlet.errors import ClusterError, ConvletError, one_line

T = TypeVar("T")

LOSSES = 3
"""Workers that a task may lose: with that many it is the task that ends them."""
POLL = 0.5
"""Seconds between two looks at which workers there are."""


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A task that ended on a worker, with what it returned, or with the reason why that is nothing.

    The worker is None for a task that ended several.
    """

    task: T
    worker: str | None
    returned: Any
    why: str = ""


class Placed(Generic[T]):
    """Tasks that run one at a time on each worker of a cluster.

    start(task, worker) submits a task to that worker, and to no other -> its future.  A worker that
    joins gets tasks; the task of one that is gone is started again on another.  fit: whether a
    worker, by its address, can have any.  silence: seconds that tasks wait for a worker, where all
    are gone.
    """

    def __init__(
        self,
        client: Any,
        tasks: Iterable[T],
        start: Callable[[T, str], Any],
        fit: Callable[[str], bool] = lambda address: True,
        silence: float = 60.0,
    ) -> None:
        self.client, self.start, self.fit, self.silence = client, start, fit, silence
        self.waiting = deque(tasks)
        self.running: dict[str, tuple[T, Any]] = {}
        self.losses: Counter[T] = Counter()
        self.since = monotonic()  # when there was a worker

    def ended(self, told: Callable[[int], None]) -> Iterator[Ended[T]]:
        """Each task as it ends.

        told: how many workers there are, now and then.  A task that is given back by `again` runs
        again.  Raises `ClusterError` where no worker, or no scheduler, is left.
        """
        while self.waiting or self.running:
            workers = self._workers()
            told(len(workers))
            yield from self._lost(workers)
            for worker in workers:
                if self.waiting and worker not in self.running:
                    task = self.waiting.popleft()
                    try:
                        self.running[worker] = task, self.start(task, worker)
                    except TimeoutError:  # all workers went a moment ago
                        self.again(task)
            yield from self._done()

    def again(self, task: T) -> None:
        """Run that task once more, before others."""
        self.waiting.appendleft(task)

    def cancel(self) -> None:
        """Nobody waits any more for what runs."""
        self.client.cancel([future for _, future in self.running.values()])

    def _workers(self) -> list[str]:
        try:
            asked = self.client.scheduler.ncores
            listed = list(self.client.sync(asked, callback_timeout=self.silence))
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            raise _gone(f"its scheduler does not answer ({one_line(error)})") from None
        found = [one for one in listed if self.fit(one)]
        if found:
            self.since = monotonic()
        elif monotonic() - self.since > self.silence:
            raise _gone("no worker is left")
        return found

    def _lost(self, workers: list[str]) -> Iterator[Ended[T]]:
        """Tasks of workers that are gone: waiting again, or ended."""
        for worker in [one for one in self.running if one not in workers]:
            task, future = self.running.pop(worker)
            future.cancel()
            yield from self._lose(task)

    def _lose(self, task: T) -> Iterator[Ended[T]]:
        self.losses[task] += 1
        if self.losses[task] < LOSSES:
            self.again(task)
        else:
            yield Ended(task, None, None, f"{LOSSES} workers ended while they worked on it")

    def _done(self) -> Iterator[Ended[T]]:
        """What ended within `POLL` seconds."""
        import distributed

        futures = [future for _, future in self.running.values()]
        try:
            if futures:
                distributed.wait(futures, timeout=POLL, return_when="FIRST_COMPLETED")
            else:
                sleep(POLL)
        except TimeoutError:
            return
        except Exception:  # of a cancelled future: its status says more
            sleep(POLL)
        for worker, (task, future) in list(self.running.items()):
            if future.status == "pending":
                continue
            del self.running[worker]
            try:
                if future.status == "finished":
                    yield Ended(task, worker, future.result(timeout=self.silence))
                    continue
                if future.status == "error":
                    why = _reason(future.exception(timeout=self.silence))
                    yield Ended(task, worker, None, why)
                    continue
            except TimeoutError:  # its worker went before it could say more
                future.cancel()
            yield from self._lose(task)  # lost, or cancelled by somebody


def _reason(error: Exception) -> str:
    text = one_line(error)
    return text if isinstance(error, ConvletError) else f"{type(error).__name__}: {text}"


def _gone(why: str) -> ClusterError:
    return ClusterError(f"the cluster is lost, {why}: what ended is kept")
