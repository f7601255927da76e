"""Layers: frozen descriptions that say what they compute and how they change a shape.

They hold no numbers that training changes; `convlet.Network` groups them into stages and owns the
parameters.  Shapes are (rows, columns, channels), or (units,) after `Flatten` or `Dense`.
"""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from convlet.errors import InputError
from convlet.forms import CONV_BIAS, DENSE_BIAS, PADDING, PAIR, SHARE, WHOLE, Form, by
from convlet.inputs import as_bool, as_count, as_number, as_pair
from convlet.layerbase import LIMIT, LayerBase
from convlet.shapes import Margins, Pair, Shape


@dataclass(frozen=True)
class Conv2D(LayerBase):
    """Convolution (1) and a bias (17).

    channels: K, output channels.  kernel: (P+1, Q+1), taps over rows and columns, or one number for
    both.  stride: (s1, s2).  padding: "valid" (none), "same" (output ceil(H / s1) rows; an odd row
    of zeros goes below, an odd column to the right), or a number of zeros on each side.  bias:
    "channel" (one per k), "position" (one per (i, j, k), the letter of (17)) or None.

    Shape: (H, W, R) -> ((H + padding - kernel) // s1 + 1, likewise columns, channels).
    """

    channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: int | Literal["valid", "same"] = "valid"
    bias: Literal["channel", "position"] | None = "channel"

    form = Form(
        "conv",
        "conv CHANNELS KERNEL [stride S] [padding same|N] [bias channel|position|none]",
        {"channels": WHOLE, "kernel": PAIR},
        {"stride": PAIR, "padding": PADDING, "bias": CONV_BIAS},
    )
    equations = "(1), (17)"
    derivatives = (("(2)", "dC/dx"), ("(3)", "dC/dw"))

    if TYPE_CHECKING:  # what a caller may give; the fields hold its normal form

        def __init__(
            self,
            channels: int,
            kernel: int | Pair,
            stride: int | Pair = 1,
            padding: int | Literal["valid", "same"] = "valid",
            bias: Literal["channel", "position"] | None = "channel",
        ) -> None: ...

    def __post_init__(self) -> None:
        self.normalise("channels", as_count, 1, LIMIT)
        self.normalise("kernel", as_pair, 1, LIMIT)
        self.normalise("stride", as_pair, 1, LIMIT)
        self.normalise("padding", _as_padding)
        self.normalise("bias", _as_bias)

    def margins(self, shape: Shape) -> Margins:
        """Rows of zeros (above, below) and columns (left, right) around an input of this shape."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding == "same":
            return (
                _same(shape[0], self.kernel[0], self.stride[0]),
                _same(shape[1], self.kernel[1], self.stride[1]),
            )
        return (self.padding, self.padding), (self.padding, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, R) -> (I, J, K)."""
        self.refuse_flat(shape)
        sides = [n + sum(margin) for n, margin in zip(shape, self.margins(shape), strict=False)]
        if any(side < taps for side, taps in zip(sides, self.kernel, strict=True)):
            raise self.unfit(
                f"is larger than its input, {shape[0]}x{shape[1]} pixels with padding"
                f" {self.padding!r}",
                "take a smaller kernel, more padding or fewer pools before it",
                f"kernel {by(self.kernel)}",
            )
        steps = zip(sides, self.kernel, self.stride, strict=True)
        return (*((n - k) // s + 1 for n, k, s in steps), self.channels)


@dataclass(frozen=True)
class MaxPool2D(LayerBase):
    """Max pooling (4): windows of `size`, moved by `stride` (default: size, no overlap).

    A rest that fills no window drops.
    Shape: (H, W, K) -> ((H - size) // stride + 1, likewise columns, K).
    """

    size: Pair = (2, 2)
    stride: Pair = None  # type: ignore[assignment]  # None is the size, in `__post_init__`

    form = Form("pool", "pool SIZE [stride S]", {"size": PAIR}, {"stride": PAIR})
    equations = "(4)"
    derivatives = (("(4)", "dP/dx"),)
    smooth = False

    if TYPE_CHECKING:

        def __init__(self, size: int | Pair = 2, stride: int | Pair | None = None) -> None: ...

    def __post_init__(self) -> None:
        self.normalise("size", as_pair, 1, LIMIT)
        if self.stride is None:
            object.__setattr__(self, "stride", self.size)
        self.normalise("stride", as_pair, 1, LIMIT)

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, K) -> (I, J, K)."""
        self.refuse_flat(shape)
        if shape[0] < self.size[0] or shape[1] < self.size[1]:
            raise self.unfit(
                f"is larger than its input, {shape[0]}x{shape[1]} pixels",
                "take a smaller window",
                f"window {by(self.size)}",
            )
        steps = zip(shape[:2], self.size, self.stride, strict=True)
        return (*((n - window) // s + 1 for n, window, s in steps), shape[2])

    def __str__(self) -> str:
        return self.form.written(self, {"stride": self.size})


@dataclass(frozen=True)
class ReLU(LayerBase):
    """Rectifier (9); its derivative at 0 is 1/2 (10).  Shape: unchanged."""

    form = Form("relu", "relu")
    equations = "(9)"
    derivatives = (("(10)", "dR/dz"),)
    smooth = False

    def output_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Dropout(LayerBase):
    """In training each unit is 0 with probability `rate`, else times 1 / (1 - rate).

    Outside training it changes nothing.  Shape: unchanged.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15, 2014.
    """

    rate: float = 0.5

    form = Form("dropout", "dropout RATE", {"rate": SHARE})
    equations = ""  # not part of the derivation
    derivatives = (("", "d(mask x)/dx"),)

    def __post_init__(self) -> None:
        self.normalise("rate", as_number, 0, 0.99)

    def output_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class Flatten(LayerBase):
    """Flatten (5), C order over (row, column, channel).  Shape: (I, J, K) -> (I J K,)."""

    form = Form("flatten", "flatten")
    equations = "(5)"
    derivatives = (("(5)", "dF/dx"),)

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class Dense(LayerBase):
    """Dense map (6) and a bias (17).  Shape: (N,) -> (units,)."""

    units: int
    bias: bool = True

    form = Form("dense", "dense UNITS [bias none]", {"units": WHOLE}, {"bias": DENSE_BIAS})
    equations = "(6), (17)"
    derivatives = (("(7)", "dD/dx"), ("(8)", "dD/dw"))

    def __post_init__(self) -> None:
        self.normalise("units", as_count, 1, LIMIT)
        self.normalise("bias", as_bool)

    def output_shape(self, shape: Shape) -> Shape:
        self.refuse_images(shape)
        return (self.units,)


@dataclass(frozen=True)
class Softmax(LayerBase):
    """Softmax (11); the last layer of every network.  Shape: unchanged, (M,)."""

    form = Form("softmax", "softmax")
    equations = "(11)"
    derivatives = (("(12)", "dS/dz"),)

    def output_shape(self, shape: Shape) -> Shape:
        self.refuse_images(shape)
        return shape


Affine = Conv2D | Dense
Sigma = MaxPool2D | ReLU | Dropout | Flatten | Softmax
Layer = Affine | Sigma

KINDS: tuple[type[Layer], ...] = (Conv2D, MaxPool2D, ReLU, Dropout, Flatten, Dense, Softmax)
"""Every kind of layer.  CONTRIBUTING.md says what to touch to add one."""


def _as_padding(value: Any, name: str) -> int | str:
    if isinstance(value, str) and value in ("valid", "same"):
        return value
    try:
        return as_count(value, name, 0, LIMIT)
    except InputError:
        expected = f'"valid", "same" or a whole number from 0 to {LIMIT}'
        raise InputError(name, value, expected) from None


def _as_bias(value: Any, name: str) -> str | None:
    if value is not None and not (isinstance(value, str) and value in ("channel", "position")):
        raise InputError(name, value, '"channel", "position" or None')
    return value


def _same(n: int, taps: int, stride: int) -> Pair:
    total = max((-(-n // stride) - 1) * stride + taps - n, 0)
    return total // 2, total - total // 2
