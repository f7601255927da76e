"""A model and the data that it is looked at with."""

from pathlib import Path

from convlet import load, load_checkpoint
from convlet.cli import options
from convlet.cli.console import warn
from convlet.datasets import Dataset
from convlet.errors import InputError
from convlet.formats.records import OtherKindError
from convlet.network import Network


def load_model(path: Path) -> Network:
    """The network of MODEL, a model or a checkpoint.  Raises `FileError`, `ModelFileError`."""
    try:
        return load(path)
    except OtherKindError:
        return load_checkpoint(path)


def load_with_data(model: Path, data: str) -> tuple[Network, Dataset]:
    """MODEL and DATA.  Raises `InputError` where they do not belong together; warns of names."""
    network = load_model(model)
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
    return network, dataset
