"""The page: its head, its facts, its sections in order."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from convlet import measures
from convlet._version import __version__
from convlet.errors import InputError
from convlet.network import Network
from convlet.plots.predictions import predict
from convlet.plots.style import class_names, figure
from convlet.report import about, results
from convlet.report.html import Html, tag, text
from convlet.run import Row

# The page asks for nothing: what a browser would load or run all the same is forbidden to it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
SECTIONS = (
    ("network", "Network"),
    ("training", "Training"),
    ("classes", "Classes"),
    ("confusion", "Confusion matrix"),
    ("calibration", "Calibration"),
    ("filters", "Filters"),
    ("activations", "Activations"),
    ("mistakes", "Mistakes"),
)


def report(
    network: Network,
    x: Any,
    y: Any,
    history: Sequence[Row] | None = None,
    *,
    title: str = "A network",
    data_name: str = "test data",
) -> str:
    """One self-contained HTML page about a network and its predictions for x, y.

    x, y: as for `Network.evaluate`.  history: of its training, for the curves.  The page holds its
    style and its pictures, needs no script and no network, and every name in it is escaped.  The
    same arguments give the same page.  Raises `InputError`, `MissingDependencyError`.
    """
    figure(1, 1)  # before the work: matplotlib may be missing
    if history is not None and not len(history):
        raise InputError("history has no epochs, expected at least one, or None")
    found = predict(network, x, y)
    evaluation = network.evaluate(found.images, found.truth)
    names = class_names(network.classes, network.class_count)
    counts = measures.confusion_counts(found.truth, found.predicted, len(names))
    facts = {
        "data": text(data_name),
        "images": text(f"{len(found.truth):,}"),
        "accuracy": results.percent(evaluation.accuracy),
        "loss": text(f"{evaluation.loss:.4f}"),
        "parameters": text(f"{network.flat.size:,}"),
        "epochs trained": text(network.epochs),
    }
    sections = [
        about.stages(network),
        *([] if history is None else [about.training(history)]),
        results.by_class(counts, names),
        results.confusions(counts, names),
        results.calibration(found),
        about.filters(network),
        results.examples(network, found, names),
        results.mistakes(found, names),
    ]
    links = [
        tag("li", tag("a", text(words), href=f"#{name}"))
        for name, words in SECTIONS
        if name != "training" or history is not None
    ]
    head = tag("header", tag("h1", text(title)), _facts(facts))
    menu = tag("nav", tag("ul", *links), aria_label="Sections")
    foot = tag("footer", text(f"Written by convlet {__version__}."))
    return _document(title, head, menu, tag("main", "\n".join(sections)), foot)


def _facts(facts: dict[str, Html]) -> Html:
    pairs = (tag("div", tag("dt", text(n)), tag("dd", value)) for n, value in facts.items())
    return tag("dl", *pairs, class_="facts")


def _document(title: str, *body: Html) -> str:
    style = resources.files("convlet.report").joinpath("style.css").read_text(encoding="utf-8")
    lines = (
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        tag("title", text(f"{title}: report")),
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        *body,
        "</body>",
        "</html>",
        "",
    )
    return "\n".join(lines)
