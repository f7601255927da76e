"""A network as steps of a chain, of which every export is made: the reverse of `folding`.

Here and nowhere else weights leave convlet.  The kernel of (1) is turned by half a turn, as others
multiply window and taps as they stand; the rows of the dense layer after a flatten are put in the
order in which the library lines up.
"""

from collections.abc import Iterator, Mapping
from typing import assert_never

import numpy as np

from convlet import layers as kinds
from convlet.equations import Array
from convlet.formats.model import Saveable, refuse_not_finite
from convlet.interchange import chain
from convlet.interchange.chain import Order, is_flat
from convlet.shapes import Shape
from convlet.stages import Stage, group

OwnMap = chain.Conv | chain.Dense | chain.Affine
OwnStep = OwnMap | chain.MaxPool | chain.ReLU | chain.Dropout | chain.Flatten | chain.Softmax
"""The steps of which networks of convlet consist; an `Affine` only shifts."""


def steps_of(network: Saveable, order: Order) -> Iterator[OwnStep]:
    """The steps of a network as a library has it that lines up images in this order.

    A bias by position is a step of its own, after the convolution.  A flatten after which no dense
    layer comes keeps convlet's order, as its units are the classes.  Raises `InputError` for
    parameters that are not finite.
    """
    refuse_not_finite(network.parameters)
    return steps_with(network, network.parameters, order)


def steps_with(
    network: Saveable, parameters: Mapping[str, Array], order: Order
) -> Iterator[OwnStep]:
    """As `steps_of`, with other numbers in the place of the parameters, which are only moved."""
    stages = iter(group(network.layers, network.input_shape))
    dense = [n for n, layer in enumerate(network.layers) if isinstance(layer, kinds.Dense)]
    shape: Shape = network.input_shape
    read: Shape | None = None  # (rows, columns, channels), where the next dense layer has them so
    for n, layer in enumerate(network.layers):
        source = f"layers[{n}] ({layer})"
        match layer:
            case kinds.Conv2D():
                yield from _conv(source, layer, next(stages), parameters)
            case kinds.Dense():
                stage = next(stages)
                w = parameters[stage.w_name]
                yield chain.Dense(source, _channels_first(w, read), _bias(parameters, stage))
                read = None
            case kinds.MaxPool2D(size=size, stride=stride):
                yield chain.MaxPool(source, size, stride)
            case kinds.ReLU():
                yield chain.ReLU(source)
            case kinds.Dropout(rate=rate):
                yield chain.Dropout(source, rate)
            case kinds.Flatten() if is_flat(shape):
                yield chain.Flatten(source, order)
            case kinds.Flatten():
                moves = order == "chw" and any(later > n for later in dense)
                read = shape if moves else None
                yield chain.Flatten(source, order if moves or _is_line(shape) else "hwc")
            case kinds.Softmax():
                yield chain.Softmax(source)
            case _:
                assert_never(layer)
        shape = layer.output_shape(shape)


def _conv(
    source: str, layer: kinds.Conv2D, stage: Stage, parameters: Mapping[str, Array]
) -> Iterator[chain.Conv | chain.Affine]:
    taps = parameters[stage.w_name][::-1, ::-1].transpose(3, 2, 0, 1)
    by_position = layer.bias == "position"
    bias = _bias(parameters, stage)
    yield chain.Conv(
        source,
        np.ascontiguousarray(taps),
        None if by_position else bias,
        layer.stride,
        layer.margins(stage.x_shape),
    )
    if by_position:
        yield chain.Affine(source, shift=bias)


def _bias(parameters: Mapping[str, Array], stage: Stage) -> Array | None:
    return None if stage.b_shape is None else parameters[stage.b_name]


def _channels_first(w: Array, shape: Shape | None) -> Array:
    """Rows of w (N, M) for x lined up as (channels, rows, columns); shape: of x before, or None."""
    if shape is None:
        return w
    return np.ascontiguousarray(w.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(w.shape))


def _is_line(shape: Shape) -> bool:
    """Whether both orders of an image are the same."""
    return shape[2] == 1 or shape[:2] == (1, 1)
