"""What a network of another library takes for a white pixel, which is 1 for convlet."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet.inputs import as_positive
from convlet.interchange import chain
from convlet.interchange.chain import Step

LEVELS = 255.0
LEAST_WHITE = 16.0
"""A network that first divides by this or more takes levels, not numbers up to 1."""

MOST_WHITE = 1e6


def as_white(value: Any) -> float | None:
    """What a caller says that a library takes for white, or None.  Raises `InputError`."""
    return None if value is None else as_positive(value, "white", MOST_WHITE)


def white_of(steps: Sequence[Step]) -> float:
    """What a network takes for white, by what it first divides by."""
    scale = 1.0
    for step in steps:
        if isinstance(step, chain.Affine):
            scale = scale if step.scale is None else scale * float(np.abs(step.scale).max())
        elif not isinstance(step, chain.Flatten):
            break
    return LEVELS if scale * LEAST_WHITE <= 1 else 1.0


def with_white(
    steps: Sequence[Step], white: float | None, who: str
) -> tuple[list[Step], tuple[str, ...]]:
    """The steps for images where 1 is white, and what was done.

    white: what the library takes for white, or None for `white_of` the steps.  who: takes it.
    """
    white = white_of(steps) if white is None else white
    if white == 1:
        return [*steps], ()
    said = (f"{who} takes {white:g} for white, the network 1: give it uint8, or floats up to 1",)
    place = next((k for k, step in enumerate(steps) if not isinstance(step, chain.Flatten)), 0)
    if _undoes(steps[place] if steps else None, white):
        return [*steps[:place], *steps[place + 1 :]], said
    return [chain.Affine("the scale of the input", scale=np.float64(white)), *steps], said


def _undoes(step: Step | None, white: float) -> bool:
    """Whether a step divides by exactly what is white: then the network is without both."""
    if not isinstance(step, chain.Affine) or step.scale is None or step.shift is not None:
        return False
    return np.size(step.scale) == 1 and bool(np.all(np.asarray(step.scale) * white == 1))
