"""What a run is, apart from where it stands: two runs with equal identities train to equal bits."""

import re
from typing import Any

from convlet.arrays import Elsewhere
from convlet.engine import Samples
from convlet.equations import Array
from convlet.errors import InputError
from convlet.run import Run
from convlet.schedules import Constant, StepDecay
from convlet.settings import Settings, read_record
from convlet.text import format_layers
from convlet.wording import size

Identity = dict[str, Any]
"""Names and JSON values, as in {"engine": "native", "settings.optimizer": "SGD", ...}."""

_BY_EPOCH = (Constant, StepDecay)  # schedules whose rates do not depend on the number of epochs


def identity(run: Run, data: Identity) -> Identity:
    """Of this run on the data with these fingerprints, which come last: settings choose data."""
    network = run.network
    return {
        "engine": network.engine.name,
        "layers": format_layers(network.layers),
        "input_shape": list(network.input_shape),
        "classes": None if network.classes is None else list(network.classes),
        "data": network.data,
        "preparation": None if network.preparation is None else network.preparation.record(),
        "held_back": None if network.held_back is None else network.held_back.record(),
        **{f"settings.{name}": value for name, value in run.settings.record().items()},
        **data,
    }


def settings_in(found: Identity) -> Settings | None:
    """The settings of the run with this identity; None where it does not say them all."""
    prefix = "settings."
    parts = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    try:
        return read_record(parts)
    except ValueError:
        return None


def fingerprints(data: Samples, validation: Samples | None) -> Identity:
    """Of each array that training and its tests read, by the name of the argument of `fit`."""
    return {
        "x": _of_images(data),
        "y": _of_targets(data),
        "sample_weight": _of_weight(data),
        "validation x": "none" if validation is None else _of_images(validation),
        "validation y": "none" if validation is None else _of_targets(validation),
    }


def _of_images(samples: Samples) -> str:
    images = samples.images
    found = images.fingerprint() if isinstance(images, Elsewhere) else _sha256(images)
    return f"{len(images)} images {size(images.shape[1:])} {images.dtype}, sha256 {found}"


def _of_targets(samples: Samples) -> str:
    y = samples.targets
    kind = "class numbers" if y.ndim == 1 else f"distributions over {y.shape[1]} classes"
    return f"{len(y)} {kind}, sha256 {_sha256(y)}"


def _of_weight(samples: Samples) -> str:
    weight = samples.weight
    return "none" if weight is None else f"{len(weight)} weights, sha256 {_sha256(weight)}"


def _sha256(array: Array) -> str:
    """Of dtype, shape and every byte."""
    from hashlib import sha256  # takes 8 ms to import

    digest = sha256(f"{array.dtype.str} {array.shape};".encode())
    digest.update(array.data)
    return digest.hexdigest()


def refuse_other(found: Identity, run: Run, data: Identity, path: str) -> None:
    """Raise `InputError` unless the run of the checkpoint at path is this one.

    It may have been meant to last more or fewer epochs, where no rate depends on that.
    """
    wanted = identity(run, data)
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        mine, other = wanted.get(key), found.get(key)
        if mine == other and type(mine) is type(other):
            continue
        if key == "held_back" and key not in found:  # an older one: the images are compared
            continue
        if key == "settings.shards" and key not in found and mine == 1:  # an older one
            continue
        if key == "settings.epochs" and isinstance(run.settings.schedule, _BY_EPOCH):
            continue
        name = key.removeprefix("settings.")
        why = ""
        if name == "epochs":
            why = f", and the {run.settings.schedule.name} schedule spans all of them"
        elif _chunks(mine) != _chunks(other):
            why = ", and the images of a Dask array are compared chunk by chunk: it needs the same"
        theirs = "without one" if other is None else f"with {_short(other)}"
        raise InputError(
            name,
            mine,
            found=_found(name, mine),
            but=f"{path} is of a run {theirs}{why}",
            hint="go on with what it was started with, or take another folder",
        )


def _chunks(fingerprint: Any) -> str:
    """How many chunks a fingerprint of images is over, "" for none."""
    found = re.search(r" over (\d+) chunks$", str(fingerprint))
    return "" if found is None else found[1]


def _found(name: str, value: Any) -> str:
    """Words for what this run has; "" where the reader's own words for none are better."""
    if value is not None:
        return f"is {_short(value)}"
    return "is none" if name == "augmentation" else ""  # which may have been asked for so


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = re.sub(r"(sha256 [0-9a-f]{12})[0-9a-f]{52}", r"\1...", text)
    return text if len(text) <= 200 else f"{text[:197]}..."
