"""A contender is timed only if it computes the same: equal predictions and an equal loss curve."""

from collections.abc import Sequence

import numpy as np

STEPS = 10
IMAGES = 64
TOLERANCE = 2e-4
"""Of a probability: float32 sums in other orders."""
CURVE = 2e-3
"""Of a loss relative to 1 or to itself: where two pixels of a window are all but equal, rounding
decides which of them gets the error, and from there the curves part."""


class Different(Exception):
    """The contender computes something else."""


def assert_same(
    name: str,
    probabilities: Sequence[Sequence[float]],
    expected_probabilities: Sequence[Sequence[float]],
    losses: Sequence[float] | None = None,
    expected_losses: Sequence[float] = (),
) -> float:
    """Raise `Different` unless both agree -> the largest difference, in units of the tolerance.

    losses: of the steps of `minibatches` from the same weights, None if it cannot train.
    """
    difference = _largest(probabilities, expected_probabilities)
    if not difference <= TOLERANCE:
        raise Different(
            f"{name}: probabilities differ by {difference:.2g}, expected at most {TOLERANCE:g}"
        )
    if losses is None:
        return difference / TOLERANCE
    scale = np.maximum(1, np.abs(expected_losses))
    curve = _largest(np.divide(losses, scale), np.divide(expected_losses, scale))
    if not curve <= CURVE:
        raise Different(f"{name}: losses differ by {curve:.2g}, expected at most {CURVE:g}")
    return max(difference / TOLERANCE, curve / CURVE)


def _largest(a: Sequence, b: Sequence) -> float:
    """NaN if there is one; infinite where shapes differ."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("inf")


def minibatches(batch_size: int, count: int, steps: int = STEPS) -> list[list[int]]:
    """Image numbers of the steps, the same for every contender."""
    draws = np.random.default_rng(batch_size)
    return [draws.choice(count, batch_size, replace=False).tolist() for _ in range(steps)]
