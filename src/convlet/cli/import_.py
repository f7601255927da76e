"""`convlet import`."""

from pathlib import Path

import click

from convlet.cli import options
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import is_model
from convlet.cli.names import call
from convlet.cli.options import argument, read_input
from convlet.cli.places import Output
from convlet.cli.show import print_stages
from convlet.errors import blaming
from convlet.loading import from_onnx
from convlet.wording import size


@click.command("import", cls=Command, epilog="Example: convlet import mnist.onnx")
@argument("file", "An ONNX file of a network that is a chain of layers.", type=options.FILE)
@options.file("--out", help="File for the model.", show_default="FILE with another ending")
@click.option("--input", metavar="SIZE", help="Size of an image, where FILE leaves it open.")
@options.real(
    "--white",
    help="The number of a white pixel in FILE, as 255.",
    show_default="by how FILE begins",
)
def import_(file: Path, out: Path | None, input: str | None, white: float | None) -> None:
    """Bring in a network of another library, from an ONNX file.

    It is saved as a model of convlet that gives the same probabilities.  What was folded into
    layers is said, a line each, and what images it takes.
    """
    call(input_shape="--input")
    shape = None if input is None else read_input(input)
    output = Output(out, f"{file.stem}.safetensors", "a convlet model", is_model)
    with blaming("file"):
        network = from_onnx(file, shape, white=white)
    print_stages(network.stages, network.input_shape)
    say()
    for line in network.said:
        say(line)
    say(f"images: {size(network.input_shape)}")
    if network.classes is not None:
        say(f"classes: {', '.join(network.classes)}")
    say(f"model saved in {output.write(network.save)}")
