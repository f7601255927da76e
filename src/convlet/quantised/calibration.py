"""From a float network to one in whole numbers, stage by stage, by what images make of each.

The values of a stage are those of its whole numbers, the stages below quantised already: sums of
(30) are exact, so the same images give the same bytes on every machine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet import backprop
from convlet.equations import Array, Float64
from convlet.inputs import as_count, as_seed
from convlet.layers import Softmax
from convlet.quantised import equations as eq
from convlet.quantised.equations import Grid, Int8, Int32
from convlet.quantised.ranges import CHOICES, as_ranges, spread
from convlet.quantised.stages import (
    QuantizedStage,
    chunks,
    refuse_large_sums,
    refuse_scale_of_logits,
    stage_in_whole_numbers,
)
from convlet.randomness import Purpose, permutation
from convlet.stages import Stage

USUAL_COUNT = 1000
USUAL_RANGES = "maximum"
MOST_IMAGES = 1 << 31


@dataclass(frozen=True)
class Calibration:
    """How a network was calibrated.

    count: images that were used, of `given` ones.  seed: of the draw.  ranges: the choice by name.

    Raises `InputError`.
    """

    count: int = USUAL_COUNT
    given: int = USUAL_COUNT
    seed: int = 0
    ranges: str = USUAL_RANGES

    def __post_init__(self) -> None:
        as_count(self.given, "given", 1, MOST_IMAGES)
        as_count(self.count, "count", 1, self.given)
        as_seed(self.seed)
        as_ranges(self.ranges)

    def record(self) -> dict[str, Any]:
        """JSON values, from which `Calibration(**record)` is this one again."""
        return asdict(self)


def drawn(count: int, given: int, seed: int) -> NDArray[np.int64]:
    """Which images are looked at, in order: all, where there are no more than count of them."""
    if count >= given:
        return np.arange(given)
    return np.sort(permutation(seed, Purpose.CALIBRATE, 0, given)[:count])


def quantised_stages(
    stages: Sequence[Stage], parameters: Mapping[str, Array], images: NDArray[np.uint8], ranges: str
) -> tuple[QuantizedStage, ...]:
    """Every stage in whole numbers.  images (n, *input_shape), those to calibrate with.

    Raises `InputError` for a stage whose sums could leave int32, and for logits beyond float32.
    """
    x_hat, grid, made = eq.pixels(images).reshape(len(images), *stages[0].x_shape), eq.PIXELS, []
    for stage in stages:
        w, b = parameters[stage.w_name], parameters.get(stage.b_name)
        scales = eq.weight_scales(w, b, grid.scale)
        w_hat = eq.whole_weights(w, scales)
        shape = stage.z_shape[-1:] if b is None else b.shape
        bias = np.zeros(shape, np.int32) if b is None else eq.whole_biases(b, grid.scale, scales)
        refuse_large_sums(stage, eq.largest_sum(w_hat, bias))
        pieces = _values(stage, x_hat, grid, w_hat, bias, scales)
        low, high = CHOICES[ranges](spread(pieces))
        y = eq.grid_of(low, high, grid.scale, scales)
        made.append(stage_in_whole_numbers(stage, w_hat, bias, scales, grid, y))
        x_hat = np.concatenate([made[-1].forward(piece) for piece in chunks(x_hat)])
        grid = y
    refuse_scale_of_logits(grid.scale)
    return tuple(made)


def _values(
    stage: Stage, x_hat: Int8, grid: Grid, w_hat: Int8, b_hat: Int32, scales: Float64
) -> Callable[[], Iterator[Float64]]:
    """What whole numbers say that a stage hands on, before a softmax, some images at a time."""

    def pieces() -> Iterator[Float64]:
        for piece in chunks(x_hat):
            z_hat = eq.sums(stage, piece, grid.zero, w_hat, b_hat)
            x = grid.scale * scales * z_hat
            for layer in stage.sigma:
                x = x if isinstance(layer, Softmax) else backprop.sigma(layer, x)
            yield x

    return pieces
