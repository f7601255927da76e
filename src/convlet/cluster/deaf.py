"""What the processes of a local cluster do first: Ctrl-C is for the process that started them."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask in each of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
