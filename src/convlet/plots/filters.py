"""The weights of a stage as pictures."""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from convlet.equations import Float64
from convlet.errors import InputError
from convlet.inputs import as_count
from convlet.layers import Conv2D
from convlet.measures import as_network
from convlet.network import Network
from convlet.plots.style import INK, NORMAL, SMALL, bare, figure, heading, require_matplotlib
from convlet.plots.tiles import Bytes, heat, mosaic, signed
from convlet.stages import Stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIRED = 16
"""Input channels that have a picture each; of more the mean is shown."""
MOST, ROWS = 256, 24
"""Pictures that are drawn, and rows of filters; the title says so where there are more."""
WIDEST, TALLEST = 7.0, 7.0  # inches of all of them, where they are still readable then
BAR = 0.1  # inches of the scale


class Scale(NamedTuple):
    """A colour map of matplotlib, the numbers at its ends, and what its colours say."""

    colours: str
    low: float
    high: float
    words: str


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a stage as small images (n, rows, columns, 3).

    each: images of one filter, one after the other.  what: how input channels become colours, a
    phrase for a title, empty where there is one channel.  scale: None where an image has the
    colours of its three channels.
    """

    stage: Stage
    tiles: Bytes
    each: int
    what: str
    scale: Scale | None

    @property
    def filters(self) -> int:
        return len(self.tiles) // self.each

    def first(self, most: int) -> Bytes:
        """The images of as many whole filters as have at most that many, or of one."""
        return self.tiles[: max(most // self.each, 1) * self.each]

    def title(self, shown: Bytes) -> str:
        """As in "w1 of conv 16 5: ...".  shown: images, of so many filters."""
        count = len(shown) // self.each
        words = [self.what] * bool(self.what)
        if count < self.filters:
            words.append(f"the first {count} of {self.filters} filters")
        name = f"{self.stage.w_name} of {self.stage.affine}"
        return f"{name}: {', '.join(words)}" if words else name


def filters(network: Network, stage: int = 0) -> "Figure":
    """The weights of a stage as images: of a convolution, or of a dense first stage.

    A convolution's kernels lie as (1) lays them on the image; a dense stage has an image of weights
    for each unit.  With three channels in the image a filter of stage 0 is in colours and grey is
    0.  Otherwise a filter has an image for each of up to 16 input channels, purple is negative,
    white 0, orange positive, on one scale for all; of more channels it is the mean of |w|.  Raises
    `InputError` where weights are no picture, `MissingDependencyError`.
    """
    require_matplotlib()
    found = weights(as_network(network), stage)
    paired = found.each > 1
    shown = found.first(min(MOST, ROWS * found.each) if paired else MOST)
    columns = found.each if paired else _columns(shown)
    pixels = mosaic(shown, columns, max(1, shown.shape[1] // 8))
    ratio = pixels.shape[0] / pixels.shape[1]
    width = min(WIDEST, max(3.4, 0.8 * columns), max(TALLEST / ratio, 1.0))
    words = 0.2 * paired  # the name of an axis
    drawing = figure(max(width + words, 3.4) + 0.1, width * ratio + words + 0.1)
    heading(drawing, found.title(shown))
    if found.scale is None:
        axes = drawing.subplots()
    else:
        axes, bar = _with_scale(drawing, width * ratio)
        _fill(bar, found.scale)
    axes.imshow(pixels, interpolation="none")
    bare(axes)
    if paired:
        axes.set_ylabel("filter", fontsize=NORMAL, color=INK)
        axes.set_xlabel("input channel", fontsize=NORMAL, color=INK)
    return drawing


def weights(network: Network, stage: int = 0) -> Weights:
    """The weights of a stage as images.

    A kernel is turned by half a turn, as (1) lays it on the image: tap (P-p, Q-q) meets pixel
    (p, q).  Raises `InputError` for a later dense stage, and for a dense first stage over images of
    one row or column.
    """
    chosen = network.stages[as_count(stage, "stage", 0, len(network.stages) - 1)]
    w = _images(network, chosen)  # (K, rows, columns, R)
    channels, largest = w.shape[3], float(np.abs(w).max())
    if channels == 3 and chosen.index == 0:
        colours = np.asarray(np.rint(127.5 + 127.5 * w / (largest or 1)), np.uint8)
        return Weights(chosen, colours, 1, "", None)
    if channels <= PAIRED:
        tiles = signed(w.transpose(0, 3, 1, 2).reshape(-1, *w.shape[1:3]), largest)
        what = "a filter a row, an input channel a column" if channels > 1 else ""
        scale = Scale("PuOr_r", -largest, largest, "Purple is negative, white 0, orange positive.")
        return Weights(chosen, tiles, channels, what, scale)
    means = np.abs(w).mean(axis=3)
    what = f"mean of |{chosen.w_name}| over {channels} input channels"
    scale = Scale("viridis", 0.0, float(means.max()), "Brighter is more.")
    return Weights(chosen, heat(means), 1, what, scale)


def _images(network: Network, stage: Stage) -> Float64:
    """The weights (K, rows, columns, R) of a stage."""
    w = network.parameters[stage.w_name].astype(np.float64)
    if isinstance(stage.affine, Conv2D):
        return w[::-1, ::-1].transpose(3, 0, 1, 2)  # (1)
    if stage.index:
        stages = [s for s in network.stages if isinstance(s.affine, Conv2D) or not s.index]
        expected = " or ".join(str(s.index) for s in stages)
        hint = "weights of a convolution, or of a first stage, are pictures"
        found = f"is {stage.index}, {stage.affine}"
        raise InputError("stage", stage.index, expected, hint, found=found)
    rows, columns, _ = network.input_shape
    if min(rows, columns) < 2:
        raise InputError(
            "network",
            network,
            "2 rows and columns or more",
            "there is no picture in its weights",
            subject="the first stage",
            found=f"is {stage.affine} over images of {rows}x{columns} pixels",
        )
    return w.reshape(*network.input_shape, -1).transpose(3, 0, 1, 2)


def _columns(tiles: Bytes) -> int:
    """How many side by side make all of them about twice as wide as high."""
    count, rows, columns, _ = tiles.shape
    aspect = rows / columns
    return int(min(count, ceil(max(4 * min(aspect, 1), sqrt(2 * count * aspect)))))


def _with_scale(drawing: "Figure", height: float) -> tuple["Axes", "Axes"]:
    """Axes of that height in inches, and a bar with its numbers below it, for which it grows."""
    size = drawing.get_size_inches()
    drawing.set_size_inches(size[0], size[1] + BAR + 0.3)
    axes, bar = drawing.subplots(2, 1, height_ratios=(height, BAR))
    return axes, bar


def _fill(bar: "Axes", scale: Scale) -> None:
    """What the colours stand for."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    drawing = bar.get_figure()
    assert drawing is not None
    mappable = ScalarMappable(Normalize(scale.low, scale.high), scale.colours)
    drawing.colorbar(mappable, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=SMALL, colors=INK)
    bar.spines[:].set_visible(False)
