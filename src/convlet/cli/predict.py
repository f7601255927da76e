"""`convlet predict`."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from convlet import datasets
from convlet.cli import options
from convlet.cli.console import print_table, say_json
from convlet.cli.models import load_model
from convlet.cli.progress import percent
from convlet.engine import as_floats
from convlet.equations import Array
from convlet.inputs import as_count

EXAMPLE = "Example: convlet predict mnist.safetensors digit.png --resize --top 2"


def predict(
    model: options.Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="PNG, JPEG or .npy files.")],
    top: Annotated[
        int, typer.Option(parser=options.whole, metavar="N", help="How many classes to show.")
    ] = 3,
    resize: Annotated[
        bool, typer.Option("--resize", help="Scale images to the size that the model expects.")
    ] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="Swap dark and bright: MNIST is bright on dark.")
    ] = False,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Name the most probable classes of images."""
    as_count(top, "--top")
    options.check_threads(threads)
    network = load_model(model)
    names, arrays = [], []
    for path in images:
        found = datasets.read_images(path, network.input_shape, resize=resize)
        names += [str(path)] if len(found) == 1 else [f"{path}[{i}]" for i in range(len(found))]
        arrays.append(inverted(found) if invert else found)
    if len({array.dtype for array in arrays}) > 1:  # some uint8, some floats
        arrays = [as_floats(array) for array in arrays]
    probabilities = network.predict_proba(np.concatenate(arrays), threads=threads)
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


def inverted(images: Array) -> Array:
    """Dark and bright swapped: 255 - u for levels, 1 - x for floats, of which 1 is white."""
    return ~images if images.dtype == np.uint8 else 1 - images
