"""The accuracies of a sweep: over its first number, or a row for each combination."""

import os
from collections.abc import Sequence
from itertools import pairwise
from math import log10
from pathlib import Path
from statistics import mean
from textwrap import wrap
from typing import TYPE_CHECKING

from convlet.errors import InputError
from convlet.files.paths import file_name
from convlet.plots.style import BLUE, GREY, INK, LETTER, LINES, NORMAL, SMALL, figure, plain
from convlet.sweeps.folder import read
from convlet.sweeps.outcomes import Grid, Result, called, described, explained, is_number, ranked
from convlet.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "accuracy on images held out, %"
MARKS = "osD^vP"
MOST_ROWS = 40
WIDE_RANGE = 8.0
"""The ratio of the greatest number to the least from which on an axis is logarithmic."""
MOST_TICKS = 12  # of the axis, where every one is a number that was tried
LONGEST = 60  # characters of a combination


def sweep(folder: str | os.PathLike[str]) -> "Figure":
    """Accuracy of every trial as a point, of every combination the mean.

    folder: of `convlet sweep`.  Where a parameter has numbers and the others have few values, they
    are lines over it; else each combination is a row, the best one first.  What failed is not
    drawn.  Raises `InputError` where no trial ended well, `FileError`, `DataError`,
    `MissingDependencyError`.
    """
    path = Path(file_name(folder, "folder", "folder"))
    identity, outcomes = read(path)
    grid = identity["grid"]
    results = [
        one for one in ranked(grid, outcomes, identity["trials"]) if one.accuracy is not None
    ]
    if not results:
        raise InputError("folder", str(path), found=f"{str(path)!r} has no trial that ended well")
    name = next(
        (one for one in grid if len(grid[one]) > 1 and all(map(is_number, grid[one]))), None
    )
    others = {} if name is None else _others(grid, results, name)
    if name is None or len(others) > len(LINES):
        return _rows(grid, results)
    drawing = figure(6.4, 3.8)
    axes = drawing.subplots()
    plain(axes, TITLE, called(name))
    for n, (what, some) in enumerate(others.items()):
        _line(axes, name, what, some, n)
    _scale(axes, grid[name])
    if list(others) != [""]:
        legend = drawing.legend(
            title=_explained(drawing, grid),
            loc="outside lower left",
            frameon=False,
            fontsize=NORMAL,
            title_fontsize=SMALL,
            labelcolor=INK,
            alignment="left",
            ncols=2,
        )
        legend.get_title().set_color(INK)
    return drawing


def _scale(axes: "Axes", texts: Sequence[str]) -> None:
    """The axis of the numbers that were tried, which it names where there is room."""
    from matplotlib.ticker import NullFormatter, NullLocator

    numbers = sorted(map(float, texts))
    log = numbers[0] > 0 and numbers[-1] >= WIDE_RANGE * numbers[0]
    axes.set_xscale("log" if log else "linear")
    places = [log10(one) for one in numbers] if log else numbers
    gaps = [right - left for left, right in pairwise(places)]
    if min(gaps) * MOST_TICKS >= places[-1] - places[0]:
        axes.set_xticks(numbers, [f"{one:g}" for one in numbers])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())


def _explained(drawing: "Figure", grid: Grid) -> str:
    """What the numbers of long values stand for; the drawing grows by the lines."""
    width, height = drawing.get_size_inches()
    lines = [part for one in explained(grid) for part in wrap(one, int(width / LETTER * 1.2))]
    drawing.set_size_inches(width, height + 0.15 * len(lines))
    return "\n".join(lines)


def _line(axes: "Axes", name: str, what: str, results: Sequence[Result], n: int) -> None:
    """The means of some combinations over one parameter, and their trials around them."""
    ordered = sorted(results, key=lambda one: float(one.values[name]))
    numbers = [float(one.values[name]) for one in ordered]
    for number, one in zip(numbers, ordered, strict=True):
        shares = [100 * share for share in one.accuracies]
        if len(shares) > 1:
            axes.plot([number] * len(shares), shares, ".", color=LINES[n], alpha=0.4, markersize=5)
    means = [100 * mean(one.accuracies) for one in ordered]
    mark = MARKS[n % len(MARKS)]
    axes.plot(numbers, means, color=LINES[n], marker=mark, markersize=5, label=what)


def _rows(grid: Grid, results: Sequence[Result]) -> "Figure":
    """A row for each combination, the best one first."""
    shown = results[:MOST_ROWS]
    drawing = figure(6.4, 1.1 + 0.24 * len(shown))
    axes = drawing.subplots()
    left = len(results) - len(shown)
    more = f", the best {len(shown)} of {len(results)}" if left else ""
    plain(axes, f"{TITLE}{more}")
    for n, one in enumerate(shown):
        shares = [100 * share for share in one.accuracies]
        if len(shares) > 1:
            axes.plot(shares, [n] * len(shares), ".", color=GREY, alpha=0.6, markersize=6)
        axes.plot([mean(shares)], [n], "o", color=BLUE, markersize=6)
    names = [label(described(grid, one.values), LONGEST) for one in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=SMALL)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    words = _explained(drawing, grid)
    if words:
        drawing.supxlabel(words, x=0.01, ha="left", fontsize=SMALL, color=INK)
    return drawing


def _others(grid: Grid, results: Sequence[Result], name: str) -> dict[str, list[Result]]:
    """The combinations by the values of the other parameters that have several."""
    varied = [one for one, texts in grid.items() if one != name and len(texts) > 1]
    found: dict[str, list[Result]] = {}
    for one in sorted(results, key=lambda one: one.combination):
        words = described(grid, {name: one.values[name] for name in varied})
        found.setdefault(words, []).append(one)
    return found
