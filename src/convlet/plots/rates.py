"""The loss over the learning rate, of a range test."""

from typing import TYPE_CHECKING

from convlet.errors import InputError
from convlet.plots.style import BLUE, GREY, INK, NORMAL, ORANGE, figure, plain
from convlet.search import EXPLODED, START, LearningRates

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_rates(result: LearningRates) -> "Figure":
    """Each step's loss as a point, their trailing average as a line, the suggestion as a mark.

    result: what `Network.find_learning_rate` returns.  Raises `InputError` for anything else and
    for a test that took no step, `MissingDependencyError`.
    """
    if not isinstance(result, LearningRates):
        expected = "convlet.LearningRates, as find_learning_rate returns"
        raise InputError("result", result, expected)
    if not len(result.rates):
        hint = "the loss was not finite at the first one"
        raise InputError("result", result, hint=hint, found="has no steps")
    drawing = figure(6.4, 3.8)
    axes = drawing.subplots()
    plain(axes, "cross-entropy", "learning rate")
    axes.set_xscale("log")
    axes.plot(result.rates, result.losses, ".", color=GREY, alpha=0.5, markersize=4, label="a step")
    axes.plot(result.rates, result.smoothed, color=BLUE, label="average of the last ones")
    top = EXPLODED * float(result.losses[:START].mean())
    axes.set_ylim(0, 1.05 * max(top, float(result.smoothed[:START].max())))
    if result.suggestion is not None:
        name = f"suggested: {result.suggestion:.2g}"
        axes.axvline(result.suggestion, color=ORANGE, linestyle="--", label=name)
    axes.legend(frameon=False, fontsize=NORMAL, labelcolor=INK)
    return drawing
