"""Images for workers: blocks that Dask keeps, one of all images where every worker has room."""

import asyncio
from typing import Any

from convlet.cluster.calls import Block
from convlet.equations import Array


class Scattered:
    """Images of the caller, which every worker gets whole.

    Dask moves them from worker to worker; one that joins later gets them from another.
    """

    def __init__(self, client: Any, images: Array) -> None:
        self.client, self.images = client, images
        self.future: Any = None
        self.shape, self.dtype = images.shape[1:], images.dtype.str
        self.lock = asyncio.Lock()  # one at a time: the second gets them from the first

    async def provide(self, address: str) -> None:
        """Bring a worker the images."""
        async with self.lock:
            if self.future is not None:
                holders = (await self.client.who_has([self.future]))[self.future.key]
                if holders and address not in holders:
                    await self.client.replicate([self.future], workers=[address])
            if self.future is None or not holders:
                self.future = await self.client.scatter(
                    self.images, workers=[address], hash=False, direct=False
                )

    def blocks(self) -> tuple[Block, ...]:
        return (Block(0, len(self.images), self.future.key),)

    def release(self) -> None:
        if self.future is not None:
            self.future.release()
