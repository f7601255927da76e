"""How the stages are: gradients, weights, dead units, and in words what is wrong.

The sample is a few training images; what one look costs says how often there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from time import perf_counter
from typing import Any, Literal

import numpy as np

from convlet.engine import Samples
from convlet.equations import Float32
from convlet.layers import ReLU
from convlet.reference import quiet
from convlet.run import Trainee
from convlet.stages import views
from convlet.tracing import StageActivations, activations
from convlet.values import scale_of

SAMPLE = 64
"""Images of a look."""
SHARE = 0.01
"""Of the time of training, at most, that looks take."""

DEAD, NOT_FEW = 0.5, 0.25
"""Shares of dead units that are a warning, and worth a word."""
WORSE = 1.2
"""Times the loss of guessing: training that is above it goes astray."""
SOON = 20
"""Steps after which that is said."""
STUCK = 0.98
"""Of the loss of guessing: above it, after an epoch, nothing is learned."""
VANISHED = 1e-7
"""The norm of a gradient by that of its weights, under which a stage stands still."""
FAINT, STRONG = 0.02, 2.0
"""The root mean square of images that are scaled lies between: 0.3 is MNIST's, 1 standardised."""

Level = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class Word:
    """What is wrong, and what helps.  stage: of which, None for all."""

    level: Level
    text: str
    stage: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"level": self.level, "stage": self.stage, "text": self.text}


@dataclass(frozen=True)
class StageHealth:
    """One stage, on the sample.  dead of units: of its first ReLU, None without one."""

    stage: int
    gradient: float
    weight: float
    dead: int | None
    units: int | None

    def as_json(self) -> dict[str, Any]:
        share = None if self.dead is None or not self.units else self.dead / self.units
        return {
            "stage": self.stage,
            "gradient_norm": self.gradient,
            "weight_norm": self.weight,
            "dead": self.dead,
            "units": self.units,
            "dead_share": share,
        }


def sample_of(data: Samples) -> Samples:
    """A few of the images, spread over all of them."""
    rows = np.linspace(0, len(data) - 1, min(SAMPLE, len(data))).astype(np.int64)
    weight = None if data.weight is None else data.weight[rows]
    if weight is not None and not weight.any():
        weight = None
    return Samples(np.ascontiguousarray(data.images[rows]), data.targets[rows], weight)


@quiet
def look(network: Trainee, sample: Samples) -> list[StageHealth]:
    """Norms of the gradient of (13) and of the weights, and the units that are 0 everywhere."""
    flat = network.flat
    _, gradient = network.engine.gradients(flat, sample)
    parameters, gradients = views(flat, network.shapes), views(gradient, network.shapes)
    found = []
    for passed in activations(network.engine, flat, network.stages, sample.images):
        stage = passed.stage
        dead, units = _dead(passed)
        names = [stage.w_name] + ([] if stage.b_shape is None else [stage.b_name])
        norms = [_norm([part[name] for name in names]) for part in (gradients, parameters)]
        found.append(StageHealth(stage.index, norms[0], norms[1], dead, units))
    return found


def _dead(passed: StageActivations) -> tuple[int | None, int | None]:
    """Units, or maps, whose ReLU gives 0 for all images, and how many there are."""
    for layer, output in zip(passed.stage.sigma, passed.outputs, strict=True):
        if isinstance(layer, ReLU):
            axes = tuple(range(output.ndim - 1))
            return int((output == 0).all(axis=axes).sum()), output.shape[-1]
    return None, None


def _norm(parts: Sequence[Float32]) -> float:
    return float(np.sqrt(sum(float(np.vdot(part, part)) for part in parts)))


def words(
    stages: Sequence[StageHealth], classes: int, loss: float | None, steps: int, epochs: int
) -> list[Word]:
    """What is wrong.  loss: the mean of the epoch so far, of so many steps; epochs: closed."""
    found = []
    guessing = log(classes)
    if loss is not None and steps >= SOON and not loss <= WORSE * guessing:
        text = f"The loss is {loss:.3g}, above the {guessing:.3g} of guessing"
        found.append(Word("warning", f"{text}: the learning rate is too high."))
    elif loss is not None and epochs and loss > STUCK * guessing:
        text = f"The loss is that of guessing, {guessing:.3g}: the learning rate is far too low"
        found.append(Word("warning", f"{text} or too high, or too many units are dead."))
    for one in stages:
        if one.dead and one.units:
            share = one.dead / one.units
            if share > NOT_FEW:
                text = f"{one.dead} of {one.units} units give 0 for every image: dead ReLUs."
                level: Level = "warning" if share >= DEAD else "note"
                hint = " A smaller learning rate keeps more alive; reset brings them back."
                found.append(Word(level, text + hint, one.stage))
        if one.weight and one.gradient < VANISHED * one.weight:
            text = "The gradient vanishes here: its stage stands still."
            found.append(Word("note", text, one.stage))
    return found


def words_of_images(images: Any) -> list[Word]:
    """Whether the images are scaled as a network needs them."""
    size = scale_of(images).size
    if FAINT <= size <= STRONG:
        return []
    what = "The inputs are not scaled: the root mean square of the images"
    text = f"{what} is {size:.3g}; bring white to 1, or subtract the mean and divide by the spread."
    return [Word("warning", text)]


class Looks:
    """When to look: not more often than that, nor for more than its share of the time."""

    def __init__(self, apart: float) -> None:
        self.apart, self.next = apart, 0.0

    def due(self) -> bool:
        return perf_counter() >= self.next

    def took(self, start: float) -> None:
        """A look that began at that time is done."""
        now = perf_counter()
        self.next = now + max(self.apart, (now - start) / SHARE)
