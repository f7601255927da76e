"""The filters of the first stage."""

from typing import TYPE_CHECKING

import numpy as np

from convlet.network import Network
from convlet.plots.predictions import as_network
from convlet.plots.style import INK, LARGE, NORMAL, SMALL, bare, figure
from convlet.plots.tiles import filter_tiles, mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 256
"""Filters that are drawn; the title says so where there are more."""


def filters(network: Network) -> "Figure":
    """The weights of the first stage as images.

    A convolution's kernels lie as (1) lays them on the image; a dense stage has an image of weights
    for each unit.  With three input channels a filter is in colours and grey is 0; otherwise purple
    is negative, white 0, orange positive, on one scale for all.  Raises `InputError` where weights
    are no picture, `MissingDependencyError`.
    """
    picture = figure(1, 1)  # before the work: matplotlib may be missing
    stage, channels = as_network(network).stages[0], network.input_shape[2]
    tiles = filter_tiles(network)
    shown = tiles[:MOST]
    each = 1 if channels in (1, 3) else channels  # tiles of one filter
    columns = min(len(shown), each if each > 1 else max(4, int(np.ceil(np.sqrt(2 * len(shown))))))
    rows = -(-len(shown) // columns)
    gap = max(1, tiles.shape[1] // 8)
    height = rows * tiles.shape[1] / (columns * tiles.shape[2])
    width = min(7.0, max(3.6, 0.8 * columns))
    picture.set_size_inches(width, min(0.4 + height * width, 12) + (channels != 3) * 0.45)
    axes = picture.subplots()
    axes.imshow(mosaic(shown, columns, gap), interpolation="none")
    bare(axes)
    more = f", the first {MOST} of {len(tiles)} pictures" if len(tiles) > MOST else ""
    axes.set_title(f"w0 of {stage.affine}{more}", loc="left", fontsize=LARGE, color=INK)
    if channels != 3:
        largest = float(np.abs(network.parameters[stage.w_name]).max())
        _scale(picture, largest)
    if each > 1:
        axes.set_ylabel("filter", fontsize=NORMAL, color=INK)
        axes.set_xlabel("input channel", fontsize=NORMAL, color=INK)
    return picture


def _scale(picture: "Figure", largest: float) -> None:
    """What the colours of `tiles.signed` stand for."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = ScalarMappable(Normalize(-largest, largest), "PuOr_r")
    bar = picture.colorbar(colours, ax=picture.axes, location="bottom", aspect=40, pad=0.02)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    bar.outline.set_visible(False)
