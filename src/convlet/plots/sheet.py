"""A contact sheet: the first images of every class."""

from typing import TYPE_CHECKING, Any

import numpy as np

from convlet.datasets.dataset import Dataset
from convlet.errors import InputError
from convlet.inputs import as_count
from convlet.plots.style import INK, SMALL, bare, figure, heading
from convlet.plots.tiles import as_rgb, height_of
from convlet.wording import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 0.7  # inches of an image
MOST_CLASSES = 50


def contact_sheet(data: Any, count: int = 10) -> "Figure":
    """A row a class: its first training images, as many as `count`, 1 to 30, and how many it has.

    data: a `Dataset`; of more than 50 classes the first ones are drawn.  Raises `InputError`,
    `MissingDependencyError`.
    """
    if not isinstance(data, Dataset):
        raise InputError("data", data, "a convlet.datasets.Dataset")
    columns = as_count(count, "count", 1, 30)
    labels = data.train.labels
    classes = range(min(len(data.classes), MOST_CLASSES))
    height = height_of(data.train.images[0], WIDTH)
    drawing = figure(1.6 + WIDTH * columns, 0.6 + (height + 0.06) * len(classes))
    more = f", {len(classes)} of them drawn" if len(classes) < len(data.classes) else ""
    heading(drawing, f"{label(data.name)}: {len(data.classes)} classes{more}")
    grid = drawing.subplots(len(classes), columns, squeeze=False)
    for k in classes:
        places = np.flatnonzero(labels == k)
        for n in range(columns):
            axes = grid[k, n]
            bare(axes)
            if n < len(places):
                axes.imshow(as_rgb(data.train.images[places[n]]), interpolation="none")
            else:
                axes.set_axis_off()
        grid[k, 0].set_axis_on()
        grid[k, 0].set_ylabel(
            f"{label(data.classes[k])}\n{len(places):,}",
            rotation=0, ha="right", va="center", fontsize=SMALL, color=INK,
        )  # fmt: skip
    return drawing
