"""A model and the data that it is looked at with."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convlet import datasets
from convlet.cli.console import warn
from convlet.cli.names import call
from convlet.datasets import Dataset
from convlet.datasets.dataset import LONGEST, MOST_SHOWN
from convlet.datasets.division import ALL
from convlet.datasets.loading import load_tested
from convlet.datasets.single import preparation_of
from convlet.errors import InputError, ModelFileError, blaming
from convlet.formats.model import read_network
from convlet.formats.records import OtherKindError
from convlet.held_back import HeldBack
from convlet.loading import load, load_checkpoint
from convlet.network import Network
from convlet.quantised.network import QuantizedNetwork, load_quantized
from convlet.wording import composed, label, listed, size


def load_data(name: str, json: bool = False, **how: Any) -> Dataset:
    """The data set of DATA.  json: nobody looks at a bar.  how: arguments of `datasets.load`."""
    with blaming("data"):
        return datasets.load(name, progress=not json, **how)


def load_model(path: Path, engine: str = "auto") -> Network:
    """The network of MODEL, a model or a checkpoint.

    Raises `FileError`, `ModelFileError`, `InputError` for one in whole numbers.
    """
    network = load_either(path, engine)
    if isinstance(network, QuantizedNetwork):
        hint = "give the model that it was made of; evaluate, predict and show take it"
        found = "is a network in whole numbers"
        raise InputError("model", str(path), subject=str(path), found=found, hint=hint)
    return network


def load_either(path: Path, engine: str = "auto") -> Network | QuantizedNetwork:
    """As `load_model`, in whole numbers or not."""
    with blaming("model"):
        for read in (load, load_checkpoint):
            with suppress(OtherKindError):
                return read(path, engine)
        return load_quantized(path)


def is_model(path: Path) -> bool:
    """Whether a file is a model of convlet."""
    try:
        read_network(path)
    except ModelFileError:
        return False
    return True


def load_with_data(
    model: Path, data: str | None, json: bool = False, **how: Any
) -> tuple[Network, Dataset]:
    """MODEL and DATA, as `named_data` and `data_for`."""
    network = load_model(model)
    return network, data_for(network, named_data(network, data, model), model, json, **how)


def named_data(network: Network | QuantizedNetwork, data: str | None, model: Path) -> str:
    """DATA, or without them the data set that MODEL was trained on.

    Raises `InputError` where nothing says which data set it is.
    """
    data = data_of(network) if data is None else data
    if data is None:
        known = ", ".join(datasets.names())
        but = f"{model} does not say that it was trained on one of {known}"
        raise InputError("data", but=but, hint="name the data")
    return data


def data_of(network: Network | QuantizedNetwork) -> str | None:
    """The name of the data set that it was trained on, where that is known."""
    return network.data if network.data in datasets.names() else None


def data_for(
    network: Network | QuantizedNetwork,
    data: str,
    model: Path,
    json: bool = False,
    load: Callable[..., Dataset] = load_tested,
    **how: Any,
) -> Dataset:
    """DATA as the network of MODEL takes them: prepared as in its training, with its classes.

    Its test images are those of the test part, or all where there is none; test_share in `how` is
    another share.  load, how: `load_tested` and its arguments, or `datasets.load` where training
    images matter, too.  Raises `InputError` where they do not belong together.
    """
    call(x="DATA (images to test with)", y="DATA (labels to test with)")
    with blaming("data"):
        dataset = load(data, preparation=preparation_of(network), progress=not json, **how)
    if network.held_back is not None:
        dataset = replace(dataset, said=tuple(_of_held_back(dataset, network.held_back)))
    shape = dataset.test.images.shape[1:]
    hint = "choose the data that it was trained on"
    if shape != network.input_shape:
        found, but = f"has images {size(shape)}", f"{model} takes {size(network.input_shape)}"
        raise InputError("data", data, subject=dataset.name, found=found, but=but, hint=hint)
    if network.classes is None or _is_unnamed(dataset, network.classes):
        if len(dataset.classes) != network.class_count:
            found = f"has {len(dataset.classes)} classes"
            but = f"{model} knows {network.class_count}"
            raise InputError("data", data, subject=dataset.name, found=found, but=but, hint=hint)
        if network.classes is None:
            if isinstance(network, Network):
                network.classes = dataset.classes
            return dataset
        warn(f"{dataset.name} has no names of classes: its numbers count those of {model}")
        return replace(dataset, classes=network.classes)
    return _matched(dataset, network.classes, data, model)


def _of_held_back(dataset: Dataset, trained: HeldBack) -> Iterator[str]:
    """What is said of the data, and whether the test images are those that training held back."""
    for line in dataset.said:
        yield f"{line} (those that training held back: {trained.options})" if line == ALL else line
    if dataset.held_back not in (None, trained):
        yield f"other images than training held back ({trained.options}): it may have seen some"


def _is_unnamed(dataset: Dataset, classes: Sequence[str]) -> bool:
    """Whether the classes of arrays are numbers only, where the network knows names."""
    numbers = tuple(map(str, range(len(dataset.classes))))
    return (
        dataset.test.names is None
        and dataset.classes == numbers
        and not (set(numbers) & set(classes))
    )


def _matched(dataset: Dataset, classes: Sequence[str], data: str, model: Path) -> Dataset:
    """With the classes of a network, by their names: the data may have some of them only."""
    used = np.unique(dataset.test.labels)
    number = {composed(name): k for k, name in enumerate(classes)}
    unknown = [dataset.classes[k] for k in used if composed(dataset.classes[k]) not in number]
    if unknown:
        known = listed([label(name, LONGEST) for name in classes], MOST_SHOWN)
        raise InputError(
            "data",
            data,
            subject=dataset.name,
            found=f"has the class {label(unknown[0], LONGEST)}",
            but=f"{model} knows {known}",
            hint="rename it, or move it away",
        )
    places = np.array([number.get(composed(name), -1) for name in dataset.classes], np.int64)
    train, test = (
        replace(part, labels=places[part.labels]) for part in (dataset.train, dataset.test)
    )
    validation = dataset.validation
    if validation is not None:
        validation = replace(validation, labels=places[validation.labels])
    return replace(dataset, train=train, test=test, validation=validation, classes=tuple(classes))
