"""`convlet report`."""

from pathlib import Path

import click

from convlet import datasets
from convlet.cli import options, places, reading
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import data_for, data_of, load_model
from convlet.cli.options import file
from convlet.cli.places import Output, begins_with
from convlet.cli.reading import Tested
from convlet.errors import blaming
from convlet.files.atomic import write_atomic
from convlet.plots.style import require_matplotlib
from convlet.report import report as make_report
from convlet.watch import read_history

EXAMPLE = "Example: convlet report mnist.safetensors mnist --history run.csv"


@click.command(cls=Command, epilog=EXAMPLE)
@options.MODEL
@options.MODEL_DATA
@reading.TESTED
@file("--out", help="Where the page goes.", show_default="report.html")
@file("--history", help="The --history file of its training, for the curves.")
def report(
    model: Path, data: str | None, tested: Tested, out: Path | None, history: Path | None
) -> None:
    """Write one HTML page about a model.

    Its stages, its training, and how it does on the test images of DATA, in one file.  Without
    DATA, on those of the data set that it was trained on, if it has a name.
    """
    tested.check()
    path = None if data in datasets.names() else data
    places.refuse_same({"data": path, "model": model, "history": history, "out": out})
    output = Output(out, "report.html", "an HTML page", begins_with(b"<!DOCTYPE html>"))
    require_matplotlib()
    with blaming("history"):
        rows = None if history is None else read_history(history, "history")
    network = load_model(model)
    data = data_of(network) if data is None else data
    if data is None:
        page = make_report(network, history=rows, title=model.name)
    else:
        dataset = data_for(network, data, model, **tested.arguments())
        for line in dataset.said:
            say(line)
        x, y, names = dataset.test.images, dataset.test.labels, dataset.test.names
        page = make_report(
            network,
            x,
            y,
            rows,
            title=model.name,
            data_name=dataset.name,
            names=names,
            said=dataset.said,
        )
    place = output.write(lambda path: write_atomic(path, page.encode()))
    without = " without results, as no DATA is given" if data is None else ""
    say(f"report saved in {place}{without}")
