"""Pictures of training and of what was learned, as matplotlib figures.

    figure = convlet.plots.confusion_matrix(network, data.test.images, data.test.labels)
    figure.savefig("confusion.png")

Needs matplotlib: pip install "convlet[plots]".  No function touches pyplot or opens a window; each
returns a `matplotlib.figure.Figure`, which a notebook shows and `savefig` or `save` write.
"""

from convlet.plots.activations import activations
from convlet.plots.augmented import augmented
from convlet.plots.calibration import reliability
from convlet.plots.confusion import confusion_matrix
from convlet.plots.curves import training_curves
from convlet.plots.filters import filters
from convlet.plots.mistakes import mistakes
from convlet.plots.rates import learning_rates
from convlet.plots.saliency import class_activation, saliency
from convlet.plots.sheet import contact_sheet
from convlet.plots.style import save
from convlet.plots.sweep import sweep

__all__ = [
    "activations",
    "augmented",
    "class_activation",
    "confusion_matrix",
    "contact_sheet",
    "filters",
    "learning_rates",
    "mistakes",
    "reliability",
    "saliency",
    "save",
    "sweep",
    "training_curves",
]
