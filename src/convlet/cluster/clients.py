"""A client of a cluster whose workers have this convlet: one that is there, or of this machine."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from convlet._version import __version__
from convlet.cluster.connecting import connected
from convlet.cluster.local import local_cluster
from convlet.errors import InputError, blaming, one_line

PATIENCE = 15.0
"""Seconds in which a cluster has a first worker, and all of them answer."""


@contextmanager
def client_for_trials(address: str | None, workers: int | None) -> Iterator[Any]:
    """Inside, a client of the cluster at an address, or of so many processes of this machine.

    These share its CPUs, and end with the client.  Raises `ClusterError` for a cluster that does
    not answer, `InputError` for one without workers, or with one that has another version of
    convlet, or none; `MissingDependencyError`.
    """
    with ExitStack() as stack:
        place: Any = address
        if address is None and workers is not None:
            place = stack.enter_context(local_cluster(workers))
        with blaming("cluster"):
            client = stack.enter_context(connected(place))
            _refuse_others(client, address)
        yield client


def _refuse_others(client: Any, address: str | None) -> None:
    """Raise `InputError` for a cluster whose workers cannot do our work."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        hint = "start one with: dask worker ADDRESS"
        raise InputError("cluster", address, but="it has no worker", hint=hint) from None
    try:
        versions = client.sync(client._run, _version, on_error="return", callback_timeout=PATIENCE)
    except TimeoutError:
        but = f"a worker does not answer, within {PATIENCE:g} seconds"
        raise InputError("cluster", address, but=but, hint="end it") from None
    for worker, found in versions.items():
        if found == __version__:
            continue
        other = f"convlet {found}" if isinstance(found, str) else f"no convlet ({one_line(found)})"
        hint = f"install convlet {__version__} there"
        raise InputError("cluster", address, but=f"its worker {worker} has {other}", hint=hint)


def _version() -> str:
    return __version__
