"""One training by the ranks of MPI, as `mpiexec` or SLURM's `srun` starts them.

Every rank calls `fit` with the same data and the same arguments.  Rank 0 leads: the loop, callbacks
and checkpoints are its own, and all ranks take its steps.  Where one dies, MPI ends all.
"""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlet.cluster import SHORTEST_CALL
from convlet.cluster.calls import digest_of
from convlet.cluster.exchange import Exchange, Node, edges_of, totals_of
from convlet.engine import Engine, Samples, Share, Steps, Trained, Trainer, middle_of
from convlet.equations import Float32, Float64
from convlet.errors import ClusterError, InputError, MissingDependencyError
from convlet.libraries import library
from convlet.run import History, Trainee
from convlet.settings import Settings
from convlet.stages import on_lines
from convlet.text import format_layers
from convlet.threads import available


@dataclass(frozen=True)
class End:
    """What rank 0 tells the others in the end: the network and the history, or what went wrong."""

    flat: Float32 | None = None
    epochs: int = 0
    history: History | None = None
    error: str = ""


class Ranks:
    """Takes steps by all ranks, like `Engine.train`; on other ranks than 0 `follow` does."""

    seconds_per_call = SHORTEST_CALL

    def __init__(
        self, world: Any, engine: Engine, data: Samples, settings: Settings, threads: int
    ) -> None:
        self.world, self.engine, self.data = world, engine, data
        self.settings, self.threads = settings, threads
        self.edges = edges_of(settings.shards, world.allgather(threads))
        self.exchange = Exchange(self.edges, world.rank, self._send, self._receive)
        self.sent: list[Any] = []  # what is under way
        self.parameters = 0
        self.stepping = False  # other ranks wait for this one, or will

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
        self.stepping = True
        self.world.bcast(steps)
        trained = self._take((parameters, *slots), steps)
        self.stepping = False
        return trained

    def follow(self, flat: Float32) -> End:
        """Take the steps that rank 0 asks for, until it ends."""
        vectors = tuple(on_lines(flat) for _ in range(1 + self.settings.optimizer.slots))
        while isinstance(told := self.world.bcast(None), Steps):
            self._take(vectors, told)
        end: End = told
        return end

    def _take(self, vectors: tuple[Float32, ...], steps: Steps) -> Trained:
        for vector in vectors:  # a checkpoint or a callback may have put others there
            self.world.Bcast(vector)
        self.parameters = len(vectors[0])
        order = steps.order
        totals = totals_of(order, self.data.weight, self.settings.batch_size)
        first, last = self.edges[self.world.rank : self.world.rank + 2]
        share = Share(first, last, order, totals, self._meet)
        flat, *slots = vectors
        trained = self.engine.train(
            flat, tuple(slots), self.data, steps, self.settings, self.threads, share
        )
        if len(set(self.world.allgather(digest_of(vectors)))) > 1:
            raise ClusterError("the ranks have different parameters after the same steps")
        return trained

    def _meet(self, sums: Float32, costs: Float64, gradient: Float32) -> None:
        self.exchange(sums, costs, gradient)
        for request in self.sent:
            request.Wait()
        self.sent.clear()

    def _send(self, rank: int, node: Node, costs: Float64, values: Float32) -> None:
        tag = _tag(node)
        self.sent += [self.world.Isend(part, rank, tag) for part in (costs.copy(), values)]

    def _receive(self, rank: int, node: Node) -> tuple[Float64, Float32]:
        costs, values = np.empty(node[1] - node[0]), np.empty(self.parameters, np.float32)
        for part in (costs, values):
            self.world.Recv(part, rank, _tag(node))
        return costs, values


