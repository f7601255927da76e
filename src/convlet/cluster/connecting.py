"""The client of Dask that a caller gave, or one for the address that he gave."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convlet.errors import ClusterError, InputError, one_line
from convlet.libraries import library

WHAT = "training on a cluster needs"
LIMIT = 5.0
"""Seconds that the scheduler has for its answer."""
EXPECTED = 'a client of Dask, the address of its scheduler, as "tcp://10.0.0.1:8786", or "mpi"'


@contextmanager
def connected(cluster: Any) -> Iterator[Any]:
    """Inside, a client.

    Raises `InputError`, `ClusterError`, `MissingDependencyError`.
    """
    distributed = dask_library()
    if isinstance(cluster, distributed.Client):
        if cluster.asynchronous:
            raise InputError("cluster", cluster, "a client that is not asynchronous")
        if cluster.status != "running":
            raise ClusterError(f"the client of the cluster is {cluster.status}")
        yield cluster
        return
    if not isinstance(cluster, str | distributed.deploy.Cluster):
        raise InputError("cluster", cluster, EXPECTED)
    if isinstance(cluster, str):
        check_address(cluster)
    try:
        client = distributed.Client(cluster, timeout=LIMIT, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # TLS raises all of them
        raise ClusterError(
            f"there is no cluster at {cluster}, within {LIMIT:g} seconds: {one_line(error)}"
        ) from error
    try:
        yield client
    finally:
        client.close()


def dask_library() -> Any:
    """Raises `MissingDependencyError`."""
    return library("distributed", WHAT, '"convlet[cluster]"', "Dask")


def check_address(address: str) -> None:
    """Refuse what is no address, before anybody is asked.

    Raises `InputError`, `MissingDependencyError`.
    """
    comm = dask_library().comm
    try:
        host = comm.get_address_host(address)
    except (ValueError, TypeError) as error:
        raise InputError("cluster", address, EXPECTED, one_line(error)) from error
    if not host:
        raise InputError("cluster", address, EXPECTED)
