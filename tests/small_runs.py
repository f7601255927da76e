"""Small training runs whose checkpoints are tested: what they train, and how they are cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlet import SGD, AdamW, Callback, Cosine, History, Network, StepDecay
from made_data import bright_rows

SHAPE = (6, 6, 1)
SMALL = "flatten, dense 3, softmax"  # a checkpoint of it with Adam has less than 4 kB
LAYERS = "conv 3 3, relu, pool 2, flatten, dense 3, softmax"
DROPPING = (
    "conv 3 3, relu, pool 2, flatten, dropout 0.3, dense 8, relu, dropout 0.5, dense 3, softmax"
)
COUNT = 37  # images: five minibatches of 8, the last one smaller


def images(count: int = COUNT, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images with a bright row that tells the class."""
    return bright_rows(count, seed, SHAPE)


def floats() -> tuple[np.ndarray, np.ndarray]:
    """The same as floats, with distributions in place of classes."""
    x, y = images()
    return (x / 255).astype(np.float32), 0.8 * np.eye(3)[y] + 0.2 / 3


WEIGHT = np.random.default_rng(3).integers(0, 3, COUNT).astype(np.float64)

# name -> layers, data, arguments of fit
RUNS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "plain": (LAYERS, images, {}),
    "momentum, floats, weights": (
        LAYERS,
        floats,
        {"optimizer": "momentum", "sample_weight": WEIGHT, "schedule": StepDecay(1, 0.7)},
    ),
    "nesterov, decay, clip, cosine": (
        LAYERS,
        images,
        {
            "optimizer": SGD(0.8, nesterov=True, weight_decay=0.01),
            "clip_norm": 0.3,
            "schedule": Cosine(0.1, 0.2),
        },
    ),
    "adam, one-cycle, smoothing": (
        LAYERS,
        images,
        {"optimizer": "adam", "schedule": "one-cycle", "label_smoothing": 0.1},
    ),
    "adamw, dropout, augmentation": (
        DROPPING,
        images,
        {
            "optimizer": AdamW(weight_decay=0.1),
            "augmentation": "shift 1, rotation 20, scale 0.1, shear 0.1, flip, elastic 10",
            "schedule": "warm-up",
        },
    ),
}


def train(
    name: str = "plain", engine: str = "reference", start: int = 0, **changes: Any
) -> tuple[Network, History]:
    """Three epochs of the run of that name, with tests after each.  start: seed of the weights."""
    layers, data, options = RUNS[name]
    network = Network(layers, SHAPE, start, engine=engine)
    arguments = {"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "seed": 7, **options}
    arguments |= {"validation": images(20, seed=1), **changes}
    return network, network.fit(*data(), **arguments)


class Cut(Exception):
    """What ends a run early."""


class CutAfter(Callback):
    """Raises after so many steps of the run, or while an epoch is closed."""

    def __init__(self, updates: int, closing: bool = False) -> None:
        self.updates, self.closing = updates, closing

    def on_progress(self, run):
        if run.updates >= self.updates and not self.closing:
            raise Cut

    def on_epoch(self, run, row):
        if run.updates >= self.updates:
            raise Cut


def cut_at(folder: Path, updates: int, **options: Any) -> None:
    """A run that ended after so many steps, or a few more; its checkpoint is in the folder."""
    with pytest.raises(Cut):
        train(checkpoint=folder, callbacks=[CutAfter(updates)], **options)


def measured(history: History) -> list[tuple[Any, ...]]:
    """Rows without their seconds."""
    return [
        (row.epoch, row.train_loss, row.validation_loss, row.validation_accuracy) for row in history
    ]


def names(folder: Path) -> list[str]:
    """The checkpoints in a folder, the oldest first."""
    return sorted(path.name for path in folder.iterdir() if path.name != "lock")


def newest(folder: Path) -> Path:
    return folder / names(folder)[-1]


def name(epochs: int, step: int = 0) -> str:
    return f"checkpoint-{epochs:05}-{step:06}.safetensors"
