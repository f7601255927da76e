"""Loss and accuracy over the epochs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlet.errors import InputError
from convlet.plots.style import BLUE, GREY, INK, NORMAL, ORANGE, figure, plain
from convlet.run import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED = 30  # more epochs than these are lines without marks


def training_curves(history: Sequence[Row]) -> "Figure":
    """Losses (14), and beside them the share of validation images that are right, by epoch.

    The second panel is there if an epoch has been tested.  Raises `InputError` for an empty
    history, `MissingDependencyError`.
    """
    if not len(history):
        raise InputError("history has no epochs, expected at least one: train first")
    if all(row.test_accuracy is None for row in history):
        picture = figure(5.2, 3.4)
        draw_losses(picture.subplots(), history)
        return picture
    picture = figure(9, 3.4)
    left, right = picture.subplots(1, 2)
    draw_losses(left, history)
    draw_accuracy(right, history)
    return picture


def draw_losses(axes: "Axes", history: Sequence[Row]) -> None:
    """A line for the training loss, and one for that of the validation images if there is any."""
    plain(axes, "cross-entropy", "epoch")
    _line(axes, history, "train_loss", ORANGE, "s", "training, during the epoch")
    if any(row.test_loss is not None for row in history):
        _line(axes, history, "test_loss", BLUE, "o", "validation, after the epoch")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=NORMAL, labelcolor=INK)


def draw_accuracy(axes: "Axes", history: Sequence[Row]) -> None:
    """A line, with its best and its last value written beside it."""
    plain(axes, "validation images right, %", "epoch")
    _line(axes, history, "test_accuracy", BLUE, "o", "", scale=100)
    axes.margins(x=0.12, y=0.25)
    known = [
        (row.epoch, 100 * row.test_accuracy) for row in history if row.test_accuracy is not None
    ]
    best, last = max(known, key=lambda point: point[1]), known[-1]
    for epoch, value in {best, last}:
        place: Any = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{value:.2f}", (epoch, value), fontsize=NORMAL, color=INK, **place)


def _line(
    axes: "Axes",
    history: Sequence[Row],
    field: str,
    colour: str,
    mark: str,
    label: str,
    scale: float = 1,
) -> None:
    from matplotlib.ticker import MaxNLocator

    points = [
        (row.epoch, scale * value) for row in history if (value := getattr(row, field)) is not None
    ]
    style = mark if len(history) <= MARKED else ""
    epochs, values = zip(*points, strict=True)
    axes.plot(epochs, values, color=colour, marker=style, markersize=5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(color=GREY)
