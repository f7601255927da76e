"""Operators of ONNX whose inputs are all constants: shapes and weights that a graph works out.

Exporters leave such nodes behind: a shape that is taken apart and put together again, weights that
are turned, a batch normalisation in its parts.  Floats are computed in float64.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.errors import ArchitectureError
from convlet.interchange.chain import refused
from convlet.interchange.onnx_attributes import Inputs, axes_of, ints, whole, wholes
from convlet.interchange.onnx_file import Node
from convlet.interchange.onnx_tensors import DTYPES, Tensor

BATCH = -2_130_000_000
"""The number of images, in a shape: fits int32, to which exporters cast, and is no size."""
FREE = 1 << 22  # numbers that constants may become in any file, beyond those that it holds
MOST_USES = 4  # of all numbers, on average
LOOP = 64  # what one step of a loop counts, in numbers


class Constants:
    """Works constants out, with bounded memory: for each number from the file two, and `FREE`.

    version: of the operators.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.left = self.uses = FREE

    def read(self, numbers: int) -> None:
        """So many numbers came from the file."""
        self.left += 2 * numbers
        self.uses += MOST_USES * numbers

    def use(self, source: str, numbers: int) -> None:
        """A node uses constants.  Raises `ArchitectureError` where few are used over and over."""
        self.uses -= numbers
        if self.uses < 0:
            raise refused(source, "uses weights of others once more", "weights of its own")

    def value(self, node: Node, inputs: Inputs) -> Array:
        """The output of a node, read-only.  Raises `ArchitectureError`, `ModelFileError`."""
        known = _KNOWN.get(node.kind) if node.domain == "" else None
        if known is None or len(node.outputs) != 1:
            raise refused(node.source, "works on constants", "the constant in its place")
        places = inputs[1:] if node.kind in ("Slice", "Gather") else ()
        if any(map(has_batch, places if node.kind in _COPIES else inputs)):
            raise refused(node.source, "computes with the number of images", "other numbers")
        try:
            with np.errstate(all="ignore"):
                found = np.asarray(known(self, node, inputs))
        except ArchitectureError:
            raise
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            misfit = f"does not fit its constants ({error!s:.80})"
            raise refused(node.source, misfit, "export it again") from None
        return found

    def take(self, source: str, numbers: int) -> None:
        """Ask for so many numbers before they are made.  Raises `ArchitectureError`."""
        self.left -= numbers
        if self.left < 0:
            raise refused(source, "makes constants too large", "the constants in its place")


def has_batch(values: Array | None) -> bool:
    """Whether the number of images, which is not known, is among these."""
    return values is not None and values.dtype.kind in "iuf" and bool((values == BATCH).any())


def _constant(of: Constants, node: Node, inputs: Inputs) -> Any:
    for name, value in node.attributes.items():
        if name == "value" and isinstance(value, Tensor):
            return value.array()
        if name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
        if name in ("value_string", "value_strings"):
            return np.array(value, object)
    raise refused(node.source, "is no plain constant", "one that is")


def _filled(of: Constants, node: Node, inputs: Inputs) -> Any:
    shape = wholes(node, _first(inputs))
    if min(shape, default=0) < 0:
        raise ValueError("a size below 0")
    of.take(node.source, prod(shape))
    value = node.attributes.get("value")
    filling = value.array().ravel()[0] if isinstance(value, Tensor) else np.float32(0)
    return np.full(shape, filling)


def _cast(of: Constants, node: Node, inputs: Inputs) -> Any:
    code = whole(node, "to", 0)
    x = _first(inputs)
    if code not in DTYPES or x.dtype == object:
        raise refused(node.source, f"casts to type {code}", "a type of numbers")
    if code not in (1, 6, 7, 11) and has_batch(x):
        raise refused(node.source, "cuts the number of images", "a type that holds it")
    of.take(node.source, x.size)
    return x.astype(bool if code == 9 else np.float64 if code == 16 else DTYPES[code])


def _reshaped(of: Constants, node: Node, inputs: Inputs) -> Any:
    x, target = _first(inputs), wholes(node, _second(inputs))
    if not whole(node, "allowzero", 0):
        target = [x.shape[k] if n == 0 else n for k, n in enumerate(target)]
    if not x.flags.c_contiguous:  # it will be copied
        of.take(node.source, x.size)
    return x.reshape(target)


def _transposed(of: Constants, node: Node, inputs: Inputs) -> Any:
    x = _first(inputs)
    return x.transpose(ints(node, "perm", tuple(range(x.ndim))[::-1]))


def _unsqueezed(of: Constants, node: Node, inputs: Inputs) -> Any:
    return np.expand_dims(_first(inputs), tuple(axes_of(node, inputs) or ()))


def _squeezed(of: Constants, node: Node, inputs: Inputs) -> Any:
    axes = axes_of(node, inputs)
    return np.squeeze(_first(inputs), None if axes is None else tuple(axes))


def _joined(of: Constants, node: Node, inputs: Inputs) -> Any:
    arrays = [x for x in inputs if x is not None]
    of.take(node.source, sum(x.size for x in arrays))
    return np.concatenate(arrays, whole(node, "axis", 0))


