"""`convlet report`."""

from pathlib import Path
from typing import Annotated

import typer

from convlet.cli import options
from convlet.cli.console import say
from convlet.cli.models import load_with_data
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

    Its stages, its training, and how it does on the test images of DATA, in one file.
    """
    options.refuse_unwritable(out, "--out")
    figure(1, 1)  # whether matplotlib is there
    with options.renamed("path is", "--history is"):
        rows = None if history is None else read_history(history)
    network, dataset = load_with_data(model, data)
    test = dataset.test
    page = make_report(
        network, test.images, test.labels, rows, title=model.name, data_name=dataset.name
    )
    write_atomic(out, page.encode())
    say(f"report saved in {out}")
