"""Model files: a network in one safetensors file.  docs/model-file.md describes the format."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Float32
from convlet.errors import InputError, Name
from convlet.files.atomic import write_atomic
from convlet.files.paths import file_name
from convlet.formats.estimator import EstimatorRecord, read_estimator
from convlet.formats.header import Spec, damaged, parse_json
from convlet.formats.records import pack, unpack
from convlet.held_back import HeldBack, as_held_back
from convlet.inputs import MOST_EPOCHS, as_data_name, as_input_shape
from convlet.layers import Layer
from convlet.preparation import Preparation, as_preparation
from convlet.settings import Settings, read_record
from convlet.shapes import Shape
from convlet.stages import group, parameter_shapes
from convlet.text import format_layers, parse_layers
from convlet.values import Scale, as_scale

KIND = "convlet-model"
VERSION = 1
OPTIONAL = {"classes", "data", "estimator", "held_back", "preparation", "scale", "settings"}
INPUT_SCALING = "uint8/255"
"""What a uint8 image means to the network: levels / 255.  Floats are taken as they are."""


class Saveable(Protocol):
    """What is kept of a network."""

    @property
    def layers(self) -> tuple[Layer, ...]: ...
    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def class_count(self) -> int: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def epochs(self) -> int: ...
    @property
    def data(self) -> str | None: ...
    @property
    def preparation(self) -> Preparation | None: ...
    @property
    def held_back(self) -> HeldBack | None: ...
    @property
    def settings(self) -> Settings | None: ...
    @property
    def scale(self) -> Scale | None: ...
    @property
    def parameters(self) -> Mapping[str, Float32]: ...


@dataclass(frozen=True)
class Description:
    """What the metadata of a model file say."""

    layers: tuple[Layer, ...]
    input_shape: tuple[int, int, int]
    shapes: dict[str, Shape]  # of the parameters
    classes: tuple[str, ...] | None
    epochs: int
    data: str | None
    preparation: Preparation | None
    held_back: HeldBack | None
    settings: Settings | None  # of the last training
    scale: Scale | None
    estimator: EstimatorRecord | None  # of scikit-learn, whose network it is

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


def metadata_of(network: Saveable) -> dict[str, str]:
    """What a file says of a network beside its parameters; docs/model-file.md has the fields."""
    metadata = {
        "layers": format_layers(network.layers),
        "input_shape": json.dumps(network.input_shape, ensure_ascii=False),
        "input_scaling": INPUT_SCALING,
        "epochs": str(network.epochs),
    }
    if network.classes is not None:
        metadata["classes"] = json.dumps(network.classes, ensure_ascii=False)
    if network.data is not None:
        metadata["data"] = network.data
    if network.preparation is not None:
        metadata["preparation"] = json.dumps(network.preparation.record())
    if network.held_back is not None:
        metadata["held_back"] = json.dumps(network.held_back.record())
    if network.settings is not None:
        metadata["settings"] = json.dumps(network.settings.record())
    if network.scale is not None:
        metadata["scale"] = json.dumps(network.scale)
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
    try:
        shape = as_input_shape(_list_of(int, metadata["input_shape"]))
        layers = parse_layers(metadata["layers"])
        stages = group(layers, shape)
    except ValueError as error:  # InputError and ArchitectureError are ones
        found = f"{metadata['layers']} of {metadata['input_shape']}"
        raise damaged(
            name, "the network", found, f"one that fits together ({error!s:.300})"
        ) from error
    count = stages[-1].output_shape[0]
    classes = None
    if "classes" in metadata:
        try:
            classes = tuple(_list_of(str, metadata["classes"], count))
        except ValueError as error:
            raise damaged(name, "classes", metadata["classes"], f"{count} names in JSON") from error
    try:
        data = as_data_name(metadata.get("data"))
    except ValueError as error:
        raise damaged(name, "data", metadata["data"], "the name of a data set") from error
    preparation = held_back = settings = estimator = None
    if "preparation" in metadata:
        try:
            preparation = _read_preparation(metadata["preparation"], shape)
        except ValueError as error:
            what = f"one of {shape} ({error!s:.200})"
            raise damaged(name, "preparation", metadata["preparation"], what) from error
    if "held_back" in metadata:
        try:
            held_back = _read_held_back(metadata["held_back"])
        except ValueError as error:
            what = f"test_share, seed and group_by ({error!s:.200})"
            raise damaged(name, "held_back", metadata["held_back"], what) from error
    if "settings" in metadata:
        try:
            settings = _read_settings(metadata["settings"])
        except ValueError as error:
            what = f"those of a training ({error!s:.200})"
            raise damaged(name, "settings", metadata["settings"], what) from error
    try:
        scale = _read_scale(metadata.get("scale"))
    except ValueError as error:
        what = "two numbers, the lowest and the root mean square"
        raise damaged(name, "scale", metadata["scale"], what) from error
    if "estimator" in metadata:
        try:
            estimator = read_estimator(metadata["estimator"], count, prod(shape))
        except (ValueError, TypeError) as error:
            what = f"what is kept of one ({error!s:.200})"
            raise damaged(name, "estimator", metadata["estimator"], what) from error
    return Description(
        layers,
        shape,
        parameter_shapes(stages),
        classes,
        int(metadata["epochs"]),
        data,
        preparation,
        held_back,
        settings,
        scale,
        estimator,
    )


def _read_scale(text: str | None) -> Scale | None:
    if text is None:
        return None
    scale = as_scale(parse_json(text))
    if json.dumps(scale) != text:
        raise ValueError(f"{text!r:.80} is not in the form in which it is written")
    return scale


def _read_preparation(text: str, shape: Shape) -> Preparation:
    preparation = as_preparation(parse_json(text), shape)
    if json.dumps(preparation.record()) != text:
        raise ValueError("it is not in the form in which it is written")
    return preparation


def _read_held_back(text: str) -> HeldBack:
    held_back = as_held_back(parse_json(text))
    if json.dumps(held_back.record()) != text:
        raise ValueError("it is not in the form in which it is written")
    return held_back


def _read_settings(text: str) -> Settings:
    record = parse_json(text)
    if not isinstance(record, dict):
        raise ValueError("it is no object")
    settings = read_record(record)
    if json.dumps(settings.record()) != text:
        raise ValueError("it is not in the form in which it is written")
    return settings


def _list_of(kind: type, text: str, count: int = 3) -> list[Any]:
    values = parse_json(text)
    if not (isinstance(values, list) and len(values) == count):
        raise ValueError(f"{text!r:.80} is not a list of {count}")
    if not all(type(value) is kind for value in values):
        raise ValueError(f"{text!r:.80} is not a list of {kind.__name__}")
    if json.dumps(values, ensure_ascii=False) != text:  # a lone surrogate, for one
        raise ValueError(f"{text!r:.80} is not in the form in which it is written")
    return values
