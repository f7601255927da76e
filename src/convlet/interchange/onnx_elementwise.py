"""Operators of ONNX that work on each number, or on each channel, by itself."""

import numpy as np

from convlet.equations import Array
from convlet.interchange import chain
from convlet.interchange.chain import batch_norm, refused
from convlet.interchange.onnx_attributes import Inputs, real, whole
from convlet.interchange.onnx_axes import Axes, along, check_image
from convlet.interchange.onnx_file import Node
from convlet.interchange.onnx_translation import Translation, given, optional

HALF = 10  # float16
FLOATS = (1, HALF, 11, 16)
"""Codes of types that hold the numbers of an image; whole numbers would cut them."""


def nothing(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    return x


def cast(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    code = whole(node, "to", 0)
    if code not in FLOATS:
        raise refused(node.source, "cuts numbers to whole ones", "floats from input to output")
    t.is_whole = False
    if code == HALF:
        t.said.append(f"{node.source} goes on in float16, convlet in float32")
    return x


def norm(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    x = t.settle(x)
    if not x.is_flat and x.marks not in ("nc", "n1"):
        check_image(x, node.source)
        t.is_sure = True
    if whole(node, "training_mode", 0) or len([name for name in node.outputs if name]) > 1:
        hint = "a model exported for prediction"
        raise refused(node.source, "is in training mode, training_mode=1", hint)
    gamma, beta, mean, var = parts = [given(node, inputs, k).ravel() for k in range(1, 5)]
    units = x.sizes[1]
    if any(part.size != units for part in parts):
        raise refused(node.source, f"has no {units} numbers for {x.words}", "one for each channel")
    epsilon = real(node, "epsilon", 1e-5)
    with np.errstate(all="ignore"):
        t.steps.append(batch_norm(node.source, gamma, beta, mean, var, epsilon))
    return x


def binary(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    """x with a constant, by elements; of a sum or a maximum there may be more, or none."""
    is_first = inputs[0] is None
    if node.kind in ("Sum", "Max", "Min") or len(inputs) != 2:
        return _variadic(t, node, x, inputs)
    values = along(x, given(node, inputs, 1 if is_first else 0), node.source)
    values = values.astype(np.float64)
    match node.kind:
        case "Mul":
            _affine(t, node, x, values, None)
        case "Add":
            _affine(t, node, x, None, values)
        case "Div" if is_first:
            with np.errstate(all="ignore"):
                _affine(t, node, x, 1 / values, None)
        case "Sub" if is_first:
            _affine(t, node, x, None, -values)
        case "Sub":
            _affine(t, node, x, np.array(-1.0), values)
        case _:
            raise refused(node.source, "divides by the image", "a division of the image")
    return x


def _variadic(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    """The sum or the maximum of x and constants."""
    constants = [along(x, values, node.source) for values in inputs if values is not None]
    if len(constants) != len(inputs) - 1:
        raise refused(node.source, f"has {len(inputs)} inputs, some left out", "two")
    match node.kind:
        case "Sum":
            for values in constants:
                _affine(t, node, x, None, values.astype(np.float64))
            return x
        case "Max" if constants and not any(values.any() or values.ndim for values in constants):
            return relu(t, node, x, inputs)
        case "Max" | "Min":
            raise refused(node.source, "bounds numbers", "a ReLU, the maximum with 0")
    raise refused(node.source, f"has {len(inputs)} inputs", "two")


def _affine(t: Translation, node: Node, x: Axes, scale: Array | None, shift: Array | None) -> None:
    found = chain.Affine(node.source, scale, shift)
    (t.waiting if x.letters == "nr" else t.steps).append(found)


def negative(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    _affine(t, node, x, np.array(-1.0), None)
    return x


def scaler(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    """(x - offset) * scale, of ai.onnx.ml."""
    parts = []
    for name in ("offset", "scale"):
        values = node.attributes.get(name)
        if not isinstance(values, tuple) or not values:
            raise refused(node.source, f"has no {name}", "numbers")
        parts.append(along(x, np.array(values, np.float64), node.source))
    _affine(t, node, x, None, -parts[0])
    _affine(t, node, x, parts[1], None)
    return x


def relu(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    x = t.settle(x)
    t.step(chain.ReLU, node)
    return x


def clip(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    if t.version < 11:
        least, most = real(node, "min", -np.inf), real(node, "max", np.inf)
    else:
        ends = (optional(inputs, 1), optional(inputs, 2))
        least, most = (
            other if end is None or end.size != 1 else float(end.ravel()[0])
            for end, other in zip(ends, (-np.inf, np.inf), strict=True)
        )
    if least != 0 or most < np.finfo(np.float32).max:
        raise refused(node.source, f"clips to {least:g} to {most:g}", "a ReLU: 0 to infinity")
    return relu(t, node, x, inputs)


def dropout(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    training, ratio = optional(inputs, 2), optional(inputs, 1)
    if training is not None and training.any():
        raise refused(node.source, "is in training mode", "a model exported for prediction")
    rate = real(node, "ratio", 0.5) if ratio is None else float(ratio.ravel()[0])
    x = t.settle(x)
    if not 0 <= rate < 1:
        raise refused(node.source, f"drops with probability {rate:g}", "one from 0 to below 1")
    shortest = float(str(np.float32(rate)))  # 0.2 is no number of float32
    t.step(chain.Dropout, node, min(shortest, 0.99))
    return x


def softmax(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    x = t.settle(x)
    axis = whole(node, "axis", 1 if t.version < 13 else -1)
    axis += x.rank if axis < 0 else 0
    joins = t.version < 13 and axis == 1  # all axes behind it
    if not 0 < axis < x.rank or not (joins or x.marks[axis] in "fc1"):
        raise refused(node.source, f"goes along axis {axis} of {x.words}", "the axis of classes")
    t.step(chain.Softmax, node, node.kind == "LogSoftmax")
    return x


def sigmoid(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    x = t.settle(x)
    t.step(chain.Sigmoid, node)
    return x
