"""What runs on a worker: a long task that takes steps, and what the caller reaches it by.

A run of training is a name; what a worker knows of it lives as long as its task, which ends when it
is told so, or when nobody has asked for it for `silence` seconds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import numpy as np

from convlet.cluster.calls import Answer, Call, Failure, digest_of
from convlet.cluster.exchange import places_of
from convlet.cluster.exchanging import AbortedError, Exchanging
from convlet.cluster.links import SUMS, TICK, Links, Lost, listen
from convlet.cluster.rows import ROWS, Images, NoImagesError, give_rows, images_of
from convlet.engine import Engine, Samples, Share, Steps
from convlet.equations import Array, Float32
from convlet.stages import on_lines

FETCH = 10
"""Times the silence that the images of a call may take to come from other workers."""


@dataclass
class Job:
    """A call, and who waits for its answer."""

    call: Call
    images: Images
    answer: asyncio.Future[Answer | Failure]


@dataclass
class Run:
    """What a worker knows of a run."""

    name: str
    worker: Any  # of Dask
    engine: Engine
    silence: float  # seconds without a question of the caller after which the run is over
    jobs: SimpleQueue[Job | None] = field(default_factory=SimpleQueue)
    inboxes: dict[int, SimpleQueue[Any]] = field(default_factory=dict)  # by the number of the call
    done: int = -1  # the last call that ended
    fetch: "asyncio.Task[Images] | None" = None
    waiting: tuple[str, float] | None = None  # for whom, since when
    vectors: tuple[Float32, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        self.links = Links(self.worker, self.name)
        self.parameters = sum(stage.parameter_count for stage in self.engine.stages)
        self.renew()

    def renew(self) -> None:
        self.ends = monotonic() + self.silence

    @property
    def over(self) -> bool:
        return monotonic() > self.ends

    def inbox(self, number: int) -> SimpleQueue[Any]:
        """Of a call, which others may know of before this worker does."""
        if number <= self.done:
            return SimpleQueue()  # nobody reads it
        return self.inboxes.setdefault(number, SimpleQueue())

    def lost(self, address: str, words: str) -> None:
        """A connection to or from another worker broke."""
        for inbox in list(self.inboxes.values()):
            inbox.put(Lost(address, words))

    def work(self) -> None:
        """Take the steps of one call after the other."""
        while True:
            try:
                job = self.jobs.get(timeout=TICK)
            except Empty:
                if self.over:
                    return
                continue
            if job is None:
                return
            found = self._answer(job)
            self.worker.loop.add_callback(_settle, job.answer, found)

    def _answer(self, job: Job) -> Answer | Failure:
        call = job.call
        try:
            return self._take(job)
        except Lost as lost:
            return Failure("peer", lost.words, lost.address)
        except AbortedError:
            return Failure("aborted")
        except Exception as error:
            return Failure("failed", f"{type(error).__name__}: {error}")
        finally:
            self.waiting = None
            self.done = max(self.done, call.number)
            for number in [n for n in list(self.inboxes) if n <= self.done]:
                del self.inboxes[number]

    def _take(self, job: Job) -> Answer | Failure:
        call = job.call
        if call.vectors is not None:
            self.vectors = tuple(map(on_lines, call.vectors))
        elif self.digest != call.digest:
            return Failure("stale")
        self.digest = ""  # until all steps are whole
        settings, edges = call.settings, call.edges
        first, last = edges[call.worker], edges[call.worker + 1]
        places = places_of(call.count, settings.batch_size, settings.shards, first, last)
        images, rows_here = job.images.found(call.numbers)
        order, rows = np.zeros(call.count, np.int64), np.full(call.count, -1, np.int64)
        order[places], rows[places] = call.numbers, rows_here
        data = Samples(
            images,
            _spread(call.targets, rows_here, len(images)),
            None if call.weight is None else _spread(call.weight, rows_here, len(images)),
        )
        share = Share(first, last, rows, call.totals, Exchanging(self, call).step)
        steps = Steps(order, call.rates, call.updates, call.epoch)
        threads = call.threads or self.worker.state.nthreads
        flat, *slots = self.vectors
        begun = monotonic()
        trained = self.engine.train(flat, tuple(slots), data, steps, settings, threads, share)
        seconds = monotonic() - begun
        self.digest = digest_of(self.vectors)
        given = self.vectors if call.answers else None
        return Answer(trained.costs, trained.diverged, self.digest, given, seconds)


def _spread(values: Array, rows: Array, count: int) -> Array:
    """An array of as many rows as there are images, with these values where they belong."""
    spread = np.zeros((count, *values.shape[1:]), values.dtype)
    spread[rows] = values
    return spread


def _settle(answer: asyncio.Future[Any], found: Any) -> None:
    if not answer.done():
        answer.set_result(found)


def runs_of(worker: Any) -> dict[str, Run]:
    """The runs on a worker of Dask; the first one brings the handlers."""
    found: dict[str, Run] = worker.extensions.setdefault("convlet", {})

    async def sums(comm: Any, run: str, sender: str, raw: bool) -> str:
        return await listen(comm, lambda: found.get(run), sender, raw)

    async def rows(key: Any, index: Array) -> dict[str, Any]:
        return give_rows(worker, key, index)

    handlers: dict[str, Callable[..., Any]] = {SUMS: sums, ROWS: rows}
    for name, handler in handlers.items():
        worker.handlers.setdefault(name, handler)
    return found


# ---------------------------------------------------------------- called by way of the scheduler


def serve(name: str, engine: Engine, silence: float) -> None:
    """The long task: take steps until told to end, or nobody asks any more."""
    from distributed import get_worker, secede

    worker = get_worker()
    run = Run(name, worker, engine, silence)
    runs = runs_of(worker)
    runs[name] = run
    secede()  # other tasks go on: of another run, and those that make chunks of images
    try:
        run.work()
    finally:
        del runs[name]
        run.links.close()


async def work(name: str, call: Call, dask_worker: Any) -> Answer | Failure:
    """Take the steps of a call."""
    run = runs_of(dask_worker).get(name)
    if run is None:
        return Failure("gone", "the run is not known there")
    run.renew()
    run.fetch = asyncio.create_task(images_of(dask_worker, call))
    done, _ = await asyncio.wait([run.fetch], timeout=FETCH * run.silence)
    if not done or run.fetch.cancelled():
        run.fetch.cancel()
        return Failure("aborted" if done else "data", "they do not come")
    try:
        images = run.fetch.result()
    except NoImagesError as error:
        return Failure("data", str(error))
    answer: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
    run.jobs.put(Job(call, images, answer))
    while True:
        await asyncio.wait([answer], timeout=TICK)
        if answer.done():
            return answer.result()
        if runs_of(dask_worker).get(name) is not run:
            return Failure("gone", "the run ended there")


async def beat(name: str, dask_worker: Any) -> dict[str, Any]:
    """Put off the end of a run -> whether it is there, for whom it waits, for how many seconds."""
    run = runs_of(dask_worker).get(name)
    if run is None or run.over:
        return {"known": False}
    run.renew()
    waiting = run.waiting
    since = None if waiting is None else (waiting[0], monotonic() - waiting[1])
    return {"known": True, "waiting": since}


async def abort(name: str, number: int, dask_worker: Any) -> None:
    """End a call, where it has not ended."""
    if run := runs_of(dask_worker).get(name):
        run.inbox(number).put(AbortedError())
        if run.fetch is not None:
            run.fetch.cancel()


async def stop(name: str, dask_worker: Any) -> None:
    """End the run."""
    if run := runs_of(dask_worker).get(name):
        run.ends = 0.0
        run.jobs.put(None)
        for inbox in list(run.inboxes.values()):
            inbox.put(AbortedError())
