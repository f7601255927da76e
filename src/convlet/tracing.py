"""What passes through a network: every number of the forward pass, every error of the way back.

An engine gives the numbers of each stage, z^l, x^{l+1} and their errors; what is between them, the
layers of sigma^l one by one, moves or chooses these numbers and is read off here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from convlet import backprop
from convlet import equations as eq
from convlet.engine import Engine, Samples, as_floats
from convlet.equations import Array, Float32
from convlet.layers import Sigma, Softmax
from convlet.reference import quiet
from convlet.stages import Stage


@dataclass(frozen=True, eq=False)
class StageActivations:
    """The numbers of stage l for n images, float32.

    x: x^l (n, *x_shape).  z: z^l (n, *z_shape).  outputs: of each layer of sigma^l in turn; the
    last one is x^{l+1}, which is z^l itself where sigma^l has no layer.
    """

    stage: Stage
    x: Float32
    z: Float32
    outputs: tuple[Float32, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of sigma^l in their text form, one for each output."""
        return tuple(map(str, self.stage.sigma))

    @property
    def inputs(self) -> tuple[Float32, ...]:
        """Of each layer of sigma^l in turn: z^l, then the outputs but for the last."""
        return (self.z, *self.outputs)[: len(self.outputs)]

    @property
    def output(self) -> Float32:
        """x^{l+1} (n, *output_shape)."""
        return (self.z, *self.outputs)[-1]


@dataclass(frozen=True, eq=False)
class StageErrors:
    """The errors of stage l for n images, float32: derivatives of each one's own cost E^n (14).

    delta: dE/dz^l (n, *z_shape).  outputs: dE by the output of each layer of sigma^l in turn; the
    last one is dE/dx^{l+1}.  The softmax has none: (15) enters below it.  x: dE/dx^l (n, *x_shape),
    for stage 0 by the image.
    """

    stage: Stage
    delta: Float32
    outputs: tuple[Float32, ...]
    x: Float32

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of sigma^l in their text form, one for each of the outputs."""
        return tuple(map(str, self.stage.sigma[: len(self.outputs)]))


@quiet
def activations(
    engine: Engine,
    parameters: Float32,
    stages: Sequence[Stage],
    images: Array,
    threads: int | None = None,
) -> list[StageActivations]:
    """Of images (n, rows, columns, channels) that are already checked."""
    x = as_floats(images).reshape(len(images), *stages[0].x_shape)
    found = []
    for stage, (z, output) in zip(stages, engine.trace(parameters, images, threads), strict=True):
        values = [z]
        for layer in stage.sigma[:-1]:
            values.append(backprop.sigma(layer, values[-1]))  # (16)
        outputs = (*values[1:], output) if stage.sigma else ()
        found.append(StageActivations(stage, x, z, outputs))
        x = output
    return found


@quiet
def errors(
    engine: Engine,
    parameters: Float32,
    stages: Sequence[Stage],
    data: Samples,
    threads: int | None = None,
) -> list[StageErrors]:
    """Of images with labels that are already checked; their weights play no part."""
    forward = activations(engine, parameters, stages, data.images, threads)
    backward = engine.errors(parameters, data.images, data.targets, threads)
    probabilities = forward[-1].output
    above = probabilities - eq.distribution(data.targets, probabilities)  # (15)
    found: list[StageErrors] = []
    for passed, (delta, x) in zip(reversed(forward), reversed(backward), strict=True):
        layers = below_softmax(passed.stage)
        outputs = [above] * bool(layers)
        for layer, values in reversed(list(zip(layers[1:], passed.inputs[1:], strict=False))):
            outputs.insert(0, backprop.through_sigma([layer], [values], outputs[0]))  # (20)
        found.insert(0, StageErrors(passed.stage, delta, tuple(outputs), x))
        above = x
    return found


def below_softmax(stage: Stage) -> tuple[Sigma, ...]:
    """The layers of sigma^l that an error passes: (15) enters below the softmax."""
    return tuple(layer for layer in stage.sigma if not isinstance(layer, Softmax))
