"""The page: its head, its facts, its sections in order."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from convlet import measures
from convlet._version import __version__
from convlet.errors import InputError
from convlet.measures import Predictions, as_network, predict
from convlet.network import Network
from convlet.plots.curves import as_history
from convlet.plots.style import class_names, require_matplotlib
from convlet.report import about, results
from convlet.report.html import Html, own, pairs, percent, tag, text
from convlet.run import Row
from convlet.wording import label

# The page asks for nothing: what a browser would load or run all the same is forbidden to it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
VERSION = f"convlet {__version__}"
MOST_SAID = 300  # characters of a line about the data
SECTIONS = (
    ("network", "Network"),
    ("training", "Training"),
    ("classes", "Classes"),
    ("confusion", "Confusion matrix"),
    ("calibration", "Calibration"),
    ("filters", "Filters"),
    ("activations", "Activations"),
    ("saliency", "Pixels that matter"),
    ("mistakes", "Mistakes"),
)


def report(
    network: Network,
    x: Any = None,
    y: Any = None,
    history: Sequence[Row] | None = None,
    *,
    title: str = "A network",
    data_name: str | None = None,
    names: Any = None,
    said: Sequence[str] = (),
) -> str:
    """One self-contained HTML page about a network and its predictions for test images.

    x, y: test images and their classes, as for `Network.evaluate`; without both the page has the
    network, its training and its filters.  history: of its training, for the curves.  data_name: of
    the data that x and y are from.  names: a str for each image, as of its file; without them an
    image is called by its number in x, from 0.  said: what a reader should know of the data, as
    `Dataset.said`.  How the network was trained is said where it knows
    that, as after `fit`.  The page holds its style and its pictures, needs no
    script and no network, and every name in it is escaped.  The same arguments give the same page.
    Raises `InputError`, `MissingDependencyError`.
    """
    require_matplotlib()
    network = as_network(network)
    if (x is None) != (y is None):
        raise InputError("x" if x is None else "y", None, "both x and y or neither")
    if x is None and names is not None:
        raise InputError("names", names, but="there are no images", hint="give x and y, too")
    rows = None if history is None else as_history(history)
    parts = {"network": about.stages(network), "filters": about.filters(network)}
    if rows is not None or network.settings is not None:
        parts["training"] = about.training(network, rows)
    facts = about.facts(network, rows)
    if x is not None:
        found = predict(network, x, y, names=names)
        parts |= _results(network, found)
        facts = _scores(found, data_name) | facts
    present = [(name, words) for name, words in SECTIONS if name in parts]
    links = [tag("li", tag("a", text(words), href=f"#{name}")) for name, words in present]
    notes = [tag("p", own(label(line, MOST_SAID)), class_="note") for line in said]
    head = tag("header", tag("h1", text(title)), pairs(facts, "facts"), *notes)
    menu = tag("nav", tag("ul", *links), aria_label="Sections")
    main = tag("main", "\n".join(parts[name] for name, _ in present))
    return _document(title, head, menu, main, tag("footer", text(f"Written by {VERSION}.")))


def _results(network: Network, found: Predictions) -> dict[str, Html]:
    """The sections about predictions, by name."""
    names = class_names(network.classes, network.class_count)
    counts = measures.confusion_counts(found.labels, found.predicted, len(names))
    return {
        "classes": results.by_class(counts, names),
        "confusion": results.confusions(counts, names),
        "calibration": results.calibration(found),
        "activations": results.examples(network, found, names),
        "saliency": results.saliency(network, found, names),
        "mistakes": results.mistakes(found, names),
    }


def _scores(found: Predictions, data_name: str | None) -> dict[str, Html]:
    return ({} if data_name is None else {"test data": text(data_name)}) | {
        "test images": text(f"{len(found.labels):,}"),
        "test accuracy": percent(found.accuracy),
        "test loss": text(f"{found.loss + 0.0:.4f}"),  # and not -0.0000
    }


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
