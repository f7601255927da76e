"""convlet: small convolutional networks, every derivative written out, trained on the CPU."""

from convlet import datasets, equations
from convlet._version import __version__
from convlet.errors import (
    ArchitectureError,
    ConvletError,
    DataError,
    FileError,
    InputError,
    MissingDependencyError,
    ModelFileError,
)
from convlet.formats import load
from convlet.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Softmax
from convlet.network import Evaluation, Network
from convlet.text import format_layers, parse_layers
from convlet.training import Callback, History, Row, Run

__all__ = [
    "ArchitectureError",
    "Callback",
    "Conv2D",
    "ConvletError",
    "DataError",
    "Dense",
    "Evaluation",
    "FileError",
    "Flatten",
    "History",
    "InputError",
    "MaxPool2D",
    "MissingDependencyError",
    "ModelFileError",
    "Network",
    "ReLU",
    "Row",
    "Run",
    "Softmax",
    "__version__",
    "datasets",
    "equations",
    "format_layers",
    "load",
    "parse_layers",
]
