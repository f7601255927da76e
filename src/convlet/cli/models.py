"""A model and the data that it is looked at with."""

from pathlib import Path

from convlet import load, load_checkpoint
from convlet.cli import options
from convlet.cli.console import warn
from convlet.datasets import Dataset, names
from convlet.errors import InputError
from convlet.formats.records import OtherKindError
from convlet.network import Network


def load_model(path: Path) -> Network:
    """The network of MODEL, a model or a checkpoint.  Raises `FileError`, `ModelFileError`."""
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
        raise InputError(
            f"DATA is not given, and {model} does not say that it was trained on one of"
            f" {', '.join(names())}: name the data"
        )
    return network, data_for(network, data, model)


def data_of(network: Network) -> str | None:
    """The name of the data set that it was trained on, where that is known."""
    return network.data if network.data in names() else None


def data_for(network: Network, data: str, model: Path) -> Dataset:
    """DATA, for the network of MODEL.  Raises and warns as `load_with_data`."""
    dataset = options.load_data(data)
    shape = dataset.test.images.shape[1:]
    if shape != network.input_shape:
        raise InputError(
            f"{dataset.name} has images {options.size(shape)}, but {model} was trained"
            f" on {options.size(network.input_shape)}: choose the data that it was trained on"
        )
    if len(dataset.classes) != network.class_count:
        raise InputError(
            f"{dataset.name} has {len(dataset.classes)} classes, but {model} knows"
            f" {network.class_count}: choose the data that it was trained on"
        )
    if network.classes is None:
        network.classes = tuple(dataset.classes)
    elif network.classes != tuple(dataset.classes):
        warn(f"the classes of {dataset.name} have other names than those of {model}")
    return dataset
