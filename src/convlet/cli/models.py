"""A model and the data that it is looked at with."""

from pathlib import Path

from convlet import datasets
from convlet.cli.console import warn
from convlet.datasets import Dataset
from convlet.errors import InputError, blaming
from convlet.formats.records import OtherKindError
from convlet.loading import load, load_checkpoint
from convlet.network import Network
from convlet.wording import size


def load_data(name: str) -> Dataset:
    """The data set of DATA."""
    with blaming("data"):
        return datasets.load(name)


def load_model(path: Path) -> Network:
    """The network of MODEL, a model or a checkpoint.  Raises `FileError`, `ModelFileError`."""
    with blaming("model"):
        try:
            return load(path)
        except OtherKindError:
            return load_checkpoint(path)


def load_with_data(model: Path, data: str | None) -> tuple[Network, Dataset]:
    """MODEL and DATA; without DATA the data set that the model was trained on.

    Raises `InputError` where they do not belong together, or nothing says which data set it is;
    warns of other names of classes.
    """
    network = load_model(model)
    data = data_of(network) if data is None else data
    if data is None:
        known = ", ".join(datasets.names())
        but = f"{model} does not say that it was trained on one of {known}"
        raise InputError("data", but=but, hint="name the data")
    return network, data_for(network, data, model)


def data_of(network: Network) -> str | None:
    """The name of the data set that it was trained on, where that is known."""
    return network.data if network.data in datasets.names() else None


def data_for(network: Network, data: str, model: Path) -> Dataset:
    """DATA, for the network of MODEL.  Raises and warns as `load_with_data`."""
    dataset = load_data(data)
    shape = dataset.test.images.shape[1:]
    hint = "choose the data that it was trained on"
    if shape != network.input_shape:
        found, but = f"has images {size(shape)}", f"{model} takes {size(network.input_shape)}"
        raise InputError("data", data, subject=dataset.name, found=found, but=but, hint=hint)
    if len(dataset.classes) != network.class_count:
        found, but = f"has {len(dataset.classes)} classes", f"{model} knows {network.class_count}"
        raise InputError("data", data, subject=dataset.name, found=found, but=but, hint=hint)
    if network.classes is None:
        network.classes = tuple(dataset.classes)
    elif network.classes != tuple(dataset.classes):
        warn(f"the classes of {dataset.name} have other names than those of {model}")
    return dataset
