"""The confusion matrix."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlet.measures import Counts, confusion_counts, predict
from convlet.network import Network
from convlet.plots.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    NORMAL,
    ORANGE,
    SMALL,
    class_names,
    figure,
    require_matplotlib,
)
from convlet.wording import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERED = 24  # with more classes there is no room for a number in a cell
NAMED = 50  # with more classes only every second, third, ... is named


def confusion_matrix(network: Network, x: Any, y: Any) -> "Figure":
    """How often each class (row) was taken for each class (column).

    Blue is right and orange wrong, both darker for a greater share of the row; the darkest orange
    is the most frequent confusion.  x, y: as for `Network.evaluate`.  Raises `InputError`,
    `MissingDependencyError`.
    """
    require_matplotlib()
    found = predict(network, x, y)
    counts = confusion_counts(found.labels, found.predicted, network.class_count)
    return drawn(counts, class_names(network.classes, network.class_count))


def drawn(counts: Counts, names: tuple[str, ...]) -> "Figure":
    """The matrix of counts (M, M) as a figure."""
    classes = len(counts)
    side = min(max(0.42 * classes, 2.0), 10.0)
    drawing = figure(side + 1.9, side + 1.6)
    axes = drawing.subplots()
    colours = shades(counts)
    axes.imshow(colours, interpolation="none")
    step = -(-classes // NAMED)
    places = range(0, classes, step)
    texts = [label(names[k], 16) for k in places]
    size = NORMAL if classes <= NUMBERED else SMALL
    turn = 0 if max(map(len, texts)) <= 2 and classes <= NUMBERED else 90
    axes.set_xticks(places, texts, rotation=turn, fontsize=size, color=INK, parse_math=False)
    axes.set_yticks(places, texts, fontsize=size, color=INK, parse_math=False)
    axes.set_xlabel("predicted", fontsize=NORMAL, color=INK)
    axes.set_ylabel("truth", fontsize=NORMAL, color=INK)
    right, total = int(np.trace(counts)), int(counts.sum())
    title = f"{right:,} of {total:,} right"
    axes.set_title(title, loc="left", fontsize=LARGE, color=INK)
    axes.spines[:].set_color(GREY)
    axes.tick_params(color=GREY)
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=GREY, alpha=0.15, linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    if classes <= NUMBERED:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                text = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
                colour = "white" if is_dark(colours[i, j]) else INK
                axes.text(j, i, text, ha="center", va="center", fontsize=SMALL, color=colour)
    return drawing


def shades(counts: Counts) -> NDArray[np.float64]:
    """The colour of every cell, RGB in 0..1, (M, M, 3)."""
    from matplotlib.colors import to_rgb

    right = np.eye(len(counts), dtype=bool)[..., None]
    full = np.where(right, to_rgb(BLUE), to_rgb(ORANGE))
    return np.asarray(1 + tints(counts)[..., None] * (full - 1))


def tints(counts: Counts) -> NDArray[np.float64]:
    """How much colour a cell has, 0 to 1, (M, M).

    On the diagonal the share of the row; elsewhere likewise, but 1 for the greatest of them.
    """
    support = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    share = counts / support
    right = np.eye(len(counts), dtype=bool)
    wrong = np.where(right, 0, share)
    # a single confusion should still be seen: begin at a light tint, not at white
    tint = np.where(right, share, wrong / max(wrong.max(), 1e-12))
    return np.where(counts > 0, 0.12 + 0.88 * tint, 0)


def is_dark(colour: NDArray[np.float64]) -> bool:
    """Whether white text is easier to read on it than black: its relative luminance (WCAG 2)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return bool(np.dot(linear, (0.2126, 0.7152, 0.0722)) < 0.25)
