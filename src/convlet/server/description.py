"""A network, its settings and its data as the page is told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convlet import recipes
from convlet.datasets import Dataset
from convlet.datasets.dataset import Split
from convlet.engine import Samples
from convlet.equations import Array
from convlet.layers import Conv2D, Layer
from convlet.network import Network
from convlet.optimizers import BY_NAME, SGD, Optimizer
from convlet.recipes import Recipe
from convlet.schedules import SCHEDULES
from convlet.settings import Settings
from convlet.stages import Stage
from convlet.text import format_layers

Json = dict[str, Any]


def choices() -> Json:
    """What there is to choose from."""
    return {
        "recipes": list(recipes.NAMES),
        "optimizers": list(BY_NAME),
        "schedules": list(SCHEDULES),
    }


def optimizer_name(optimizer: Optimizer) -> str:
    """The one that a page chooses it by."""
    if isinstance(optimizer, SGD) and optimizer.momentum:
        return "nesterov" if optimizer.nesterov else "momentum"
    return optimizer.name


def settings_json(settings: Settings, layers: Sequence[Layer], recipe: str | None) -> Json:
    """The values of the page's fields, each of which `proposals.proposed` takes back."""
    optimizer = settings.optimizer
    return {
        "layers": format_layers(layers),
        "recipe": recipe,
        "optimizer": optimizer_name(optimizer),
        "momentum": optimizer.momentum if isinstance(optimizer, SGD) else None,
        "weight_decay": optimizer.weight_decay,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "epochs": settings.epochs,
        "seed": settings.seed,
        "augmentation": str(settings.augmentation or "none"),
        "schedule": str(settings.schedule),
        "label_smoothing": settings.label_smoothing,
        "clip_norm": settings.clip_norm,
        "shards": settings.shards,
        "patience": settings.patience,
    }


def stage_json(stage: Stage) -> Json:
    affine, shape, layers = stage.affine, stage.z_shape, []
    for layer in stage.sigma:
        shape = layer.output_shape(shape)
        layers.append({"text": str(layer), "kind": layer.form.name, "shape": list(shape)})
    found: Json = {
        "index": stage.index,
        "affine": str(affine),
        "kind": affine.form.name,
        "x_shape": list(stage.x_shape),
        "z_shape": list(stage.z_shape),
        "output_shape": list(stage.output_shape),
        "layers": layers,
        "w": {"name": stage.w_name, "shape": list(stage.w_shape)},
        "b": None,
        "parameters": stage.parameter_count,
        "multiply_adds": stage.multiply_adds,
        "kernel": None,
        "stride": None,
        "margins": None,
    }
    if stage.b_shape is not None:
        found["b"] = {"name": stage.b_name, "shape": list(stage.b_shape)}
    if isinstance(affine, Conv2D):
        margins = affine.margins(stage.x_shape)
        found |= {
            "kernel": list(affine.kernel),
            "stride": list(affine.stride),
            "margins": [list(sides) for sides in margins],
        }
    return found


def class_names(network: Network) -> tuple[str, ...]:
    """Those of the network, or numbers."""
    return network.classes or tuple(map(str, range(network.class_count)))


def model_json(network: Network) -> Json:
    return {
        "text": format_layers(network.layers),
        "input_shape": list(network.input_shape),
        "classes": list(class_names(network)),
        "parameters": int(network.flat.size),
        "engine": network.engine.name,
        "epochs": network.epochs,
        "stages": [stage_json(stage) for stage in network.stages],
        "data": network.data,
    }


def label_of(label: Any) -> int | None:
    """A label of data; None for one that is no class of theirs, -1."""
    return int(label) if label >= 0 else None


@dataclass(frozen=True, eq=False)
class Data:
    """What a session trains with and looks at.

    parts: by name, "train" and "test", and "validation" where other images judge the epochs.
    levels: what is shown black and white, of floats.
    """

    name: str
    parts: Mapping[str, Split]
    judges: str | None
    source: Dataset | None
    said: tuple[str, ...]
    levels: tuple[float, float]
    known: dict[str, Recipe] = field(default_factory=dict)  # by name

    def recipe(self, name: str) -> Recipe:
        """The recipe for these data, which are measured once.  Raises `InputError`."""
        if name not in self.known:
            self.known[name] = recipes.recipe(name, self.source)
        return self.known[name]

    @property
    def train(self) -> Split:
        return self.parts["train"]

    def as_json(self, network: Network) -> Json:
        preparation = network.preparation
        return {
            "name": self.name,
            "parts": {name: len(part) for name, part in self.parts.items()},
            "judges": self.judges,
            "shape": list(self.train.images.shape[1:]),
            "dtype": str(self.train.images.dtype),
            "levels": list(self.levels),
            "classes": list(class_names(network)),
            "preparation": None if preparation is None else preparation.words,
            "said": list(self.said),
        }


def data_of(dataset: Dataset) -> Data:
    """Of a data set as training sees it: its validation images judge each epoch."""
    parts = {"train": dataset.train, "test": dataset.test}
    judges: str | None = "test"
    if dataset.validation is not None and dataset.validation is not dataset.test:
        parts["validation"], judges = dataset.validation, "validation"
    levels = levels_of(dataset.train.images)
    return Data(dataset.name, parts, judges, dataset, dataset.said, levels)


def levels_of(images: Array) -> tuple[float, float]:
    """Black and white of images: 0 and 1 unless some lie elsewhere."""
    if images.dtype == np.uint8:
        return 0.0, 1.0
    some = images[:: max(1, len(images) // 1000)]
    return min(0.0, float(some.min())), max(1.0, float(some.max()))


def samples_for(network: Network, data: Data, class_weight: Any) -> tuple[Samples, Samples | None]:
    """What a network trains with, and what judges its epochs, as `fit` makes them."""
    train = network.samples(data.train.images, data.train.labels, class_weight=class_weight)
    if data.judges is None:
        return train, None
    part = data.parts[data.judges]
    return train, network.samples(part.images, part.labels, name="validation ")
