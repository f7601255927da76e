"""Affine maps of images as windows with weights, and one such map in the place of two.

Every affine step of a chain is one: a dense map of an image has a window as large as the image, and
(units,) is an image of one pixel, (1, 1, units).  All is computed in float64, and rounded once, by
whoever makes parameters of it.  Taps are not turned here: window and taps are multiplied as they
stand.
"""

from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np

from convlet.equations import Array, Float64
from convlet.interchange.chain import NO_MARGINS, windows
from convlet.shapes import Margins, Pair

FLOOR = 1 << 22
"""So many numbers a layer may have, however few the library has for it."""
BLOW_UP = 4
"""Beyond `FLOOR` a layer may have so many times the numbers that the library has for it."""
MOST_TAPS = 1 << 18  # positions of a window: each is one step of a loop here
MOST_WORK = 1 << 33  # multiply-adds of all compositions of a network


class TooLargeError(Exception):
    """A map would need more than `FLOOR` and `BLOW_UP` allow.  Never leaves `folding`."""

    def __init__(self, needed: int, allowed: int, what: str = "numbers") -> None:
        super().__init__(f"would need {needed:,} {what}, {allowed:,} are allowed")


@dataclass(frozen=True, eq=False)
class Map:
    """y = gain * (windows of x times taps) + constant.

    taps: (P, Q, R, K), or (P, Q, R) where each channel stays by itself.  gain: (I, J, K) or None
    for 1.  constant: (K,), (I, J, K), or None where there is no bias at all.  numbers: how many the
    library has for it.
    """

    x_shape: tuple[int, int, int]
    taps: Float64
    stride: Pair = (1, 1)
    margins: Margins = NO_MARGINS
    gain: Float64 | None = None
    constant: Float64 | None = None
    numbers: int = 0

    @property
    def by_channel(self) -> bool:
        """Whether each channel stays by itself."""
        return self.taps.ndim == 3

    @property
    def size(self) -> Pair:
        """(P, Q)."""
        return self.taps.shape[0], self.taps.shape[1]

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(I, J, K)."""
        i, j = (
            windows(*axis)
            for axis in zip(self.x_shape[:2], self.size, self.stride, self.margins, strict=True)
        )
        return i, j, self.taps.shape[-1]

    @property
    def is_pointwise(self) -> bool:
        """Whether it scales and shifts each pixel where it is, and each channel by itself."""
        still = self.size == self.stride == (1, 1) and self.margins == NO_MARGINS
        return self.by_channel and still

    @property
    def multiply_adds(self) -> int:
        """As a layer of convlet, where every channel meets every other."""
        return prod(self.output_shape) * prod(self.size) * self.x_shape[2]


def allow(needed: int, numbers: int) -> None:
    """Raise `TooLargeError` for more than what a library's numbers may become."""
    allowed = max(FLOOR, BLOW_UP * numbers)
    if needed > allowed:
        raise TooLargeError(needed, allowed)


def work(first: Map, second: Map) -> int:
    """Multiply-adds that `compose` takes.  Raises `TooLargeError` for loops of too many steps."""
    steps = prod(second.size)
    if steps > MOST_TAPS:
        raise TooLargeError(steps, MOST_TAPS, "taps")
    each = 1 if second.by_channel else second.taps.shape[-1]
    constants = 0
    if first.constant is not None and first.constant.any():
        constants = prod(second.output_shape[:2]) * prod(second.taps.shape)
    return prod(first.taps.shape) * steps * each + constants


def compose(first: Map, second: Map, most: int | None = None) -> Map | None:
    """`second` of `first` as one map, or None where that is none: windows are the same everywhere.

    most: None, too, where it would need more multiply-adds.  Raises `TooLargeError`.
    """
    if first.gain is not None:
        if second.is_pointwise:  # gain and factor of a pixel are one
            gain = first.gain * second.taps[0, 0]
            gain = gain if second.gain is None else gain * second.gain
            return replace(first, gain=gain, constant=_constant(first, second))
        if second.output_shape[:2] != (1, 1) or second.margins != NO_MARGINS:
            return None
        taps = second.taps
        inner = first.gain[: taps.shape[0], : taps.shape[1]]
        pulled = replace(second, taps=taps * (inner if second.by_channel else inner[..., None]))
        constant = _constant(first, second)
        plain = replace(first, gain=None, constant=None)
        composed = compose(plain, replace(pulled, constant=None), most)
        return None if composed is None else replace(composed, constant=constant)
    sides = [
        _side(*axis)
        for axis in zip(
            first.x_shape[:2],
            *(first.size, first.stride, first.margins),
            *(second.size, second.stride, second.margins),
            second.output_shape[:2],
            strict=True,
        )
    ]
    if None in sides:
        return None
    (p, above, below), (q, left, right) = (side for side in sides if side is not None)
    if most is not None and prod(second.output_shape) * p * q * first.x_shape[2] > most:
        return None
    numbers = first.numbers + second.numbers
    both = first.by_channel and second.by_channel
    outputs = second.taps.shape[-1]
    allow(p * q * first.x_shape[2] * (1 if both else outputs), numbers)
    return Map(
        first.x_shape,
        _taps(first, second, (p, q)),
        (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1]),
        ((above, below), (left, right)),
        second.gain,
        _constant(first, second),
        numbers,
    )


