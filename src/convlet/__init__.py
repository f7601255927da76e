"""convlet: small convolutional networks, every derivative written out, trained on the CPU."""

from importlib import import_module
from typing import Any

from convlet import datasets, equations, recipes
from convlet._version import __version__
from convlet.augmentation import Augmentation
from convlet.errors import (
    ArchitectureError,
    ConvletError,
    DataError,
    DivergedError,
    FileError,
    InputError,
    MissingDependencyError,
    ModelFileError,
)
from convlet.formats import load, load_checkpoint
from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet.network import Evaluation, Network
from convlet.optimizers import SGD, Adam, AdamW
from convlet.run import Callback, History, Row, Run
from convlet.schedules import Constant, Cosine, OneCycle, Step, WarmUp
from convlet.search import LearningRates
from convlet.stopping import EarlyStopping
from convlet.text import format_layers, parse_layers

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ArchitectureError",
    "Augmentation",
    "Callback",
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
    "FileError",
    "Flatten",
    "History",
    "InputError",
    "LearningRates",
    "MaxPool2D",
    "MissingDependencyError",
    "ModelFileError",
    "Network",
    "OneCycle",
    "ReLU",
    "Row",
    "Run",
    "Softmax",
    "Step",
    "WarmUp",
    "__version__",
    "datasets",
    "equations",
    "format_layers",
    "load",
    "load_checkpoint",
    "parse_layers",
    "plots",
    "recipes",
    "report",
    "watch",
]

_LATER = ("plots", "report", "watch")  # modules that training needs none of


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return import_module(f"convlet.{name}")
    raise AttributeError(f"module 'convlet' has no attribute {name!r}")
