"""A network of convlet as other libraries see it: the shapes of its layers, and their weights.

convlet's convolution (1) flips the kernel and its arrays are (row, column, channel); the others
correlate, and PyTorch and ONNX put channels first.  Weights are turned here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Net:
    """conv, ReLU, pool 2 for each of `channels`; then dense, ReLU for each hidden unit; dense.

    Every kernel is kernel x kernel with stride 1.
    """

    name: str
    kernel: int
    channels: tuple[int, ...]
    paddings: tuple[int, ...]
    units: tuple[int, ...]  # the last are the classes
    features: tuple[int, int, int]  # what is flattened: rows, columns, channels
    multiply_adds: int  # of one image, forward

    @property
    def inputs(self) -> tuple[int, ...]:
        """Channels that each convolution reads."""
        return (1, *self.channels[:-1])


def as_net(name: str, stages: Sequence) -> Net:
    """The stages of a convlet network as a `Net`; ValueError where they have another form."""
    convs = [stage for stage in stages if len(stage.w_shape) == 4]
    denses = [stage for stage in stages if len(stage.w_shape) == 2]
    kernel = convs[0].affine.kernel[0]
    for stage in convs:
        sigma = [str(layer) for layer in stage.sigma if str(layer) != "flatten"]
        (above, below), (left, right) = stage.affine.margins(stage.x_shape)
        if (
            sigma != ["relu", "pool 2"]
            or stage.affine.kernel != (kernel, kernel)
            or stage.affine.stride != (1, 1)
            or not above == below == left == right
        ):
            raise ValueError(f"stage {stage.index} is not conv, relu, pool 2 of the expected form")
    rows, columns, channels = convs[-1].z_shape
    return Net(
        name,
        kernel,
        tuple(stage.affine.channels for stage in convs),
        tuple(stage.affine.margins(stage.x_shape)[0][0] for stage in convs),
        tuple(stage.affine.units for stage in denses),
        (rows // 2, columns // 2, channels),
        sum(stage.multiply_adds for stage in stages),
    )


def pairs(net: Net, weights: Weights) -> list[tuple[Array, Array]]:
    """(w, b) of each stage, as convlet holds them."""
    count = len(net.channels) + len(net.units)
    return [(weights[f"w{stage}"], weights[f"b{stage}"]) for stage in range(count)]


def correlation(w: Array) -> Array:
    """Kernel (P+1, Q+1, R, K) of a convolution -> of the same map as a cross-correlation."""
    return np.ascontiguousarray(w[::-1, ::-1])


def channels_first(net: Net, weights: Weights) -> list[tuple[Array, Array]]:
    """(w, b) of each stage for PyTorch and ONNX: kernels (K, R, P+1, Q+1), dense (units, inputs).

    The first dense layer reads features flattened as (channel, row, column).
    """
    turned = []
    for stage, (w, b) in enumerate(pairs(net, weights)):
        if w.ndim == 4:
            turned.append((np.ascontiguousarray(correlation(w).transpose(3, 2, 0, 1)), b))
            continue
        if stage == len(net.channels):
            w = w.reshape(*net.features, -1).transpose(2, 0, 1, 3).reshape(w.shape)
        turned.append((np.ascontiguousarray(w.T), b))
    return turned
