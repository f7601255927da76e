"""A client of a Dask cluster: one that is there, or processes of this machine."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from logging import ERROR
from typing import Any

from convlet import threads
from convlet._version import __version__
from convlet.errors import InputError, one_line
from convlet.inputs import as_count
from convlet.libraries import library

PATIENCE = 15.0
"""Seconds in which a cluster answers, or has a first worker."""


def distributed() -> Any:
    """The library.  Raises `MissingDependencyError`."""
    return library("distributed", "a cluster needs", '"convlet[cluster]"')


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[Any]:
    """Inside, a client of the cluster at an address, or of so many processes of this machine.

    These share its CPUs, and end with the client.  Raises `InputError` for a cluster that does not
    answer, has no worker, or has one without this version of convlet; `MissingDependencyError`.
    """
    dask = distributed()
    with ExitStack() as stack:
        if address is None:
            count = as_count(workers, "workers", 1, 1024)
            local = dask.LocalCluster(
                n_workers=count,
                threads_per_worker=max(1, threads.available() // count),
                dashboard_address="127.0.0.1:0",  # any port, for this machine alone
                silence_logs=ERROR,
            )
            client = stack.enter_context(dask.Client(stack.enter_context(local)))
        else:
            client = stack.enter_context(_client(dask, address))
        _refuse_others(dask, client, address or "of this machine")
        yield client


def _client(dask: Any, address: str) -> Any:
    """A client of what is at an address."""
    if not re.fullmatch(r"[a-z]+://\S+", address):
        raise InputError("cluster", address, "the address of a scheduler, as in tcp://host:8786")
    try:
        return dask.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # a timeout, no address, another protocol
        hint = "start one with: dask scheduler; dask worker ADDRESS"
        found = f"is {address!r}, where no Dask scheduler answers ({one_line(error)})"
        raise InputError("cluster", address, found=found, hint=hint) from None


def _refuse_others(dask: Any, client: Any, address: str) -> None:
    """Raise `InputError` for a cluster whose workers cannot do our work."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        hint = "start one with: dask worker ADDRESS"
        raise InputError("cluster", address, but="it has no worker", hint=hint) from None
    for worker, found in client.run(_version, on_error="return").items():
        if found == __version__:
            continue
        has = (
            f"has convlet {found}"
            if isinstance(found, str)
            else f"has no convlet ({one_line(found)})"
        )
        but = f"its worker {worker} {has}"
        raise InputError("cluster", address, but=but, hint=f"install convlet {__version__} there")


def _version() -> str:
    return __version__
