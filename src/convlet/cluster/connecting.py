"""The client of Dask that a caller gave, or one for the address that he gave."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convlet.errors import ClusterError, InputError, one_line
from convlet.libraries import library

EXPECTED = 'a client of Dask, or the address of its scheduler, as in "tcp://10.0.0.1:8786"'


@contextmanager
def connected(cluster: Any, limit: float) -> Iterator[Any]:
    """Inside, a client.  limit: seconds for the scheduler to answer.

    Raises `InputError`, `ClusterError`, `MissingDependencyError`.
    """
    distributed = library(
        "distributed", "training on a cluster needs", '"convlet[cluster]"', "Dask"
    )
    if isinstance(cluster, distributed.Client):
        if cluster.asynchronous:
            raise InputError("cluster", cluster, "a client that is not asynchronous")
        if cluster.status != "running":
            raise ClusterError(f"the client of the cluster is {cluster.status}")
        yield cluster
        return
    if not isinstance(cluster, str | distributed.deploy.Cluster):
        raise InputError("cluster", cluster, EXPECTED)
    try:
        client = distributed.Client(cluster, timeout=limit, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise ClusterError(
            f"there is no cluster at {cluster}, within {limit:g} seconds: {one_line(error)}"
        ) from error
    try:
        yield client
    finally:
        client.close()
