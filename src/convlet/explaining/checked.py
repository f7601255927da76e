"""A derivative by any number inside a network, by central differences of the cost in float64."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from convlet import backprop
from convlet import equations as eq
from convlet.differences import KINK_STEPS, difference, stays
from convlet.engine import as_floats
from convlet.equations import Array
from convlet.explaining.address import Address
from convlet.explaining.records import CentralDifference
from convlet.explaining.seen import Seen
from convlet.layers import Sigma
from convlet.stages import Stage

EPSILON = 2.0**-52  # of float64
Layers = list[tuple[Sigma, Array]]
"""Layers of sigma with what entered them, in order."""


class Point(NamedTuple):
    """The cost of the image and where each layer stands."""

    cost: float
    z: Array  # what enters the softmax
    layers: Layers


def compared(seen: Seen, address: Address) -> CentralDifference:
    """The derivative at an address, beside what the core computed."""
    stages = seen.stages
    parameters = {name: w.astype(np.float64) for name, w in seen.parameters.items()}
    x = as_floats(seen.images).reshape(1, *stages[0].x_shape).astype(np.float64)
    y = seen.y.astype(np.float64)[None]
    traces = backprop.forward(stages, parameters, x)

    def moved(h: float) -> Point:
        if address.kind in ("w", "b"):
            stage = stages[address.stage or 0]
            name = stage.w_name if address.kind == "w" else stage.b_name
            changed = {**parameters, name: _plus(parameters[name], address.place, h)}
            return _on(stages, changed, x, y, [])
        index, n = address.stage or 0, _layer(address, stages)
        trace = traces[index]
        if n < 0:
            return _on(stages[index:], parameters, _plus(trace.x, (0, *address.place), h), y, [])
        values = (*trace.inputs, trace.output)[n]
        return _inside(stages[index:], parameters, n, _plus(values, (0, *address.place), h), y)

    here = moved(0)
    core = [
        (layer, values.astype(np.float64))
        for passed in seen.forward
        for layer, values in zip(passed.stage.sigma, passed.inputs, strict=True)
    ][-len(here.layers) :]
    for h in KINK_STEPS:
        around = [moved(s * h).layers for s in (-2, -1, 1, 2)]
        smooth = all(stays(here.layers, one) for one in around)
        if smooth:
            break
    value, ours = difference(lambda s: moved(s).cost, h), seen.value(address)
    scale = max(abs(ours), abs(value))
    return CentralDifference(
        epsilon=h,
        value=value,
        relative_error=abs(ours - value) / scale if scale else 0.0,
        rounding=4 * EPSILON * max(1.0, float(np.abs(here.z).max())) / h,
        kink=not (smooth and stays(core, here.layers)),
    )


def _layer(address: Address, stages: Sequence[Stage]) -> int:
    """The layer of sigma^l that the number enters, -1 where it enters f^l."""
    if address.kind == "dx":
        return -1
    if address.kind == "delta":
        return 0
    if address.layer is None:
        return len(stages[-1].sigma) - 1
    return address.layer + 1


def _plus(values: Array, place: tuple[int, ...], h: float) -> Array:
    values = values.copy()
    values[place] += h
    return values


def _inside(
    stages: Sequence[Stage], parameters: backprop.Arrays, n: int, values: Array, y: Array
) -> Point:
    """From layer n of sigma of the first stage on."""
    layers: Layers = []
    for layer in stages[0].sigma[n:]:
        layers.append((layer, values))
        values = backprop.sigma(layer, values)
    if len(stages) == 1:
        return _point(layers, y)
    return _on(stages[1:], parameters, values, y, layers)


def _on(
    stages: Sequence[Stage], parameters: backprop.Arrays, x: Array, y: Array, layers: Layers
) -> Point:
    """From x^l of the first stage on, with the layers before it."""
    for trace, stage in zip(backprop.forward(stages, parameters, x), stages, strict=True):
        layers = layers + list(zip(stage.sigma, trace.inputs, strict=True))
    return _point(layers, y)


def _point(layers: Layers, y: Array) -> Point:
    z = layers[-1][1]
    return Point(float(eq.cross_entropy(z, y).sum()), z, layers)
