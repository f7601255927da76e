"""Layers: frozen descriptions that say what they compute and how they change a shape.

They hold no numbers that training changes; `convlet.Network` groups them into stages and owns the
parameters.  Shapes are (rows, columns, channels), or (units,) after `Flatten` or `Dense`.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from convlet.errors import ArchitectureError

Shape = tuple[int, ...]
Pair = tuple[int, int]
Margins = tuple[Pair, Pair]

LIMIT = 1 << 20
"""No size of a layer may exceed this: a typing error should be refused, not allocated."""


@dataclass(frozen=True)
class Conv2D:
    """Convolution (1) and a bias (17).

    channels: K, output channels.  kernel: (P+1, Q+1), taps over rows and columns, or one number for
    both.  stride: (s1, s2).  padding: "valid" (none), "same" (output ceil(H / s1) rows; an odd row
    of zeros goes below, an odd column to the right), or a number of zeros on each side.  bias:
    "channel" (one per k), "position" (one per (i, j, k), the letter of (17)) or None.

    Shape: (H, W, R) -> ((H + padding - kernel) // s1 + 1, likewise columns, channels).
    """

    channels: int
    kernel: int | Pair
    stride: int | Pair = 1
    padding: int | Literal["valid", "same"] = "valid"
    bias: Literal["channel", "position"] | None = "channel"

    def __post_init__(self) -> None:
        _set(self, "channels", _count(self, "channels", self.channels))
        _set(self, "kernel", _pair(self, "kernel", self.kernel))
        _set(self, "stride", _pair(self, "stride", self.stride))
        _set(self, "padding", _plain(self.padding))
        if not _is_one_of(self.padding, "valid", "same") and not _is_count(self.padding, 0):
            expected = '"valid", "same" or a whole number from 0'
            raise ArchitectureError(_wrong(self, "padding", self.padding, expected))
        if not _is_one_of(self.bias, "channel", "position") and self.bias is not None:
            expected = '"channel", "position" or None'
            raise ArchitectureError(_wrong(self, "bias", self.bias, expected))

    def margins(self, shape: Shape) -> Margins:
        """Rows of zeros (above, below) and columns (left, right) around an input of this shape."""
        (h, w), (rows, columns), (s1, s2) = shape[:2], _both(self.kernel), _both(self.stride)
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding == "same":
            return _same(h, rows, s1), _same(w, columns, s2)
        assert isinstance(self.padding, int)
        return (self.padding, self.padding), (self.padding, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, R) -> (I, J, K)."""
        _refuse_flat(self, shape)
        sides = [
            n + before + after
            for n, (before, after) in zip(shape[:2], self.margins(shape), strict=True)
        ]
        if any(side < taps for side, taps in zip(sides, _both(self.kernel), strict=True)):
            raise ArchitectureError(
                f"{self}: kernel {_x(self.kernel)} is larger than its input, "
                f"{shape[0]}x{shape[1]} pixels with padding {self.padding!r}: "
                "take a smaller kernel, more padding or fewer pools before it"
            )
        out = [
            (n - k) // s + 1
            for n, k, s in zip(sides, _both(self.kernel), _both(self.stride), strict=True)
        ]
        return (*out, self.channels)

    def __str__(self) -> str:
        words = [f"conv {self.channels} {_x(self.kernel)}"]
        if _both(self.stride) != (1, 1):
            words.append(f"stride {_x(self.stride)}")
        if self.padding != "valid":
            words.append(f"padding {self.padding}")
        if self.bias != "channel":
            words.append(f"bias {str(self.bias).lower()}")
        return " ".join(words)


@dataclass(frozen=True)
class MaxPool2D:
    """Max pooling (4): windows of `size`, moved by `stride` (default: size, no overlap).

    A rest that fills no window drops.
    Shape: (H, W, K) -> ((H - size) // stride + 1, likewise columns, K).
    """

    size: int | Pair = 2
    stride: int | Pair | None = None

    def __post_init__(self) -> None:
        _set(self, "size", _pair(self, "size", self.size))
        stride = self.size if self.stride is None else self.stride
        _set(self, "stride", _pair(self, "stride", stride))

    def output_shape(self, shape: Shape) -> Shape:
        """(H, W, K) -> (I, J, K)."""
        _refuse_flat(self, shape)
        size, stride = _both(self.size), _both(self.stride)
        if shape[0] < size[0] or shape[1] < size[1]:
            raise ArchitectureError(
                f"{self}: window {_x(size)} is larger than its input, "
                f"{shape[0]}x{shape[1]} pixels: take a smaller window"
            )
        return (
            (shape[0] - size[0]) // stride[0] + 1,
            (shape[1] - size[1]) // stride[1] + 1,
            shape[2],
        )

    def __str__(self) -> str:
        stride = "" if self.stride == self.size else f" stride {_x(self.stride)}"
        return f"pool {_x(self.size)}{stride}"


@dataclass(frozen=True)
class ReLU:
    """Rectifier (9); its derivative at 0 is 1/2 (10).  Shape: unchanged."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def __str__(self) -> str:
        return "relu"


@dataclass(frozen=True)
class Dropout:
    """In training each unit is 0 with probability `rate`, else times 1 / (1 - rate).

    Outside training it changes nothing.  Shape: unchanged.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15, 2014.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        _set(self, "rate", _plain(self.rate))
        number = isinstance(self.rate, int | float) and not isinstance(self.rate, bool)
        if not number or not 0 <= self.rate <= 0.99:
            raise ArchitectureError(_wrong(self, "rate", self.rate, "a number from 0 to 0.99"))
        _set(self, "rate", float(self.rate))

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def __str__(self) -> str:
        return f"dropout {self.rate!r}"


@dataclass(frozen=True)
class Flatten:
    """Flatten (5), C order over (row, column, channel).  Shape: (I, J, K) -> (I J K,)."""

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def __str__(self) -> str:
        return "flatten"


@dataclass(frozen=True)
class Dense:
    """Dense map (6) and a bias (17).  Shape: (N,) -> (units,)."""

    units: int
    bias: bool = True

    def __post_init__(self) -> None:
        _set(self, "units", _count(self, "units", self.units))
        _set(self, "bias", _plain(self.bias))
        if not isinstance(self.bias, bool):
            raise ArchitectureError(_wrong(self, "bias", self.bias, "True or False"))

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ArchitectureError(
                f"{self} needs a flat input, not {shape}: put flatten before it"
            )
        return (self.units,)

    def __str__(self) -> str:
        return f"dense {self.units}" + ("" if self.bias else " bias none")


@dataclass(frozen=True)
class Softmax:
    """Softmax (11); the last layer of every network.  Shape: unchanged, (M,)."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ArchitectureError(
                f"{self} needs a flat input, not {shape}: put flatten before it"
            )
        return shape

    def __str__(self) -> str:
        return "softmax"


Layer = Conv2D | MaxPool2D | ReLU | Dropout | Flatten | Dense | Softmax


def _refuse_flat(layer: object, shape: Shape) -> None:
    if len(shape) != 3:
        raise ArchitectureError(
            f"{layer} needs an input (rows, columns, channels), not {shape}: put it before flatten"
        )


def _set(layer: object, name: str, value: Any) -> None:
    """The only writes to a frozen description: its own normal form."""
    object.__setattr__(layer, name, value)


def _is_one_of(value: object, *words: str) -> bool:
    return isinstance(value, str) and value in words


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= LIMIT


def _count(layer: object, name: str, value: Any) -> int:
    value = _plain(value)
    if not _is_count(value, 1):
        raise ArchitectureError(_wrong(layer, name, value, f"a whole number from 1 to {LIMIT}"))
    assert isinstance(value, int)
    return value


def _pair(layer: object, name: str, value: Any) -> Pair:
    value = _plain(value)
    pair = tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(_is_count(n, 1) for n in pair):
        raise ArchitectureError(
            _wrong(layer, name, value, f"a whole number from 1 to {LIMIT}, or two of them")
        )
    return pair[0], pair[1]


def _plain(value: Any) -> Any:
    """Numbers and truth values of NumPy as those of Python; everything else as it is."""
    if hasattr(value, "dtype") and value.dtype.kind in "buif" and value.ndim == 0:
        return value.item()
    return value


def _both(pair: int | Pair | None) -> Pair:
    assert isinstance(pair, tuple)  # __post_init__ made it one
    return pair


def _x(pair: int | Pair | None) -> str:
    a, b = _both(pair)
    return str(a) if a == b else f"{a}x{b}"


def _same(n: int, taps: int, stride: int) -> Pair:
    total = max((-(-n // stride) - 1) * stride + taps - n, 0)
    return total // 2, total - total // 2


def _wrong(layer: object, name: str, value: Any, expected: str) -> str:
    return f"{type(layer).__name__}: {name} is {value!r}, expected {expected}"
