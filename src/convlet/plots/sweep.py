"""The accuracies of a sweep: over its first number, or a row for each combination."""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from convlet.errors import InputError
from convlet.files.paths import file_name
from convlet.plots.style import BLUE, GREY, INK, LINES, NORMAL, SMALL, figure, plain
from convlet.sweeps.folder import read
from convlet.sweeps.outcomes import Result, ranked
from convlet.wording import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "osD^vP"
MOST_ROWS = 40
WIDE_RANGE = 8.0
"""The ratio of the greatest number to the least from which on an axis is logarithmic."""
LONGEST = 44  # characters of a combination


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
    name = _numeric(results)
    others = {} if name is None else _others(results, name)
    if name is None or len(others) > len(LINES):
        return _rows(results)
    drawing = figure(6.4, 3.8)
    axes = drawing.subplots()
    plain(axes, "accuracy on images held out", _called(name))
    for n, (what, some) in enumerate(others.items()):
        _line(axes, name, what, some, n)
    numbers = [float(one.values[name]) for one in results]
    if min(numbers) > 0 and max(numbers) >= WIDE_RANGE * min(numbers):
        axes.set_xscale("log")
    _percent(axes, "y")
    if list(others) != [""]:
        axes.legend(frameon=False, fontsize=NORMAL, labelcolor=INK)
    return drawing


def _line(axes: "Axes", name: str, what: str, results: Sequence[Result], n: int) -> None:
    """The means of some combinations over one parameter, and their trials around them."""
    ordered = sorted(results, key=lambda one: float(one.values[name]))
    numbers = [float(one.values[name]) for one in ordered]
    for number, one in zip(numbers, ordered, strict=True):
        shares = one.accuracies
        if len(shares) > 1:
            axes.plot([number] * len(shares), shares, ".", color=LINES[n], alpha=0.4, markersize=5)
    means = [mean(one.accuracies) for one in ordered]
    mark = MARKS[n % len(MARKS)]
    axes.plot(numbers, means, color=LINES[n], marker=mark, markersize=5, label=what)


def _rows(results: Sequence[Result]) -> "Figure":
    """A row for each combination, the best one first."""
    shown = results[:MOST_ROWS]
    drawing = figure(6.4, 1.1 + 0.24 * len(shown))
    axes = drawing.subplots()
    left = len(results) - len(shown)
    more = f", the first {len(shown)} of {len(results)}" if left else ""
    plain(axes, f"accuracy on images held out{more}")
    for n, one in enumerate(shown):
        shares = one.accuracies
        if len(shares) > 1:
            axes.plot(shares, [n] * len(shares), ".", color=GREY, alpha=0.6, markersize=6)
        axes.plot([mean(shares)], [n], "o", color=BLUE, markersize=6)
    names = [label(_words(one, list(one.values)), LONGEST) for one in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=SMALL)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    _percent(axes, "x")
    return drawing


def _numeric(results: Sequence[Result]) -> str | None:
    """The first parameter of which there are two numbers or more, and nothing else."""
    for name in results[0].values:
        texts = {one.values[name] for one in results}
        if len(texts) > 1 and all(map(_is_number, texts)):
            return name
    return None


def _others(results: Sequence[Result], name: str) -> dict[str, list[Result]]:
    """The combinations by the values of the other parameters that have several."""
    varied = [
        one
        for one in results[0].values
        if one != name and len({r.values[one] for r in results}) > 1
    ]
    found: dict[str, list[Result]] = {}
    for one in sorted(results, key=lambda one: one.combination):
        found.setdefault(label(_words(one, varied), LONGEST), []).append(one)
    return found


def _words(result: Result, names: Sequence[str]) -> str:
    return ", ".join(f"{_called(name)} {result.values[name]}" for name in names)


def _called(name: str) -> str:
    return name.replace("_", " ")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _percent(axes: "Axes", axis: str) -> None:
    """An axis of shares."""
    from matplotlib.ticker import PercentFormatter

    getattr(axes, f"{axis}axis").set_major_formatter(PercentFormatter(1))
