"""The images that a network gets wrong although it is sure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from convlet.inputs import as_count
from convlet.measures import worst_mistakes
from convlet.network import Network
from convlet.plots.predictions import predict
from convlet.plots.style import (
    BLUE,
    INK,
    NORMAL,
    ORANGE,
    SMALL,
    bare,
    class_names,
    figure,
    heading,
    label,
)
from convlet.plots.tiles import height_of, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


WIDTH = 1.35  # inches of an image with its words
TEXT = 0.5  # inches of the words


def mistakes(network: Network, x: Any, y: Any, count: int = 25) -> "Figure":
    """The most confident mistakes, the worst first: what it said, how sure it was, and the truth.

    x, y: as for `Network.evaluate`.  count: at most so many, 1 to 400.  Raises `InputError`,
    `MissingDependencyError`.
    """
    count = as_count(count, "count", 1, 400)
    drawing = figure(1, 1)  # before the work: matplotlib may be missing
    found = predict(network, x, y)
    wrong = int((found.predicted != found.truth).sum())
    worst = worst_mistakes(found.probabilities, found.truth, count)
    names = class_names(network.classes, network.class_count)
    columns = max(2, min(len(worst), int(np.ceil(np.sqrt(count)))))
    rows = -(-len(worst) // columns)
    height = height_of(found.images[0], WIDTH) + TEXT
    drawing.set_size_inches(WIDTH * columns + 0.2, height * rows + 0.2)
    title = f"{wrong:,} of {len(found.truth):,} images wrong"
    if wrong > len(worst):
        title += f", the {len(worst)} surest"
    heading(drawing, title)
    if not wrong:
        _none(drawing)
        return drawing
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        bare(axes)
    for axes, n in zip(grid, worst, strict=False):
        said, truth = int(found.predicted[n]), int(found.truth[n])
        axes.imshow(picture(found.images[n]), interpolation="none")
        share = 100 * float(found.probabilities[n, said])
        axes.set_title(
            f"said {label(names[said], 13)}\n{share:.1f} %",
            fontsize=SMALL,
            color=ORANGE,
            parse_math=False,
            pad=3,
        )
        axes.set_xlabel(
            f"is {label(names[truth], 16)}",
            fontsize=SMALL,
            color=BLUE,
            parse_math=False,
            labelpad=2,
        )
    return drawing


def _none(drawing: "Figure") -> None:
    """Words where there is nothing to show."""
    width, height = drawing.get_size_inches()
    drawing.set_size_inches(width, height + 0.5)
    axes = drawing.subplots()
    bare(axes)
    axes.text(0, 0.5, "no mistakes", va="center", fontsize=NORMAL, color=INK)
