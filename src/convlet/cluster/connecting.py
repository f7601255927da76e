"""The client of Dask that a caller gave, or one for the address that he gave."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from convlet.errors import ClusterError, InputError, blaming, one_line
from convlet.libraries import library

WHAT = "training on a cluster needs"
LIMIT = 5.0
"""Seconds that the scheduler has for its answer."""
ADDRESS = 'the address of a scheduler, as "tcp://10.0.0.1:8786"'
EXPECTED = f'a client or a cluster of Dask, {ADDRESS}, or "mpi"'


@contextmanager
def connected(cluster: Any) -> Iterator[Any]:
    """Inside, a client.

    Raises `InputError`, `ClusterError`, `MissingDependencyError`.
    """
    distributed = dask_library()
    with blaming("cluster"):
        client = _client(distributed, cluster)
    try:
        yield client
    finally:
        if client is not cluster:
            client.close()


def _client(distributed: Any, cluster: Any) -> Any:
    """The client that was given, or a new one."""
    if isinstance(cluster, distributed.Client):
        if cluster.asynchronous:
            raise InputError("cluster", cluster, "a client that is not asynchronous")
        if cluster.status != "running":
            raise ClusterError(f"the client of the cluster is {cluster.status}")
        return cluster
    if not isinstance(cluster, str | distributed.deploy.Cluster):
        raise InputError("cluster", cluster, EXPECTED)
    if isinstance(cluster, str):
        check_address(cluster, EXPECTED)
    try:
        return distributed.Client(cluster, timeout=LIMIT, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # TLS raises all of them
        if isinstance(error, TypeError) and _is_worker(distributed, cluster):
            but = "a worker is there"
            raise InputError("cluster", cluster, but=but, hint="name its scheduler") from error
        raise ClusterError(
            f"there is no cluster at {cluster}, within {LIMIT:g} seconds: {one_line(error)}"
        ) from error


def _is_worker(distributed: Any, address: Any) -> bool:
    """Whether a worker answers, in the place of a scheduler."""

    async def asked() -> Any:
        async with distributed.rpc(address) as there:
            return await asyncio.wait_for(there.identity(), LIMIT)

    with ThreadPoolExecutor(1) as elsewhere:  # this thread may have a loop, as in a notebook
        try:
            return bool(elsewhere.submit(asyncio.run, asked()).result()["type"] == "Worker")
        except Exception:
            return False


def dask_library() -> Any:
    """Raises `MissingDependencyError`."""
    return library("distributed", WHAT, '"convlet[cluster]"', "Dask")


def check_address(address: str, expected: str) -> None:
    """Refuse what is no address, before anybody is asked.  expected: in words.

    Raises `InputError`, `MissingDependencyError`.
    """
    comm = dask_library().comm
    try:
        host = comm.get_address_host(address)
    except (ValueError, TypeError) as error:
        raise InputError("cluster", address, expected, one_line(error)) from error
    if not host:
        raise InputError("cluster", address, expected)
