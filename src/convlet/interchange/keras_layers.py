"""What each layer of Keras is in a chain.  Images are (rows, columns, channels) there, too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from convlet.equations import Array
from convlet.errors import ArchitectureError
from convlet.interchange import chain
from convlet.interchange.chain import Step, refused, same
from convlet.shapes import Margins, Pair, Shape

WHAT = "Conv2D, Dense, ReLU, pooling, Flatten, Dropout, BatchNormalization, padding, Rescaling"


@dataclass(frozen=True)
class Layer:
    """A layer of Keras at its place.

    x, y: shapes of what goes in and comes out, without the axis of the minibatch.  said: what is
    not as it was.
    """

    source: str
    keras: Any
    layer: Any
    x: Shape
    y: Shape
    said: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        """A number or choice of its configuration."""
        return self.layer.get_config()[name]

    def array(self, name: str) -> Array | None:
        """One of its arrays, None where it has none of that name."""
        found = getattr(self.layer, name, None)
        return None if found is None else np.asarray(self.keras.ops.convert_to_numpy(found))

    def margins(self, size: Pair, stride: Pair) -> Margins:
        """Around the image, for windows of this size."""
        if self["data_format"] != "channels_last":
            raise self.refused("has its channels first", 'data_format="channels_last"')
        if self["padding"] == "valid":
            return chain.NO_MARGINS
        rows, columns, _ = self.x
        return same(rows, size[0], stride[0]), same(columns, size[1], stride[1])

    def refused(self, found: str, hint: str) -> ArchitectureError:
        return refused(self.source, found, hint)


def steps_of_layer(layer: Layer) -> list[Step]:
    """The steps of a layer and of its activation.  Raises `ArchitectureError`."""
    kind = type(layer.layer)
    is_known = kind.__module__.partition(".")[0] in ("keras", "convlet")
    if is_known and kind.__name__.startswith("Random"):
        layer.said.append(f"{layer.source} is left out: it changes images in training only")
        return []
    if not is_known or kind.__name__ not in KINDS:
        raise layer.refused("is no layer of convlet", WHAT)
    if getattr(layer.layer, "quantization_mode", None) is not None:
        found = f"is quantised, {layer.layer.quantization_mode}"
        raise layer.refused(found, "the model in floats, before quantize()")
    return [*KINDS[kind.__name__](layer), *_activated(layer)]


def _activated(layer: Layer) -> list[Step]:
    name = layer.layer.get_config().get("activation", "linear")
    source = f"activation of {layer.source}"
    module = getattr(getattr(layer.layer, "activation", None), "__module__", None) or "keras"
    if module.partition(".")[0] != "keras":  # whatever it is called
        raise layer.refused("has an activation of its own", "relu")
    match name:
        case "linear" | None:
            return []
        case "relu":
            return [chain.ReLU(source)]
        case "sigmoid":
            return [chain.Sigmoid(source)]
        case "softmax" | "log_softmax":
            return [chain.Softmax(source, name == "log_softmax")]
        case str():
            raise layer.refused(f"has the activation {name}", "relu")
        case _:
            raise layer.refused("has an activation of its own", "relu")


def _conv(layer: Layer) -> list[Step]:
    w = layer.array("kernel")
    assert w is not None
    return [_convolution(layer, w.transpose(3, 2, 0, 1), layer.array("bias"), layer["groups"])]


def _depthwise(layer: Layer, name: str = "kernel", bias: str = "bias") -> list[Step]:
    """Kernel (P, Q, R, M): each channel has M outputs, one after the other."""
    w = layer.array(name)
    assert w is not None
    taps = w.transpose(2, 3, 0, 1).reshape(-1, 1, *w.shape[:2])
    return [_convolution(layer, taps, layer.array(bias), w.shape[2])]


def _separable(layer: Layer) -> list[Step]:
    w = layer.array("pointwise_kernel")
    assert w is not None
    point = chain.Conv(layer.source, w.transpose(3, 2, 0, 1), layer.array("bias"))
    return [*_depthwise(layer, "depthwise_kernel", "none"), point]


def _convolution(layer: Layer, w: Array, bias: Array | None, groups: int) -> chain.Conv:
    (p, q), (s, t), (d, e) = w.shape[2:], layer["strides"], layer["dilation_rate"]
    margins = layer.margins((d * (p - 1) + 1, e * (q - 1) + 1), (s, t))
    return chain.Conv(layer.source, w, bias, (s, t), margins, (d, e), groups)


def _dense(layer: Layer) -> list[Step]:
    w = layer.array("kernel")
    assert w is not None
    return [chain.Dense(layer.source, w, layer.array("bias"))]


def _max_pool(layer: Layer) -> list[Step]:
    (p, q), (s, t) = layer["pool_size"], layer["strides"]
    return [chain.MaxPool(layer.source, (p, q), (s, t), layer.margins((p, q), (s, t)))]


def _average_pool(layer: Layer) -> list[Step]:
    (p, q), (s, t) = layer["pool_size"], layer["strides"]
    margins = layer.margins((p, q), (s, t))
    return [chain.AveragePool(layer.source, (p, q), (s, t), margins, counts_margins=False)]


def _global_average(layer: Layer) -> list[Step]:
    return _global(layer, chain.GlobalAveragePool(layer.source))


def _global_max(layer: Layer) -> list[Step]:
    rows, columns, _ = layer.x
    return _global(layer, chain.MaxPool(layer.source, (rows, columns), (rows, columns)))


def _global(layer: Layer, pool: Step) -> list[Step]:
    if layer["data_format"] != "channels_last":
        raise layer.refused("has its channels first", 'data_format="channels_last"')
    return [pool] if layer["keepdims"] else [pool, chain.Flatten(layer.source)]


def _batch_norm(layer: Layer) -> list[Step]:
    axis = layer["axis"]
    if axis not in (-1, len(layer.x)):
        raise layer.refused(f"normalises along axis {axis}", "the channels, -1")
    gamma, beta, mean, var = map(layer.array, ("gamma", "beta", "moving_mean", "moving_variance"))
    assert mean is not None
    assert var is not None
    gamma_beta = 1.0 if gamma is None else gamma, 0.0 if beta is None else beta
    return [chain.batch_norm(layer.source, *gamma_beta, mean, var, layer["epsilon"])]


def _rescaling(layer: Layer) -> list[Step]:
    scale, offset = (np.asarray(layer[name], np.float64) for name in ("scale", "offset"))
    return [chain.Affine(layer.source, scale, offset if offset.any() else None)]


def _normalization(layer: Layer) -> list[Step]:
    mean, variance = layer.array("mean"), layer.array("variance")
    if mean is None or variance is None or layer["invert"]:
        raise layer.refused("has no mean and variance, or is inverted", "adapt() it before")
    deviation = np.maximum(np.sqrt(variance.astype(np.float64)), EPSILON)
    mean, deviation = (values.reshape(values.shape[1:]) for values in (mean, deviation))
    return [chain.Affine(layer.source, 1 / deviation, -mean / deviation)]


EPSILON = 1e-7  # of Keras, where a deviation is 0


def _zero_padding(layer: Layer) -> list[Step]:
    (above, below), (left, right) = layer["padding"]
    if layer["data_format"] != "channels_last":
        raise layer.refused("has its channels first", 'data_format="channels_last"')
    return [chain.Pad(layer.source, ((above, below), (left, right)))]


def _flatten(layer: Layer) -> list[Step]:
    config = layer.layer.get_config()  # Reshape has no such choice
    if config.get("data_format") == "channels_first" and max(layer.x) < prod(layer.x):
        raise layer.refused("has its channels first", 'data_format="channels_last"')
    return [chain.Flatten(layer.source)]


def _reshape(layer: Layer) -> list[Step]:
    image = (*layer.x, 1)[:3]  # without channels there is one
    if (*layer.y, 1)[: len(image)] == image and len(layer.x) > 1:
        return []
    if layer.y != (prod(layer.x),):
        raise layer.refused(f"makes {layer.y} of {layer.x}", "flat numbers of an image")
    return _flatten(layer)


def _dropout(layer: Layer) -> list[Step]:
    if layer.layer.get_config().get("noise_shape") is not None:
        raise layer.refused("drops units together, by noise_shape", "single units")
    return [chain.Dropout(layer.source, layer["rate"])]


def _channel_dropout(layer: Layer) -> list[Step]:
    layer.said.append(
        f"{layer.source} drops whole channels in training, the dropout of convlet single units"
    )
    return _dropout(layer)


def _relu(layer: Layer) -> list[Step]:
    if layer["max_value"] is not None or layer["negative_slope"] or layer["threshold"]:
        raise layer.refused("has another form than max(x, 0)", "ReLU()")
    return [chain.ReLU(layer.source)]


def _softmax(layer: Layer) -> list[Step]:
    if layer["axis"] not in (-1, len(layer.x)):
        raise layer.refused(f"is along axis {layer['axis']}", "the axis of the classes, -1")
    return [chain.Softmax(layer.source)]


def _position_bias(layer: Layer) -> list[Step]:
    return [chain.Affine(layer.source, shift=layer.array("bias"))]


def _none(layer: Layer) -> list[Step]:
    return []


KINDS: Mapping[str, Callable[[Layer], list[Step]]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": _global_average,
    "GlobalMaxPooling2D": _global_max,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "Normalization": _normalization,
    "ZeroPadding2D": _zero_padding,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _dropout,
    "SpatialDropout2D": _channel_dropout,
    "ReLU": _relu,
    "Softmax": _softmax,
    "Activation": _none,  # which `steps_of_layer` reads
    "Identity": _none,
    "PositionBias": _position_bias,
}
