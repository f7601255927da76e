"""A training that mpiexec starts: python -m mpi4py mpi_program.py OPTIONS, which are JSON.

Each rank prints one line of JSON: of its weights and history, or the error.
"""

import json
import os
import signal
import sys
from hashlib import sha256
from typing import Any

import numpy as np

import convlet

LAYERS = "conv 3 3, relu, pool 2, dropout 0.2, flatten, dense 7, relu, dense 4, softmax"
SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 37,
    "shards": 7,
    "learning_rate": 0.01,
    "optimizer": "adam",
    "clip_norm": 0.5,
    "augmentation": "shift 1",
}


def images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    y = draws.integers(0, 4, count)
    x = draws.integers(0, 200, (count, 10, 10, 1)).astype(np.uint8)
    x[np.arange(count), 2 * y] += 50
    return x, y


def train(seed: int = 0, callbacks: Any = (), **options: Any) -> dict[str, Any]:
    """What is the same on every rank, and in one process."""
    network = convlet.Network(LAYERS, (10, 10, 1), seed=3)
    options = {"sample_weight": np.random.default_rng(1).random(203), **options}
    history = network.fit(
        *images(203, seed),
        images(50, 1),
        callbacks=callbacks,
        progress=False,
        **{**SETTINGS, **options},
    )
    measured = [(row.epoch, row.train_loss, row.validation_accuracy) for row in history]
    found = json.dumps([measured, network.epochs, repr(network.settings)]).encode()
    return {"sha256": sha256(network.flat.tobytes() + found).hexdigest()}


class Dies(convlet.Callback):
    """Kills its process in the second epoch."""

    def on_progress(self, run: convlet.Run) -> None:
        if run.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def main(seeds: list[int], dies: bool = False, short: int = -1, **options: Any) -> None:
    """seeds: of the images of each rank.  short: the rank whose weights are too few, at first."""
    from mpi4py import MPI

    rank = MPI.COMM_WORLD.rank
    for short_here in [True, False] if short == rank else [False] * (1 + (short >= 0)):
        more = {"sample_weight": [1.0]} if short_here else {}
        try:
            told = [Dies()] if dies else []
            found = train(seeds[rank], told, cluster="mpi", **options, **more)
        except convlet.ConvletError as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"rank": rank, **found}) + "\n")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
