"""One training on the workers of a Dask cluster, to the bits of one process.

The caller's loop (training.py) stays as it is; `caller.Cluster` takes its steps.  Placement,
detection of failures, connections and their encryption are Dask's, which is loaded when a cluster
is given.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convlet.engine import Engine, Samples

if TYPE_CHECKING:
    from convlet.cluster.caller import Cluster

USUAL_SHARDS = 8


def usual_shards(cluster: Any) -> int:
    """Of a minibatch, where nobody says: of the cluster it only matters whether there is one."""
    return 1 if cluster is None else USUAL_SHARDS


@contextmanager
def workers_of(
    cluster: Any, engine: Engine, data: Samples, shards: int, silence: float
) -> "Iterator[Cluster | None]":
    """Inside, the workers of a cluster have the data and take steps; None for no cluster.

    cluster: a client of Dask, or what makes one.  Raises `InputError`, `ClusterError`,
    `MissingDependencyError`.
    """
    if cluster is None:
        yield None
        return
    from convlet.cluster.caller import Cluster
    from convlet.cluster.connecting import connected

    with connected(cluster, silence) as client:
        workers = Cluster(client, engine, data, shards, silence)
        try:
            workers.open()
            yield workers
        finally:
            workers.close()
