"""The images that a network gets wrong although it is sure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from convlet.inputs import as_count
from convlet.measures import Predictions, predict, worst_mistakes
from convlet.network import Network
from convlet.plots.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    ORANGE,
    SMALL,
    bare,
    class_names,
    figure,
    heading,
    require_matplotlib,
)
from convlet.plots.tiles import as_rgb, height_of
from convlet.wording import file_label, label, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WIDTH = 1.35  # inches of an image with its words
TEXT = 0.65  # inches of the words
LINE = 10  # points from one line of them to the next
LETTERS = 17  # of a line of them
MOST_IMAGES = 400


def mistakes(network: Network, x: Any, y: Any, count: int = 25, *, names: Any = None) -> "Figure":
    """The most confident mistakes, the worst first: what it said, how sure it was, and the truth.

    x, y: as for `Network.evaluate`.  count: at most so many, 1 to 400.  names: a str for each
    image, as of its file; without them an image is called by its number in x, from 0.  Raises
    `InputError`, `MissingDependencyError`.
    """
    count = as_count(count, "count", 1, MOST_IMAGES)
    require_matplotlib()
    found = predict(network, x, y, names=names)
    wrong = int((found.predicted != found.labels).sum())
    worst = worst_mistakes(found.probabilities, found.labels, count)
    columns = max(2, min(len(worst), int(np.ceil(np.sqrt(count)))))
    rows = -(-len(worst) // columns)
    height = height_of(found.images[0], WIDTH) + TEXT
    drawing = figure(WIDTH * columns + 0.2, height * rows + 0.2)
    title = f"{wrong:,} of {len(found.labels):,} images wrong"
    if wrong > len(worst):
        title += f", the {len(worst)} surest"
    heading(drawing, title)
    if not wrong:
        _none(drawing)
        return drawing
    classes = class_names(network.classes, network.class_count)
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        bare(axes)
    for axes, n in zip(grid, worst, strict=False):
        _tile(axes, found, int(n), classes)
    return drawing


def _tile(axes: "Axes", found: Predictions, n: int, classes: tuple[str, ...]) -> None:
    """An image with what was said above it, and the truth and the image's name below it."""
    said, truth = int(found.predicted[n]), int(found.labels[n])
    share = percent(found.probabilities[n, said], 1)
    look: dict[str, Any] = {"fontsize": SMALL, "parse_math": False}
    axes.imshow(as_rgb(found.images[n]), interpolation="none")
    above = f"said {label(classes[said], LETTERS - 4)}\n{share}"
    axes.set_title(above, color=ORANGE, pad=3, **look)
    axes.set_xlabel(f"is {label(classes[truth], LETTERS - 1)}", color=BLUE, labelpad=2, **look)
    axes.annotate(
        file_label(found.name(n), LETTERS),
        (0.5, 0),
        (0, -2 - LINE),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="top",
        color=GREY,
        **look,
    )


def _none(drawing: "Figure") -> None:
    """Words where there is nothing to show."""
    width, height = drawing.get_size_inches()
    drawing.set_size_inches(width, height + 0.5)
    axes = drawing.subplots()
    bare(axes)
    axes.text(0, 0.5, "no mistakes", va="center", fontsize=NORMAL, color=INK)
