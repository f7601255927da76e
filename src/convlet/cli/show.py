"""`convlet show`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from convlet import load as load_model
from convlet.cli import options
from convlet.cli.console import print_table, say
from convlet.engine import make_engine
from convlet.errors import InputError
from convlet.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Shape, Softmax
from convlet.native import NAMES, TARGET
from convlet.stages import Stage, default_layers, group
from convlet.threads import explain

EXAMPLE = 'Example: convlet show --layers "conv 4 3, relu, flatten, dense 10, softmax"'
EQUATIONS: dict[type[Layer], str] = {
    Conv2D: "(1), (17)",
    MaxPool2D: "(4)",
    Flatten: "(5)",
    Dense: "(6), (17)",
    ReLU: "(9)",
    Softmax: "(11)",
}
FLOAT_BYTES = 4


def show(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="A file that train saved; without one, the default network."
        ),
    ] = None,
    layers: options.Layers = None,
    input: options.InputSize = None,
    engine: Annotated[bool, typer.Option("--engine", help="Show what computes, only.")] = False,
) -> None:
    """Show the stages of a network.

    A row a layer: its equations, its output, the parameters and their bytes, and the multiply-adds
    of one image.
    """
    if model is not None and (layers is not None or input is not None):
        raise InputError("MODEL is given, and --layers or --input too: leave one of them out")
    shape: Shape
    if model is not None:
        network = load_model(model)
        stages, shape = network.stages, network.input_shape
    else:
        chosen, shape = options.read_layers(layers), options.read_input(input)
        with options.named("--input" if layers is None else "--layers"):
            stages = group(chosen or default_layers(), shape)
    if engine:
        for line in _engine(stages):
            say(line)
        return

    header = ("stage", "layer", "equations", "output", "parameters", "multiply-adds", "bytes")
    print_table(header, _rows(stages, shape), "<<<>>>>")
    if model is not None:
        say()
        say(f"epochs trained: {network.epochs}")
        say(f"classes: {', '.join(network.classes or map(str, range(network.class_count)))}")


def _engine(stages: Sequence[Stage]) -> Iterator[str]:
    """What computes, on how many threads, and why."""
    name = make_engine("auto", stages).name
    if name == "native":
        yield f"engine: native, target {TARGET.name} ({NAMES[TARGET.name or '']})"
        yield f"why: {TARGET.why}"
    else:
        yield f"engine: {name}"
        try:
            make_engine("native", stages)
        except InputError as error:
            yield f"why: {error}"
    count, why = explain()
    yield f"threads: {count}, {why}"


def _rows(stages: Sequence[Stage], input_shape: Shape) -> Iterator[Sequence[object]]:
    """The rows of the table: one a layer, the parameters of a stage beside its affine map."""
    yield "", "input", "", options.size(input_shape), "", "", ""
    if stages[0].x_shape != input_shape:  # x^0 is flat: `group` dropped a layer that moves no data
        yield "", "flatten", "(5)", options.size(stages[0].x_shape), "", "", ""
    for stage in stages:
        yield (
            stage.index,
            stage.affine,
            EQUATIONS[type(stage.affine)],
            options.size(stage.z_shape),
            *_numbers(stage.parameter_count, stage.multiply_adds),
        )
        shape = stage.z_shape
        for layer in stage.sigma:
            shape = layer.output_shape(shape)
            yield "", layer, EQUATIONS[type(layer)], options.size(shape), "", "", ""
    yield ()
    parameters = sum(stage.parameter_count for stage in stages)
    yield ("", "all", "", "", *_numbers(parameters, sum(stage.multiply_adds for stage in stages)))


def _numbers(parameters: int, multiply_adds: int) -> tuple[str, str, str]:
    """Parameters, multiply-adds an image, bytes of the parameters."""
    return f"{parameters:,}", f"{multiply_adds:,}", f"{FLOAT_BYTES * parameters:,}"
