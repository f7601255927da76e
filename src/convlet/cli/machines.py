"""--cluster and --workers: whose processes take the steps, or train a network each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from convlet.cli.options import together, whole
from convlet.cluster import MPI, USUAL_SHARDS
from convlet.cluster.connecting import ADDRESS, check_address, dask_library
from convlet.cluster.local import local_cluster
from convlet.errors import InputError, Name
from convlet.inputs import as_count


@dataclass(frozen=True)
class Machines:
    """As given; None for both is this process."""

    cluster: str | None
    workers: int | None

    @property
    def elsewhere(self) -> bool:
        """Whether this process leaves the steps to others."""
        return self.cluster is not None or self.workers is not None

    def check(self, threads: int | None) -> None:
        """Refuse what is wrong before data are read.

        Raises `InputError`, `MissingDependencyError`.
        """
        if self.cluster == MPI:
            but = "each rank would print everything and write the files"
            hint = "call fit in a script, as docs/machines.md shows"
            raise InputError("cluster", self.cluster, but=but, hint=hint)
        if self.cluster is not None:
            check_address(self.cluster, ADDRESS)
        if self.workers is None:
            return
        dask_library()
        if self.cluster is not None:
            hint = "leave out one of the two"
            raise InputError(
                "workers", self.workers, but=("there is a ", Name("cluster")), hint=hint
            )
        as_count(self.workers, "workers")
        if threads is not None:
            but = "--workers share the threads that this machine allows"
            raise InputError("threads", threads, but=but, hint="leave it out")

    def check_shards(self, shards: int) -> None:
        """Refuse more workers than there are shards.  Raises `InputError`."""
        if self.workers is not None and self.workers > shards:
            but = f"a minibatch has {shards} shards, of which each takes one or more"
            raise InputError(
                "workers", self.workers, but=but, hint=("take fewer, or more ", Name("shards"))
            )

    def shards(self, given: int | None) -> int | None:
        """Where nobody says, the number that a cluster has."""
        return USUAL_SHARDS if given is None and self.elsewhere else given

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Inside, what `Network.fit` takes for its cluster; a local one ends with it.

        Raises `ClusterError`, `MissingDependencyError`.
        """
        if self.workers is not None:
            with local_cluster(self.workers) as cluster:
                yield cluster
        else:
            yield self.cluster


OPTIONS = together(
    "machines",
    Machines,
    [
        click.option(
            "--cluster",
            metavar="ADDRESS",
            help="Train on the workers of this Dask cluster, as in tcp://10.0.0.1:8786.",
        ),
        whole("--workers", help="Train on N worker processes here, which share the threads."),
    ],
)
