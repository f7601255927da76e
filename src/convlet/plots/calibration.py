"""The reliability diagram: is a network right as often as it says?"""

from typing import TYPE_CHECKING, Any

from convlet.inputs import as_count
from convlet.measures import Calibration, calibration, predict
from convlet.network import Network
from convlet.plots.style import BLUE, GREY, INK, SMALL, figure, plain, require_matplotlib
from convlet.wording import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MOST_BINS = 20  # the number of images has to fit above each
WIDE = 10  # bins with room for a number that is not turned


def reliability(network: Network, x: Any, y: Any, bins: int = 10) -> "Figure":
    """Accuracy by confidence, with the number of images in each bin and the calibration error.

    x, y: as for `Network.evaluate`.  bins: 1 to 20.  Raises `InputError`,
    `MissingDependencyError`.
    """
    bins = as_count(bins, "bins", 1, MOST_BINS)
    require_matplotlib()
    found = predict(network, x, y)
    drawing = figure(4.6, 4.2)
    draw(drawing, calibration(found.probabilities, found.labels, bins))
    return drawing


def draw(drawing: "Figure", found: Calibration) -> None:
    """The diagram on an empty figure."""
    axes = drawing.subplots()
    title = f"expected calibration error {percent(found.error)}"
    x = "probability of the predicted class\ndashed: as right as sure"  # on a bar it could hide
    plain(axes, title, x, "share that is right")
    width = found.edges[1] - found.edges[0]
    filled = found.count > 0
    axes.bar(
        found.edges[:-1][filled],
        found.accuracy[filled],
        width=0.94 * width,
        align="edge",
        color=BLUE,
        alpha=0.85,
    )
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)  # above the bars
    (dots,) = axes.plot(
        found.confidence[filled], found.accuracy[filled], "o", color=INK, markersize=4, zorder=3
    )
    dots.set_clip_on(False)  # many lie on the very edge
    turn, top = (0, 1.1) if len(found.count) <= WIDE else (90, 1.25)
    small: dict[str, Any] = {"fontsize": SMALL - 1, "va": "bottom"}
    for edge, count in zip(found.edges[:-1][filled], found.count[filled], strict=True):
        place = edge + width / 2, 1.03
        axes.text(*place, f"{count:,}", ha="center", rotation=turn, color=INK, **small)
    axes.text(-0.02, 1.03, "images", ha="right", color=GREY, **small)  # left of the axis
    axes.set_xlim(0, 1)
    axes.set_ylim(0, top)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
