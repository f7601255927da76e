"""Images for workers: whole, opened from a file, or in blocks of which each worker has some.

Each kind says what a worker's blocks are when a call is written (`blocks`), and sees to it that
they are there (`provide` for one worker, `repair` after a call that did not find them).
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from time import monotonic
from typing import Any, Protocol

import numpy as np

from convlet.cluster.calls import Block
from convlet.cluster.rows import copied
from convlet.equations import Array

LOOK = 0.02
"""Seconds between two looks whether something is there."""

BLOCK_LIMIT = 30.0
"""Seconds for a block to reach a worker."""

LIMIT = 600.0
"""Seconds in which Dask has to move images, or to make chunks anew."""

WHOLE_WITHIN = 0.25
"""Of a worker's memory that images may take to be there whole."""

BLOCK = 32 << 20
"""Bytes of a block."""

Alive = Callable[[str], bool]
"""Whether a worker, by its address, can give images to another."""


class Kept(Protocol):
    """Images that workers have."""

    async def provide(self, address: str, alive: Alive) -> None:
        """Have a worker ready.  Raises `OSError`."""

    async def repair(self, lacking: Sequence[str], team: Sequence[str], alive: Alive) -> None:
        """See to it that the team finds all images: workers were lost, or lacked some.

        Raises `OSError`.
        """

    def blocks(self, address: str) -> tuple[Block, ...]:
        """As this worker has them."""

    def release(self) -> None:
        """Let them go."""


class Whole:
    """Images of the caller, which every worker gets whole, later ones from those before.

    Each has them under a key of its own: of one key Dask keeps no more copies than tasks need, and
    drops any of the others.
    """

    def __init__(self, client: Any, images: Array) -> None:
        self.client, self.images = client, images
        self.copies: dict[str, Any] = {}  # futures by the address of the worker
        self.first = asyncio.Lock()

    async def provide(self, address: str, alive: Alive) -> None:
        self.copies.pop(address, None)
        async with self.first:  # two may not both be the first
            giver, source = self._source(alive)
            if source is None:
                self.copies[address] = await self.client.scatter(
                    self.images, workers=[address], hash=False, direct=False
                )
                return
        copy = self.client.submit(
            copied, giver, source.key, workers=[address], allow_other_workers=False, pure=False
        )
        try:
            await finished([copy], again=False, alive=lambda: alive(giver))
        except OSError:
            copy.release()
            raise
        self.copies[address] = copy

    async def repair(self, lacking: Sequence[str], team: Sequence[str], alive: Alive) -> None:
        for address in lacking:
            await self.provide(address, alive)

    def blocks(self, address: str) -> tuple[Block, ...]:
        copy = self.copies.get(address)
        return (Block(0, len(self.images), None if copy is None else copy.key),)

    def release(self) -> None:
        for copy in self.copies.values():
            copy.release()

    def _source(self, alive: Alive) -> tuple[str, Any]:
        """Who can give it to others: an address and the future there; None for nobody."""
        for address, copy in self.copies.items():
            if copy.status == "finished" and alive(address):
                return address, copy
        return "", None


class Blocks:
    """Images in blocks, of which each worker has some and asks others for rows of the rest.

    futures: of arrays, lengths of each; Dask makes those again that are lost.
    """

    made_again = True

    def __init__(self, client: Any, futures: Sequence[Any], lengths: Sequence[int]) -> None:
        self.client, self.futures = client, list(futures)
        self.edges = list(pairwise([0, *accumulate(lengths)]))
        self.holders: dict[str, tuple[str, ...]] = {}

    async def provide(self, address: str, alive: Alive) -> None:
        """Nothing: who joins asks others, and holds what Dask makes anew."""

    async def repair(self, lacking: Sequence[str], team: Sequence[str], alive: Alive) -> None:
        await finished(self.futures, self.made_again)
        found = await self.client.who_has(self.futures)
        self.holders = {key: tuple(filter(alive, where)) for key, where in found.items()}

    def blocks(self, address: str) -> tuple[Block, ...]:
        return tuple(
            Block(start, stop, *self._place(future))
            for (start, stop), future in zip(self.edges, self.futures, strict=True)
        )

    def _place(self, future: Any) -> tuple[Any, tuple[str, ...]]:
        """The key of a block and who holds it; a block that nobody took yet has none."""
        return (None, ()) if future is None else (future.key, self.holders.get(future.key, ()))

    def release(self) -> None:
        for future in self.futures:
            future.release()


class Divided(Blocks):
    """Images of the caller that are too many for one worker, dealt to all of them in blocks."""

    made_again = False

    def __init__(self, client: Any, images: Array) -> None:
        step = max(1, BLOCK // images[0].nbytes)
        self.parts = [images[start : start + step] for start in range(0, len(images), step)]
        super().__init__(client, [None] * len(self.parts), [len(part) for part in self.parts])
        self.owners = [""] * len(self.parts)

    async def repair(self, lacking: Sequence[str], team: Sequence[str], alive: Alive) -> None:
        """Deal the blocks again whose owner is gone."""
        for n, part in enumerate(self.parts):
            future = self.futures[n]
            there = future is not None and future.status == "finished"
            if not there or not alive(self.owners[n]):
                await self._deal(n, part, [*team[n % len(team) :], *team[: n % len(team)]])
        await super().repair(lacking, team, alive)

    async def _deal(self, n: int, part: Array, team: Sequence[str]) -> None:
        """Give a block to the first of these that takes it.  Raises `OSError` where nobody does."""
        part, words = np.ascontiguousarray(part), ""
        for address in team:
            scattered = self.client.scatter(part, workers=[address], hash=False, direct=False)
            try:
                self.futures[n] = await asyncio.wait_for(scattered, BLOCK_LIMIT)
            except Exception as error:  # whatever Dask says of a worker that died a moment ago
                words = f"{type(error).__name__}: {error}"
                continue
            self.owners[n] = address
            return
        raise OSError(f"no worker takes the images: {words}")

    def release(self) -> None:
        self.futures = [future for future in self.futures if future is not None]
        super().release()


async def finished(
    futures: Sequence[Any], again: bool, alive: Callable[[], bool] = lambda: True
) -> None:
    """Wait until Dask has made them, while who gives them is alive.

    again: also those that are lost, which it makes again.

    Raises `OSError` where it cannot, or not in `LIMIT`.
    """
    until = monotonic() + LIMIT
    while pending := [one for one in futures if one.status != "finished"]:
        for one in pending:
            if one.status != "pending" and not (again and one.status == "lost"):
                raise OSError(f"the images are {one.status} on the cluster")
        if not alive():
            raise OSError("the worker that should give the images is silent")
        if monotonic() > until:
            raise OSError(f"the images do not come within {LIMIT:g} seconds")
        await asyncio.sleep(LOOK)
