"""The parts of a run on MNIST: the networks of `convlet bench`, on its images."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import measure
import verify
from convlet import Network, datasets
from convlet.bench import BATCH_SIZES, NETWORKS, PREDICTIONS
from layout import Net
from measure import Case, Note, Pace, Row
from team import Worker, write_data

WIDE = "32,64,1024"
SCALING_BATCH = 128


class Mnist:
    """The images, written for the workers, and weights to start from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        data = datasets.load("mnist")
        self.train = data.train
        write_data(folder, self.train.images, self.train.labels, data.test.images)

    def weights(self, net: Net) -> Path:
        """Those after an epoch of training, from which most steps of a run start.

        What a step costs convlet depends on how many units are alive: more are at first.
        """
        file = self.folder / f"weights-{net.name}.npz"
        if not file.exists():
            network = Network(net.layers, net.shape)
            network.fit(self.train.images, self.train.labels, epochs=1, learning_rate=0.05)
            np.savez(file, **network.parameters)
        return file

    def minibatches(self, size: int) -> list[list[int]]:
        return verify.minibatches(size, len(self.train.images))


def net_of(name: str) -> Net:
    return Net(name, NETWORKS[name])


def cases(
    chosen: argparse.Namespace, data: Mnist, workers: Sequence[Worker], pace: Pace, note: Note
) -> Iterator[tuple[str, list[Row]]]:
    """The part of each case, and its rows.  workers: convlet first."""
    for net in map(net_of, chosen.networks):
        for part, sizes in (
            ("training", chosen.batch or BATCH_SIZES),
            ("prediction", chosen.images or PREDICTIONS),
        ):
            for size in sizes if part in chosen.only else ():
                minibatches = data.minibatches(size) if part == "training" else []
                case, weights = Case(part, net, size), data.weights(net)
                yield part, measure.timed(case, workers, weights, minibatches, pace, note)


def scaling(
    chosen: argparse.Namespace, data: Mnist, workers: Sequence[Worker], pace: Pace, note: Note
) -> Iterator[list[Row]]:
    """Training at batch size 128 by workers that differ in their number of threads."""
    minibatches = data.minibatches(SCALING_BATCH)
    for net in map(net_of, chosen.networks):
        case = Case("training", net, SCALING_BATCH)
        yield measure.timed(case, workers, data.weights(net), minibatches, pace, note)


def memory(names: Sequence[str], threads: int, data: Mnist) -> Iterator[dict[str, Any]]:
    """Peak memory of training the widest network."""
    net = net_of(WIDE)
    return measure.memory(names, threads, data.folder, net, data.weights(net))
