"""`convlet show`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from convlet.cli import lines, options
from convlet.cli.byte_tables import BYTES_HEADER, BYTES_LESS, byte_rows, of_calibration
from convlet.cli.console import print_table, say
from convlet.cli.help import Command
from convlet.cli.models import load_either
from convlet.cli.names import call
from convlet.cli.options import argument, read_input
from convlet.engines import make_engine
from convlet.errors import InputError, Name
from convlet.native import NAMES, TARGET
from convlet.network import Network
from convlet.overview import LayerRow, layer_rows
from convlet.quantised.network import QuantizedNetwork
from convlet.shapes import Shape
from convlet.stages import Stage, default_layers, group
from convlet.text import parse_layers
from convlet.threads import explain
from convlet.wording import size

EXAMPLE = 'Example: convlet show --layers "conv 4 3, relu, flatten, dense 10, softmax"'
FLOAT_BYTES = 4
HEADER = ("stage", "layer", "equations", "output", "parameters", "multiply-adds", "bytes")
LESS = ("bytes", "equations", "multiply-adds")  # what a narrow terminal does without


@click.command(cls=Command, epilog=EXAMPLE)
@argument(
    "model",
    "A file that train saved, or a checkpoint.  [default: (the default network)]",
    required=False,
    type=options.FILE,
)
@options.LAYERS
@options.INPUT
@click.option("--engine", is_flag=True, help="Show what computes, only.")
def show(model: Path | None, layers: str | None, input: str | None, engine: bool) -> None:
    """Show the stages of a network.

    A row a layer: its equations, its output, the parameters and their bytes, and the multiply-adds
    of one image.
    """
    for name, value in (("layers", layers), ("input", input)):
        if model is not None and value is not None:
            but = (Name("model"), " says what its layers and images are")
            raise InputError(name, value, but=but, hint="leave one of them out")
    network = None if model is None else load_either(model)
    if isinstance(network, QuantizedNetwork):
        _show_whole_numbers(network, engine)
        return
    stages, shape = _stages(network, layers, input)
    if engine:
        for line in _engine(stages):
            say(line)
        return
    print_stages(stages, shape)
    if network is not None:
        say()
        for line in _history(network):
            say(line)


def print_stages(stages: Sequence[Stage], input_shape: Shape) -> None:
    """The table of layers."""
    print_table(HEADER, _rows(stages, input_shape), "<<<>>>>", LESS)


def _stages(
    network: Network | None, layers: str | None, input: str | None
) -> tuple[Sequence[Stage], Shape]:
    """Of a network, or of --layers for images of --input; the default ones without."""
    if network is not None:
        return network.stages, network.input_shape
    if layers is None:
        call(layers="--input")  # which does not fit the default network
    shape = read_input(input)
    chosen = default_layers() if layers is None else parse_layers(layers)
    return group(chosen, shape), shape


def _show_whole_numbers(network: QuantizedNetwork, engine: bool) -> None:
    """A row a stage: what a device keeps of it and does for it; then how it was made."""
    if engine:
        say("engine: NumPy, in whole numbers")
        return
    print_table(BYTES_HEADER, byte_rows(network.parts), "<<>>>>", BYTES_LESS)
    say()
    if network.data is not None:
        say(f"trained on: {network.data}")
    say(of_calibration(network.calibration))
    if network.preparation is not None:
        say(f"images of files: {network.preparation.words}")
    say(_classes(network))


def _classes(network: Network | QuantizedNetwork) -> str:
    return f"classes: {', '.join(network.classes or map(str, range(network.class_count)))}"


def _history(network: Network) -> Iterator[str]:
    """What a file knows of its training."""
    if network.data is not None:
        yield f"trained on: {network.data}"
    yield f"epochs trained: {network.epochs}"
    if network.preparation is not None:
        yield f"images of files: {network.preparation.words}"
    yield _classes(network)
    if network.settings is not None:
        yield f"batch size: {network.settings.batch_size}"
        yield from lines.of_settings(network.settings, network.layers)


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
        yield row.stage, row.layer, row.equations, size(row.output or ()), *_numbers(row)


def _numbers(row: LayerRow) -> tuple[str, str, str]:
    """Parameters, multiply-adds an image, bytes of the parameters."""
    if row.parameters is None:
        return "", "", ""
    return f"{row.parameters:,}", f"{row.multiply_adds:,}", f"{FLOAT_BYTES * row.parameters:,}"
