"""A network of convlet as other libraries are given it: its steps, and their weights.

convlet's convolution (1) flips the kernel and its arrays are (row, column, channel); the others
correlate, and PyTorch and ONNX put channels first.  `convlet.interchange.unfolding` turns the
weights, there and nowhere else; `verify` notices where it, or a contender, computes another map.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convlet import Dropout, Network
from convlet.interchange.chain import Order
from convlet.interchange.unfolding import OwnStep, steps_of
from convlet.stages import Stage, group
from convlet.text import format_layers, parse_layers

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Net:
    """A network to time.  layers: convlet's text; shape: (rows, columns, channels) of an image."""

    name: str
    layers: str
    shape: tuple[int, int, int] = (28, 28, 1)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        return group(parse_layers(self.layers), self.shape)

    @property
    def classes(self) -> int:
        return self.stages[-1].output_shape[0]

    @property
    def multiply_adds(self) -> int:
        """Of one image, forward, as if nothing were skipped."""
        return sum(stage.multiply_adds for stage in self.stages)

    def without_dropout(self) -> "Net":
        """The same map and the same parameters; its training draws nothing."""
        kept = [one for one in parse_layers(self.layers) if not isinstance(one, Dropout)]
        return replace(self, layers=format_layers(kept))


def network(net: Net, weights: Weights) -> Network:
    """The network with these weights, as convlet lays them out."""
    made = Network(net.layers, net.shape)
    for name, values in weights.items():
        made.parameters[name][...] = values
    return made


def steps(net: Net, weights: Weights, order: Order) -> list[OwnStep]:
    """The steps of a library that lines up images in this order, "chw" or "hwc".

    Kernels are (K, R, P+1, Q+1), for cross-correlation; dense weights (inputs, units).
    """
    return list(steps_of(network(net, weights), order))
