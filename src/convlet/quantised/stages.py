"""A stage in whole numbers, and its way from bytes to bytes, (30), (34), (35)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Float64
from convlet.errors import InputError
from convlet.layers import ReLU
from convlet.quantised import equations as eq
from convlet.quantised.equations import Grid, Int8, Int32
from convlet.stages import Stage

CHUNK = 256


@dataclass(frozen=True, eq=False)
class QuantizedStage:
    """Stage l in whole numbers: all that a device needs to know of it.

    stage: its shapes and layers, those of the float network.
    w: w_hat (28), int8, shaped and ordered like w^l: (P+1, Q+1, R, K), flipped by (1), or (N, M).
    b: b_hat (29), int32 (K,), or like z with bias="position"; zeros where the stage has no bias.
    multiplier, shift: m_k and nu_k (33), int32 (K,).
    scales: h_k (28), float64 (K,), for people only.
    x, y: grids (26) of x^l and x^{l+1}; the last y is that of the logits.
    """

    stage: Stage
    w: Int8
    b: Int32
    multiplier: Int32
    shift: Int32
    scales: Float64
    x: Grid
    y: Grid

    def __post_init__(self) -> None:
        for array in (self.w, self.b, self.multiplier, self.shift, self.scales):
            array.flags.writeable = False

    @property
    def largest_sum(self) -> int:
        """No sum of (30) can be more, (31)."""
        return eq.largest_sum(self.w, self.b)

    @property
    def weight_bytes(self) -> int:
        """Of w, which a device keeps in flash."""
        return self.w.nbytes

    @property
    def other_bytes(self) -> int:
        """Of biases, multipliers and shifts, four, four and one each."""
        return self.b.nbytes + self.multiplier.nbytes + self.shift.size

    def forward(self, x_hat: Int8) -> Int8:
        """Bytes of x^l -> bytes of x^{l+1}, (B, *x_shape) -> (B, *output_shape)."""
        z_hat = eq.sums(self.stage, x_hat, self.x.zero, self.w, self.b)  # (30)
        y_hat = eq.requantised(z_hat, self.multiplier, self.shift, self.y.zero)  # (34)
        return eq.handed_on(self.stage, y_hat)  # (35)


def stage_in_whole_numbers(
    stage: Stage, w: Int8, b: Int32, scales: Float64, x: Grid, y: Grid
) -> QuantizedStage:
    """With multipliers and shifts, which follow from the scales (33)."""
    return QuantizedStage(stage, w, b, *eq.multipliers(x.scale, scales, y.scale), scales, x, y)


def forward(stages: Sequence[QuantizedStage], x_hat: Int8) -> Int8:
    """Bytes of x^0 (B, *x_shape) -> bytes of the logits (B, M)."""
    made = []
    for piece in chunks(x_hat):
        for stage in stages:
            piece = stage.forward(piece)
        made.append(piece)
    return np.concatenate(made)


def chunks(images: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Images, some at a time: memory stays small."""
    for start in range(0, len(images), CHUNK):
        yield images[start : start + CHUNK]


def is_rectified(stage: Stage) -> bool:
    """Whether a ReLU is in sigma: then x^{l+1} is 0 or more, and its zero point -128."""
    return any(isinstance(layer, ReLU) for layer in stage.sigma)


def is_float32(scale: float) -> bool:
    """Whether a scale is a number above 0 in float32, too, in which devices read that of logits."""
    least, most = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
    return float(least) <= scale <= float(most)


def refuse_scale_of_logits(scale: float) -> None:
    """Raise `InputError` where float32 cannot hold what a step of a byte of logits stands for."""
    if not is_float32(scale):
        raise InputError(
            "network",
            scale,
            "a number above 0 in float32",
            "its weights are far too large or far too small: train it anew",
            subject="the scale of the logits in whole numbers",
        )


def refuse_large_sums(stage: Stage, most: int) -> None:
    """Raise `InputError` for a stage whose sums, at most that large (31), could leave int32."""
    if most > eq.MOST_SUM:
        raise InputError(
            "network",
            most,
            f"at most {eq.MOST_SUM}, so that int32 holds them",
            f"give {stage.affine} fewer inputs, by a pool or a stride before it",
            subject=f"stage {stage.index}",
            found=f"has sums of up to {most} in whole numbers",
        )
