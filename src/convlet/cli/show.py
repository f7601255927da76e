"""`convlet show`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from convlet.cli import options
from convlet.cli.console import print_table, say
from convlet.cli.models import load_model
from convlet.engine import make_engine
from convlet.errors import InputError
from convlet.layers import Shape
from convlet.native import NAMES, TARGET
from convlet.overview import LayerRow, layer_rows
from convlet.stages import Stage, default_layers, group
from convlet.threads import explain

EXAMPLE = 'Example: convlet show --layers "conv 4 3, relu, flatten, dense 10, softmax"'
FLOAT_BYTES = 4


def show(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL",
            help="A file that train saved, or a checkpoint; without one, the default network.",
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
    """The rows of the table, with a rule above the sum."""
    for row in layer_rows(stages, input_shape):
        if row.output is None:
            yield ()
        output = options.size(row.output or ())
        yield row.stage, row.layer, row.equations, output, *_numbers(row)


def _numbers(row: LayerRow) -> tuple[str, str, str]:
    """Parameters, multiply-adds an image, bytes of the parameters."""
    if row.parameters is None:
        return "", "", ""
    return f"{row.parameters:,}", f"{row.multiply_adds:,}", f"{FLOAT_BYTES * row.parameters:,}"
