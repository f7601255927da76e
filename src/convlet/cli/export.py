"""`convlet export`."""

from functools import partial
from pathlib import Path

import click

from convlet.cli import c_files, options, places
from convlet.cli.c_files import CFile
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import load_model
from convlet.cli.options import argument, together, word
from convlet.cli.places import Output, begins_with
from convlet.errors import InputError
from convlet.formats.levels import DTYPES, as_dtype
from convlet.interchange.onnx_graph import START

EXAMPLE = "Example: convlet export pets.safetensors pets.onnx --prepare --labels"


@click.command(cls=Command, epilog=EXAMPLE)
@options.MODEL
@argument("file", "The file to write, a .onnx or .c file.", type=options.FILE)
@word(
    "--dtype",
    of=DTYPES,
    metavar="DTYPE",
    default="uint8",
    help="Of the images: uint8, where 255 is white, or float32, numbers as in training.",
)
@click.option("--prepare", is_flag=True, help="ONNX: the file prepares images of any size, too.")
@click.option("--labels", is_flag=True, help="ONNX: the file names the most probable class, too.")
@together("c_file", CFile, c_files.OPTIONS)
def export(model: Path, file: Path, dtype: str, prepare: bool, labels: bool, c_file: CFile) -> None:
    """Write a model for other programs, or for small devices.

    A .onnx file gives the probabilities that predict gives (docs/interchange.md).  A .c file is C99
    without dependencies, in floats or, of a model of quantize, in whole numbers (docs/devices.md).
    """
    places.refuse_same({"model": model, "file": file, "arduino": c_file.arduino})
    chosen = as_dtype(dtype)
    match file.suffix.lower():
        case ".onnx":
            c_file.refuse(".onnx")
            output = Output(file, "", "an ONNX file of convlet", begins_with(START), "file")
            network = load_model(model)
            write = partial(network.to_onnx, dtype=chosen, prepare=prepare, labels=labels)
            say(f"exported to {output.write(write)}")
        case ".c":
            for name, value in (("prepare", prepare), ("labels", labels)):
                if value:
                    raise InputError(name, value, but="that is for .onnx files, not for .c")
            c_files.write_c(model, file, chosen, c_file)
        case _:
            raise InputError("file", str(file), "a name that ends in .onnx or .c")
