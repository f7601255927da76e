"""convlet: small convolutional networks, every derivative written out, trained on the CPU.

A public name is loaded when it is first asked for, and NumPy with it: so the command line answers
--help, Tab and Ctrl-C at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convlet._version import __version__

if TYPE_CHECKING:
    from convlet import comparison, datasets, equations, plots, recipes, report, watch
    from convlet.augmentation import Augmentation
    from convlet.callbacks import Callback
    from convlet.errors import (
        ArchitectureError,
        ClusterError,
        ConvletError,
        DataError,
        DivergedError,
        FileError,
        InputError,
        MissingDependencyError,
        ModelFileError,
    )
    from convlet.estimator import CNNClassifier as CNNClassifier
    from convlet.explaining import Address, Explanation, explain
    from convlet.inference import Evaluation
    from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
    from convlet.loading import from_keras, from_onnx, from_torch, load, load_checkpoint
    from convlet.network import Network
    from convlet.optimizers import SGD, Adam, AdamW
    from convlet.quantised.network import QuantizedNetwork, load_quantized
    from convlet.run import History, Row, Run
    from convlet.schedules import Constant, Cosine, OneCycle, StepDecay, WarmUp
    from convlet.search import LearningRates
    from convlet.server import Live, LivePage, live
    from convlet.settings import Settings
    from convlet.stopping import EarlyStopping
    from convlet.text import format_layers, parse_layers
    from convlet.tracing import StageActivations, StageErrors

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Address",
    "ArchitectureError",
    "Augmentation",
    "Callback",
    "ClusterError",
    "Constant",
    "Conv2D",
    "ConvletError",
    "Cosine",
    "DataError",
    "Dense",
    "DivergedError",
    "Dropout",
    "EarlyStopping",
    "Evaluation",
    "Explanation",
    "FileError",
    "Flatten",
    "History",
    "InputError",
    "LearningRates",
    "Live",
    "LivePage",
    "MaxPool2D",
    "MissingDependencyError",
    "ModelFileError",
    "Network",
    "OneCycle",
    "QuantizedNetwork",
    "ReLU",
    "Row",
    "Run",
    "Settings",
    "Softmax",
    "StageActivations",
    "StageErrors",
    "StepDecay",
    "WarmUp",
    "__version__",
    "comparison",
    "datasets",
    "equations",
    "explain",
    "format_layers",
    "from_keras",
    "from_onnx",
    "from_torch",
    "live",
    "load",
    "load_checkpoint",
    "load_quantized",
    "parse_layers",
    "plots",
    "recipes",
    "report",
    "watch",
]

_MODULES = ("comparison", "datasets", "equations", "plots", "recipes", "report", "watch")
_HOMES = (  # of the other names
    "augmentation",
    "callbacks",
    "errors",
    "inference",
    "layers",
    "loading",
    "network",
    "optimizers",
    "quantised.network",
    "run",
    "schedules",
    "search",
    "server",
    "settings",
    "stopping",
    "text",
    "tracing",
    "explaining",  # which loads most of the others
)
_WITH_EXTRAS = {"CNNClassifier": "convlet.estimator"}
"""Names that need a library of their own to be there at all: no "import *" asks for them."""


def __getattr__(name: str) -> Any:
    """A public name, from its module."""
    if name in _MODULES:
        return import_module(f"convlet.{name}")
    if name in _WITH_EXTRAS:
        return getattr(import_module(_WITH_EXTRAS[name]), name)
    if name in __all__:
        homes = (import_module(f"convlet.{home}") for home in _HOMES)
        found = globals()[name] = next(vars(home)[name] for home in homes if name in vars(home))
        return found
    raise AttributeError(f"module 'convlet' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for whoever completes them and looks at what is there."""
    from importlib.util import find_spec

    return [*__all__, *(_WITH_EXTRAS if find_spec("sklearn") else ())]
