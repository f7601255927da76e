"""`convlet report`."""

from pathlib import Path
from typing import Annotated

import typer

from convlet.cli import options
from convlet.cli.console import say
from convlet.cli.models import data_for, data_of, load_model
from convlet.formats.atomic import write_atomic
from convlet.plots.style import figure
from convlet.report import report as make_report
from convlet.watch import read_history

EXAMPLE = "Example: convlet report mnist.safetensors mnist --history run.csv"


def report(
    model: options.Model,
    data: options.ModelData = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the page goes.")] = Path(
        "report.html"
    ),
    history: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The --history file of its training, for the curves."),
    ] = None,
) -> None:
    """Write one HTML page about a model.

    Its stages, its training, and how it does on the test images of DATA, in one file.  Without
    DATA, on those of the data set that it was trained on, if it has a name.
    """
    options.refuse_unwritable(out, "--out")
    figure(1, 1)  # whether matplotlib is there
    with options.renamed("path is", "--history is"):
        rows = None if history is None else read_history(history)
    network = load_model(model)
    data = data_of(network) if data is None else data
    if data is None:
        page = make_report(network, history=rows, title=model.name)
    else:
        dataset = data_for(network, data, model)
        x, y = dataset.test.images, dataset.test.labels
        page = make_report(network, x, y, rows, title=model.name, data_name=dataset.name)
    write_atomic(out, page.encode())
    without = " without results, as no DATA is given" if data is None else ""
    say(f"report saved in {out}{without}")
