"""Stages: layers grouped as (16), (17) ask, each one affine map f^l followed by its sigma^l.

Engines, optimisers, checkpoints and exports know stages only.  Parameters are named after the
equations, w0, b0, w1, ..., and lie one after the other in one flat vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from convlet.equations import Array, Margins, Pair
from convlet.errors import ArchitectureError
from convlet.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Shape, Softmax

LIMIT = 1 << 28
"""Neither the parameters of a network nor its activations for one image may be more."""


@dataclass(frozen=True)
class Stage:
    """Stage l: z^l = f^l(x^l, w^l) + b^l (17), then x^{l+1} = sigma^l(z^l) (16).

    Shapes are without the sample axis.
    """

    index: int  # l
    affine: Conv2D | Dense  # f^l
    sigma: tuple[Layer, ...]  # in the order in which they are applied
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
        if isinstance(self.affine, Conv2D):
            return (*self.kernel, self.x_shape[2], self.affine.channels)
        return (self.x_shape[0], self.affine.units)

    @cached_property
    def b_shape(self) -> Shape | None:
        """(K,) or (M,), the shape of z with bias="position", None without a bias."""
        if not self.affine.bias:
            return None
        return self.z_shape if self.affine.bias == "position" else self.z_shape[-1:]

    @property
    def kernel(self) -> Pair:
        assert isinstance(self.affine, Conv2D)
        assert isinstance(self.affine.kernel, tuple)
        return self.affine.kernel

    @property
    def stride(self) -> Pair:
        assert isinstance(self.affine, Conv2D)
        assert isinstance(self.affine.stride, tuple)
        return self.affine.stride

    @cached_property
    def margins(self) -> Margins:
        """Zeros around x: ((above, below), (left, right))."""
        assert isinstance(self.affine, Conv2D)
        return self.affine.margins(self.x_shape)

    @cached_property
    def parameter_count(self) -> int:
        return prod(self.w_shape) + (prod(self.b_shape) if self.b_shape else 0)

    @cached_property
    def activation_count(self) -> int:
        """Numbers that one sample leaves in this stage: x^l with its margins, z^l and x^{l+1}."""
        x_shape = self.x_shape
        if isinstance(self.affine, Conv2D):
            (h, w, r), (rows, columns) = x_shape, map(sum, self.margins)
            x_shape = (h + rows, w + columns, r)
        return prod(x_shape) + prod(self.z_shape) + prod(self.output_shape)

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
    rest = list(layers)
    _refuse_misplaced_softmax(rest)
    shape = input_shape
    while rest and isinstance(rest[0], Flatten):
        shape = rest.pop(0).output_shape(shape)
    if not isinstance(rest[0], Conv2D | Dense):
        raise ArchitectureError(
            f"the first layer is {rest[0]}, expected conv or dense: "
            "x^0 meets an affine map first (17)"
        )
    stages: list[Stage] = []
    while rest:
        affine = rest.pop(0)
        assert isinstance(affine, Conv2D | Dense)
        sigma: list[Layer] = []
        x_shape, shape = shape, affine.output_shape(shape)
        z_shape = shape
        while rest and not isinstance(rest[0], Conv2D | Dense):
            sigma.append(rest.pop(0))
            shape = sigma[-1].output_shape(shape)
        stages.append(Stage(len(stages), affine, tuple(sigma), x_shape, z_shape, shape))
    if shape[0] < 2:
        raise ArchitectureError(
            f"the last layer has {shape[0]} class, expected 2 or more: give it one unit per class"
        )
    _refuse_too_large(stages)
    return tuple(stages)


def _refuse_too_large(stages: Sequence[Stage]) -> None:
    """A typing error should be refused, not allocated."""
    for what, counts in (
        ("parameters", [stage.parameter_count for stage in stages]),
        ("activations for one image", [stage.activation_count for stage in stages]),
    ):
        if sum(counts) > LIMIT:
            largest = max(stages, key=lambda stage: counts[stage.index])
            raise ArchitectureError(
                f"the layers need {sum(counts)} {what}, expected at most {LIMIT}: make"
                f" layer {str(largest.affine)!r} smaller, which needs {counts[largest.index]}"
            )


def _refuse_misplaced_softmax(layers: Sequence[Layer]) -> None:
    if not layers:
        raise ArchitectureError(
            "layers is empty, expected at least one conv or dense layer and softmax at the end"
        )
    for position, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ArchitectureError(
                f"layers[{position}] is {layer!r}, "
                "expected Conv2D, MaxPool2D, ReLU, Dropout, Flatten, Dense or Softmax"
            )
        if isinstance(layer, Softmax) and position < len(layers) - 1:
            raise ArchitectureError(
                f"layers[{position}] is softmax, "
                "but softmax is for the last layer only: remove it there"
            )
    if not isinstance(layers[-1], Softmax):
        raise ArchitectureError(
            f"the last layer is {layers[-1]}, expected softmax: "
            "the cost (14) is of class probabilities"
        )


def parameter_shapes(stages: Sequence[Stage]) -> dict[str, Shape]:
    """Name and shape of every parameter, in the order of the flat vector."""
    shapes: dict[str, Shape] = {}
    for stage in stages:
        shapes[stage.w_name] = stage.w_shape
        if stage.b_shape is not None:
            shapes[stage.b_name] = stage.b_shape
    return shapes


def views(flat: Array, shapes: dict[str, Shape]) -> dict[str, Array]:
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
