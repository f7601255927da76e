"""Which workers take part: found, checked, kept alive by beats, left behind where they are silent.

All of it happens on the event loop of the client, while the caller's thread trains.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from convlet.cluster import worker
from convlet.cluster.probing import UnfitError, differences, no_workers, probe, result
from convlet.engine import Engine
from convlet.errors import ClusterError, InputError

BEAT = 1.0
"""Seconds between two beats, at most; also between two looks for workers that joined."""

ANSWER = 5.0
"""Seconds that a worker has for its answer to a small question."""


LOST = "is lost: training goes on without it"


@dataclass
class Member:
    """A worker.  digest: of the vectors that it has."""

    address: str
    about: dict[str, Any]
    task: Any = None  # the future of the long task
    seen: float = 0.0
    ready: bool = False
    digest: str = ""
    waiting: tuple[str, float] | None = None
    beat: "asyncio.Task[None] | None" = None

    @property
    def threads(self) -> int:
        """That Dask gave it."""
        return int(self.about["threads"])


class Members:
    """The workers of a run.

    provide(address): brings a worker the images that it should have.  silence: seconds without a
    sign of life after which a worker is left behind; so long a worker waits for the caller, too.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        engine: Engine,
        silence: float,
        provide: Callable[[str], Awaitable[None]],
    ) -> None:
        self.client, self.name, self.engine, self.provide = client, name, engine, provide
        self.silence = silence
        self.beat_every = min(BEAT, silence / 4)  # seconds
        self.members: dict[str, Member] = {}
        self.joining: dict[str, asyncio.Task[None]] = {}
        self.unfit: dict[str, UnfitError] = {}  # workers that are not asked again, and why
        self.later: dict[str, float] = {}  # when a worker is asked again that could not join
        self.told: set[str] = set()  # workers of which a note says so
        self.notes: list[str] = []  # for the caller to say
        self.error: Exception | None = None  # the scheduler is lost
        self.watcher: asyncio.Task[None] | None = None

    async def open(
        self, most: int, choose: Callable[[dict[str, dict[str, Any]]], Awaitable[None]]
    ) -> None:
        """Have all workers ready that answer.  Raises `InputError` where they cannot take part.

        choose: called with what is known of each, before any is provided with images.
        """
        listed = await self._listed()
        if len(listed) > most:
            raise InputError(
                "shards",
                most,
                but=f"the cluster has {len(listed)} workers, each of which sums one or more",
                hint="take at least as many; more than that divide the work more evenly",
            )
        probes = {a: asyncio.create_task(probe(self.client, a)) for a in listed}
        await asyncio.wait(probes.values(), timeout=self.silence)
        found = {a: result(a, task) for a, task in probes.items() if task.done()}
        abouts = {address: about for address, about in found.items() if about is not None}
        for task in probes.values():
            task.cancel()
        if abouts:
            await choose(abouts)
        for address, about in abouts.items():
            self.joining[address] = asyncio.create_task(self._join(address, about))
        joining = dict(self.joining)
        self.watcher = asyncio.create_task(self._watch())
        begun = monotonic()
        while any(
            not task.done() and (monotonic() - begun < self.silence or self.alive(address))
            for address, task in joining.items()
        ):
            await asyncio.sleep(0.02)
        ready = [m.address for m in self.members.values() if m.ready]
        if not ready:
            but = f"none of its workers began within {self.silence:g} seconds"
            raise InputError("cluster", None, found="is there", but=but, hint="are they busy?")
        for address in set(listed) - set(ready):
            self.notes.append(
                f"the worker {address} does not begin, and is left behind: it joins when it does"
            )

    async def _listed(self) -> dict[str, int]:
        """The workers of the cluster.  Raises `InputError` where none comes."""
        until = monotonic() + self.silence
        while not (listed := await self._asked()):
            if monotonic() > until:
                raise no_workers(self.silence)
            await asyncio.sleep(0.1)
        found: dict[str, int] = listed
        return found

    async def _asked(self) -> dict[str, int]:
        """Raises `ClusterError` for a scheduler that is silent."""
        try:
            found: dict[str, int] = await asyncio.wait_for(self.client.nthreads(), self.silence)
        except TimeoutError:
            words = f"the scheduler of the cluster does not answer, for {self.silence:g} seconds"
            raise ClusterError(words) from None
        return found

    async def lost_scheduler(self) -> Exception | None:
        """Why the scheduler does not answer; None where it does."""
        try:
            await asyncio.wait_for(self.client.nthreads(), ANSWER)
        except Exception as error:
            return error if str(error) else TimeoutError(f"no answer in {ANSWER:g} seconds")
        return None

    async def close(self) -> None:
        """End the run on all workers; it ends by itself on those that are silent."""
        while tasks := self._unended():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.1)
        alive = [address for address in self.members if self.alive(address)]
        await asyncio.gather(*(self.ask(a, worker.stop, limit=ANSWER) for a in alive))
        for member in self.members.values():
            if member.task is not None:
                with suppress(Exception):
                    member.task.release()

    def _unended(self) -> "list[asyncio.Task[None]]":
        """What goes on here.  `asyncio.wait_for` of Python 3.11 may lose that it was cancelled."""
        tasks = [self.watcher, *self.joining.values(), *(m.beat for m in self.members.values())]
        return [task for task in tasks if task is not None and not task.done()]

    def team(self, most: int) -> list[Member]:
        """Those that can take steps now, `most` at most, in the order in which they came."""
        now = monotonic()
        members = list(self.members.values())  # the loop may change them meanwhile
        alive = [m for m in members if m.ready and not self.silent(m, now)]
        return alive[:most]

    def silent(self, member: Member | None, now: float) -> bool:
        return member is None or now - member.seen > self.silence

    def alive(self, address: str) -> bool:
        return not self.silent(self.members.get(address), monotonic())

    def drop(self, address: str, words: str = LOST) -> None:
        """A worker takes part no more; it may come back as one that joins.  words: to be told."""
        if member := self.members.pop(address, None):
            if member.ready:
                self.notes.append(f"the worker {address} {words}")
            if member.beat is not None:
                member.beat.cancel()
            with suppress(Exception):
                member.task.release()

    async def ask(
        self, address: str, function: Callable[..., Any], *args: Any, limit: float | None = None
    ) -> Any:
        """What a function of worker.py answers there; the exception where there is no answer."""
        try:
            asked = self.client.run(
                function, self.name, *args, workers=[address], on_error="return"
            )
            return (await asyncio.wait_for(asked, limit))[address]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            return error

    async def _watch(self) -> None:
        while True:
            try:
                listed = await asyncio.wait_for(self.client.nthreads(), 6 * self.silence)
            except Exception as error:
                self.error = error
                return
            for address in set(self.members) - set(listed):
                self.drop(address)
            for address in set(listed) - {*self.members, *self.joining, *self.unfit}:
                if monotonic() < self.later.get(address, 0.0):
                    continue
                self.joining[address] = asyncio.create_task(self._join(address))
            for member in list(self.members.values()):
                if member.beat is None or member.beat.done():
                    member.beat = asyncio.create_task(self._beat(member))
            await asyncio.sleep(self.beat_every)

    async def _beat(self, member: Member) -> None:
        asked = monotonic()
        found = await self.ask(member.address, worker.beat)
        if not isinstance(found, dict):
            return  # it is silent, or Dask will say that it is gone
        if found["known"]:
            member.seen, member.waiting = max(asked, member.seen), found["waiting"]
        elif member.ready:  # it was over there, as after a stop
            self.drop(member.address)

    async def _join(self, address: str, about: dict[str, Any] | None = None) -> None:
        try:
            about = about or await probe(self.client, address)
            member = Member(address, about)
            member.task = self.client.submit(
                worker.serve,
                self.name,
                self.engine,
                self.silence,
                workers=[address],
                key=f"convlet-{self.name}-{address}",
                allow_other_workers=False,
                pure=False,
                priority=100,
                retries=0,
            )
            self.members[address] = member
            await self._begun(member)
            member.seen = monotonic()
            self.notes += differences(address, about)
            await self.provide(address)
            member.seen, member.ready = monotonic(), True
        except UnfitError as error:
            self.unfit[address] = error
            self.notes.append(f"the worker {address} takes no part: {error.but}")
        except Exception as error:  # of the network, or of a worker that leaves
            self.drop(address)
            self.later[address] = monotonic() + self.silence
            if address not in self.told:
                self.told.add(address)
                self.notes.append(f"the worker {address} takes no part for now: {error}")
        finally:
            self.joining.pop(address, None)

    async def _begun(self, member: Member) -> None:
        """Wait for the long task."""
        while True:
            found = await self.ask(member.address, worker.beat, limit=self.silence)
            if isinstance(found, dict) and found["known"]:
                return
            if member.task.status == "error":
                raise UnfitError(f"its task failed: {await member.task.exception()}")
            if member.task.status in ("lost", "cancelled"):
                raise OSError(f"its task is {member.task.status}")
            await asyncio.sleep(0.02)
