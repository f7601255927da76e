"""What each operator of torch.export's graphs is in a chain.

Names and arguments are those of https://docs.pytorch.org/docs/stable/torch.compiler_ir.html.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import numpy as np

from convlet.equations import Array
from convlet.errors import ArchitectureError
from convlet.interchange import chain
from convlet.interchange.chain import Order, Step, refused, windows
from convlet.shapes import Margins, Pair, Shape

DATA: Final = object()
"""Among arguments: what became of the images."""
WHAT = "convolutions, linear maps, ReLU, pools, flatten, dropout, batch norm, padding, softmax"


@dataclass(frozen=True)
class Call:
    """A call of an operator.

    arguments: by name, tensors as arrays.  x, y: shapes of what goes in and comes out, without the
    axis of the minibatch.  order: of images.  said: what is not as it was.
    """

    source: str
    arguments: Mapping[str, Any]
    x: Shape
    y: Shape
    order: Order
    said: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def pair(self, name: str) -> Pair:
        """A size, stride, padding or dilation along rows and columns."""
        values = self[name]
        one = [values] if isinstance(values, int) else list(values)
        return (one[0], one[-1])

    def refused(self, found: str, hint: str) -> ArchitectureError:
        return refused(self.source, found, hint)

    def need_channels_first(self) -> None:
        if len(self.x) != 3 or self.order != "chw":
            hint = "images with their channels first"
            raise self.refused(f"meets {len(self.x)} axes with order {self.order}", hint)


def _conv(call: Call) -> list[Step]:
    call.need_channels_first()
    w, dilation = call["weight"], call.pair("dilation")
    if isinstance(call["padding"], str):
        spare = [d * (n - 1) for n, d in zip(w.shape[2:], dilation, strict=True)]
        spare = spare if call["padding"] == "same" else [0, 0]
        rows, columns = ((n // 2, n - n // 2) for n in spare)
    else:
        rows, columns = ((n, n) for n in call.pair("padding"))
    margins: Margins = rows, columns
    stride = call.pair("stride")
    return [chain.Conv(call.source, w, call["bias"], stride, margins, dilation, call["groups"])]


def _linear(call: Call) -> list[Step]:
    if len(call.x) != 1:
        found = f"is a linear map of the last of {len(call.x)} axes"
        raise call.refused(found, "flatten the image before it")
    return [chain.Dense(call.source, call["weight"].T, call["bias"])]


def _matmul(call: Call) -> list[Step]:
    w = call["other"]
    if len(call.x) != 1 or np.ndim(w) != 2:
        found = f"multiplies {call.x} by {np.shape(w)}"
        raise call.refused(found, "flat numbers by a matrix")
    return [chain.Dense(call.source, w)]


def _max_pool(call: Call) -> list[Step]:
    call.need_channels_first()
    if call.pair("dilation") != (1, 1):
        raise call.refused(f"has dilation {call.pair('dilation')}", "a pool without")
    return [chain.MaxPool(call.source, *_window(call))]


def _average_pool(call: Call) -> list[Step]:
    call.need_channels_first()
    size, stride, margins = _window(call)
    divisor = call["divisor_override"]
    if divisor not in (None, prod(size)):
        raise call.refused(f"divides by {divisor}", "a mean, without divisor_override")
    return [chain.AveragePool(call.source, size, stride, margins, call["count_include_pad"])]


def _window(call: Call) -> tuple[Pair, Pair, Margins]:
    """Size, stride and margins of a pool.  Windows that are cut at the end are refused."""
    size, (p, q) = call.pair("kernel_size"), call.pair("padding")
    stride = call.pair("stride") if call["stride"] else size
    whole = [
        windows(*axis) for axis in zip(call.x[1:], size, stride, ((p, p), (q, q)), strict=True)
    ]
    if list(call.y[1:]) != whole:
        raise call.refused("has windows that end outside of the image", "ceil_mode=False")
    return size, stride, ((p, p), (q, q))


def _adaptive_average(call: Call) -> list[Step]:
    size = _equal_windows(call)
    return [chain.AveragePool(call.source, size, size)]


def _adaptive_max(call: Call) -> list[Step]:
    size = _equal_windows(call)
    return [chain.MaxPool(call.source, size, size)]


def _equal_windows(call: Call) -> Pair:
    """The windows of an adaptive pool.  Those of different sizes are refused."""
    call.need_channels_first()
    (rows, columns), (i, j) = call.x[1:], call.y[1:]
    if rows % i or columns % j:
        found = f"has windows of different sizes, {rows}x{columns} to {i}x{j} pixels"
        raise call.refused(found, "sizes that divide those of the image")
    return rows // i, columns // j


def _mean(call: Call) -> list[Step]:
    return _over_pixels(call, chain.GlobalAveragePool(call.source))


def _sum(call: Call) -> list[Step]:
    mean, *flat = _mean(call)
    pixels = float(prod(call.x[1:]))
    return [mean, chain.Affine(call.source, scale=pixels), *flat]


def _amax(call: Call) -> list[Step]:
    call.need_channels_first()
    return _over_pixels(call, chain.MaxPool(call.source, (call.x[-2], call.x[-1]), (1, 1)))


def _over_pixels(call: Call, pool: Step) -> list[Step]:
    call.need_channels_first()
    if {n % 4 for n in call["dim"] or ()} != {2, 3}:
        raise call.refused(f"goes along the axes {call['dim']}", "along rows and columns")
    return [pool] if call["keepdim"] else [pool, chain.Flatten(call.source, "chw")]


def _batch_norm(call: Call) -> list[Step]:
    if len(call.x) == 3:
        call.need_channels_first()
    if call["training"] or call["running_mean"] is None:
        hint = "running statistics, track_running_stats=True"
        raise call.refused("normalises by the statistics of each minibatch", hint)
    gamma = 1.0 if call["weight"] is None else call["weight"]
    beta = 0.0 if call["bias"] is None else call["bias"]
    moments = call["running_mean"], call["running_var"]
    return [chain.batch_norm(call.source, gamma, beta, *moments, call["eps"])]


def _pad(call: Call) -> list[Step]:
    call.need_channels_first()
    if call["mode"] != "constant":
        raise call.refused(f"pads by {call['mode']}", "by zeros")
    left, right, above, below, *rest = [*call["pad"], 0, 0, 0][: max(4, len(call["pad"]))]
    if any(rest):
        raise call.refused("pads channels", "rows and columns only")
    return [chain.Pad(call.source, ((above, below), (left, right)), float(call["value"] or 0))]


def _reshaped(call: Call) -> list[Step]:
    if call.x == call.y:
        return []
    units = prod(call.x)
    is_line = units in (*call.x, 1) and units in (*call.y, 1)  # other axes are of size 1
    if call.y != (units,) and not is_line:
        raise call.refused(f"makes {call.y} of {call.x}", "flat numbers of an image")
    return [chain.Flatten(call.source, call.order)]


def _relu(call: Call) -> list[Step]:
    return [chain.ReLU(call.source)]


def _clamp(call: Call) -> list[Step]:
    if call["min"] is None or np.any(call["min"]) or call.arguments.get("max") is not None:
        raise call.refused("clamps to other numbers", "ReLU: from 0, without an upper limit")
    return _relu_of_all(call)


def _threshold(call: Call) -> list[Step]:
    if call["threshold"] != 0 or call["value"] != 0:
        raise call.refused("has another threshold or value than 0", "ReLU")
    return _relu(call)


def _maximum(call: Call) -> list[Step]:
    if np.any(_other(call)):
        raise call.refused("is a maximum with other numbers than 0", "ReLU")
    return _relu_of_all(call)


def _relu_of_all(call: Call) -> list[Step]:
    """Where the zeros may be an array."""
    _refuse_growth(call)
    return _relu(call)


def _dropout(call: Call) -> list[Step]:
    if call["train"]:
        hint = "F.dropout(x, p, self.training), or a module"
        raise call.refused("drops units when it predicts, too", hint)
    return [chain.Dropout(call.source, call["p"])]


def _channel_dropout(call: Call) -> list[Step]:
    call.said.append(
        f"{call.source} drops whole channels in training, the dropout of convlet single units"
    )
    return _dropout(call)


def _softmax(call: Call) -> list[Step]:
    return _soft(call, log=False)


def _log_softmax(call: Call) -> list[Step]:
    return _soft(call, log=True)


def _soft(call: Call, log: bool) -> list[Step]:
    axes = len(call.x) + 1
    axis = call["dim"] % axes
    channels = 1 if call.order == "chw" else 3
    if axis == 0 or (call.x[axis - 1] != prod(call.x) and (axes, axis) != (4, channels)):
        raise call.refused(f"is along axis {call['dim']}", "the axis of the classes, 1")
    return [chain.Softmax(call.source, log)]


def _sigmoid(call: Call) -> list[Step]:
    return [chain.Sigmoid(call.source)]


def _add(call: Call) -> list[Step]:
    return _shifted(call, 1)


def _sub(call: Call) -> list[Step]:
    return _shifted(call, -1)


def _shifted(call: Call, sign: int) -> list[Step]:
    """self + sign alpha other, one of which are constants."""
    factor = sign * call.arguments.get("alpha", 1)
    if call["self"] is DATA:
        return [chain.Affine(call.source, shift=factor * _constant(call, call["other"]))]
    scale = None if factor == 1 else np.float64(factor)
    return [chain.Affine(call.source, scale, _constant(call, call["self"]))]


def _rsub(call: Call) -> list[Step]:
    """other - alpha self."""
    scale = np.float64(-call.arguments.get("alpha", 1))
    return [chain.Affine(call.source, scale, _constant(call, call["other"]))]


def _mul(call: Call) -> list[Step]:
    return [chain.Affine(call.source, scale=_constant(call, _other(call)))]


def _div(call: Call) -> list[Step]:
    if call["self"] is not DATA or call.arguments.get("rounding_mode") is not None:
        raise call.refused("divides by x, or rounds", "a division by constants")
    return [chain.Affine(call.source, scale=1 / _constant(call, call["other"]))]


def _neg(call: Call) -> list[Step]:
    return [chain.Affine(call.source, scale=np.float64(-1))]


def _other(call: Call) -> Any:
    """The argument that is not the images."""
    return call["other"] if call["self"] is DATA else call["self"]


def _constant(call: Call, values: Any) -> Array:
    """Numbers that meet x, as a chain has them: rows, columns, channels."""
    _refuse_growth(call)
    array = np.asarray(values, np.float64)
    if array.size == 1:
        return array.reshape(())
    if array.ndim > len(call.x):  # the axis of the minibatch
        if len(array) != 1:
            raise call.refused("has other numbers for each image", "the same for all")
        array = array[0]
    if len(call.x) != 3:  # in a row
        return np.broadcast_to(array, call.x).reshape(-1)
    if call.order == "hwc":
        return array
    return np.moveaxis(array.reshape((1,) * (3 - array.ndim) + array.shape), 0, -1)


def _refuse_growth(call: Call) -> None:
    """Raise `ArchitectureError` where constants of more numbers repeat what they meet."""
    if call.x != call.y:
        raise call.refused(f"makes {call.y} of {call.x}", "constants that fit into the images")


def _flip(call: Call) -> list[Step]:
    return _taken(call, call["dims"], range(prod(call.x))[::-1])


def _index_select(call: Call) -> list[Step]:
    return _taken(call, [call["dim"]], call["index"].tolist())


def _taken(call: Call, axes: Sequence[int], places: Sequence[int]) -> list[Step]:
    """Numbers in a row, of which those at these places."""
    if len(call.x) != 1 or {axis % 2 for axis in axes} != {1}:
        raise call.refused(f"takes numbers along {axes} of {call.x}", "flat numbers, axis 1")
    if [*places] == [*range(call.x[0])]:
        return []
    return [chain.Take(call.source, tuple(places))]


def _same(call: Call) -> list[Step]:
    return []


OPERATORS: Mapping[str, Callable[[Call], Sequence[Step]]] = {
    "conv2d": _conv,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_average,
    "max_pool2d_with_indices": _max_pool,
    "adaptive_max_pool2d": _adaptive_max,
    "mean": _mean,
    "sum": _sum,
    "amax": _amax,
    "batch_norm": _batch_norm,
    "pad": _pad,
    "relu": _relu,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "threshold": _threshold,
    "maximum": _maximum,
    "dropout": _dropout,
    "feature_dropout": _channel_dropout,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sigmoid": _sigmoid,
    "add": _add,
    "sub": _sub,
    "rsub": _rsub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "flip": _flip,
    "index_select": _index_select,
    **dict.fromkeys(
        ("flatten", "view", "reshape", "squeeze", "unsqueeze", "_unsafe_view"), _reshaped
    ),
    **dict.fromkeys(("alias", "clone", "contiguous", "detach", "to", "_to_copy"), _same),
}
TWO_SIDED = ("add", "sub", "mul", "div", "maximum")
"""Those that may take the images as their second argument."""
