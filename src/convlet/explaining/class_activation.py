"""Which parts of an image speak for a class: the gradient-weighted sum of a convolution's maps."""

import numpy as np

from convlet import backprop
from convlet.engine import as_floats
from convlet.equations import Array, Float32
from convlet.errors import InputError
from convlet.layers import Conv2D, MaxPool2D, ReLU
from convlet.network import Network
from convlet.reference import quiet
from convlet.stages import Stage
from convlet.tracing import below_softmax


@quiet
def class_activation(network: Network, images: Array, label: int) -> tuple[Float32, Float32]:
    """The map of a class, as many rows and columns as the maps have, and as the image has.

    max(0, sum_k alpha_k A_ijk), A the maps of the last convolution behind its last ReLU (z^l where
    there is none), alpha_k the mean over (i, j) of dz_c / dA_ijk, z_c what enters the softmax for
    the class c.  images: one (1, rows, columns, channels), checked.  Raises `InputError` for a
    network without a convolution.

    Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", ICCV 2017.
    """
    stage = last_convolution(network)
    stages, parameters = network.stages, network.parameters
    x = as_floats(images).reshape(1, *stages[0].x_shape)
    traces = backprop.forward(stages, parameters, x)
    error = np.zeros_like(backprop.logits(traces))
    error[0, label] = 1  # dz_c / dz
    deltas = backprop.errors(stages, parameters, traces, error)
    if stage is not stages[-1]:
        above = stages[stage.index + 1]
        error = backprop.affine_dx(above, deltas[above.index], parameters)  # (20)
    trace, layers, first = traces[stage.index], below_softmax(stage), behind(stage)
    maps = (*trace.inputs, trace.output)[first]
    error = backprop.through_sigma(layers[first:], trace.inputs[first:], error)
    alpha = error.mean(axis=(1, 2))  # (1, K)
    found = np.maximum((maps * alpha[:, None, None]).sum(axis=-1)[0], 0)
    return found, on_image(found, network, stage, first)


def last_convolution(network: Network) -> Stage:
    """The stage whose maps are taken.  Raises `InputError` where there is none."""
    for stage in reversed(network.stages):
        if isinstance(stage.affine, Conv2D):
            return stage
    found, hint = "has no convolution", "saliency is there for every network"
    raise InputError("network", network, "one with maps", hint, found=found)


def behind(stage: Stage) -> int:
    """How many layers of sigma^l make the maps: up to its last ReLU."""
    shape, count = stage.z_shape, 0
    for n, layer in enumerate(stage.sigma):
        shape = layer.output_shape(shape)
        if isinstance(layer, ReLU) and len(shape) == 3:
            count = n + 1
    return count


def on_image(found: Float32, network: Network, stage: Stage, layers: int) -> Float32:
    """A map on the image's own rows and columns, each pixel of it where its window has its middle.

    Linear between these, constant beyond them.
    """
    rows, columns, _ = network.input_shape
    down, right = (middles(network, stage, layers, axis, found.shape[axis]) for axis in (0, 1))
    tall = np.stack([np.interp(range(rows), down, column) for column in found.T], axis=1)
    wide = [np.interp(range(columns), right, row) for row in tall]
    return np.stack(wide).astype(np.float32)


def middles(network: Network, stage: Stage, layers: int, axis: int, count: int) -> list[float]:
    """Where in the image the pixels of a map have the middles of their windows, along one axis."""
    start, step = 0.0, 1
    for one in network.stages[: stage.index + 1]:
        if isinstance(one.affine, Conv2D):
            margin = one.affine.margins(one.x_shape)[axis][0]
            start += step * ((one.affine.kernel[axis] - 1) / 2 - margin)
            step *= one.affine.stride[axis]
        for layer in one.sigma if one is not stage else one.sigma[:layers]:
            if isinstance(layer, MaxPool2D):
                start += step * (layer.size[axis] - 1) / 2
                step *= layer.stride[axis]
    return [start + step * n for n in range(count)]
