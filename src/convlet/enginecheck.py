"""The native engine's derivatives against the equations, on numbers that float32 holds exactly."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from convlet import backprop
from convlet.backprop import Arrays
from convlet.differences import CheckRow, Draws
from convlet.engine import Samples
from convlet.equations import Array
from convlet.errors import InputError
from convlet.native import NativeEngine
from convlet.stages import Stage, parameter_shapes, views

LIMIT = 1e-6
"""Of the absolute terms of a derivative: 17 roundings of float32."""
SAMPLES = 19  # two blocks of 8, and a rest
FAN_IN = 4


def native_rows(stages: Sequence[Stage], draws: Draws) -> Iterator[CheckRow]:
    """Its gradient by each parameter, against (16)-(21) in float64; none where it cannot run.

    Images and weights are small whole numbers, and few weights are not 0, so that every z is exact
    in float32: both are on the same side of every kink, and round from (11) on only.
    """
    try:
        engine = NativeEngine(stages)
    except InputError:
        return
    shapes = parameter_shapes(stages)
    parameters = views(_whole_numbers(stages, draws), shapes)
    x = np.floor(2 * draws(SAMPLES, *stages[0].x_shape) + 2)  # 0 to 3
    z = backprop.logits(backprop.forward(stages, parameters, x))
    last = stages[-1]
    for name in {last.w_name, last.b_name} & shapes.keys():  # |z| up to 4, still exact
        parameters[name] /= 2 ** np.ceil(np.log2(max(np.abs(z).max() / 4, 1)))
    y = np.arange(SAMPLES) % last.output_shape[0]
    _, expected = backprop.gradients(stages, parameters, x, y)
    flat = np.concatenate([w.ravel() for w in parameters.values()]).astype(np.float32)
    images = x.astype(np.float32).reshape(SAMPLES, *(1,) * (4 - x.ndim), *x.shape[1:])
    _, gradient = engine.gradients(flat, Samples(images, y.astype(np.int32)))
    terms = _absolute_terms(stages, parameters, x)
    for name, found in views(gradient, shapes).items():
        off = float(np.abs(found - expected[name]).max() / (terms[name].max() or 1))
        what = f"dE/d{name}"
        yield CheckRow("(16)-(21)", what, "native engine", off, LIMIT, off < LIMIT)


def _absolute_terms(stages: Sequence[Stage], parameters: Arrays, x: Array) -> Arrays:
    """What each derivative would be if no term were below 0 and every error of (15) were 1.

    A sum may be small because its terms cancel; rounding is of their size.
    """
    absolute = {name: np.abs(w) for name, w in parameters.items()}
    traces = backprop.forward(stages, parameters, x)
    error = np.ones_like(backprop.logits(traces)) / SAMPLES
    deltas = backprop.errors(stages, absolute, traces, error)
    terms: dict[str, Array] = {}
    for stage, trace, delta in zip(stages, traces, deltas, strict=True):
        terms[stage.w_name] = backprop.affine_dw(stage, delta, np.abs(trace.x))
        if stage.b_shape is not None:
            terms[stage.b_name] = backprop.affine_db(stage, delta)
    return terms


def _whole_numbers(stages: Sequence[Stage], draws: Draws) -> Array:
    """The flat vector: of -1, 0 and 1; about FAN_IN weights of each output are not 0."""
    shapes = parameter_shapes(stages)
    flat = np.sign(draws(sum(map(prod, shapes.values()))))
    arrays = views(flat, shapes)
    for stage in stages:
        w = arrays[stage.w_name]
        w *= draws(*w.shape) > 1 - 2 * FAN_IN / max(FAN_IN, prod(w.shape[:-1]))
    return flat
