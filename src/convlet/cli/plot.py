"""`convlet plot`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from convlet import plots
from convlet.cli import options
from convlet.cli.console import say
from convlet.cli.models import load_model, load_with_data
from convlet.errors import InputError
from convlet.inputs import as_count
from convlet.plots.style import check_suffix, figure
from convlet.watch import read_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLE = "Example: convlet plot confusion mnist.safetensors mnist --out confusion.svg"
KINDS = ("curves", "confusion", "filters", "activations", "mistakes", "reliability")


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS) + ".")],
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A file that train saved; for curves, its --history file."
        ),
    ],
    data: options.ModelData = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A .png, .svg or .pdf file.", show_default="convlet-KIND.png"
        ),
    ] = None,
    image: Annotated[
        int,
        typer.Option(
            parser=options.whole, metavar="N", help="For activations: which test image, from 0."
        ),
    ] = 0,
    count: Annotated[
        int,
        typer.Option(parser=options.whole, metavar="N", help="For mistakes: at most so many."),
    ] = 25,
) -> None:
    """Draw one picture of training or of what was learned.

    Confusion, activations, mistakes and reliability are of the test images of DATA.
    """
    if kind not in KINDS:
        raise InputError(f"KIND is {kind!r}, expected one of: {', '.join(KINDS)}")
    as_count(image, "--image", 0)
    as_count(count, "--count", 1, 400)
    out = Path(f"convlet-{kind}.png") if out is None else out
    check_suffix(out, "--out")
    options.refuse_unwritable(out, "--out")
    figure(1, 1)  # whether matplotlib is there
    plots.save(_draw(kind, model, data, image, count), out)
    say(f"picture saved in {out}")


def _draw(kind: str, model: Path, data: str | None, image: int, count: int) -> "Figure":
    if kind == "curves":
        with options.renamed("path is", "MODEL is"):
            return plots.training_curves(read_history(model))
    if kind == "filters":
        return plots.filters(load_model(model))
    network, dataset = load_with_data(model, data)
    x, y = dataset.test.images, dataset.test.labels
    if kind == "confusion":
        return plots.confusion_matrix(network, x, y)
    if kind == "mistakes":
        return plots.mistakes(network, x, y, count)
    if kind == "reliability":
        return plots.reliability(network, x, y)
    if image >= len(x):
        raise InputError(f"--image is {image}, expected 0 to {len(x) - 1}: a test image")
    return plots.activations(network, x[image])
