"""Model files: a network in one safetensors file.  docs/model-file.md describes the format."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Float32
from convlet.errors import InputError, Name
from convlet.files.atomic import write_atomic
from convlet.files.paths import file_name
from convlet.formats.estimator import EstimatorRecord, read_estimator
from convlet.formats.header import Spec, damaged, parse_json
from convlet.formats.origin import (
    OPTIONAL_ORIGIN,
    HasOrigin,
    Origin,
    origin_fields,
    read_origin,
)
from convlet.formats.records import pack, unpack
from convlet.inputs import MOST_EPOCHS
from convlet.settings import Settings, read_record
from convlet.shapes import Shape
from convlet.stages import parameter_shapes

KIND = "convlet-model"
VERSION = 1
OPTIONAL = OPTIONAL_ORIGIN | {"estimator", "settings"}
INPUT_SCALING = "uint8/255"
"""What a uint8 image means to the network: levels / 255.  Floats are taken as they are."""


class Saveable(HasOrigin, Protocol):
    """What is kept of a network."""

    @property
    def epochs(self) -> int: ...
    @property
    def settings(self) -> Settings | None: ...
    @property
    def parameters(self) -> Mapping[str, Float32]: ...


@dataclass(frozen=True)
class Description(Origin):
    """What the metadata of a model file say."""

    epochs: int
    settings: Settings | None  # of the last training
    estimator: EstimatorRecord | None  # of scikit-learn, whose network it is

    @property
    def shapes(self) -> dict[str, Shape]:
        """Of the parameters."""
        return parameter_shapes(self.stages)

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the vectors of the optimiser, which an estimator goes on with."""
        return () if self.estimator is None else slot_names(self.estimator.slots)


def slot_names(count: int) -> tuple[str, ...]:
    """Of the vectors of an optimiser, in the order of the file."""
    return tuple(f"slot{n}" for n in range(count))


def save_network(
    network: Saveable,
    path: str | os.PathLike[str],
    estimator: EstimatorRecord | None = None,
    slots: Sequence[Float32] = (),
) -> None:
    """Write a network to a file, atomically; equal networks give equal bytes.

    estimator: whose network it is, with the vectors of its optimiser.

    Raises `InputError` if a parameter is not finite, `FileError` if the system refuses; an old file
    then stays as it was.
    """
    arrays = {**network.parameters, **dict(zip(slot_names(len(slots)), slots, strict=True))}
    refuse_not_finite(arrays)
    metadata = metadata_of(network)
    if estimator is not None:
        metadata["estimator"] = estimator.text()
    write_atomic(path, pack(KIND, VERSION, metadata, arrays))


def metadata_of(network: Saveable) -> dict[str, str]:
    """What a file says of a network beside its parameters; docs/model-file.md has the fields."""
    metadata = {
        **origin_fields(network),
        "input_scaling": INPUT_SCALING,
        "epochs": str(network.epochs),
    }
    if network.settings is not None:
        metadata["settings"] = json.dumps(network.settings.record())
    return metadata


def read_network(
    path: str | os.PathLike[str],
) -> tuple[Description, Float32, tuple[Float32, ...]]:
    """What a model file says, the flat vector of its parameters, and those of the optimiser.

    Raises `FileError` if the file cannot be read, `ModelFileError` if it is damaged or describes no
    network that this version knows.  Nothing in a file is ever run.
    """
    name = file_name(path)

    def expected(metadata: dict[str, str]) -> dict[str, Spec]:
        found = describe(name, metadata)
        count = sum(map(prod, found.shapes.values()))
        shapes = {**found.shapes, **{key: (count,) for key in found.slots}}
        return {key: ("F32", shape) for key, shape in shapes.items()}

    record = unpack(path, KIND, (VERSION,), expected)
    for where, value in _not_finite(record.arrays):
        raise damaged(name, where, value, "finite numbers")
    found = describe(name, record.metadata)
    flat = np.concatenate([record.arrays[key].ravel() for key in found.shapes])
    return found, flat, tuple(record.arrays[key].copy() for key in found.slots)


def refuse_not_finite(arrays: Mapping[str, Float32]) -> None:
    """Raise `InputError` for a parameter of a network that is NaN or infinite."""
    for where, value in _not_finite(arrays):
        raise InputError(
            "network",
            value,
            "finite numbers",
            ("the training diverged, repeat it with a smaller ", Name("learning_rate")),
            subject=f"parameter {where}",
            found=f"is {value}",
        )


def _not_finite(arrays: Mapping[str, NDArray[np.float32]]) -> Iterator[tuple[str, float]]:
    """The first number of each array that is NaN or infinite: its place, as w0[1, 2], and value."""
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            place = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
            yield f"{name}{list(place)}", float(values[place])


def describe(name: str, metadata: Mapping[str, str]) -> Description:
    """What the metadata of a file called name say, as `metadata_of` wrote them.

    Raises `ModelFileError`.
    """
    keys = {"layers", "input_shape", "input_scaling", "epochs"}
    if set(metadata) - OPTIONAL != keys:
        raise damaged(name, "the list of fields", sorted(metadata), f"{sorted(keys)}")
    if metadata["input_scaling"] != INPUT_SCALING:
        raise damaged(name, "input_scaling", metadata["input_scaling"], repr(INPUT_SCALING))
    digits = re.fullmatch("0|[1-9][0-9]{0,17}", metadata["epochs"], re.ASCII)
    if not digits or int(metadata["epochs"]) > MOST_EPOCHS:
        raise damaged(name, "epochs", metadata["epochs"], "a whole number from 0")
    origin = read_origin(name, metadata)
    settings = estimator = None
    if "settings" in metadata:
        try:
            settings = _read_settings(metadata["settings"])
        except ValueError as error:
            what = f"those of a training ({error!s:.200})"
            raise damaged(name, "settings", metadata["settings"], what) from error
    if "estimator" in metadata:
        try:
            count = origin.stages[-1].output_shape[0]
            estimator = read_estimator(metadata["estimator"], count, prod(origin.input_shape))
        except (ValueError, TypeError) as error:
            what = f"what is kept of one ({error!s:.200})"
            raise damaged(name, "estimator", metadata["estimator"], what) from error
    return Description(
        **vars(origin),
        epochs=int(metadata["epochs"]),
        settings=settings,
        estimator=estimator,
    )


def _read_settings(text: str) -> Settings:
    record = parse_json(text)
    if not isinstance(record, dict):
        raise ValueError("it is no object")
    settings = read_record(record)
    if json.dumps(settings.record()) != text:
        raise ValueError("it is not in the form in which it is written")
    return settings
