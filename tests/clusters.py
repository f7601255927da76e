"""A small cluster of processes for tests, runs on it, and what should be left of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from logging import CRITICAL
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

import convlet

SHAPE = (10, 10, 1)
LAYERS = "conv 3 3, relu, pool 2, flatten, dropout 0.3, dense 8, relu, dense 4, softmax"
LARGE = "flatten, dense 3000, relu, dense 4, softmax"
EPOCHS, SIZE, SHARDS = 4, 23, 5


@contextmanager
def cluster_of(workers: int, processes: bool = True, **options: Any) -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=processes,
        dashboard_address="127.0.0.1:0",
        silence_logs=CRITICAL,
        **options,
    ) as cluster:
        yield cluster


def images(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, count)
    x = rng.integers(0, 200, (count, *SHAPE)).astype(np.uint8)
    x[np.arange(count), 2 * y] += 50
    return x, y


def trained(
    x: Any = None, y: Any = None, layers: str = LAYERS, **options: Any
) -> tuple[convlet.Network, str]:
    """A network after some epochs, and the sha256 of its weights and history."""
    if x is None:
        x, y = images()
    network = convlet.Network(layers, SHAPE, seed=3)
    usual = {"epochs": EPOCHS, "batch_size": SIZE, "shards": SHARDS, "validation": images(40, 1)}
    rows = network.fit(x, y, **{**usual, **options})
    measured = repr([list(row.values())[:-1] for row in rows.as_dicts()])  # without the seconds
    return network, sha256(network.flat.tobytes() + measured.encode()).hexdigest()


class Once(convlet.Callback):
    """Does something in another thread once, in the second epoch; it is done before the fourth."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act: Callable[[], Any] | None = act
        self.thread: threading.Thread | None = None

    def on_progress(self, run: convlet.Run) -> None:
        if self.act is not None and run.epoch >= 2:
            self.thread = threading.Thread(target=self.act)
            self.act = None
            self.thread.start()
        if self.thread is not None and run.epoch > 3:
            self.thread.join()

    def on_end(self, run: convlet.Run) -> None:
        assert self.thread is not None
        self.thread.join()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that must come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def fill(cluster: LocalCluster, client: Client, count: int) -> None:
    """Have so many workers there, and their nannies know it: one killed before that stays dead.

    A nanny on a busy machine may give its worker up: then new ones.
    """

    def there() -> bool:
        processes = [nanny.process for nanny in cluster.workers.values()]
        running = [one is not None and one.status.name == "running" for one in processes]
        return len(client.nthreads()) == count == sum(running)

    try:
        until(there)
    except AssertionError:
        cluster.scale(0)
        until(lambda: not client.nthreads())
        cluster.scale(count)
        until(there)


def runs_on(dask_worker: Any) -> list[str]:
    """On a worker: the runs of which it knows."""
    return list(dask_worker.extensions.get("convlet", {}))


def assert_nothing_is_left(client: Client) -> None:
    """Neither runs nor images nor tasks stay on the cluster."""
    until(lambda: not any(client.run(runs_on).values()))
    until(lambda: not any(client.has_what().values()))
    until(lambda: not any(client.processing().values()))


def processes(client: Client) -> dict[str, int]:
    """The number of the process of each worker, by its address."""
    return dict(client.run(os.getpid))
