"""Which pixels of an image matter: those that change the cost, and those that speak for a class."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convlet.arrays import as_image
from convlet.equations import Array, Float32
from convlet.explaining.class_activation import class_activation as activation_of
from convlet.explaining.class_activation import last_convolution
from convlet.inputs import as_count
from convlet.measures import as_network
from convlet.network import Network
from convlet.plots.style import (
    INK,
    NORMAL,
    bare,
    class_names,
    figure,
    heading,
    require_matplotlib,
)
from convlet.plots.tiles import Bytes, as_rgb, heat, height_of, signed
from convlet.wording import label as shortened
from convlet.wording import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 2.3  # inches of an image
COVER = 0.75
"""The share of the colour where a class activation on an image is greatest."""


@dataclass(frozen=True, eq=False)
class Saliency:
    """dE/dx^0 of one image (rows, columns, channels) as pictures (rows, columns, 3)."""

    gradient: Float32

    @property
    def by_brightness(self) -> Bytes:
        """Added over the channels: a brighter pixel lowers the cost, purple, or raises it."""
        added = self.gradient.sum(axis=-1)
        return signed(added, float(np.abs(added).max()))

    @property
    def size(self) -> Bytes:
        """The greatest |dE/dx^0| over the channels."""
        return heat(np.abs(self.gradient).max(axis=-1))


def saliency(network: Network, image: Any, label: int | None = None) -> "Figure":
    """Which pixels change the cost (14): dE/dx^0, the errors of (2), (7) down to the image.

    Three pictures: the image; dE/dx^0 added over the channels, purple where a brighter pixel lowers
    the cost, orange where it raises it; the greatest |dE/dx^0| of each pixel's channels, brighter
    for more.  image: as for `activations`.  label: the class of the cost; None is the most probable
    one.  Raises `InputError`, `MissingDependencyError`.

    Source: Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks: visualising image
    classification models and saliency maps", ICLR 2014.
    """
    require_matplotlib()
    x = as_image(image, as_network(network).input_shape)
    chosen = _label(network, x, label)
    found = gradient(network, x, chosen)
    pictures = (
        ("image", as_rgb(x[0])),
        ("∂E/∂x⁰: brighter lowers E, purple,\nor raises it, orange", found.by_brightness),
        ("|∂E/∂x⁰|: brighter is more", found.size),
    )
    loss = network.evaluate(x, [chosen]).loss
    return _drawn(f"The cost E of {_named(network, chosen)} is {loss:.4g}", pictures)


def class_activation(network: Network, image: Any, label: int | None = None) -> "Figure":
    """Which parts of an image speak for a class: maps of the last convolution, by their gradients.

    max(0, sum_k alpha_k A_ijk): A the maps behind the last ReLU of that stage, alpha_k the mean of
    dz_c / dA_ijk over (i, j), z_c what enters the softmax for the class c; brighter is more.
    image: as for `activations`.  label: the class c; None is the most probable one.  Raises
    `InputError` for a network without a convolution, `MissingDependencyError`.

    Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", ICCV 2017.
    """
    require_matplotlib()
    last_convolution(as_network(network))
    x = as_image(image, network.input_shape)
    chosen = _label(network, x, label)
    coarse, fine = activation_of(network, x, chosen)
    pictures = (
        ("image", as_rgb(x[0])),
        (f"maps, weighted: {coarse.shape[0]}x{coarse.shape[1]}", heat(coarse)),
        ("on the image", over(x[0], fine)),
    )
    p = float(network.predict_proba(x)[0, chosen])
    words = f"What speaks for {_named(network, chosen)}, probability {percent(p, 1)}"
    return _drawn(words if coarse.any() else f"{words}: nothing here", pictures)


def gradient(network: Network, x: Array, label: int) -> Saliency:
    """Of one image (1, rows, columns, channels), checked."""
    return Saliency(network.input_gradient(x, [label])[0])


def over(image: Array, fine: Float32) -> Bytes:
    """A map as colours on the grey image, both (rows, columns, ...): more of it hides more."""
    share = COVER * fine[..., None] / (float(fine.max()) or 1)
    grey = as_rgb(image).mean(axis=-1, keepdims=True)
    return np.asarray(np.rint((1 - share) * grey + share * heat(fine)), np.uint8)


def _label(network: Network, x: Array, label: int | None) -> int:
    """The class that is meant.  Raises `InputError`."""
    predicted = int(network.predict(x)[0])
    return predicted if label is None else as_count(label, "label", 0, network.class_count - 1)


def _named(network: Network, label: int) -> str:
    return f"class {shortened(class_names(network.classes, network.class_count)[label])}"


def _drawn(words: str, pictures: tuple[tuple[str, Bytes], ...]) -> "Figure":
    """Pictures side by side, each under its words."""
    height = height_of(pictures[0][1], WIDTH)
    drawing = figure(WIDTH * len(pictures) + 0.2, height + 0.6)
    heading(drawing, words)
    for axes, (title, pixels) in zip(drawing.subplots(1, len(pictures)), pictures, strict=True):
        axes.imshow(pixels, interpolation="none")
        axes.set_title(title, loc="left", fontsize=NORMAL, color=INK)
        bare(axes)
    return drawing
