"""A sequential network as other libraries write it: what every front end hands to `folding`.

A front end lists what is done with an image, step by step, in the order in which it is done, and
folds nothing.  Each step holds the numbers as the library has them (float16 to float64), and its
`source`, the words by which a reader finds it there, as in "node 'conv1' (Conv)".

Shapes are those of convlet: (rows, columns, channels), and (units,) after `Flatten`, which says in
which order the library lines them up.  Where a library has its channels first, its front end moves
the axes of what belongs to positions and channels (`Affine`); weights of `Conv` it does not turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convlet.equations import Array
from convlet.errors import ArchitectureError
from convlet.shapes import Margins, Pair, Shape
from convlet.wording import label

MOST_FOUND = 300  # characters of what is wrong with a step
NO_MARGINS: Margins = ((0, 0), (0, 0))

Order = Literal["hwc", "chw"]
"""In which order a library lines up (rows, columns, channels): channels last or first."""


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution as libraries have it: window and weights are multiplied without turning.

    w (K, R / groups, P, Q): PyTorch's and ONNX's layout; of Keras it is w.transpose(3, 2, 0, 1).
    bias (K,) or None.  margins: zeros around the image.  groups: each of so many equal parts of the
    channels has its own K / groups outputs, one after the other; groups = R is depthwise.
    """

    source: str
    w: Array
    bias: Array | None = None
    stride: Pair = (1, 1)
    margins: Margins = NO_MARGINS
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Dense:
    """x @ w + bias.  w (N, M), bias (M,) or None; of PyTorch it is weight.T."""

    source: str
    w: Array
    bias: Array | None = None


@dataclass(frozen=True, eq=False)
class Affine:
    """x * scale + shift, each an array that NumPy broadcasts to x, or None where there is none.

    For images that is () or (channels,), (rows, columns, channels), or 1 in the place of any; for
    flat x () or (units,), in the library's order.
    """

    source: str
    scale: Array | float | None = None
    shift: Array | float | None = None


@dataclass(frozen=True, eq=False)
class Pad:
    """A frame of one number around the image."""

    source: str
    margins: Margins
    value: float = 0.0


@dataclass(frozen=True, eq=False)
class AveragePool:
    """The mean of each window; stride and margins as for `Conv`.  What fills no window drops.

    counts_margins: whether the zeros of the margins are counted, or only the pixels of the image.
    """

    source: str
    size: Pair
    stride: Pair
    margins: Margins = NO_MARGINS
    counts_margins: bool = True


@dataclass(frozen=True, eq=False)
class GlobalAveragePool:
    """The mean of each channel: (rows, columns, channels) -> (1, 1, channels)."""

    source: str


@dataclass(frozen=True, eq=False)
class MaxPool:
    """The maximum of each window.  margins: never chosen.  What fills no window drops."""

    source: str
    size: Pair
    stride: Pair
    margins: Margins = NO_MARGINS


@dataclass(frozen=True, eq=False)
class ReLU:
    """max(x, 0)."""

    source: str


@dataclass(frozen=True, eq=False)
class Dropout:
    """In training, as convlet's layer of that name."""

    source: str
    rate: float


@dataclass(frozen=True, eq=False)
class Flatten:
    """(rows, columns, channels) -> (units,), lined up in this order.  Flat x stays as it is."""

    source: str
    order: Order = "hwc"


@dataclass(frozen=True, eq=False)
class Take:
    """Of flat x the numbers at these places, in this order; behind a softmax every class once."""

    source: str
    places: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Sigmoid:
    """1 / (1 + exp(-x)) of one unit: the probability of the second of two classes."""

    source: str


@dataclass(frozen=True, eq=False)
class Softmax:
    """Softmax over the units; log: its logarithm, which a classifier may give as well."""

    source: str
    log: bool = False


AffineStep = Conv | Dense | Affine | Pad | AveragePool | GlobalAveragePool
Step = AffineStep | MaxPool | ReLU | Dropout | Flatten | Take | Sigmoid | Softmax


@dataclass(frozen=True)
class Chain:
    """A whole network.  classes: their names where the library knows them."""

    input_shape: tuple[int, int, int]
    steps: Sequence[Step]
    classes: tuple[str, ...] | None = None


def batch_norm(
    source: str, gamma: Array | float, beta: Array | float, mean: Array, var: Array, epsilon: float
) -> Affine:
    """Batch normalisation as it predicts: gamma (x - mean) / sqrt(var + epsilon) + beta.

    Arrays (channels,), or (units,) of flat x; computed in float64.
    """
    scale = np.float64(1) * gamma / np.sqrt(np.asarray(var, np.float64) + epsilon)
    return Affine(source, scale, beta - np.asarray(mean, np.float64) * scale)


def refused(source: str, found: str, hint: str) -> ArchitectureError:
    """The error for a step that convlet has not: SOURCE FOUND: HINT, what would be needed.

    A front end may make its own of it, as in `error.remade(parameter="module")`.
    """
    return ArchitectureError("layers", subject=source, found=label(found, MOST_FOUND), hint=hint)


def windows(side: int, taps: int, stride: int, margin: Pair = (0, 0)) -> int:
    """How many windows fit; 0 or less where none does."""
    return (side + sum(margin) - taps) // stride + 1


def same(side: int, taps: int, stride: int) -> Pair:
    """Margins of Keras' padding="same" and ONNX's SAME_UPPER: an odd one goes to the end."""
    total = max((-(-side // stride) - 1) * stride + taps - side, 0)
    return total // 2, total - total // 2


def is_flat(shape: Shape) -> bool:
    return len(shape) == 1
