"""`convlet predict`."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from convlet import datasets
from convlet.cli import options
from convlet.cli.console import print_table, say_json
from convlet.cli.help import Command
from convlet.cli.models import load_model
from convlet.cli.options import argument, whole
from convlet.engine import as_floats
from convlet.equations import Array
from convlet.errors import blaming
from convlet.inputs import as_count, as_threads
from convlet.network import Network
from convlet.wording import percent

EXAMPLE = "Example: convlet predict mnist.safetensors digit.png --resize --top 2"


@click.command(cls=Command, epilog=EXAMPLE)
@options.MODEL
@argument(
    "images",
    "PNG, JPEG or .npy files.",
    nargs=-1,
    required=True,
    metavar="IMAGE...",
    type=options.FILE,
)
@whole("--top", default=3, help="How many classes to show.")
@click.option("--resize", is_flag=True, help="Scale images to the size that the model expects.")
@click.option("--invert", is_flag=True, help="Swap dark and bright: MNIST is bright on dark.")
@options.THREADS
@options.JSON
def predict(
    model: Path,
    images: Sequence[Path],
    top: int,
    resize: bool,
    invert: bool,
    threads: int | None,
    json: bool,
) -> None:
    """Name the most probable classes of images."""
    as_count(top, "top")
    as_threads(threads)
    network = load_model(model)
    names, x = _read(images, network, resize, invert)
    probabilities = network.predict_proba(x, threads=threads)
    classes = network.classes or tuple(map(str, range(network.class_count)))
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    answers = [
        [(classes[k], float(row[k])) for k in order]
        for row, order in zip(probabilities, best, strict=True)
    ]
    if json:
        for name, answer in zip(names, answers, strict=True):
            found_classes = [{"class": k, "probability": share} for k, share in answer]
            say_json({"image": name, "classes": found_classes})
        return
    rows = [
        (name if place == 0 else "", k, percent(share))
        for name, answer in zip(names, answers, strict=True)
        for place, (k, share) in enumerate(answer)
    ]
    print_table(("image", "class", "probability"), rows, "<<>")


def _read(
    paths: Sequence[Path], network: Network, resize: bool, invert: bool
) -> tuple[list[str], Array]:
    """A name for each image, and the images."""
    names: list[str] = []
    arrays: list[Array] = []
    with blaming("images"):
        for path in paths:
            found = datasets.read_images(path, network.input_shape, resize=resize)
            names += [str(path)] if len(found) == 1 else [f"{path}[{i}]" for i in range(len(found))]
            arrays.append(inverted(found) if invert else found)
    if len({array.dtype for array in arrays}) > 1:  # some uint8, some floats
        arrays = [as_floats(array) for array in arrays]
    return names, np.concatenate(arrays)


def inverted(images: Array) -> Array:
    """Dark and bright swapped: 255 - u for levels, 1 - x for floats, of which 1 is white."""
    return ~images if images.dtype == np.uint8 else 1 - images
