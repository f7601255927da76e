"""Every derivative of a network against central differences, in float64.

At a kink of ReLU or max pooling no difference exists: points are chosen so that none lies between
x - 2hv and x + 2hv; what happens on a kink is for tests with hand values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from convlet import backprop
from convlet import equations as eq
from convlet.backprop import Arrays
from convlet.differences import KINK_STEPS, CheckRow, Draws, compare, inner, stays
from convlet.enginecheck import native_rows
from convlet.equations import Array
from convlet.inputs import as_input_shape, as_seed
from convlet.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Sigma, Softmax
from convlet.shapes import Shape
from convlet.stages import Stage, group, parameter_shapes, views
from convlet.text import as_layers

SAMPLES = 3
STEP = 1e-3


def check_network(
    layers: Sequence[Layer] | str | None = None,
    input_shape: Sequence[int] = (28, 28, 1),
    seed: int = 0,
) -> list[CheckRow]:
    """Compare each layer's derivatives, then those of the chain (16)-(25), for a minibatch of 3.

    layers: as for `Network`; None is the network of (23).  seed: of the parameters, images and
    directions.  Raises `ArchitectureError`, `InputError`.
    """
    stages = group(as_layers(layers, 10), as_input_shape(input_shape))
    draws = Draws(as_seed(seed))
    rows: list[CheckRow] = []
    for stage in stages:
        rows += _affine_rows(stage, draws)
        shape = stage.z_shape
        for layer in stage.sigma:
            rows += _sigma_rows(layer, f"stage {stage.index}: {layer}", shape, draws)
            shape = layer.output_shape(shape)
    rows += _cost_rows(stages[-1].output_shape[0], draws)
    rows += _chain_rows(stages, draws)
    rows += native_rows(stages, draws)
    return rows


# ----------------------------------------------------------------------------------- layer by layer


def _affine_rows(stage: Stage, draws: Draws) -> Iterator[CheckRow]:
    """(2), (3) of a convolution, (7), (8) of a dense map."""
    (by_x, dx_name), (by_w, dw_name) = stage.affine.derivatives
    name = f"stage {stage.index}: {stage.affine}"
    x, v = draws(SAMPLES, *stage.x_shape), draws(SAMPLES, *stage.x_shape)
    w, v_w = draws(*stage.w_shape), draws(*stage.w_shape)
    parameters = {stage.w_name: w}
    if stage.b_shape is not None:
        parameters[stage.b_name] = np.zeros(stage.b_shape)
    u = draws(SAMPLES, *stage.z_shape)

    def of_x(s: float) -> float:
        return inner(u, backprop.affine(stage, x + s * v, parameters))

    def of_w(s: float) -> float:
        moved = {**parameters, stage.w_name: w + s * v_w}
        return inner(u, backprop.affine(stage, x, moved))

    dx = backprop.affine_dx(stage, u, parameters)
    yield compare(by_x, dx_name, name, inner(v, dx), of_x, STEP)
    dw = backprop.affine_dw(stage, u, x)
    yield compare(by_w, dw_name, name, inner(v_w, dw), of_w, STEP)


def _sigma_rows(layer: Sigma, name: str, shape: Shape, draws: Draws) -> Iterator[CheckRow]:
    """P^-1 of (4), F^-1 of (5), (10), (12) or the mask of dropout, at a point away from kinks."""
    z, v = draws(SAMPLES, *shape), draws(SAMPLES, *shape)
    u = draws(SAMPLES, *layer.output_shape(shape))
    h, mask = STEP, None
    match layer:
        case MaxPool2D():
            z, h = draws.distinct(*z.shape), 0.1
        case ReLU():
            z = np.where(z < 0, z - 0.1, z + 0.1)
        case Dropout(rate=rate):  # one mask for all: the function that is drawn, not the drawing
            mask = (draws(*z.shape) >= 2 * rate - 1) / (1 - rate)
        case _ if not layer.smooth:
            raise AssertionError(f"nobody knows a point of {layer} away from its kinks")
    dz = backprop.through_sigma([layer], [z], u, [mask])

    def along(s: float) -> float:
        return inner(u, backprop.sigma(layer, z + s * v, mask))

    for equation, what in layer.derivatives:
        yield compare(equation, what, name, inner(v, dz), along, h)


def _cost_rows(classes: int, draws: Draws) -> Iterator[CheckRow]:
    """(13) with and without sample weights, (15) for classes and for soft labels."""
    costs, v = draws(SAMPLES) + 2, draws(SAMPLES)
    weights: dict[str, Array | None] = {"equal": None, "sample weights": draws(SAMPLES) + 1.1}
    for name, weight in weights.items():
        derivative = inner(v, eq.mean_cost_derivative(costs, weight))
        mean = partial(_mean_along, costs, v, weight)
        yield compare("(13)", "dE/dE^n", name, derivative, mean, STEP)
    z, v = 3 * draws(SAMPLES, classes), draws(SAMPLES, classes)
    labels = {"classes": _classes(classes), "soft labels": draws.distributions(SAMPLES, classes)}
    for name, y in labels.items():
        derivative = inner(v, eq.cross_entropy_dz(z, y))
        yield compare("(15)", "dE^n/dz", name, derivative, partial(_costs_along, z, v, y), STEP)


def _mean_along(costs: Array, v: Array, weight: Array | None, s: float) -> float:
    return float(eq.mean_cost(costs + s * v, weight))


def _costs_along(z: Array, v: Array, y: Array, s: float) -> float:
    return float(eq.cross_entropy(z + s * v, y).sum())


def _classes(classes: int) -> Array:
    return np.arange(SAMPLES) % classes


# ---------------------------------------------------------------------------------------- the chain


def _chain_rows(stages: Sequence[Stage], draws: Draws) -> Iterator[CheckRow]:
    """dE/dw^l, dE/db^l by (16)-(21), and by (22)-(25) where the network is that of (23)."""
    classes, last = stages[-1].output_shape[0], len(stages) - 1
    x = draws(SAMPLES, *stages[0].x_shape)
    parameters = _parameters(stages, draws)

    soft, weight = draws.distributions(SAMPLES, classes), draws(SAMPLES) + 1.1
    point = _Point(stages, parameters, x, soft, weight)
    _, general = backprop.gradients(stages, parameters, x, soft, weight)
    for name, derivative in general.items():
        error = f"(17), (18), {'(19)' if name == f'b{last}' else '(20)'}"
        equation = "(16), (21)" if name.startswith("w") else error
        yield point.row(equation, name, derivative, draws)

    if is_this_case(stages):
        labels = _classes(classes)
        point = _Point(stages, parameters, x, labels, None)
        for name, derivative in backprop.four_stages(parameters, x, labels).items():
            yield point.row("(22)-(25)", name, derivative, draws)


def _parameters(stages: Sequence[Stage], draws: Draws) -> Arrays:
    """Weights of He's size, and biases other than 0: the point lies on no kink."""
    shapes = parameter_shapes(stages)
    parameters = views(draws(sum(map(prod, shapes.values()))), shapes)
    for stage in stages:
        parameters[stage.w_name] *= np.sqrt(6 / prod(stage.w_shape[:-1]))
        if stage.b_shape is not None:
            parameters[stage.b_name] *= 0.3
    return parameters


