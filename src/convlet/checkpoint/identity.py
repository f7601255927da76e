"""What a run is, apart from where it stands: two runs with equal identities train to equal bits."""

from dataclasses import asdict, fields, is_dataclass
from typing import Any

from convlet.engine import Samples
from convlet.errors import InputError
from convlet.run import Run
from convlet.schedules import Constant, Step
from convlet.text import format_layers

Identity = dict[str, Any]
"""Names and JSON values, as in {"engine": "native", "settings.optimizer": "SGD", ...}."""

_BY_EPOCH = (Constant, Step)  # schedules whose rates do not depend on the number of epochs


def identity(run: Run, data: str, validation: str) -> Identity:
    """Of this run on the data with these fingerprints."""
    network = run.network
    return {
        "engine": network.engine.name,
        "layers": format_layers(network.layers),
        "input_shape": list(network.input_shape),
        "classes": None if network.classes is None else list(network.classes),
        "data": data,
        "validation": validation,
        **_settings(run),
    }


def _settings(run: Run) -> Identity:
    """Every field of `Settings`; of a nested description its kind and every field of that."""
    flat: Identity = {}
    for field in fields(run.settings):
        name, value = f"settings.{field.name}", getattr(run.settings, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            flat[name] = type(value).__name__
            flat |= {f"{name}.{inner}": number for inner, number in asdict(value).items()}
        else:
            flat[name] = value
    return flat


def fingerprint(samples: Samples | None) -> str:
    """Number, shape and dtype of the images, and SHA-256 over every byte that training reads."""
    if samples is None:
        return "none"
    from hashlib import sha256  # takes 8 ms to import

    digest = sha256()
    for array in (samples.images, samples.targets, samples.weight):
        if array is None:
            digest.update(b"none;")
            continue
        digest.update(f"{array.dtype.str} {array.shape};".encode())
        digest.update(array.data)
    images = samples.images
    size = "x".join(map(str, images.shape[1:]))
    return f"{len(images)} images {size} {images.dtype}, sha256 {digest.hexdigest()}"


def refuse_other(found: Identity, run: Run, data: str, validation: str, path: str) -> None:
    """Raise `InputError` unless the run of the checkpoint at path is this one.

    It may have been meant to last more or fewer epochs, where no rate depends on that.
    """
    wanted = identity(run, data, validation)
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        mine, other = wanted.get(key), found.get(key)
        if mine == other and type(mine) is type(other):
            continue
        if key == "settings.epochs" and isinstance(run.settings.schedule, _BY_EPOCH):
            continue
        name = key.removeprefix("settings.")
        why = ""
        if name == "epochs":
            why = f", and the {run.settings.schedule.name} schedule spans all of them"
        raise InputError(
            f"{name} is {_shown(mine)}, but {path} is of a run with {_shown(other)}{why}:"
            " go on with what it was started with, or take another folder"
        )


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
