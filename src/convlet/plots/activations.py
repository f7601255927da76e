"""What every stage makes of one image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlet.arrays import as_image
from convlet.inference import refuse_not_finite
from convlet.measures import as_network
from convlet.network import Network
from convlet.plots.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    SMALL,
    bare,
    class_names,
    figure,
    require_matplotlib,
)
from convlet.plots.tiles import as_rgb, heat, mosaic
from convlet.stages import Stage
from convlet.wording import label, percent, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = 64
UNITS = 1024
ANSWERS = 5
"""Feature maps, units and classes that are drawn; the title says so where there are more."""


@dataclass(frozen=True, eq=False)
class Activation:
    """What a stage hands on for one image, before its flatten.

    values: (rows, columns, channels) of a convolution, (units,) of a dense stage.
    """

    stage: Stage
    values: NDArray[Any]

    @property
    def title(self) -> str:
        """As in "stage 0: conv 8 5, relu, pool 2 → 12x12x8"."""
        return f"{self.words} → {self.size}"

    @property
    def words(self) -> str:
        """As in "stage 0: conv 8 5, relu, pool 2"."""
        layers = ", ".join(map(str, (self.stage.affine, *self.stage.sigma)))
        return f"stage {self.stage.index}: {layers}"

    @property
    def size(self) -> str:
        """As in "12x12x8"."""
        return size(self.values.shape)


def activations(network: Network, image: Any) -> "Figure":
    """The output of every stage for one image, x^{l+1} of (16): maps, units, probabilities.

    image: (rows, columns, channels) or (rows, columns), as in `Network.predict` but without the
    first axis.  Brighter is more; the scale is each stage's own.  Raises `InputError`,
    `MissingDependencyError`.
    """
    require_matplotlib()
    x = as_image(image, as_network(network).input_shape)
    *hidden, last = trace(network, x)
    refuse_not_finite(last.values[None])
    grids = [_grid(found) for found in hidden]
    heights = [1.3, *(0.35 + 6.6 * g.shape[0] / g.shape[1] for g in grids)]
    answers = min(ANSWERS, network.class_count)
    heights.append(0.5 + 0.24 * answers)
    drawing = figure(7, sum(heights) + 0.3)
    rows = drawing.subplots(len(heights), 1, gridspec_kw={"height_ratios": heights})
    _show(rows[0], as_rgb(x[0]), f"image, {size(network.input_shape)}")
    for axes, found, grid in zip(rows[1:-1], hidden, grids, strict=True):
        title = found.title
        if found.values.shape[-1] > (MAPS if found.values.ndim == 3 else UNITS):
            title += ", the first of them"
        _show(axes, grid, title)
    names = class_names(network.classes, network.class_count)
    _answers(rows[-1], last.values, names, last.title)
    return drawing


def trace(network: Network, x: NDArray[Any]) -> list[Activation]:
    """What every stage hands on.  x (1, rows, columns, channels), checked."""
    found = []
    for passed in network.activations(x):
        spatial = [values for values in (passed.z, *passed.outputs) if values.ndim == 4]
        values = (spatial[-1] if spatial else passed.output)[0]
        found.append(Activation(passed.stage, values))
    return found


def maps(found: Activation) -> NDArray[np.uint8]:
    """Feature maps as images, (channels, rows, columns, 3), on one scale."""
    return heat(found.values.transpose(2, 0, 1))


def strip(found: Activation, columns: int = 64) -> NDArray[np.uint8]:
    """Units in rows of that many, (rows, columns, 3); what is left of the last row is white."""
    units = heat(found.values[:UNITS])
    columns = min(columns, len(units))
    canvas = np.full((-(-len(units) // columns) * columns, 3), 255, np.uint8)
    canvas[: len(units)] = units
    return canvas.reshape(-1, columns, 3)


def _grid(found: Activation) -> NDArray[np.uint8]:
    if found.values.ndim == 1:
        return strip(found)
    tiles = maps(found)[:MAPS]
    return mosaic(tiles, min(max(len(tiles), 8), 16), max(1, tiles.shape[1] // 8))


def _show(axes: "Axes", image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, interpolation="none")
    axes.set_anchor("W")
    axes.set_title(title, loc="left", fontsize=NORMAL, color=INK)
    bare(axes)


def _answers(axes: "Axes", probabilities: NDArray[Any], names: tuple[str, ...], title: str) -> None:
    """The most probable classes, the best one on top."""
    best = np.argsort(-probabilities, kind="stable")[:ANSWERS]
    places = range(len(best))
    axes.barh(places, probabilities[best], color=BLUE, height=0.7)
    axes.set_yticks(places, [label(names[k]) for k in best], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12)
    for place, k in enumerate(best):
        text = percent(probabilities[k], 1)
        axes.text(probabilities[k] + 0.01, place, text, va="center", fontsize=SMALL, color=INK)
    axes.set_title(title, loc="left", fontsize=NORMAL, color=INK)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=NORMAL, length=0)
