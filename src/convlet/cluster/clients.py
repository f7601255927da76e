"""A client of a cluster whose workers have this convlet: one that is there, or of this machine."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from logging import ERROR
from typing import Any

from convlet import threads
from convlet._version import __version__
from convlet.cluster.connecting import connected
from convlet.errors import InputError, blaming, one_line
from convlet.inputs import as_count
from convlet.libraries import library

PATIENCE = 15.0
"""Seconds in which a cluster answers, and has a first worker."""
MOST_WORKERS = 1024


@contextmanager
def client_of(address: str | None, workers: int | None) -> Iterator[Any]:
    """Inside, a client of the cluster at an address, or of so many processes of this machine.

    These share its CPUs, and end with the client.  Raises `ClusterError` for a cluster that does
    not answer, `InputError` for one without workers, or with one that has another version of
    convlet, or none; `MissingDependencyError`.
    """
    if address is not None and not re.fullmatch(r"[a-z]+://\S+", address):
        raise InputError("cluster", address, "the address of a scheduler, as in tcp://host:8786")
    with ExitStack() as stack:
        place: Any = address
        if address is None:
            place = stack.enter_context(_local(as_count(workers, "workers", 1, MOST_WORKERS)))
        with blaming("cluster"):
            client = stack.enter_context(connected(place, PATIENCE))
            _refuse_others(client, address)
        yield client


def _local(workers: int) -> Any:
    """A cluster of processes."""
    distributed = library("distributed", "a cluster needs", '"convlet[cluster]"', "Dask")
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=max(1, threads.available() // workers),
        dashboard_address="127.0.0.1:0",  # any port, for this machine alone
        silence_logs=ERROR,
    )


def _refuse_others(client: Any, address: str | None) -> None:
    """Raise `InputError` for a cluster whose workers cannot do our work."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        hint = "start one with: dask worker ADDRESS"
        raise InputError("cluster", address, but="it has no worker", hint=hint) from None
    for worker, found in client.run(_version, on_error="return").items():
        if found == __version__:
            continue
        other = f"convlet {found}" if isinstance(found, str) else f"no convlet ({one_line(found)})"
        hint = f"install convlet {__version__} there"
        raise InputError("cluster", address, but=f"its worker {worker} has {other}", hint=hint)


def _version() -> str:
    return __version__
