"""`convlet export`."""

from functools import partial
from pathlib import Path

import click

from convlet.cli import options, places
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import load_model
from convlet.cli.options import argument, word
from convlet.cli.places import Output, begins_with
from convlet.errors import InputError
from convlet.interchange.onnx_graph import START
from convlet.interchange.onnx_out import DTYPES, as_dtype

EXAMPLE = "Example: convlet export pets.safetensors pets.onnx --prepare --labels"


@click.command(cls=Command, epilog=EXAMPLE)
@options.MODEL
@argument("file", "The file to write, a .onnx file.", type=options.FILE)
@word(
    "--dtype",
    of=DTYPES,
    metavar="DTYPE",
    default="uint8",
    help="Of the images: uint8, where 255 is white, or float32, numbers as in training.",
)
@click.option("--prepare", is_flag=True, help="The file prepares images of any size, too.")
@click.option("--labels", is_flag=True, help="The file names the most probable class, too.")
def export(model: Path, file: Path, dtype: str, prepare: bool, labels: bool) -> None:
    """Write a model for other programs.

    The file gives the probabilities that predict gives (docs/interchange.md).
    """
    if file.suffix.lower() != ".onnx":
        raise InputError("file", str(file), "a name that ends in .onnx")
    places.refuse_same({"model": model, "file": file})
    output = Output(file, "", "an ONNX file of convlet", begins_with(START), "file")
    chosen = as_dtype(dtype)
    network = load_model(model)
    write = partial(network.to_onnx, dtype=chosen, prepare=prepare, labels=labels)
    say(f"exported to {output.write(write)}")
