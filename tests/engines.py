"""Steps of an engine in the words of tests: a flat vector, an order, a batch size, rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlet import Settings
from convlet.engine import Engine, Samples, Steps


def take_steps(
    engine: Engine,
    flat: np.ndarray,
    data: Samples,
    order: np.ndarray,
    batch_size: int,
    rates: np.ndarray | float,
    threads: int | None = None,
    *,
    slots: tuple[np.ndarray, ...] | None = None,
    updates: int = 0,
    epoch: int = 0,
    **settings: Any,
) -> np.ndarray:
    """Take steps over data[order] -> the cost of each; none of them may diverge.

    rates: of each step, or one for all.  settings: fields of `Settings`.
    """
    chosen = Settings(batch_size=batch_size, **settings)
    if slots is None:
        slots = tuple(np.zeros_like(flat) for _ in range(chosen.optimizer.slots))
    count = -(-len(order) // batch_size)
    etas = np.array(np.broadcast_to(np.float32(rates), count))
    steps = Steps(order, etas, updates, epoch)
    result = engine.train(flat, slots, data, steps, chosen, threads)
    assert not result.diverged
    assert result.done == count
    return result.costs
