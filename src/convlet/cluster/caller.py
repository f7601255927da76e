"""The caller's side: takes the steps of the training loop by workers, whatever happens to them."""

import asyncio
import warnings
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from convlet.cluster import SHORTEST_CALL
from convlet.cluster.asking import ask
from convlet.cluster.blocks import WHOLE_WITHIN, Blocks, Divided, Kept, Whole
from convlet.cluster.calls import Answer, Call, Failure, digest_of
from convlet.cluster.dask_images import Chunks
from convlet.cluster.exchange import edges_of, places_of, totals_of
from convlet.cluster.mapped import Mapped, digest, file_of
from convlet.cluster.members import LOST, Member, Members
from convlet.cluster.probing import UnfitError
from convlet.engine import Engine, Samples, Steps, Trained
from convlet.equations import Float32
from convlet.errors import ClusterError, one_line
from convlet.settings import Settings

ATTEMPTS = 100
"""Of the same steps, whatever comes in their way."""

LONG = 20.0
"""Seconds of a call, at most."""

TIMES = 10
"""What a call costs beside its steps, the parameters' way back above all, is a tenth of it."""

REPEATS = 3
"""Calls that may fail with all workers alive, before the one that is blamed most is left out."""


class Cluster:
    """Takes steps by the workers of a cluster, like `Engine.train`, for one run on some data.

    A call that fails is sent again, to the workers that are left: the caller has the parameters
    and slots that it began with.  Raises `ClusterError` where none is left.
    """

    def __init__(
        self, client: Any, engine: Engine, data: Samples, shards: int, silence: float
    ) -> None:
        self.client, self.shards, self.silence = client, shards, silence
        self.name = uuid4().hex
        self.data = data
        self.kept: Kept | None = None
        self.members = Members(client, self.name, engine, silence, self._provide)
        self.number = 0
        self.before: set[str] = set()  # the workers of the last call
        self.costs: deque[float] = deque(maxlen=4)  # of calls, in seconds beside their steps

    def open(self) -> None:
        """Have the workers that are there ready.  Raises `InputError`, `ClusterError`."""
        self._on_loop(self.members.open, self.shards, self._choose)
        self._say()

    async def _choose(self, abouts: dict[str, dict[str, Any]]) -> None:
        """How the images reach the workers."""
        images, addresses = self.data.images, list(abouts)
        if isinstance(images, Chunks):
            self.kept = images.kept
        elif (file := file_of(images)) is not None:
            mapped = Mapped(self.client, file, await asyncio.to_thread(digest, images))
            checks = (mapped.check(address) for address in addresses)
            wrong = await asyncio.gather(*checks, return_exceptions=True)
            if not any(wrong):
                self.kept = mapped
            for address, error in zip(addresses, wrong, strict=True):
                if error is not None:
                    self.members.notes.append(
                        f"the worker {address}: {error}; so the images are sent to the workers"
                    )
        if self.kept is None:
            room = min(about["memory"] for about in abouts.values())
            kind = Whole if images.nbytes <= WHOLE_WITHIN * room else Divided
            self.kept = kind(self.client, images)
        if isinstance(self.kept, Blocks):
            with suppress(OSError):  # the first call will lack them, and have it done again
                await self.kept.repair([], addresses, lambda address: True)

    def close(self) -> None:
        """End the run on the cluster, and let the images go."""
        try:
            with suppress(Exception):
                self._on_loop(self.members.close)
        finally:
            if self.kept is not None:
                self.kept.release()

    @property
    def seconds_per_call(self) -> float:
        """Long against what the last calls cost, and short for who waits for progress."""
        return min(max(SHORTEST_CALL, TIMES * min(self.costs, default=0.0)), LONG)

    def train(
        self,
        parameters: Float32,
        slots: tuple[Float32, ...],
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None = None,
    ) -> Trained:
        """Take steps, in place; see `Engine`."""
        vectors = (parameters, *slots)
        digest = digest_of(vectors)
        blamed: Counter[str] = Counter()
        for _ in range(ATTEMPTS):
            team = self._team(settings.shards)
            addresses = {member.address for member in team}
            if self.before - addresses:  # what was lost with them is where Dask made it again
                self._on_loop(self._restore, [])
            self.before = addresses
            calls = self._calls(team, vectors, digest, data, steps, settings, threads)
            begun = monotonic()
            found = self._on_loop(ask, self.members, team, calls)
            elapsed = monotonic() - begun
            self._say()
            if all(isinstance(one, Answer) for one in found):
                self.costs.append(elapsed - max(one.seconds for one in found))
                return self._taken(team, vectors, found)
            self._repair(team, found, blamed)
        words = "; ".join(str(one.words) for one in found if isinstance(one, Failure) and one.words)
        raise ClusterError(f"the same steps failed {ATTEMPTS} times, the last time: {words}")

    def _team(self, most: int) -> list[Member]:
        """Workers that can take steps; waits a while for one."""
        until = monotonic() + self.silence
        while not (team := self.members.team(most)):
            self._refuse_lost_scheduler()
            if monotonic() > until:
                self._refuse_lost_scheduler(ask=True)
                self._say()
                raise ClusterError(
                    f"no worker of the cluster is left, for {self.silence:g} seconds"
                )
            sleep(0.02)
        return team

    def _calls(
        self,
        team: list[Member],
        vectors: tuple[Float32, ...],
        digest: str,
        data: Samples,
        steps: Steps,
        settings: Settings,
        threads: int | None,
    ) -> list[Call]:
        assert self.kept is not None
        self.number += 1
        edges = edges_of(settings.shards, [threads or m.threads for m in team])
        size, count = settings.batch_size, len(steps.order)
        totals = totals_of(steps.order, data.weight, size)
        calls = []
        for n, member in enumerate(team):
            places = places_of(count, size, settings.shards, edges[n], edges[n + 1])
            numbers = steps.order[places]
            call = Call(
                number=self.number,
                team=tuple(m.address for m in team),
                edges=edges,
                worker=n,
                count=count,
                numbers=numbers,
                targets=data.targets[numbers],
                weight=None if data.weight is None else data.weight[numbers],
                totals=totals,
                rates=steps.rates,
                updates=steps.updates,
                epoch=steps.epoch,
                settings=settings,
                threads=threads,
                blocks=self.kept.blocks(member.address),
                shape=data.images.shape[1:],
                dtype=data.images.dtype.str,
                digest=digest,
                vectors=None if member.digest == digest else vectors,
                answers=n == 0,
            )
            calls.append(call)
        return calls

    def _repair(
        self, team: list[Member], found: list[Answer | Failure], blamed: Counter[str]
    ) -> None:
        """Leave out who is lost, so that the call can be sent again."""
        for member in team:
            member.digest = ""
        lost, lacking = False, []
        for member, one in zip(team, found, strict=True):
            if not isinstance(one, Failure):
                continue
            if one.kind == "failed":
                raise ClusterError(f"the worker {member.address} failed: {one.words}")
            if one.kind == "gone":
                lost = True
                self._on_loop(self._drop, member.address)
            if one.kind == "data":
                lacking.append(member.address)
                blamed[member.address] += 1
            if one.blame is not None:
                blamed[one.blame] += 1
        if lost:
            blamed.clear()
        elif blamed.total() >= REPEATS:
            address = blamed.most_common(1)[0][0]
            words = "others do not reach it, or it does not reach the images"
            self.members.unfit[address] = UnfitError(words)
            self._on_loop(self._drop, address, f"is left out: {words}")
            blamed.clear()
        if (lost or lacking) and not self._on_loop(self._restore, lacking):
            blamed.clear()  # it may be nobody's fault: who died a moment ago is not known yet
            sleep(self.members.beat_every)

    async def _restore(self, lacking: list[str]) -> bool:
        """Have the images where they are looked for; whether that worked."""
        assert self.kept is not None
        team = [member.address for member in self.members.team(self.shards)]
        try:
            if team:
                await self.kept.repair(lacking, team, self.members.alive)
        except OSError:
            return False
        return True

    async def _provide(self, address: str) -> None:
        assert self.kept is not None
        await self.kept.provide(address, self.members.alive)

    async def _drop(self, address: str, words: str = LOST) -> None:
        self.members.drop(address, words)

    def _taken(self, team: list[Member], vectors: tuple[Float32, ...], found: list[Any]) -> Trained:
        """Put the parameters and slots in place; all workers must have the same."""
        digests = {member.address: one.digest for member, one in zip(team, found, strict=True)}
        if len(set(digests.values())) > 1:
            common = Counter(digests.values()).most_common(1)[0][0]
            others = ", ".join(a for a, digest in digests.items() if digest != common)
            raise ClusterError(
                f"the workers have different parameters after the same steps: {others} differ from"
                " the others; nothing of these steps is kept"
            )
        answer: Answer = found[0]
        assert answer.vectors is not None
        for vector, new in zip(vectors, answer.vectors, strict=True):
            vector[...] = new
        for member in team:
            member.digest = answer.digest
        return Trained(answer.costs, answer.diverged)

    def _say(self) -> None:
        """Tell the caller what happened to workers."""
        while self.members.notes:
            warnings.warn(self.members.notes.pop(0), RuntimeWarning, stacklevel=2)

    def _refuse_lost_scheduler(self, ask: bool = False) -> None:
        """ask: it may be silent, not the workers."""
        error: Any = self.members.error
        if error is None and ask:
            error = self._on_loop(self.members.lost_scheduler)
        if error is not None:
            raise ClusterError(f"the scheduler of the cluster is lost: {one_line(error)}")

    def _on_loop(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Run on the client's loop, and wait; an exception here ends it there.

        The coroutine is made there, too: a signal that strikes here leaves none that nobody awaits.
        """
        if self.client.status not in ("running", "connecting"):
            raise ClusterError(f"the client of the cluster is {self.client.status}")
        loop = self.client.loop.asyncio_loop
        answer: Future[Any] = Future()
        tasks: list[asyncio.Task[Any]] = []

        def begin() -> None:
            tasks.append(loop.create_task(function(*args)))
            tasks[0].add_done_callback(settle)

        def settle(task: asyncio.Task[Any]) -> None:
            if task.cancelled():
                answer.cancel()
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        def end() -> None:
            for task in tasks:
                task.cancel()

        try:
            loop.call_soon_threadsafe(begin)
            return answer.result()
        except BaseException:
            loop.call_soon_threadsafe(end)  # after `begin`
            raise
