"""A few steps on images that somebody labelled, beside others, so that nothing is forgotten."""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

from convlet.engine import Samples, Steps, as_floats
from convlet.equations import Array
from convlet.errors import InputError
from convlet.network import Network
from convlet.optimizers import SGD
from convlet.server.gate import Gate
from convlet.settings import Settings
from convlet.training import SECONDS_PER_CALL

RATE = 0.05
"""Of (21)."""


def among(images: Array, labels: Array, others: Samples | None) -> Samples:
    """Images to learn with half of the weight, and all the others with the other half."""
    own = Samples(as_floats(images), labels)
    if others is None:
        return own
    x = np.concatenate([own.images, as_floats(others.images)])
    y: Any = np.concatenate([labels, others.targets]).astype(np.int32)
    halves = [(len(own), 0.5 / len(own)), (len(others), 0.5 / len(others))]
    weight = np.concatenate([np.full(count, each, np.float32) for count, each in halves])
    return Samples(np.ascontiguousarray(x), y, weight)


def learned(
    network: Network,
    samples: Samples,
    steps: int,
    gate: Gate,
    threads: int | None,
    goes_on: Callable[[], bool],
) -> Iterator[float]:
    """So many steps (21), all images in each -> the cost before each; as long as it goes on.

    As in `fit`, a call of the engine is short, and others read between two of them.  Raises
    `InputError` where a step is not finite, which then is not taken.
    """
    settings = Settings(batch_size=len(samples), learning_rate=RATE, optimizer=SGD())
    done, pace = 0, 1
    while done < steps and goes_on():
        count = min(pace, steps - done)
        order = np.tile(np.arange(len(samples), dtype=np.int64), count)
        taken = Steps(order, np.full(count, RATE, np.float32), done, network.epochs)
        start = perf_counter()
        with gate.writing():
            found = network.engine.train(network.flat, (), samples, taken, settings, threads)
        seconds = max(perf_counter() - start, 1e-6)
        yield from map(float, found.costs)
        if found.diverged:
            raise InputError("items", found="lead to numbers that are not finite")
        done += count
        pace = max(1, min(4 * pace, int(count * SECONDS_PER_CALL / seconds)))
