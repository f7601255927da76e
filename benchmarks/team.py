"""The processes of the contenders, as the script that leads them sees them."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from layout import Net

HERE = Path(__file__).parent
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Missing(Exception):
    """The library is not installed."""


class Failed(Exception):
    """The library could not do what it was asked."""


def environment(threads: int) -> dict[str, str]:
    """For libraries at their best: nothing that forces slower code, and so many threads."""
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    return kept | dict.fromkeys(THREAD_SETTINGS, str(threads))


def write_data(folder: Path, images: Any, labels: Any, test_images: Any) -> None:
    """Images and labels for the workers, which read them when told to `load`."""
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", np.asarray(labels, np.int32))
    np.save(folder / "test_images.npy", test_images)


class Worker:
    """One contender in a process of its own, idle while others are timed.

    Raises `Missing` where the library cannot be imported.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.process = subprocess.Popen(
            [sys.executable, HERE / "worker.py", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
        )
        first = self._answer()
        if "missing" in first:
            self.close()
            raise Missing(first["missing"])
        self.version: str = first["version"]
        self.trains: bool = first["trains"]

    def ask(self, call: str, **arguments: Any) -> Any:
        """One request -> its answer.  Raises `Failed`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise Failed(f"{self.name}, {call}: {answer['error']}")
        return answer["result"]

    def load(self, folder: Path) -> None:
        """Take the images that `write_data` left there."""
        self.ask("load", folder=str(folder))

    def build(self, net: Net, weights: Path, batch_size: int) -> None:
        self.ask("build", net=asdict(net), weights=str(weights), batch_size=batch_size)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{self.name}: the process ended with status {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
