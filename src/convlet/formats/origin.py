"""What every file of a network says of it: layers, images, classes, and where these come from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from convlet.formats.header import damaged, parse_json
from convlet.held_back import HeldBack, as_held_back
from convlet.inputs import as_data_name, as_input_shape
from convlet.layers import Layer
from convlet.preparation import Preparation, as_preparation
from convlet.shapes import Shape
from convlet.stages import Stage, group
from convlet.text import format_layers, parse_layers
from convlet.values import Scale, as_scale

OPTIONAL_ORIGIN = {"classes", "data", "held_back", "preparation", "scale"}
"""Fields that a file may lack; "layers" and "input_shape" are always there."""


class HasOrigin(Protocol):
    """What these fields are written of."""

    @property
    def layers(self) -> tuple[Layer, ...]: ...
    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def class_count(self) -> int: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def data(self) -> str | None: ...
    @property
    def preparation(self) -> Preparation | None: ...
    @property
    def held_back(self) -> HeldBack | None: ...
    @property
    def scale(self) -> Scale | None: ...


@dataclass(frozen=True)
class Origin:
    """What these fields say."""

    layers: tuple[Layer, ...]
    input_shape: tuple[int, int, int]
    stages: tuple[Stage, ...]
    classes: tuple[str, ...] | None
    data: str | None
    preparation: Preparation | None
    held_back: HeldBack | None
    scale: Scale | None


def origin_fields(network: HasOrigin) -> dict[str, str]:
    """The fields of a network, as a file keeps them."""
    fields = {
        "layers": format_layers(network.layers),
        "input_shape": json.dumps(network.input_shape, ensure_ascii=False),
    }
    if network.classes is not None:
        fields["classes"] = json.dumps(network.classes, ensure_ascii=False)
    if network.data is not None:
        fields["data"] = network.data
    if network.preparation is not None:
        fields["preparation"] = json.dumps(network.preparation.record())
    if network.held_back is not None:
        fields["held_back"] = json.dumps(network.held_back.record())
    if network.scale is not None:
        fields["scale"] = json.dumps(network.scale)
    return fields


def read_origin(name: str, metadata: Mapping[str, str]) -> Origin:
    """What the metadata of the file called name say.  Raises `ModelFileError`."""
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
    preparation = held_back = None
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
    try:
        scale = _read_scale(metadata.get("scale"))
    except ValueError as error:
        what = "two numbers, the lowest and the root mean square"
        raise damaged(name, "scale", metadata["scale"], what) from error
    return Origin(layers, shape, stages, classes, data, preparation, held_back, scale)


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


def _list_of(kind: type, text: str, count: int = 3) -> list[Any]:
    values = parse_json(text)
    if not (isinstance(values, list) and len(values) == count):
        raise ValueError(f"{text!r:.80} is not a list of {count}")
    if not all(type(value) is kind for value in values):
        raise ValueError(f"{text!r:.80} is not a list of {kind.__name__}")
    if json.dumps(values, ensure_ascii=False) != text:  # a lone surrogate, for one
        raise ValueError(f"{text!r:.80} is not in the form in which it is written")
    return values
