"""Dask arrays of images: checked where their chunks are, and never all in one place."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from time import monotonic, sleep
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet import arrays
from convlet.arrays import Elsewhere
from convlet.cluster.blocks import LIMIT, LOOK, Alive, Blocks, finished
from convlet.cluster.mapped import digest
from convlet.cluster.rows import split
from convlet.equations import Array
from convlet.errors import ClusterError, InputError
from convlet.shapes import Shape
from convlet.values import DARK, Levels, highest_level, levels_of, wrong


class Seen(NamedTuple):
    """What was found in a chunk: its digest, its levels, and where a number is not finite."""

    digest: str
    dtype: str
    levels: Levels
    bad: tuple[int, ...] | None


class Made(Blocks):
    """Chunks that Dask made; those that are lost it makes again, to the same bytes or not at all.

    make(n, team): a future of chunk n made anew by one of a team, where it is on nobody else but a
    worker that is silent, of which Dask does not know.  digests: of each, as it was checked.
    """

    def __init__(
        self,
        client: Any,
        futures: Sequence[Any],
        lengths: Sequence[int],
        digests: Sequence[str],
        make: Callable[[int, Sequence[str]], Any],
    ) -> None:
        super().__init__(client, futures, lengths)
        self.digests, self.make = digests, make

    async def repair(self, lacking: Sequence[str], team: Sequence[str], alive: Alive) -> None:
        """Raises `ClusterError` for a chunk that is another one now."""
        before = self.holders
        await super().repair(lacking, team, alive)
        nowhere = [n for n, one in enumerate(self.futures) if not self.holders[one.key]]
        if nowhere:
            for n in nowhere:
                self.futures[n] = self.make(n, team)
            await super().repair(lacking, team, alive)
        again = [
            n
            for n, one in enumerate(self.futures)
            if before and not set(before.get(one.key, ())) & set(self.holders[one.key])
        ]
        digests = [self.client.submit(digest, self.futures[n], pure=False) for n in again]
        try:
            await finished(digests, again=True)
            found_there = await self.client.gather(digests)
        finally:
            for one in digests:
                one.release()
        for n, found in zip(again, found_there, strict=True):
            if found != self.digests[n]:
                start, stop = self.edges[n]
                raise ClusterError(
                    f"images {start} to {stop - 1} of x are not those of the first time: they were"
                    " lost with a worker, and made again to other numbers; draw them by a seed, or"
                    " keep them in a file"
                )


class Chunks(Elsewhere):
    """Checked images in the chunks of a Dask array, on its workers.

    Rows of it are asked for as of an array: images[numbers], images[start:stop:step].
    """

    def __init__(self, client: Any, kept: Blocks, shape: tuple[int, ...], seen: list[Seen]) -> None:
        self.client, self.kept, self.shape, self.seen = client, kept, shape, seen
        self.dtype = np.dtype(seen[0].dtype)
        self.ndim, self.size = len(shape), int(np.prod(shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Any) -> Array:
        numbers = np.arange(len(self))[chosen]
        unique, back = np.unique(numbers, return_inverse=True)
        found = np.empty((len(unique), *self.shape[1:]), self.dtype)
        parts = split(self.kept.blocks(""), unique)
        rows = [
            self.client.submit(_rows, self.kept.futures[place], inside, pure=False)
            for place, _, inside in parts
        ]
        for (_, part, _), some in zip(parts, gathered(self.client, rows), strict=True):
            found[part] = some
        images: Array = found[back.reshape(-1)]
        return images

    def fingerprint(self) -> str:
        """Of every byte, in these chunks."""
        from hashlib import sha256

        whole = sha256("".join(one.digest for one in self.seen).encode()).hexdigest()
        return f"{whole} over {len(self.seen)} chunks"


def as_chunks(client: Any, x: Any, input_shape: Shape, team: Sequence[str]) -> Chunks:
    """A Dask array as images, on workers that answer.  Raises `InputError`, `ClusterError`."""
    if x.shape[1:] not in (input_shape, input_shape[:2]):  # of the whole, not of a chunk
        arrays.arranged(np.broadcast_to(np.zeros((), x.dtype), x.shape), input_shape, "x")
    if np.isnan(x.shape[0]):
        hint = "x.compute_chunk_sizes() first"
        raise InputError("x", None, "chunks of known sizes", hint, found="has chunks of none")
    if x.shape[0] == 0:
        raise InputError("x", x.shape, "at least one image", found=f"has shape {x.shape}")
    lengths = [length for length in x.chunks[0] if length]
    x = x.rechunk({n: -1 for n in range(1, x.ndim)})
    parts = [part for part, n in zip(x.to_delayed().reshape(-1), x.chunks[0], strict=True) if n]
    there = {"workers": list(team), "allow_other_workers": False}
    futures = [
        client.submit(arrays.arranged, chunk, input_shape, "x", pure=False, **there)
        for chunk in client.compute(parts, **there)
    ]
    looks = [client.submit(_seen, one, pure=False, **there) for one in futures]
    try:
        seen = gathered(client, looks)
        _refuse(seen, list(pairwise([0, *accumulate(lengths)])))
    except BaseException:
        for one in (*looks, *futures):
            one.release()
        raise

    def make(n: int, team: Sequence[str]) -> Any:
        from dask.graph_manipulation import clone

        those = {"workers": list(team), "allow_other_workers": False}
        chunk = client.compute(clone(parts[n]), **those)
        return client.submit(arrays.arranged, chunk, input_shape, "x", pure=False, **those)

    kept = Made(client, futures, lengths, [one.digest for one in seen], make)
    return Chunks(client, kept, (x.shape[0], *input_shape), seen)


def gathered(client: Any, futures: Sequence[Any]) -> list[Any]:
    """What they are.  Raises `ClusterError` where they do not come."""
    until = monotonic() + LIMIT
    while any(one.status == "pending" for one in futures):
        if monotonic() > until:
            words = f"the images do not come within {LIMIT:g} seconds"
            raise ClusterError(f"{words}: a worker that has some may be silent")
        sleep(LOOK)
    found: list[Any] = client.gather(futures)
    return found


def _seen(images: Array) -> Seen:
    floats = images.dtype != np.uint8
    where = None
    if floats and not np.isfinite(images).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(images))[0]))
    levels = levels_of(images)
    if not floats:  # a few images may be darker than many, and all chunks together are many
        levels = levels._replace(top=highest_level(images, DARK))
    return Seen(digest(images), images.dtype.str, levels, where)


def _rows(images: Array, inside: NDArray[np.int64]) -> Array:
    return images[inside]


def _refuse(seen: list[Seen], edges: Sequence[tuple[int, int]]) -> None:
    """Raise `InputError` for numbers that are no images', as of all chunks together."""
    if len({one.dtype for one in seen}) > 1:
        raise InputError("x", None, "one dtype", found="has chunks of uint8 and of floats")
    for one, (start, _) in zip(seen, edges, strict=True):
        if one.bad is not None:
            where = [start + one.bad[0], *one.bad[1:]]
            hint = "clean it first, as in dask.array.nan_to_num(x)"
            found, expected = "is not finite", "finite float32 numbers"
            raise InputError("x", None, expected, hint, subject=f"x{where}", found=found)
    if no := wrong(Levels.of_all([one.levels for one in seen]), "x"):
        raise InputError("x", None, no.expected, no.mend, found=f"holds {no.found}")
