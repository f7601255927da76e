"""A cluster of processes on this machine, for as long as it is needed.

The processes, too, load this module, for `dask_setup`.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from typing import Any

from convlet.cluster.connecting import dask_library
from convlet.threads import available


@contextmanager
def local_cluster(workers: int) -> Iterator[Any]:
    """Inside, a cluster of Dask with so many worker processes; they end with it.

    They share the threads that this machine allows.  Raises `MissingDependencyError`.
    """
    with dask_library().LocalCluster(
        n_workers=workers,
        threads_per_worker=max(1, available() // workers),
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=CRITICAL,
        preload="convlet.cluster.local",
    ) as cluster:
        yield cluster


def dask_setup(worker: Any) -> None:
    """What Dask calls in each process first: Ctrl-C is for the one that started them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
