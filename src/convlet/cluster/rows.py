"""Images on a worker: blocks that Dask keeps there, and rows of others from workers that do."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.cluster.calls import Block, Call, File
from convlet.equations import Array

ROWS = "convlet_rows"
"""The operation of a worker's server that gives rows of a block."""


class NoImagesError(Exception):
    """A block is not where it should be."""


@dataclass
class Images:
    """What a call needs of the blocks: those that are here, and rows of others."""

    shape: tuple[int, ...]
    dtype: str
    blocks: tuple[Block, ...]
    here: dict[int, Array] = field(default_factory=dict)  # by the place of the block
    rows: dict[int, Array] = field(default_factory=dict)  # those asked for, in their order

    def found(self, numbers: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
        """Images, and where among them those of the numbers stand."""
        if len(self.blocks) == 1 and 0 in self.here:
            return self.here[0], numbers
        unique, back = np.unique(numbers, return_inverse=True)
        images = np.empty((len(unique), *self.shape), self.dtype)
        for place, part, inside in split(self.blocks, unique):
            images[part] = self.here[place][inside] if place in self.here else self.rows[place]
        return images, back.reshape(-1)


def split(
    blocks: tuple[Block, ...], numbers: NDArray[np.int64]
) -> list[tuple[int, slice, NDArray[np.int64]]]:
    """Sorted numbers by block: its place, which of the numbers it has, and where in it they are."""
    ends = np.searchsorted(numbers, [block.stop for block in blocks])
    starts = [0, *ends[:-1]]
    return [
        (place, slice(start, end), numbers[start:end] - blocks[place].start)
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
        if end > start
    ]


async def images_of(worker: Any, call: Call) -> Images:
    """The images of a call's numbers, those of other workers fetched.  Raises `NoImagesError`."""
    images = Images(call.shape, call.dtype, call.blocks)
    missing = []
    for place, _, inside in split(call.blocks, np.unique(call.numbers)):
        key = call.blocks[place].key
        if isinstance(key, File):
            images.here[place] = _opened(key)
        elif key in worker.data:
            images.here[place] = worker.data[key]
        else:
            missing.append((place, inside))
    fetched = await asyncio.gather(
        *(_fetch(worker, call.blocks[place], inside) for place, inside in missing)
    )
    images.rows = {place: rows for (place, _), rows in zip(missing, fetched, strict=True)}
    return images


def _opened(file: File) -> Array:
    try:
        return file.opened()
    except (OSError, ValueError) as error:
        raise NoImagesError(f"{file.path}: {error}") from error


async def copied(address: str, key: Any) -> Array:
    """Images that another worker has under a key, whole.  Raises `NoImagesError`.

    A task without inputs: of an input Dask would drop one copy a moment later, maybe the giver's.
    """
    from distributed import get_worker

    found, words = await _asked(get_worker(), address, key, None)
    if found is None:
        raise NoImagesError(words)
    return found


async def _fetch(worker: Any, block: Block, inside: NDArray[np.int64]) -> Array:
    words = "nobody has it"
    for address in block.holders:
        found, words = await _asked(worker, address, block.key, inside)
        if found is not None:
            return found
    raise NoImagesError(f"images {block.start} to {block.stop - 1}: {words}")


async def _asked(
    worker: Any, address: str, key: Any, index: Array | None
) -> tuple[Array | None, str]:
    """Rows of a block that another worker has, all of them for None; or None, and why."""
    from distributed.protocol import to_serialize

    try:
        reply = await getattr(worker.rpc(address), ROWS)(key=key, index=to_serialize(index))
    except OSError as error:
        return None, f"{address}: {error}"
    return reply["rows"], f"{address} has it no longer"


def give_rows(worker: Any, key: Any, index: Array | None) -> dict[str, Any]:
    """Rows of a block, all of them for None, as the operation answers; None where it is not here.

    Memory of the block itself is sent where all are asked for.
    """
    from distributed.protocol import to_serialize

    block = worker.data.get(key)
    rows = block if block is None or index is None else block[index]
    return {"status": "OK", "rows": rows if rows is None else to_serialize(rows)}
