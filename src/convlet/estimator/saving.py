"""The whole estimator in one model file, and back: its network is that of `convlet.load`.

Left out is what belongs to the running program or to this machine: callbacks, the folder of
checkpoints, and a RandomState; the loaded estimator has None there.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from convlet.errors import ModelFileError
from convlet.estimator.choices import OF_NETWORK
from convlet.estimator.telling import Kept
from convlet.files.paths import file_name
from convlet.formats.estimator import EstimatorRecord
from convlet.formats.header import damaged
from convlet.formats.model import read_network, save_network
from convlet.inputs import plain
from convlet.loading import network_of
from convlet.optimizers import BY_NAME, Optimizer
from convlet.run import History, Row
from convlet.text import format_layers

LEFT_OUT = ("callbacks", "checkpoint", "resume")
Kind = TypeVar("Kind")


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator; see `CNNClassifier.save`."""
    check_is_fitted(estimator)
    classes, kept = estimator.classes_, estimator._kept
    names = getattr(estimator, "feature_names_in_", None)
    record = EstimatorRecord(
        parameters=parameters_of(estimator),
        labels=classes.tolist(),
        dtype="str" if classes.dtype.kind == "U" else classes.dtype.name,
        features=None if names is None else [*map(str, names)],
        divisor=estimator.divisor_,
        seed=estimator._seed,
        updates=kept.updates,
        slots=len(kept.slots),
        rows=[
            [row.train_loss, row.validation_loss, row.validation_accuracy, row.seconds]
            for row in kept.history
        ],
    )
    save_network(estimator.network_, path, record, kept.slots)


def load(kind: type[Kind], path: str | os.PathLike[str]) -> Kind:
    """Read an estimator of this class; see `CNNClassifier.load`."""
    name = file_name(path)
    found, flat, slots = read_network(path)
    record = found.estimator
    if record is None:
        raise ModelFileError(f"{name}: holds a network and no estimator: read it with convlet.load")
    if found.scale is None:
        raise damaged(name, "scale", None, "that of the images of an estimator")
    try:
        estimator = kind(**arguments_of(kind, record.parameters))
    except (ValueError, TypeError, KeyError) as error:
        expected = f"the parameters of {kind.__name__} ({error!s:.200})"
        raise damaged(name, "estimator", dict(record.parameters), expected) from error
    network, kept = network_of(found, flat), Kept(slots, record.updates)
    rows: list[list[Any]] = record.rows
    kept.history = History([Row(n, *numbers) for n, numbers in enumerate(rows, start=1)])
    vars(estimator).update(
        classes_=record.classes,
        n_features_in_=int(np.prod(found.input_shape)),
        image_shape_=found.input_shape,
        divisor_=record.divisor,
        _begun={name: getattr(estimator, name, None) for name in OF_NETWORK},
        _seed=record.seed,
        _scale=found.scale,
    )
    if record.features is not None:
        vars(estimator)["feature_names_in_"] = np.array(record.features, object)
    kept.put_into(estimator, network)
    return estimator


def parameters_of(estimator: Any) -> dict[str, Any]:
    """The parameters in JSON values, from which `arguments_of` makes them again."""
    given = estimator.get_params(deep=False)
    return {name: _recorded(name, given[name]) for name in given if name not in LEFT_OUT}


def _recorded(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return str(value)  # one of NumPy, too
    if name == "layers":
        return format_layers(value)
    if name == "image_shape" and value is not None:
        return [int(side) for side in value]
    if isinstance(value, Optimizer):
        return {"name": value.name, **asdict(value)}
    if name in ("schedule", "augmentation") and value is not None:
        return str(value)
    if name == "class_weight" and value is not None:
        return [[plain(label), plain(weight)] for label, weight in value.items()]
    if isinstance(value, np.random.RandomState):
        return None
    return plain(value)


def arguments_of(kind: type, found: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `__init__` from `parameters_of`.  Raises `ValueError`, `TypeError`."""
    names = [name for name in kind._get_param_names() if name not in LEFT_OUT]  # type: ignore[attr-defined]
    if sorted(found) != sorted(names):
        raise ValueError(f"they are {sorted(names)}")
    return {name: _read(name, value) for name, value in found.items()}


def _read(name: str, value: Any) -> Any:
    if name == "image_shape" and value is not None:
        return tuple(value)
    if name == "class_weight" and isinstance(value, list):
        return dict(value)
    if name == "optimizer" and isinstance(value, dict):
        optimizer, *numbers = value.items()
        return type(BY_NAME[optimizer[1]])(**dict(numbers))
    if isinstance(value, list | dict):
        raise ValueError(f"{name} is {value!r:.80}")
    return value