class Meeting:
    """The ranks, from when each begins to check what it was called with.

    Where one has an error before all train, the others are told, and wait for nobody.
    """

    def __init__(self) -> None:
        self.mpi = _library()
        self.met = False

    def __enter__(self) -> "Meeting":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and not self.met:
            self._errors(f"{type(error).__name__}: {error}")

    def fit(
        self,
        network: Trainee,
        data: Samples,
        settings: Settings,
        threads: int | None,
        lead: Callable[[Trainer | None], History],
    ) -> History:
        """Train by all ranks -> the history, on each.  lead: training at rank 0, by these ranks.

        Raises `InputError` on all ranks where they were called with different things,
        `ClusterError` on the others where one raises an error before, or rank 0 between steps.  An
        error in the middle of a step, where ranks wait for one another, ends the processes of all.
        """
        for rank, error in enumerate(self._errors("")):
            if error:
                raise ClusterError(f"rank {rank} ended with {error}")
        return _fit(self.mpi, network, data, settings, threads, lead)

    def _errors(self, mine: str) -> list[str]:
        """Of all ranks, before they train."""
        self.met = True
        found: list[str] = self.mpi.COMM_WORLD.allgather(mine)
        return found


def _fit(
    mpi: Any,
    network: Trainee,
    data: Samples,
    settings: Settings,
    threads: int | None,
    lead: Callable[[Trainer | None], History],
) -> History:
    world = mpi.COMM_WORLD
    _refuse_different(world, network, data, settings)
    own = _threads(world.Split_type(mpi.COMM_TYPE_SHARED)) if threads is None else threads
    ranks = Ranks(world, network.engine, data, settings, own)
    try:
        if world.rank == 0:
            history = lead(ranks)
            end = End(network.flat, network.epochs, history)
        else:
            ranks.stepping = True
            end = ranks.follow(network.flat)
            ranks.stepping = False
    except BaseException as error:
        if ranks.stepping:
            traceback.print_exc()
            world.Abort(1)
        world.bcast(End(error=f"{type(error).__name__}: {error}"))
        raise
    if world.rank == 0:
        world.bcast(end)
    if end.flat is None or end.history is None:
        raise ClusterError(f"rank 0 ended with {end.error}")
    network.flat[:], network.epochs = end.flat, end.epochs
    return end.history


def _tag(node: Node) -> int:
    """A number for each node of the tree: leaves are even, the others lie between their halves."""
    start, end = node
    return 2 * start if end - start == 1 else 2 * middle_of(node) - 1


def _library() -> Any:
    try:
        return library("mpi4py.MPI", "cluster='mpi' needs", '"convlet[mpi]"', "mpi4py")
    except RuntimeError as error:
        raise MissingDependencyError(
            "cluster='mpi' needs an MPI, which mpi4py does not find: take that of the system, or"
            " pip install mpich"
        ) from error


def _threads(here: Any) -> int:
    """The share of this rank in the CPUs that it and other ranks of this machine may use."""
    mine = os.sched_getaffinity(0)
    ranks = here.allgather(mine)
    here.Free()
    share = sum(1 / sum(cpu in others for others in ranks) for cpu in mine)
    return max(1, min(int(share + 1e-9), available()))


def _refuse_different(world: Any, network: Trainee, data: Samples, settings: Settings) -> None:
    """Raise `InputError` on all ranks unless they have the same, and a shard each."""
    mine = {
        "engine": network.engine.name,
        "layers": format_layers(network.layers),
        "x": _digest(data.images),
        "y": _digest(data.targets),
        "sample_weight": "none" if data.weight is None else _digest(data.weight),
        **{name: repr(value) for name, value in settings.record().items()},
    }
    ranks = world.allgather(mine)
    for name, first in ranks[0].items():
        for n, other in enumerate(ranks):
            if other[name] != first:
                found = f"is {first} at rank 0 and {other[name]} at rank {n}"
                raise InputError(name, found=found, hint="every rank calls fit with the same")
    if settings.shards < world.size:
        hint = "start fewer ranks, or ask for more shards"
        raise InputError("shards", settings.shards, but=f"MPI has {world.size} ranks", hint=hint)


def _digest(array: Any) -> str:
    return f"{array.dtype} {array.shape} {digest_of([array])[:12]}"
