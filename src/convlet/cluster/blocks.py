"""Images for workers: blocks that Dask keeps, one of all images where every worker has room."""

import asyncio
from collections.abc import Callable
from typing import Any

from convlet.cluster.calls import Block
from convlet.equations import Array

LOOK = 0.02
"""Seconds between two looks whether something is there."""


class Scattered:
    """Images of the caller, which every worker gets whole, later ones from those before.

    Each has them under a key of its own: of one key Dask keeps no more copies than tasks need.
    alive(address): whether a worker can give them to another.
    """

    def __init__(self, client: Any, images: Array) -> None:
        self.client, self.images = client, images
        self.shape, self.dtype = images.shape[1:], images.dtype.str
        self.copies: dict[str, Any] = {}  # futures by the address of the worker
        self.first = asyncio.Lock()

    async def provide(self, address: str, alive: Callable[[str], bool]) -> None:
        """Bring a worker the images."""
        self.copies.pop(address, None)
        async with self.first:  # two may not both be the first
            source = self._source(alive)
            if source is None:
                self.copies[address] = await self.client.scatter(
                    self.images, workers=[address], hash=False, direct=False
                )
                return
        copy = self.client.submit(
            _same, source, workers=[address], allow_other_workers=False, pure=False
        )
        while copy.status == "pending":
            await asyncio.sleep(LOOK)
        if copy.status != "finished":
            raise OSError(f"the images did not reach it: {copy.status}")
        self.copies[address] = copy

    def blocks(self, address: str) -> tuple[Block, ...]:
        """As this worker has them."""
        copy = self.copies.get(address)
        return (Block(0, len(self.images), None if copy is None else copy.key),)

    def release(self) -> None:
        for copy in self.copies.values():
            copy.release()

    def _source(self, alive: Callable[[str], bool]) -> Any:
        for address, copy in self.copies.items():
            if copy.status == "finished" and alive(address):
                return copy
        return None


def _same(images: Array) -> Array:
    return images
