"""Backpropagation (16)-(25): the recursion over any number of stages, and this case, L = 4.

The derivatives of E and the step -eta are kept apart: delta is dE/dz, and Delta w = -eta dE/dw is
left to the optimiser.  x is (B, ...), parameters are arrays by name (w0, b0, ...); any float dtype.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from convlet import equations as eq
from convlet.equations import Array
from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sigma, Softmax
from convlet.stages import Stage

Arrays = Mapping[str, Array]
Masks = Mapping[tuple[int, int], Array]
"""Factors of dropout in training: (stage, position in sigma) -> (B, ...)."""


@dataclass(frozen=True)
class Trace:
    """What the forward pass of one stage leaves for the backward pass."""

    x: Array  # (B, *x_shape), x^l
    inputs: tuple[Array, ...]  # the input of each layer of sigma^l, z^l first
    output: Array  # (B, *output_shape), x^{l+1}
    masks: tuple[Array | None, ...]  # of dropout, one for each layer of sigma^l

    @property
    def z(self) -> Array:
        """z^l, (B, *z_shape)."""
        return self.inputs[0] if self.inputs else self.output


def forward(
    stages: Sequence[Stage], parameters: Arrays, x: Array, masks: Masks | None = None
) -> list[Trace]:
    """Every stage in turn, (17) and (16).  x (B, *input_shape) -> a trace per stage."""
    traces = []
    for stage in stages:
        z = affine(stage, x, parameters)  # (17)
        values = [z]
        dropped = tuple((masks or {}).get((stage.index, n)) for n in range(len(stage.sigma)))
        for layer, mask in zip(stage.sigma, dropped, strict=True):
            values.append(sigma(layer, values[-1], mask))  # (16)
        traces.append(Trace(x, tuple(values[:-1]), values[-1], dropped))
        x = values[-1]
    return traces


def logits(traces: Sequence[Trace]) -> Array:
    """Input of the final softmax, (B, M)."""
    return traces[-1].inputs[-1]


def gradients(
    stages: Sequence[Stage],
    parameters: Arrays,
    x: Array,
    y: Array,
    weight: Array | None = None,
    masks: Masks | None = None,
) -> tuple[float, dict[str, Array]]:
    """Cost (13) of a minibatch and its derivative by every parameter, named like the parameters.

    y: classes (B,) or distributions (B, M).  weight: omega (B,) or None.
    """
    traces = forward(stages, parameters, x, masks)
    costs = eq.cross_entropy(logits(traces), y)
    factor = eq.mean_cost_derivative(costs, weight)
    # (15) is dE^n/dx^L . dS/dz in one: the error enters below the softmax, last in sigma^{L-1}
    error = eq.cross_entropy_dz(logits(traces), y) * factor[:, None]
    derivatives: dict[str, Array] = {}
    for stage, trace, delta in zip(
        stages, traces, errors(stages, parameters, traces, error), strict=True
    ):
        derivatives[stage.w_name] = affine_dw(stage, delta, trace.x)  # (21)
        if stage.b_shape is not None:
            derivatives[stage.b_name] = affine_db(stage, delta)  # (18)
    return float(eq.mean_cost(costs, weight)), {name: derivatives[name] for name in parameters}


def errors(
    stages: Sequence[Stage], parameters: Arrays, traces: Sequence[Trace], error: Array
) -> list[Array]:
    """delta^l of every stage, like z^l, by the recursion (19), (20).

    traces: of `forward`.  error (B, M): what (15) gives for the input of the softmax, times the
    factor of each sample in (13).
    """
    deltas: list[Array] = []
    for stage, trace in zip(reversed(stages), reversed(traces), strict=True):
        layers = stage.sigma[:-1] if stage is stages[-1] else stage.sigma
        # (19) for l = L-1, (20) below
        delta = through_sigma(layers, trace.inputs, error, trace.masks)
        deltas.append(delta)
        if stage is not stages[0]:
            error = affine_dx(stage, delta, parameters)  # (20): e^l = delta^l . df^l/dx^l
    return deltas[::-1]


# -------------------------------------------------------------------------- f^l and its derivatives


def affine(stage: Stage, x: Array, parameters: Arrays) -> Array:
    """z^l = f^l(x^l, w^l) + b^l (17)."""
    w = parameters[stage.w_name]
    match stage.affine:
        case Conv2D(stride=stride) as conv:
            z = eq.conv2d(eq.pad(x, conv.margins(stage.x_shape)), w, stride)
        case Dense():
            z = eq.dense(x, w)
        case _:
            assert_never(stage.affine)
    return z if stage.b_shape is None else z + parameters[stage.b_name]  # (17)


def affine_dx(stage: Stage, delta: Array, parameters: Arrays) -> Array:
    """e^l = delta^l df^l/dx^l (20) -> (B, *x_shape): (2) or (7)."""
    w = parameters[stage.w_name]
    match stage.affine:
        case Conv2D(stride=stride) as conv:
            dx = eq.conv2d_dx(delta, w, (len(delta), *stage.padded_shape), stride)
            return eq.crop(dx, conv.margins(stage.x_shape))
        case Dense():
            return eq.dense_dx(delta, w)
        case _:
            assert_never(stage.affine)


def affine_dw(stage: Stage, delta: Array, x: Array) -> Array:
    """dE/dw^l = sum_n delta^l df^l/dw^l (21) -> like w^l: (3) or (8)."""
    match stage.affine:
        case Conv2D(kernel=kernel, stride=stride) as conv:
            return eq.conv2d_dw(delta, eq.pad(x, conv.margins(stage.x_shape)), kernel, stride)
        case Dense():
            return eq.dense_dw(delta, x)
        case _:
            assert_never(stage.affine)


def affine_db(stage: Stage, delta: Array) -> Array:
    """dE/db^l = sum_n delta^l (18), also over (i, j) where the bias is shared -> like b^l."""
    axes = tuple(range(delta.ndim - len(stage.b_shape or ())))
    return delta.sum(axis=axes)  # (18)


# ----------------------------------------------------------------------- sigma^l and its derivative


def sigma(layer: Sigma, x: Array, mask: Array | None = None) -> Array:
    """One layer of sigma^l; mask: of dropout, like x, or None outside training."""
    match layer:
        case ReLU():
            return eq.relu(x)
        case MaxPool2D(size=size, stride=stride):
            return eq.max_pool(x, size, stride)
        case Flatten():
            return eq.flatten(x) if x.ndim == 4 else x
        case Softmax():
            return eq.softmax(x)
        case Dropout():
            return x if mask is None else x * mask
        case _:
            assert_never(layer)


def through_sigma(
    layers: Sequence[Sigma],
    inputs: Sequence[Array],
    error: Array,
    masks: Sequence[Array | None] = (),
) -> Array:
    """delta^l = error . dsigma^l/dz^l, from the last layer: the second factor of (19), (20)."""
    for n in reversed(range(len(layers))):
        layer, x, mask = layers[n], inputs[n], masks[n] if masks else None
        match layer:
            case ReLU():
                error = error * eq.relu_derivative(x)  # (10)
            case MaxPool2D(size=size, stride=stride):
                error = eq.unpool(error, x, size, stride)  # P^-1 of (24)
            case Flatten():
                error = eq.unflatten(error, x.shape[1:])  # F^-1 of (24)
            case Dropout():
                error = error if mask is None else error * mask
            case Softmax():
                error = np.einsum("bi,bij->bj", error, eq.softmax_jacobian(x))  # (12)
            case _:
                assert_never(layer)
    return error


# ----------------------------------------------------------------------------- this case, (22)-(25)


def four_stages(parameters: Arrays, x: Array, y: Array) -> dict[str, Array]:
    """The network of (22), (23) and its errors (25) line by line: what `gradients` gives for L = 4.

    5x5 or any kernels, stride 1, 2x2 pools, one bias per channel.  x (B, H, W, R) -> derivatives
    by name.
    """
    names = (f"{kind}{stage}" for stage in range(4) for kind in "wb")  # (22): L = 4
    w0, b0, w1, b1, w2, b2, w3, b3 = (parameters[name] for name in names)
    z0 = eq.conv2d(x, w0) + b0
    x1 = eq.max_pool(eq.relu(z0))  # (23): sigma^0 = P(R(z^0))
    z1 = eq.conv2d(x1, w1) + b1
    pooled = eq.max_pool(eq.relu(z1))
    x2 = eq.flatten(pooled)  # (23): sigma^1 = F(P(R(z^1)))
    z2 = eq.dense(x2, w2) + b2
    x3 = eq.relu(z2)  # (23): sigma^2 = R(z^2)
    z3 = eq.dense(x3, w3) + b3  # (23): sigma^3 = S(z^3)

    delta3 = eq.cross_entropy_dz(z3, y) / len(x)  # (25), row of delta^3
    delta2 = eq.dense_dx(delta3, w3) * eq.relu_derivative(z2)  # (25), row of delta^2
    error2 = eq.unflatten(eq.dense_dx(delta2, w2), pooled.shape[1:])  # (24): F^-1
    delta1 = eq.unpool(error2, eq.relu(z1)) * eq.relu_derivative(z1)  # (25), row of delta^1
    error1 = eq.conv2d_dx(delta1, w1, x1.shape)
    delta0 = eq.unpool(error1, eq.relu(z0)) * eq.relu_derivative(z0)  # (25), row of delta^0
    return {
        "w0": eq.conv2d_dw(delta0, x, (w0.shape[0], w0.shape[1])),
        "b0": delta0.sum(axis=(0, 1, 2)),
        "w1": eq.conv2d_dw(delta1, x1, (w1.shape[0], w1.shape[1])),
        "b1": delta1.sum(axis=(0, 1, 2)),
        "w2": eq.dense_dw(delta2, x2),
        "b2": delta2.sum(axis=0),
        "w3": eq.dense_dw(delta3, x3),
        "b3": delta3.sum(axis=0),
    }
