"""One training on the workers of a Dask cluster, to the bits of one process.

The caller's loop (training.py) stays as it is; `caller.Cluster` takes its steps.  Placement,
detection of failures, connections and their encryption are Dask's, which is loaded when a cluster
is given.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlet.chunks import is_chunked
from convlet.engine import Engine, Samples, Trainer
from convlet.inputs import as_positive
from convlet.run import History, Trainee
from convlet.settings import Settings
from convlet.shapes import Shape

if TYPE_CHECKING:
    from convlet.cluster.caller import Cluster

MPI = "mpi"
"""The cluster whose workers are the ranks of MPI; see mpi.py."""

USUAL_SHARDS = 8
"""Of a minibatch, on a cluster, where nobody says."""

USUAL_SILENCE, MOST_SILENCE = 10.0, 86400.0  # seconds

SHORTEST_CALL = 0.4
"""Seconds of a call of the workers, at least: as short as people notice."""


@contextmanager
def client_of(cluster: Any) -> Iterator[Any]:
    """Inside, the client of Dask for a cluster as `Network.fit` takes one; None for None.

    Raises `InputError`, `ClusterError`, `MissingDependencyError`.
    """
    if cluster is None:
        yield None
        return
    from convlet.cluster.connecting import connected

    with connected(cluster) as client:
        yield client


Lead = Callable[[Trainer | None], History]
"""Training whose steps somebody takes; None is the engine of the network."""


@dataclass(frozen=True)
class Place:
    """Where a network is trained, with images, labels and weights as they are there.

    train(network, data, settings, threads, lead) -> the history.
    """

    x: Any
    y: Any
    sample_weight: Any
    train: Callable[[Trainee, Samples, Settings, int | None, Lead], History]


@contextmanager
def training_on(
    cluster: Any, silence: float, x: Any, y: Any, sample_weight: Any, input_shape: Shape
) -> Iterator[Place]:
    """Inside, the place that `Network.fit` trains on, for its arguments.

    Raises `InputError`, `ClusterError`, `MissingDependencyError`.
    """
    as_positive(silence, "silence", MOST_SILENCE)
    if isinstance(cluster, str) and cluster == MPI:
        from convlet.cluster.mpi import Meeting

        with Meeting() as ranks:
            yield Place(x, y, sample_weight, ranks.fit)
        return
    with (
        client_of(cluster) as client,
        _on_dask(client, x, y, sample_weight, input_shape, silence) as those,
    ):

        def train(
            network: Trainee, data: Samples, settings: Settings, threads: int | None, lead: Lead
        ) -> History:
            with _workers(client, network.engine, data, settings.shards, silence) as workers:
                return lead(workers)

        yield Place(*those, train)


@contextmanager
def _on_dask(
    client: Any, x: Any, y: Any, sample_weight: Any, input_shape: Shape, silence: float
) -> Iterator[tuple[Any, Any, Any]]:
    """Inside, arrays of Dask: x as images that stay where they are, the others as arrays here.

    Without a client, and for other arrays, what was given.  Raises `InputError`, `ClusterError`.
    """
    if client is None or not any(map(is_chunked, (x, y, sample_weight))):
        yield x, y, sample_weight
        return
    from convlet.cluster.dask_images import as_chunks, gathered
    from convlet.cluster.probing import check_workers

    team = check_workers(client, silence)
    y, sample_weight = (
        gathered(client, [client.compute(one, workers=team, allow_other_workers=False)])[0]
        if is_chunked(one)
        else one
        for one in (y, sample_weight)
    )
    if not is_chunked(x):
        yield x, y, sample_weight
        return
    chunks = as_chunks(client, x, input_shape, team)
    try:
        yield chunks, y, sample_weight
    finally:
        chunks.kept.release()


@contextmanager
def _workers(
    client: Any, engine: Engine, data: Samples, shards: int, silence: float
) -> "Iterator[Cluster | None]":
    """Inside, the workers of a client's cluster have the data and take steps; None for None.

    Raises `InputError`, `ClusterError`.
    """
    if client is None:
        yield None
        return
    from convlet.cluster.caller import Cluster

    workers = Cluster(client, engine, data, shards, silence)
    try:
        workers.open()
        yield workers
    finally:
        workers.close()
