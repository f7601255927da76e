"""Images in a file that every worker can read: each opens it, and nothing of it travels."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from mmap import mmap
from typing import Any

import numpy as np

from convlet.cluster.blocks import Alive
from convlet.cluster.calls import Block, File
from convlet.equations import Array

PIECE = 1 << 24  # bytes at a time


def file_of(images: Any) -> File | None:
    """Where images stand that are a part of a memory map of a file; None for others."""
    base = images
    while base is not None and not isinstance(getattr(base, "base", None), mmap):
        base = getattr(base, "base", None)
    path = getattr(base, "filename", None)
    if base is None or path is None or not images.flags.c_contiguous:
        return None
    moved = images.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return File(str(path), base.offset + moved, images.shape, images.dtype.str)


def digest(images: Array) -> str:
    """sha256 of all images."""
    found = sha256()
    step = max(1, PIECE // images[0].nbytes)
    for start in range(0, len(images), step):
        found.update(np.ascontiguousarray(images[start : start + step]).data)
    return found.hexdigest()


async def read_there(file: File) -> str:
    """On a worker: the digest of the images in the file.  Raises `OSError`, `ValueError`."""
    return await asyncio.to_thread(lambda: digest(file.opened()))


class Mapped:
    """Images of a file that all workers have been seen to read."""

    def __init__(self, client: Any, file: File, found: str) -> None:
        self.client, self.file, self.digest = client, file, found

    async def provide(self, address: str, alive: Alive) -> None:
        await self.check(address)

    async def check(self, address: str) -> None:
        """Raises `OSError` where the worker does not read the same images there."""
        answers = await self.client.run(read_there, self.file, workers=[address], on_error="return")
        found = answers[address]
        if found != self.digest:
            other = "other images"
            why = f"{type(found).__name__}: {found}" if isinstance(found, Exception) else other
            raise OSError(f"it does not read {self.file.path}: {why}")

    async def repair(self, lacking: Sequence[str], team: Sequence[str], alive: Alive) -> None:
        for address in lacking:
            await self.check(address)

    def blocks(self, address: str) -> tuple[Block, ...]:
        return (Block(0, self.file.shape[0], self.file),)

    def release(self) -> None:
        """Nothing is kept."""