def _side(
    side: int,
    taps: int,
    stride: int,
    margin: Pair,
    later_taps: int,
    later_stride: int,
    later_margin: Pair,
    outputs: int,
) -> tuple[int, int, int] | None:
    """Taps and margins of two maps in one, along one axis.

    A margin of the second is zeros, so windows of the first that stand there must meet zeros only.
    """
    (before, after), (more_before, more_after) = margin, later_margin
    if more_before and taps - 1 >= before + stride:  # the last pixel of the nearest such window
        return None
    if more_after and windows(side, taps, stride, margin) * stride < before + side:
        return None
    size = taps + stride * (later_taps - 1)
    before += stride * more_before
    after = max(0, (outputs - 1) * stride * later_stride + size - before - side)
    if windows(side, size, stride * later_stride, (before, after)) != outputs:
        return None
    return size, before, after


def _taps(first: Map, second: Map, size: Pair) -> Float64:
    """Taps of two maps in one: those of the first at each place where a tap of the second is."""
    a, b = first.taps, second.taps
    if first.by_channel and not second.by_channel:
        a = a[..., None]
    both = first.by_channel and second.by_channel
    shape = (*size, first.x_shape[2]) if both else (*size, first.x_shape[2], b.shape[-1])
    taps = np.zeros(shape)
    for p, q in product(*map(range, second.size)):
        rows = slice(first.stride[0] * p, first.stride[0] * p + a.shape[0])
        columns = slice(first.stride[1] * q, first.stride[1] * q + a.shape[1])
        mixes = not first.by_channel and not second.by_channel
        taps[rows, columns] += a @ b[p, q] if mixes else a * b[p, q]
    return taps


def _constant(first: Map, second: Map) -> Float64 | None:
    """What the second makes of the constant of the first, and its own."""
    if first.constant is None:
        return second.constant
    constant = _constant_through(first.constant, second)
    return constant if second.constant is None else by_channel(constant + second.constant)


def _constant_through(constant: Float64, second: Map) -> Float64:
    """The second map of an image that is this constant, without its own one."""
    if constant.ndim == 1 and (second.margins == NO_MARGINS or not constant.any()):
        taps = second.taps.sum(axis=(0, 1))
        passed = constant * taps if second.by_channel else constant @ taps
    else:
        passed = _applied(np.broadcast_to(constant, second.x_shape), second)
    return passed if second.gain is None else by_channel(second.gain * passed)


def _applied(x: Array, second: Map) -> Float64:
    """Windows of x (H, W, R) times taps -> (I, J, K)."""
    shape = second.output_shape
    allow(prod(shape), second.numbers)
    allow(prod(n + sum(m) for n, m in zip(x.shape[:2], second.margins, strict=True)), 0)
    padded = np.pad(x, [*second.margins, (0, 0)])
    z = np.zeros(shape)
    for p, q in product(*map(range, second.size)):
        rows = slice(p, p + second.stride[0] * (shape[0] - 1) + 1, second.stride[0])
        columns = slice(q, q + second.stride[1] * (shape[1] - 1) + 1, second.stride[1])
        pixels = padded[rows, columns]
        z += pixels * second.taps[p, q] if second.by_channel else pixels @ second.taps[p, q]
    return by_channel(z)


def by_channel(z: Float64) -> Float64:
    """(I, J, K) as (K,) where it is the same everywhere."""
    flat = z.reshape(-1, z.shape[-1])
    return flat[0] if z.ndim == 3 and bool((flat == flat[0]).all()) else z


def full(of: Map) -> Float64:
    """Taps (P, Q, R, K), zeros where each channel stays by itself.  Raises `TooLargeError`."""
    if not of.by_channel:
        return of.taps
    channels = of.x_shape[2]
    allow(prod(of.size) * channels**2, of.numbers)
    taps = np.zeros((*of.size, channels, channels))
    every = np.arange(channels)
    taps[:, :, every, every] = of.taps
    return taps


def matrix(of: Map) -> Float64:
    """Weights (H W R, M) of a map with one window, H W R lined up in that order.

    Raises `TooLargeError`.
    """
    height, width, channels = of.x_shape
    allow(height * width * channels * of.taps.shape[-1], of.numbers)
    taps = full(of)
    (above, _), (left, _) = of.margins
    w = np.zeros((height, width, *taps.shape[2:]))
    seen = taps[above : above + height, left : left + width]  # taps in the margins meet zeros
    w[: seen.shape[0], : seen.shape[1]] = seen
    return w.reshape(-1, w.shape[-1])
