"""The learning-rate range test: a short training run whose rate grows from step to step.

Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.engine import Samples, Steps
from convlet.equations import Float64
from convlet.errors import InputError, Name
from convlet.inputs import as_count, as_rate
from convlet.randomness import Purpose, permutation
from convlet.run import Trainee
from convlet.settings import Settings
from convlet.stages import on_lines

MEMORY = 0.9
"""Of the smoothed loss: the share that the losses before keep at each step."""
EXPLODED = 2.0
"""The test ends where the smoothed loss is so many times the loss at the start."""
START = 10
"""Steps whose mean loss is the loss at the start: the rates there are too small to matter."""


@dataclass(frozen=True)
class LearningRates:
    """What a range test saw: the rate of each step, the loss before it, and a rate to train with.

    rates, losses, smoothed (steps,).  diverged: whether the loss exploded before the last rate.
    suggestion: a third of the lowest rate at which the smoothed loss had made nine tenths of its
    fall; None where it never fell by a tenth, so that no rate can be told from another, and where
    it is below the first rate.

    The rule is our own.  At the least loss itself a rate already undoes as much as it gains, and
    where that lies is chance: data that are soon learned leave a long flat bottom.  On MNIST it
    gives 0.007 to 0.08 for plain descent, 0.001 to 0.004 for Adam.
    """

    rates: Float64
    losses: Float64
    smoothed: Float64
    diverged: bool
    suggestion: float | None


def growing_rates(least: Any, most: Any, steps: Any) -> Float64:
    """From `least` to `most`, each a fixed factor above the one before, (steps,).

    Raises `InputError`.
    """
    low, high = as_rate(least, "least"), as_rate(most, "most")
    if not low < high:
        raise InputError("most", most, ("more than ", Name("least"), f", {least!r}"))
    return np.asarray(np.geomspace(low, high, as_count(steps, "steps", 2, 1 << 20)), np.float64)


def find_learning_rate(
    network: Trainee,
    data: Samples,
    rates: Float64,
    settings: Settings,
    threads: int | None = None,
) -> LearningRates:
    """Train a copy of the weights, one step with each of `rates`; the network stays as it is."""
    flat = on_lines(network.flat)
    slots = tuple(on_lines(np.zeros_like(flat)) for _ in range(settings.optimizer.slots))
    losses: list[float] = []
    diverged = False
    batches = _minibatches(network.epochs, len(data), settings)
    for rate, (epoch, chosen) in zip(rates.tolist(), batches, strict=False):
        step = Steps(chosen, np.array([rate], np.float32), len(losses), epoch)
        result = network.engine.train(flat, slots, data, step, settings, threads)
        losses += result.costs.tolist()
        so_far = np.array(losses)
        if result.diverged or smooth(so_far)[-1] > EXPLODED * so_far[:START].mean():
            diverged = True
            break
    seen = np.array(losses)
    return LearningRates(rates[: len(seen)], seen, smooth(seen), diverged, suggest(rates, seen))


def smooth(losses: Float64) -> Float64:
    """The mean of the losses so far, older ones counting less: a trailing exponential average."""
    curve, total, weight = np.empty_like(losses), 0.0, 0.0
    for n, loss in enumerate(losses):
        total, weight = MEMORY * total + loss, MEMORY * weight + 1
        curve[n] = total / weight
    return curve


def suggest(rates: Float64, losses: Float64) -> float | None:
    """The rule that `LearningRates` describes."""
    if len(losses) <= START:
        return None
    start, curve = losses[:START].mean(), smooth(losses)
    least = curve[START:].min()
    if least > 0.9 * start:
        return None
    low = START + (curve[START:] <= least + 0.1 * (start - least)).argmax()
    return float(rates[low] / 3) if rates[low] / 3 >= rates[0] else None


def _minibatches(
    epoch: int, samples: int, settings: Settings
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The minibatches that training would take, epoch after epoch."""
    while True:
        order = permutation(settings.seed, Purpose.SHUFFLE, epoch, samples)
        for start in range(0, samples, settings.batch_size):
            yield epoch, order[start : start + settings.batch_size]
        epoch += 1
