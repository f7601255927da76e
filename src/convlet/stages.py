"""Stages: layers grouped as (16), (17) ask, each one affine map f^l followed by its sigma^l.

Engines, optimisers, checkpoints and exports know stages only.  Parameters are named after the
equations, w0, b0, w1, ..., and lie one after the other in one flat vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import assert_never

import numpy as np

from convlet.equations import Array, Float32
from convlet.errors import ArchitectureError
from convlet.layers import (
    KINDS,
    Affine,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Sigma,
    Softmax,
)
from convlet.shapes import Shape

LIMIT = 1 << 28
"""Neither the parameters of a network nor its activations for one image may be more."""


@dataclass(frozen=True)
class Stage:
    """Stage l: z^l = f^l(x^l, w^l) + b^l (17), then x^{l+1} = sigma^l(z^l) (16).

    Shapes are without the sample axis.
    """

    index: int  # l
    affine: Affine  # f^l
    sigma: tuple[Sigma, ...]  # in the order in which they are applied
    x_shape: Shape
    z_shape: Shape
    output_shape: Shape  # of x^{l+1}

    @property
    def w_name(self) -> str:
        return f"w{self.index}"

    @property
    def b_name(self) -> str:
        return f"b{self.index}"

    @cached_property
    def w_shape(self) -> Shape:
        """(P+1, Q+1, R, K) of a convolution, (N, M) of a dense map."""
        match self.affine:
            case Conv2D(kernel=kernel, channels=channels):
                return (*kernel, self.x_shape[2], channels)
            case Dense(units=units):
                return (self.x_shape[0], units)
            case _:
                assert_never(self.affine)

    @cached_property
    def b_shape(self) -> Shape | None:
        """(K,) or (M,), the shape of z with bias="position", None without a bias."""
        if not self.affine.bias:
            return None
        return self.z_shape if self.affine.bias == "position" else self.z_shape[-1:]

    @cached_property
    def padded_shape(self) -> Shape:
        """(H, W, R) of x^l with the zeros around it; that of x^l where the map is dense."""
        if isinstance(self.affine, Dense):
            return self.x_shape
        (h, w, r), (rows, columns) = self.x_shape, map(sum, self.affine.margins(self.x_shape))
        return h + rows, w + columns, r

    @cached_property
    def parameter_count(self) -> int:
        return prod(self.w_shape) + (prod(self.b_shape) if self.b_shape else 0)

    @cached_property
    def activation_count(self) -> int:
        """Numbers that one sample leaves in this stage: x^l with its margins, z^l and x^{l+1}."""
        return prod(self.padded_shape) + prod(self.z_shape) + prod(self.output_shape)

    @cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds of f^l for one sample: the dense count, zeros of the padding included."""
        return prod(self.z_shape) * prod(self.w_shape[:-1])


def group(layers: Sequence[Layer], input_shape: Shape) -> tuple[Stage, ...]:
    """Group layers into stages.

    The network must begin with a convolution or a dense layer (a `Flatten` may stand before: it
    moves no data) and end with the only `Softmax`, over two classes or more.  Raises
    `ArchitectureError` that says which layer does not fit and why.
    """
    _refuse_misplaced_softmax(layers)
    shape = input_shape
    stages: list[Stage] = []
    for position, layer in enumerate(layers):
        if not stages and not isinstance(layer, Affine | Flatten):
            raise ArchitectureError(
                "layers",
                layer,
                "conv or dense",
                "x^0 meets an affine map first (17)",
                subject=f"layers[{position}]",
                found=f"is {layer}",
            )
        x_shape, shape = shape, _shape_after(layer, shape, position)
        if isinstance(layer, Affine):
            stages.append(Stage(len(stages), layer, (), x_shape, shape, shape))
        elif stages:
            sigma = (*stages[-1].sigma, layer)
            stages[-1] = replace(stages[-1], sigma=sigma, output_shape=shape)
    if shape[0] < 2:
        raise ArchitectureError(
            "layers",
            shape[0],
            "2 or more",
            "give it one unit per class",
            subject="the last layer",
            found=f"has {shape[0]} class",
        )
    _refuse_too_large(stages)
    return tuple(stages)


