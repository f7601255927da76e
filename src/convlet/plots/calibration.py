"""The reliability diagram: is a network right as often as it says?"""

from typing import TYPE_CHECKING, Any

from convlet.measures import Calibration, calibration
from convlet.network import Network
from convlet.plots.predictions import predict
from convlet.plots.style import BLUE, GREY, INK, SMALL, figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability(network: Network, x: Any, y: Any, bins: int = 10) -> "Figure":
    """Accuracy by confidence, with the number of images in each bin and the calibration error.

    x, y: as for `Network.evaluate`.  Raises `InputError`, `MissingDependencyError`.
    """
    picture = figure(4.6, 4.2)
    found = predict(network, x, y)
    draw(picture, calibration(found.probabilities, found.truth, bins))
    return picture


def draw(picture: "Figure", found: Calibration) -> None:
    """The diagram on an empty figure."""
    axes = picture.subplots()
    title = f"expected calibration error {100 * found.error:.2f} %"
    plain(axes, title, "probability of the predicted class", "share that is right")
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
    for edge, count in zip(found.edges[:-1][filled], found.count[filled], strict=True):
        axes.text(edge + width / 2, 1.04, f"{count:,}", ha="center", fontsize=SMALL - 1, color=INK)
    axes.text(0.01, 1.04, "images", fontsize=SMALL - 1, color=GREY)
    axes.text(
        0.03,
        0.05,
        "as right as sure",
        fontsize=SMALL,
        color=GREY,
        rotation=45,
        rotation_mode="anchor",
        transform_rotates_text=True,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.1)
