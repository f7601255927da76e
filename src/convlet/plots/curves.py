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
ROOM = 0.12  # of an axis' height: what the text of a value needs


def training_curves(history: Sequence[Row]) -> "Figure":
    """Losses (14), and beside them the share of validation images that are right, by epoch.

    The second panel is there if an epoch was validated.  Raises `InputError` for an empty
    history or another thing than a history, `MissingDependencyError`.
    """
    history = as_history(history)
    if all(row.validation_accuracy is None for row in history):
        drawing = figure(5.2, 3.4)
        draw_losses(drawing.subplots(), history)
        return drawing
    drawing = figure(9, 3.4)
    left, right = drawing.subplots(1, 2)
    draw_losses(left, history)
    draw_accuracy(right, history)
    return drawing


def as_history(history: Any) -> Sequence[Row]:
    """At least one `Row`, as in a `History`.  Raises `InputError`."""
    if not isinstance(history, Sequence) or isinstance(history, str):
        raise InputError(
            "history",
            history,
            "a convlet.History, as `fit` returns it",
            "convlet.watch.read_history(path) reads one from a file",
        )
    for n, row in enumerate(history):
        if not isinstance(row, Row):
            hint = "convlet.Row(**row) makes one of a dict" if isinstance(row, dict) else ""
            raise InputError("history", row, "a convlet.Row", hint, subject=f"history[{n}]")
    if not len(history):
        raise InputError("history", history, "at least one", "train first", found="has no epochs")
    return history


def draw_losses(axes: "Axes", history: Sequence[Row]) -> None:
    """A line for the training loss, and one for that of the validation images if there is any."""
    plain(axes, "cross-entropy", "epoch")
    _line(axes, history, "train_loss", ORANGE, "s", "training, during the epoch")
    if any(row.validation_loss is not None for row in history):
        _line(axes, history, "validation_loss", BLUE, "o", "validation, after the epoch")
    top = axes.get_ylim()[1]
    alone = len(history) == 1  # one mark in the middle: the legend lies above it
    axes.set_ylim(0, 1.5 * top if alone else top)
    axes.legend(
        frameon=False, fontsize=NORMAL, labelcolor=INK, loc="upper right" if alone else "best"
    )


def draw_accuracy(axes: "Axes", history: Sequence[Row]) -> None:
    """A line, with its best and its last value written beside it."""
    plain(axes, "validation images right, %", "epoch")
    _line(axes, history, "validation_accuracy", BLUE, "o", "", scale=100)
    known = [
        (row.epoch, 100 * row.validation_accuracy)
        for row in history
        if row.validation_accuracy is not None
    ]
    best, last = max(known, key=lambda point: point[1]), known[-1]
    lowest = min(value for _, value in known)
    margin = 0.25 * max(best[1] - lowest, 1.0)
    low, high = max(lowest - margin, 0.0), min(best[1] + margin, 100.0)
    axes.margins(x=0.15)
    axes.set_ylim(low, high)
    for point in {best, last}:
        x, y, ha = 0, 8, "center"
        if high - point[1] < ROOM * (high - low):  # above it would lie outside
            x, y, ha = (4, -14, "left") if point == last else (0, -15, "center")
        place: Any = {"xytext": (x, y), "textcoords": "offset points", "ha": ha}
        text = f"{point[1]:.2f}"
        axes.annotate(text, point, fontsize=NORMAL, color=INK, **place)


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
    (line,) = axes.plot(epochs, values, color=colour, marker=style, markersize=5, label=label)
    line.set_clip_on(False)  # a mark at 0 or 100 is seen whole
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(color=GREY)
