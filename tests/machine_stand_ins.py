"""What docs/machines.md needs that no test has: other machines, and who starts workers on them.

Each takes the arguments of the real one (of Dask's own its signature says which), and all workers
are threads of this process.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import distributed
import pytest

WORKERS = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0"}


class Local(distributed.LocalCluster):
    """Workers as threads, whatever was asked for."""

    def __init__(self, n_workers: int = 2, threads_per_worker: int = 1, **_: Any) -> None:
        super().__init__(n_workers=n_workers, **WORKERS)


OF_SSH = {*inspect.signature(distributed.SSHCluster).parameters}
OF_ITS_WORKERS = {*inspect.signature(distributed.Nanny).parameters, "n_workers"}


class SSHCluster(Local):
    """Takes what the original takes, which hands on any name."""

    def __init__(self, hosts: list[str], **options: Any) -> None:
        assert {"hosts", *options} <= OF_SSH
        assert {*options.get("worker_options", {})} <= OF_ITS_WORKERS
        super().__init__(len(hosts) - 1)


class KubeCluster(Local):
    def __init__(
        self, *, name: str, image: str, n_workers: int, resources: dict[str, dict[str, str]]
    ) -> None:
        assert set(resources) == {"requests", "limits"}
        super().__init__(n_workers)


class SLURMCluster(Local):
    def __init__(
        self, *, cores: int, processes: int, memory: str, walltime: str, interface: str
    ) -> None:
        super().__init__(0)

    def scale(self, n: int = 0, jobs: int = 0) -> None:
        super().scale(n or jobs)


@contextmanager
def machines(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, the addresses of the page are those of a cluster that is there."""
    jobqueue, kubernetes = ModuleType("dask_jobqueue"), ModuleType("dask_kubernetes.operator")
    jobqueue.SLURMCluster, kubernetes.KubeCluster = SLURMCluster, KubeCluster
    patch.setitem(sys.modules, "dask_jobqueue", jobqueue)
    patch.setitem(sys.modules, "dask_kubernetes", ModuleType("dask_kubernetes"))
    patch.setitem(sys.modules, "dask_kubernetes.operator", kubernetes)
    with ExitStack() as ends:
        cluster = ends.enter_context(Local(2))

        class Client(distributed.Client):
            def __init__(self, address: Any, security: Any = None, **options: Any) -> None:
                if address in ("tcp://10.0.0.1:8786", "tls://10.0.0.1:8786"):
                    address = cluster.scheduler_address
                super().__init__(address, **options)
                ends.callback(self.close)

        patch.setattr(distributed, "Client", Client)
        patch.setattr(distributed, "LocalCluster", Local)
        patch.setattr(distributed, "SSHCluster", SSHCluster)
        yield