def _gathered(of: Constants, node: Node, inputs: Inputs) -> Any:
    x, places, axis = _first(inputs), _second(inputs), whole(node, "axis", 0)
    of.take(node.source, places.size * (x.size // max(1, x.shape[axis])))
    return np.take(x, places.astype(np.int64), axis)


def _sliced(of: Constants, node: Node, inputs: Inputs) -> Any:
    x = _first(inputs)
    if of.version < 10:
        parts = [node.attributes.get(name) for name in ("starts", "ends", "axes", "steps")]
    else:
        given = [*inputs[1:], None, None, None, None][:4]
        parts = [None if part is None else tuple(wholes(node, part)) for part in given]
    starts, ends, axes, steps = (part if isinstance(part, tuple) else None for part in parts)
    if starts is None or ends is None:
        raise ValueError("no starts and ends")
    axes = axes or tuple(range(len(starts)))
    places = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps or (1,) * len(starts), strict=True):
        before_first = step < 0 and end < -x.shape[axis]
        places[axis] = slice(start, None if before_first else end, step)
    return x[tuple(places)]


def _shape_of(of: Constants, node: Node, inputs: Inputs) -> Any:
    return sliced_shape(node, _first(inputs).shape)


def sliced_shape(node: Node, shape: Sequence[int]) -> Array:
    """The output of a Shape."""
    part = slice(whole(node, "start", 0), node.attributes.get("end"))
    return np.array(shape, np.int64)[part]


def _arithmetic(ufunc: Callable[..., Any]) -> Callable[[Constants, Node, Inputs], Any]:
    """An operator by elements; floats become float64."""

    def computed(of: Constants, node: Node, inputs: Inputs) -> Any:
        arrays = [x for x in inputs if x is not None]
        if any(x.dtype.kind not in "biuf" for x in arrays):
            raise ValueError("texts")
        of.take(node.source, prod(np.broadcast_shapes(*(x.shape for x in arrays))))
        return ufunc(*(x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays))

    return computed


def _greatest(of: Constants, node: Node, inputs: Inputs) -> Any:
    """Max of any number of arrays."""
    found = _first(inputs)
    for other in inputs[1:]:
        found = _arithmetic(np.maximum)(of, node, [found, other])
    return found


def _length(of: Constants, node: Node, inputs: Inputs) -> Any:
    """ReduceL2, of which weight_norm makes weights."""
    x, axes = _first(inputs), axes_of(node, inputs)
    of.take(node.source, x.size)
    over, keeps = None if axes is None else tuple(axes), bool(whole(node, "keepdims", 1))
    return np.sqrt(np.sum(x.astype(np.float64) ** 2, over, keepdims=keeps))


def _divided(x: Array, y: Array) -> Any:
    return x // y if x.dtype.kind in "iu" and y.dtype.kind in "iu" else x / y


def _windows_summed(of: Constants, node: Node, inputs: Inputs) -> Any:
    """Conv of one channel: how many pixels are under each window, as jax2onnx counts them."""
    x, w = _first(inputs), _second(inputs)
    if len(inputs) > 2 or x.shape[:2] != (1, 1) or w.shape[:2] != (1, 1) or x.ndim != w.ndim:
        raise refused(node.source, "is a convolution of constants", "its output in its place")
    axes = x.ndim - 2
    strides, pads = ints(node, "strides", (1,) * axes), ints(node, "pads", (0,) * 2 * axes)
    if min((*strides, 1)) < 1 or min((*pads, 0)) < 0 or set(ints(node, "dilations", (1,))) != {1}:
        raise refused(node.source, "is a convolution of constants", "its output in its place")
    margins = list(zip(pads[:axes], pads[axes:], strict=True))
    sides = [n + sum(m) for n, m in zip(x.shape[2:], margins, strict=True)]
    steps = zip(sides, w.shape[2:], strides, strict=True)
    outputs = [(n - taps) // step + 1 for n, taps, step in steps]
    if min(outputs) < 1:
        raise ValueError("a window larger than the image")
    of.take(node.source, prod(sides) + (prod(outputs) + LOOP) * prod(w.shape))
    padded = np.pad(x[0, 0].astype(np.float64), margins)
    z = np.zeros(outputs)
    for place in product(*map(range, w.shape[2:])):
        spans = zip(place, strides, outputs, strict=True)
        z += (
            w[(0, 0, *place)] * padded[tuple(slice(p, p + s * (n - 1) + 1, s) for p, s, n in spans)]
        )
    return z[None, None]


def _first(inputs: Inputs) -> Array:
    x = inputs[0]
    if x is None:
        raise ValueError("an input is left out")
    return x


def _second(inputs: Inputs) -> Array:
    return _first(inputs[1:])


_COPIES = {
    *("Identity", "Cast", "Reshape", "Transpose", "Unsqueeze", "Squeeze"),
    *("Concat", "Gather", "Slice", "Shape", "Constant"),
}
"""Operators that compute nothing, so that the number of images may be among their numbers."""

_KNOWN: Mapping[str, Callable[[Constants, Node, Inputs], Any]] = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Identity": lambda of, node, inputs: _first(inputs),
    "Cast": _cast,
    "Reshape": _reshaped,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
    "Squeeze": _squeezed,
    "Concat": _joined,
    "Gather": _gathered,
    "Slice": _sliced,
    "Shape": _shape_of,
    "Conv": _windows_summed,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_divided),
    "Neg": _arithmetic(np.negative),
    "Sqrt": _arithmetic(np.sqrt),
    "Reciprocal": _arithmetic(lambda x: 1 / x),
    "Max": _greatest,
    "ReduceL2": _length,
    "Pow": _arithmetic(np.power),
}
