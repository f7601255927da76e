"""The weights that training begins with."""

from collections.abc import Sequence
from math import prod

import numpy as np

from convlet.equations import Float32
from convlet.randomness import Purpose, uniform
from convlet.stages import Stage, parameter_shapes, views


def initial_weights(stages: Sequence[Stage], seed: int) -> Float32:
    """He uniform weights, biases 0 -> the flat vector.  Stage l draws the words (seed, WEIGHTS, l).

    Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015: variance 2 / fan-in, so
    +-sqrt(6 / fan-in).
    """
    shapes = parameter_shapes(stages)
    flat = np.zeros(sum(map(prod, shapes.values())), np.float32)
    arrays = views(flat, shapes)
    for stage in stages:
        w = arrays[stage.w_name]
        limit = np.sqrt(6 / prod(stage.w_shape[:-1]))  # fan-in: all axes but the output's
        draws = uniform(seed, Purpose.WEIGHTS, stage.index, w.size).reshape(w.shape)
        w[...] = (2 * draws - 1) * limit
    return flat
