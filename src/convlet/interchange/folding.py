"""A chain as layers and parameters of convlet, exactly.

Affine steps that follow one another become one map wherever that is exact and no more work, and
each map one stage (17).  What convlet has no layer for (batch normalisation, factors and shifts,
means, frames, groups, dilation) is so folded into the weights of a neighbour, or becomes a layer of
its own.  `Folded.said` tells which.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from convlet.equations import Float32
from convlet.interchange import chain
from convlet.interchange.chain import Chain, Step, refused
from convlet.interchange.layering import Layering
from convlet.layers import Layer

MOST_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Folded:
    """What `Network(layers, input_shape, classes=classes, flat=flat)` takes, and what was done.

    said: a sentence for each thing that is not as it was in the library.
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...] | None
    flat: Float32
    said: tuple[str, ...]


def fold(of: Chain) -> Folded:
    """A chain as layers and parameters.

    Raises `ArchitectureError` that names the step which convlet has not, and what would be needed.
    """
    if len(of.steps) > MOST_STEPS:
        found = f"has {len(of.steps)} steps"
        raise refused("the network", found, f"at most {MOST_STEPS}")
    folding = Layering(of.input_shape)
    with np.errstate(all="ignore"):  # numbers that are not finite are refused in the end
        for step in _written_out(of.steps):
            folding.take(step)
        folding.end()
    flat = np.concatenate([values.ravel() for values in folding.arrays])
    return Folded(tuple(folding.layers), of.input_shape, of.classes, flat, tuple(folding.said))


def _written_out(steps: Sequence[Step]) -> list[Step]:
    """A frame of another number than 0 is one of zeros around what lies above that number."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, chain.Pad) and not np.isfinite(step.value):
            hint = "a frame of numbers, as convlet's pool has no margins"
            raise refused(step.source, f"pads by {step.value:g}", hint)
        if isinstance(step, chain.Pad) and step.value != 0:
            found.append(chain.Affine(step.source, shift=-step.value))
            found.append(replace(step, value=0.0))
            found.append(chain.Affine(step.source, shift=step.value))
        else:
            found.append(step)
    return found
