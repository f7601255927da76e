"""One affine step of a chain as a `Map`."""

from dataclasses import replace
from math import prod
from typing import assert_never

import numpy as np

from convlet.equations import Array, Float64
from convlet.interchange import chain
from convlet.interchange.chain import AffineStep, Order, refused, windows
from convlet.interchange.maps import Map, allow, by_channel
from convlet.shapes import Margins, Pair
from convlet.wording import size

Image = tuple[int, int, int]


def map_of(step: AffineStep, shape: Image, order: Order | None) -> Map:
    """What the step does with x (rows, columns, channels).

    order: of flat x, in which the library lines up that shape; None where x is an image.
    Raises `ArchitectureError` for what does not fit, `TooLargeError`.
    """
    match step:
        case chain.Conv():
            return _conv(step, shape)
        case chain.Dense():
            return _dense(step, shape, order)
        case chain.Affine():
            return _affine(step, shape, order)
        case chain.Pad():
            return _pad(step, shape)
        case chain.AveragePool():
            return _average(step, shape)
        case chain.GlobalAveragePool():
            allow(prod(shape), 0)
            return Map(shape, np.full(shape, 1 / prod(shape[:2])))
        case _:
            assert_never(step)


def _conv(step: chain.Conv, shape: Image) -> Map:
    """The taps of a convolution, (K, R / groups, P, Q) as (P, Q, R, K)."""
    groups, w = step.groups, np.asarray(step.w)
    outputs, inputs, *taps = w.shape
    if groups < 1 or outputs % groups or inputs * groups != shape[2]:
        found = (
            f"has weights {size(w.shape)} in {groups} groups for images {size(shape)}, where"
            f" (outputs, {shape[2]} / groups, rows, columns) would fit"
        )
        raise refused(step.source, found, "get the file again")
    extents = [(n - 1) * d + 1 for n, d in zip(taps, step.dilation, strict=True)]
    _refuse_large(step.source, "kernel", (extents[0], extents[1]), shape, step.margins)
    each = inputs == outputs // groups == 1  # each channel by itself
    allow(prod(extents) * shape[2] * (1 if each else outputs), w.size)
    blocks = w.reshape(groups, outputs // groups, inputs, *taps).astype(np.float64)
    if each:
        spread = np.zeros((*extents, shape[2]))
        spread[:: step.dilation[0], :: step.dilation[1]] = blocks[:, 0, 0].transpose(1, 2, 0)
    else:
        spread = np.zeros((*extents, groups, inputs, groups, outputs // groups))
        group = np.arange(groups)
        thin = spread[:: step.dilation[0], :: step.dilation[1]]  # the zeros of a dilation stay
        thin[:, :, group, :, group, :] = blocks.transpose(0, 3, 4, 2, 1)  # groups come first
        spread = spread.reshape(*extents, shape[2], outputs)
    numbers = w.size + (0 if step.bias is None else step.bias.size)
    bias = _bias(step, outputs)
    return Map(shape, spread, step.stride, step.margins, constant=bias, numbers=numbers)


def _dense(step: chain.Dense, shape: Image, order: Order | None) -> Map:
    """A window as large as the image."""
    w = np.asarray(step.w)
    if order is None and shape[:2] != (1, 1):
        found = f"is a dense map of images {size(shape)}, which leaves each pixel where it is"
        raise refused(step.source, found, "flatten the image before it")
    if w.ndim != 2 or len(w) != prod(shape):
        found = f"has weights {size(w.shape)}, where {prod(shape)} rows would fit"
        raise refused(step.source, found, "get the file again")
    numbers = w.size + (0 if step.bias is None else step.bias.size)
    taps = in_order(w.astype(np.float64), shape, order)
    return Map(shape, taps, constant=_bias(step, w.shape[1]), numbers=numbers)


def in_order(rows: Array, shape: Image, order: Order | None) -> Array:
    """Rows (H W C, ...), one for each unit of flat x, as (H, W, C, ...)."""
    height, width, channels = shape
    if order == "chw":
        return np.moveaxis(rows.reshape(channels, height, width, *rows.shape[1:]), 0, 2)
    return rows.reshape(*shape, *rows.shape[1:])


def _bias(step: chain.Conv | chain.Dense, outputs: int) -> Float64 | None:
    if step.bias is None:
        return None
    bias = np.asarray(step.bias, np.float64)
    if bias.shape != (outputs,):
        raise refused(
            step.source,
            f"has a bias {bias.shape}, where ({outputs},) would fit",
            "get the file again",
        )
    return bias


def _affine(step: chain.Affine, shape: Image, order: Order | None) -> Map:
    """Factors are taps where they are the same everywhere, else a gain."""
    scale, shift = (
        _spread(values, step.source, shape, order) for values in (step.scale, step.shift)
    )
    taps = np.ones((1, 1, shape[2]))
    numbers = sum(np.size(values) for values in (step.scale, step.shift) if values is not None)
    if scale is None:
        return Map(shape, taps, constant=shift, numbers=numbers)
    if scale.ndim == 1:
        return Map(shape, scale[None, None], constant=shift, numbers=numbers)
    return Map(shape, taps, gain=scale, constant=shift, numbers=numbers)


def _spread(
    values: Array | float | None, source: str, shape: Image, order: Order | None
) -> Float64 | None:
    """Numbers of an `Affine` as (K,), or (H, W, K) in the order of convlet."""
    if values is None:
        return None
    values = np.asarray(values, np.float64)
    if values.ndim == 0 or values.size == 1:
        return np.full(shape[2], values.reshape(()))
    x_shape = shape if order is None else (prod(shape),)
    try:
        whole = np.broadcast_to(values, x_shape)
    except ValueError:
        found = f"has numbers {values.shape} for each x {x_shape}"
        raise refused(source, found, "one number for each, or for each channel") from None
    if order is None and values.shape[:-1] in ((), (1,), (1, 1)):
        return np.array(whole[0, 0])
    allow(whole.size, values.size)
    if order is not None:
        whole = in_order(whole, shape, order)
    return by_channel(np.ascontiguousarray(whole))


def _pad(step: chain.Pad, shape: Image) -> Map:
    """A frame of zeros; one of another number around what lies above that number."""
    if min(min(step.margins)) < 0:
        hint = "a frame of 0 or more pixels on each side"
        raise refused(step.source, f"cuts the image, margins {step.margins}", hint)
    return Map(shape, np.ones((1, 1, shape[2])), margins=step.margins)


def _average(step: chain.AveragePool, shape: Image) -> Map:
    """Each channel by itself; where margins do not count, windows at the edge weigh more."""
    _refuse_large(step.source, "window", step.size, shape, step.margins)
    allow(prod(step.size) * shape[2], 0)
    taps = np.full((*step.size, shape[2]), 1 / prod(step.size))
    found = Map(shape, taps, step.stride, step.margins)
    sides = zip(step.size, step.margins, strict=True)
    if any(max(margin) >= n for n, margin in sides):
        wide = f"has margins {step.margins} as large as its window {size(step.size)}"
        raise refused(step.source, wide, "smaller margins")
    if step.counts_margins or step.margins == chain.NO_MARGINS:
        return found
    allow(prod(found.output_shape), 0)
    rows, columns = (
        _share_inside(*axis)
        for axis in zip(
            *(shape[:2], step.size, step.stride, step.margins, found.output_shape[:2]), strict=True
        )
    )
    edge = 1 / (rows[:, None, None] * columns[:, None] * np.ones(shape[2]))
    return replace(found, gain=edge if (edge != 1).any() else None)


def _share_inside(side: int, taps: int, stride: int, margin: Pair, outputs: int) -> Float64:
    """The share of each window that lies on the image, along one axis."""
    first = np.arange(outputs) * stride - margin[0]
    inside = np.minimum(first + taps, side) - np.maximum(first, 0)
    return inside / taps


def _refuse_large(source: str, what: str, taps: Pair, shape: Image, margins: Margins) -> None:
    """Raise `ArchitectureError` for a window that does not fit into the image."""
    for axis in range(2):
        if windows(shape[axis], taps[axis], 1, margins[axis]) < 1:
            found = (
                f"has a {what} of {size(taps)} pixels, larger than its input,"
                f" {size(shape[:2])} with margins {margins}"
            )
            raise refused(source, found, "a larger input")
