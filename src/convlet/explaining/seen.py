"""All numbers that a network has for one image and its label, computed when they are asked for."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from convlet.engine import Samples
from convlet.equations import Array, Float32
from convlet.explaining.address import Address
from convlet.network import Network
from convlet.stages import Stage, views
from convlet.tracing import StageActivations, StageErrors, activations, errors


class Seen:
    """A network, one image (1, rows, columns, channels) and its label (1,) or (1, M), or None."""

    def __init__(self, network: Network, images: Array, targets: Array | None) -> None:
        self.network = network
        self.images = images
        self.targets = targets

    @property
    def stages(self) -> Sequence[Stage]:
        return self.network.stages

    @cached_property
    def parameters(self) -> dict[str, Float32]:
        """By name, "w0", "b0", ..."""
        return dict(self.network.parameters)

    @cached_property
    def forward(self) -> list[StageActivations]:
        return activations(self.network.engine, self.network.flat, self.stages, self.images)

    @cached_property
    def backward(self) -> list[StageErrors]:
        return errors(self.network.engine, self.network.flat, self.stages, self.labelled)

    @property
    def labelled(self) -> Samples:
        """The image with its label, which is there for whatever needs one."""
        assert self.targets is not None
        return Samples(self.images, self.targets)

    @cached_property
    def _step(self) -> tuple[float, dict[str, Float32]]:
        cost, flat = self.network.engine.gradients(self.network.flat, self.labelled)
        return cost, views(flat, self.network.shapes)

    @property
    def cost(self) -> float:
        """E^n (14)."""
        return self._step[0]

    @property
    def gradients(self) -> dict[str, Float32]:
        """dE^n by each parameter."""
        return self._step[1]

    @property
    def y(self) -> Float32:
        """The label as a distribution (M,)."""
        (target,) = self.labelled.targets
        if target.ndim:
            return np.asarray(target)
        return np.asarray(np.arange(self.stages[-1].output_shape[0]) == target, np.float32)

    def value(self, address: Address) -> float:
        """What the engine computed there."""
        if address.kind == "cost":
            return self.cost
        index, n = address.stage, address.layer
        assert index is not None
        stage, place = self.stages[index], address.place
        match address.kind:
            case "x":
                values = self.forward[index].x[0]
            case "z":
                values = self.forward[index].z[0]
            case "out":
                values = self.forward[index].outputs[n or 0][0]
            case "delta":
                values = self.backward[index].delta[0]
            case "dx":
                values = self.backward[index].x[0]
            case "error":
                values = self._error(index, n)
            case "w":
                values = self.gradients[stage.w_name]
            case _:
                values = self.gradients[stage.b_name]
        return float(values[place])

    def _error(self, index: int, n: int | None) -> Array:
        """dE by the output of layer n of sigma^l, or by what enters the softmax."""
        found = self.backward[index]
        if n is None:
            n = len(found.outputs) - 1
        return np.asarray(found.delta[0] if n < 0 else found.outputs[n][0])

    # ------------------------------------------------------------------------- where numbers stand

    def x_address(self, index: int, place: tuple[int, ...]) -> Address:
        """Where x^l comes from: a layer of the stage below, or the image."""
        if index:
            return output_address(self.stages[index - 1], place)
        if len(place) == 1:  # x^0 is flat: a pixel is called by its place in the image
            shape = self.network.input_shape
            place = tuple(int(n) for n in np.unravel_index(place[0], shape))
        return Address("x", 0, None, place)


def output_address(stage: Stage, place: tuple[int, ...]) -> Address:
    """Of x^{l+1}: of the last layer of sigma^l."""
    if not stage.sigma:
        return Address("z", stage.index, None, place)
    return Address("out", stage.index, len(stage.sigma) - 1, place)


def input_address(stage: Stage, n: int, place: tuple[int, ...]) -> Address:
    """Of what enters layer n of sigma^l."""
    return (
        Address("out", stage.index, n - 1, place) if n else Address("z", stage.index, None, place)
    )
