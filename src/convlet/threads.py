"""How many threads to use when nobody says: what the machine allows, and what the work is worth."""

import os
import sys
import threading
from functools import cache
from math import ceil
from pathlib import Path

TRAINING = 1_000_000
"""Multiply-adds below which a further thread costs a step more than it brings: 30 microseconds.

Measured (benchmarks/thresholds.py): steps of 1.6 million multiply-adds take 1.08 times as long on
two threads as on one, of 3.3 million 0.92 times, of 13 million 0.76 times.
"""

PREDICTION = 500_000
"""The same for prediction, where helpers of the call before are still awake."""

STAGE = 150_000
"""Multiply-adds of a stage, for one image, below which no thread takes a part of it."""


def choose(threads: int | None, blocks: int | None, multiply_adds: float, worth: int) -> int:
    """Threads for `multiply_adds` of work, `worth` of them each, that falls into `blocks` parts.

    None blocks are any number.  An explicit number of threads is the most that there will be: work
    of a few microseconds waits for nobody.
    """
    most = int(multiply_adds / worth)
    if blocks is not None:
        most = min(blocks, most)
    if most <= 1 or threads == 1:
        return 1
    if threads is not None:
        return min(threads, most)
    return 1 if inside_a_worker() else max(1, min(available(), most))


def available() -> int:
    """CPUs that this process may use: its affinity, cut by the quota of its cgroup."""
    return max(1, ceil(min(_affinity(), _quota())))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def explain() -> tuple[int, str]:
    """The threads for large work, and why so many."""
    if inside_a_worker():
        return 1, "because this process is one of several workers"
    cpus, quota = _affinity(), _quota()
    if quota < cpus:
        return available(), f"the quota of the cgroup ({quota:g} of {cpus} CPUs)"
    return available(), "the CPUs that this process may use; less for little work"


def inside_a_worker() -> bool:
    """Whether joblib, loky, dask or a pool of processes already runs one task on each CPU."""
    multiprocessing = sys.modules.get("multiprocessing")  # a worker process has it loaded
    process = multiprocessing and multiprocessing.current_process()
    if process and (process.daemon or process.name.startswith(("LokyProcess", "Dask Worker"))):
        return True
    # a worker of concurrent.futures is no daemon and has no name of its own
    run = getattr(process, "_target", None)
    if getattr(run, "__module__", None) == "concurrent.futures.process":
        return True
    thread = threading.current_thread().name
    if "Dask-" in thread:  # of a cluster in this process: 0-Dask-Default-Threads-...
        return True
    if thread.startswith("ThreadPoolExecutor-") and "dask.threaded" in sys.modules:
        return True
    joblib = sys.modules.get("joblib.parallel")
    return joblib is not None and (joblib.get_active_backend()[0].nesting_level or 0) > 0


@cache
def _quota() -> float:
    """CPUs that the cgroup grants, infinite without a limit.  Linux, cgroup v2 or v1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return float("inf")
    folders = {
        line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines if line.count(":") >= 2
    }
    return min(_quota_v2(folders.get("", "/")), _quota_v1())


def _quota_v2(folder: str) -> float:
    """The least cpu.max from this group up to the root."""
    least = float("inf")
    root = Path("/sys/fs/cgroup")
    here = root / folder.lstrip("/")
    for group in (here, *here.parents):
        least = min(least, _ratio(group / "cpu.max"))
        if group == root:
            break
    return least


def _quota_v1() -> float:
    folder = Path("/sys/fs/cgroup/cpu")
    try:
        quota = float((folder / "cpu.cfs_quota_us").read_text())
        period = float((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return float("inf")
    return quota / period if quota > 0 and period > 0 else float("inf")


def _ratio(file: Path) -> float:
    try:
        quota, period = file.read_text().split()
        return float("inf") if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")