@dataclass(frozen=True)
class _Point:
    """Where the derivatives of the cost (13) are taken."""

    stages: Sequence[Stage]
    parameters: Arrays
    x: Array
    y: Array
    weight: Array | None

    def row(self, equation: str, name: str, derivative: Array, draws: Draws) -> CheckRow:
        """The derivative by one parameter, along a random direction v."""
        v = draws(*derivative.shape)

        def cost(s: float) -> float:
            z = backprop.logits(self.forward(name, s * v))
            return float(eq.mean_cost(eq.cross_entropy(z, self.y), self.weight))

        h = self.step(name, v)
        return compare(equation, f"dE/d{name}", name, inner(v, derivative), cost, h)

    def forward(self, name: str, displacement: Array) -> list[backprop.Trace]:
        moved = {**self.parameters, name: self.parameters[name] + displacement}
        return backprop.forward(self.stages, moved, self.x)

    def step(self, name: str, v: Array) -> float:
        """The largest step for which every ReLU and every pool stays on one side of its kinks."""
        here = self.layers(name, 0 * v)
        for h in KINK_STEPS:
            around = (self.layers(name, s * v) for s in (-2 * h, -h, h, 2 * h))
            if all(stays(here, there) for there in around):
                return h
        return KINK_STEPS[-1]

    def layers(self, name: str, displacement: Array) -> list[tuple[Sigma, Array]]:
        """The layers of every sigma with what enters them."""
        return [
            (layer, z)
            for stage, trace in zip(self.stages, self.forward(name, displacement), strict=True)
            for layer, z in zip(stage.sigma, trace.inputs, strict=True)
        ]


def is_this_case(stages: Sequence[Stage]) -> bool:
    """Whether (22), (23) describe the network: L = 4, stride 1, 2x2 pools, a bias per channel."""
    kinds = [(type(stage.affine), *map(type, stage.sigma)) for stage in stages]
    convolution = (Conv2D, ReLU, MaxPool2D)
    if kinds != [convolution, (*convolution, Flatten), (Dense, ReLU), (Dense, Softmax)]:
        return False
    plain = all(
        isinstance(stage.affine, Conv2D)
        and stage.affine.stride == (1, 1)
        and stage.padded_shape == stage.x_shape
        for stage in stages[:2]
    )
    halved = all(stage.sigma[1] == MaxPool2D(2) for stage in stages[:2])
    return plain and halved and all(stage.b_shape == stage.z_shape[-1:] for stage in stages)
