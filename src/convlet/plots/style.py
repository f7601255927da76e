"""How every picture looks: colours, text, size, and how it becomes a file."""

import os
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from convlet.errors import InputError
from convlet.files.atomic import write_atomic
from convlet.files.paths import file_name
from convlet.libraries import library
from convlet.plots.rendering import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and vermilion of Okabe and Ito's palette: told apart with every kind of colour blindness.
BLUE, ORANGE = "#0072b2", "#d55e00"
LINES = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""For several lines: that palette, the darkest first."""
INK, GREY = "#1a1a1b", "#6b7681"
SMALL, NORMAL, LARGE = 8, 9, 11  # points
LETTER = 0.095  # inches that a letter of LARGE text takes, or less
FORMATS = (".png", ".svg", ".pdf")


def require_matplotlib() -> None:
    """Raise `MissingDependencyError` where it is not installed: before work, not after it."""
    library("matplotlib.figure", "pictures need", '"convlet[plots]"')


def figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches.  Raises `MissingDependencyError`."""
    require_matplotlib()
    from convlet.plots.notebook import NotebookFigure

    return NotebookFigure(figsize=(width, height), layout="constrained", facecolor="white")


def heading(drawing: "Figure", words: str) -> None:
    """A title over a whole drawing, which grows by the lines that it takes at this width."""
    width, height = drawing.get_size_inches()
    lines = textwrap.wrap(words, max(int(width / LETTER), 1))
    drawing.set_size_inches(width, height + 0.2 * len(lines))
    drawing.suptitle(
        "\n".join(lines), x=0.01, ha="left", fontsize=LARGE, color=INK, parse_math=False
    )


def plain(axes: "Axes", title: str = "", x: str = "", y: str = "") -> None:
    """Axes of a chart: two spines, a light grid, a title on the left."""
    axes.set_title(title, loc="left", fontsize=LARGE, color=INK)
    axes.set_xlabel(x, fontsize=NORMAL, color=INK)
    axes.set_ylabel(y, fontsize=NORMAL, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color=GREY, alpha=0.2, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=NORMAL)


def bare(axes: "Axes") -> None:
    """Axes of an image: nothing but the image."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def class_names(names: Iterable[str] | None, count: int) -> tuple[str, ...]:
    """The names of a network's classes, or their numbers."""
    return tuple(map(str, range(count))) if names is None else tuple(names)


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure as .png, .svg or .pdf, or leave an old file as it was.

    The same figure gives the same bytes with the same matplotlib.  Text in an SVG stays text.
    Raises `InputError` for another ending or no figure, `FileError`.
    """
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        expected = "a matplotlib figure, as the functions of convlet.plots return it"
        raise InputError("figure", figure, expected)
    write_atomic(path, render(figure, check_suffix(path)))


def check_suffix(path: str | os.PathLike[str], name: str = "path") -> str:
    """ "png", "svg" or "pdf".  Raises `InputError`."""
    suffix = Path(file_name(path, name)).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(name, os.fspath(path), "a name that ends in .png, .svg or .pdf")
    return suffix[1:]