def _shape_after(layer: Layer, shape: Shape, position: int) -> Shape:
    try:
        return layer.output_shape(shape)
    except ArchitectureError as error:
        raise error.remade(subject=f"layers[{position}], {error.subject}") from None


def _refuse_too_large(stages: Sequence[Stage]) -> None:
    """A typo should be refused, not allocated."""
    for what, counts in (
        ("parameters", [stage.parameter_count for stage in stages]),
        ("activations for one image", [stage.activation_count for stage in stages]),
    ):
        if sum(counts) > LIMIT:
            largest = max(stages, key=lambda stage: counts[stage.index])
            raise ArchitectureError(
                "layers",
                sum(counts),
                f"at most {LIMIT}",
                f"make layer {str(largest.affine)!r} smaller, which needs {counts[largest.index]}",
                subject="the layers",
                found=f"need {sum(counts)} {what}",
            )


def refuse_no_layer(layer: object, position: int) -> None:
    """Raise `ArchitectureError` for what is of no kind of layer.  position: in the layers."""
    if type(layer) not in KINDS:
        *names, last = (kind.__name__ for kind in KINDS)
        expected = f"{', '.join(names)} or {last}"
        raise ArchitectureError("layers", layer, expected, subject=f"layers[{position}]")


def _refuse_misplaced_softmax(layers: Sequence[Layer]) -> None:
    if not layers:
        expected = "at least one conv or dense layer and softmax at the end"
        raise ArchitectureError("layers", (), expected, found="is empty")
    for position, layer in enumerate(layers):
        refuse_no_layer(layer, position)
        if isinstance(layer, Softmax) and position < len(layers) - 1:
            raise ArchitectureError(
                "layers",
                layer,
                subject=f"layers[{position}]",
                found="is softmax",
                but="softmax is for the last layer only",
                hint="remove it there",
            )
    if not isinstance(layers[-1], Softmax):
        raise ArchitectureError(
            "layers",
            layers[-1],
            "softmax",
            "the cost (14) is of class probabilities",
            subject="the last layer",
            found=f"is {layers[-1]}",
        )


def parameter_shapes(stages: Sequence[Stage]) -> dict[str, Shape]:
    """Name and shape of every parameter, in the order of the flat vector."""
    shapes: dict[str, Shape] = {}
    for stage in stages:
        shapes[stage.w_name] = stage.w_shape
        if stage.b_shape is not None:
            shapes[stage.b_name] = stage.b_shape
    return shapes


def on_lines(vector: Float32) -> Float32:
    """A copy of a flat vector that begins with a cache line, 64 bytes.

    NumPy's begin 16 bytes behind one, so that each vector of 64 bytes that the core reads or writes
    would lie in two.  A stage begins with a line where those before it are whole lines.
    """
    room = np.empty(len(vector) + 16, np.float32)
    skipped = -room.__array_interface__["data"][0] % 64 // 4
    copy = room[skipped : skipped + len(vector)]
    copy[...] = vector
    return copy


def views(flat: Array, shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Each parameter as a view of the flat vector."""
    arrays, start = {}, 0
    for name, shape in shapes.items():
        arrays[name] = flat[start : start + prod(shape)].reshape(shape)
        start += prod(shape)
    return arrays


def default_layers(classes: int = 10) -> tuple[Layer, ...]:
    """The network of (22), (23), L = 4.

    conv, ReLU, pool | conv, ReLU, pool, flatten | dense, ReLU | dense, softmax.
    """
    return (
        *(Conv2D(8, 5), ReLU(), MaxPool2D(2)),  # sigma^0 = P(R(z^0))
        *(Conv2D(16, 5), ReLU(), MaxPool2D(2), Flatten()),  # sigma^1 = F(P(R(z^1)))
        *(Dense(128), ReLU()),  # sigma^2 = R(z^2)
        *(Dense(classes), Softmax()),  # sigma^3 = S(z^3)
    )
