"""One checkpoint: a run as the bytes of a safetensors file, and back.

Written by `formats.records`, so that any damage is noticed; what is read back is checked field by
field before anything is changed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.checkpoint.identity import Identity
from convlet.errors import InputError
from convlet.formats.atomic import file_name
from convlet.formats.header import Spec, damaged, parse_json
from convlet.formats.records import pack, unpack
from convlet.inputs import as_input_shape
from convlet.network import Network
from convlet.stages import group
from convlet.text import parse_layers
from convlet.training import Callback, History, Row, Run

KIND = "convlet-checkpoint"
VERSION = 1
FIELDS = ("callbacks", "history", "identity", "position")
POSITION = ("first_epoch", "epoch", "step", "steps", "updates", "stopped", "slots")
MOST = 1 << 53  # of every whole number in a checkpoint


@dataclass(frozen=True)
class Place:
    """Where a run stands, and what it remembers of the way."""

    first_epoch: int  # of the network's life when the run began
    epoch: int  # of the run, from 1
    step: int  # done in this epoch
    steps: int  # an epoch
    updates: int  # done in the run
    stopped: bool  # a callback ended the run after the last epoch
    slots: int  # of the optimiser


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read."""

    path: str
    convlet_version: str
    identity: Identity
    place: Place
    rows: tuple[Row, ...]
    callbacks: tuple[tuple[str, dict[str, Any]], ...]  # the kind and state of each that has one
    arrays: dict[str, NDArray[Any]]

    def words(self) -> str:
        """Where it stands, for people."""
        place = self.place
        epoch = place.first_epoch + place.epoch
        if place.step:
            return f"after step {place.step} of {place.steps} of epoch {epoch}"
        return f"after epoch {epoch - 1}" if place.updates else "before the first step"


def pack_run(run: Run, callbacks: Sequence[Callback], identity: Identity) -> bytes:
    """The bytes of a checkpoint of a run that is not `closing`.

    Raises `InputError` if the state of a callback is none that can be kept.
    """
    place = Place(
        first_epoch=run.first_epoch,
        epoch=run.epoch,
        step=run.step,
        steps=run.steps,
        updates=run.updates,
        # inside an epoch it is an interruption, which a resumed run does not repeat
        stopped=run.stop and run.step == 0,
        slots=len(run.slots),
    )
    arrays: dict[str, NDArray[Any]] = {"weights": run.network.flat}
    arrays |= {f"slot{n}": slot for n, slot in enumerate(run.slots)}
    arrays["sums"] = np.array([run.total, run.total_weight, run.seconds])
    states: list[dict[str, Any]] = []
    for name, state in states_of(callbacks):
        vectors = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
        for key, vector in vectors.items():
            if vector.ndim != 1 or vector.dtype != np.float32:
                raise InputError(
                    f"the state of callback {name} has {key!r} of shape {vector.shape} and dtype"
                    f" {vector.dtype}, expected a float32 vector"
                )
            arrays[f"callback{len(states)}.{key}"] = vector
        values = {key: value for key, value in state.items() if key not in vectors}
        sizes = {key: vector.size for key, vector in vectors.items()}
        states.append({"kind": name, "values": values, "vectors": sizes})
    metadata = {
        "callbacks": _text(states),
        "history": _text(run.history.as_dicts()),
        "identity": _text(identity),
        "position": _text(vars(place)),
    }
    return pack(KIND, VERSION, metadata, arrays)


def read(path: str | os.PathLike[str]) -> Saved:
    """The checkpoint in a file.

    Raises `FileError` if it cannot be read, `OtherVersionError` if another version's format it is,
    `ModelFileError` if it is damaged.
    """
    name = file_name(path)

    def expected(metadata: dict[str, str]) -> dict[str, Spec]:
        return _parse(name, metadata)[1]

    record = unpack(path, KIND, (VERSION,), expected)
    parsed, _ = _parse(name, record.metadata)
    identity, place, rows, states = parsed
    callbacks = []
    for n, state in enumerate(states):
        vectors = {key: record.arrays[f"callback{n}.{key}"] for key in state["vectors"]}
        callbacks.append((state["kind"], {**state["values"], **vectors}))
    return Saved(
        name, record.convlet_version, identity, place, rows, tuple(callbacks), record.arrays
    )


def restore_run(saved: Saved, run: Run) -> None:
    """Bring a run, whose identity is that of the checkpoint, to where it stands."""
    place, network = saved.place, run.network
    network.flat[...] = saved.arrays["weights"]
    for n, slot in enumerate(run.slots):
        slot[...] = saved.arrays[f"slot{n}"]
    network.epochs = place.first_epoch + place.epoch - 1
    run.first_epoch, run.epoch, run.step = place.first_epoch, place.epoch, place.step
    run.total, run.total_weight, run.seconds = saved.arrays["sums"].tolist()
    run.history = History(saved.rows)
    run.stop = place.stopped


def restore_callbacks(saved: Saved, callbacks: Sequence[Callback]) -> None:
    """Give each callback with a state its own back.

    Raises `InputError` if others have one than when the checkpoint was written.
    """
    now, then = [name for name, _ in states_of(callbacks)], [name for name, _ in saved.callbacks]
    if now != then:
        raise InputError(
            f"callbacks with a state are {', '.join(now) or 'none'}, but {saved.path} is of a run"
            f" with {', '.join(then) or 'none'}: give the same, in the same order"
        )
    mine = [callback for callback in callbacks if callback.state()]
    for callback, (_, state) in zip(mine, saved.callbacks, strict=True):
        callback.restore(state)


def states_of(callbacks: Sequence[Callback]) -> list[tuple[str, dict[str, Any]]]:
    """Kind and state of each callback that has one."""
    states = ((type(callback).__name__, callback.state()) for callback in callbacks)
    return [(name, state) for name, state in states if state]


def load(path: str | os.PathLike[str], engine: str = "auto") -> Network:
    """The network as it was at a checkpoint, to predict with, or to save.

    Raises as `read` does.
    """
    saved = read(path)
    identity = saved.identity
    network = Network(
        identity["layers"], identity["input_shape"], classes=identity["classes"], engine=engine
    )
    network.flat[...] = saved.arrays["weights"]
    network.epochs = saved.place.first_epoch + saved.place.epoch - 1
    return network


def _text(value: Any) -> str:
    """JSON; floats come back exactly, infinity and NaN too."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the state of a callback cannot be kept as JSON: {error}") from error


Parsed = tuple[Identity, Place, tuple[Row, ...], list[dict[str, Any]]]


def _parse(name: str, metadata: Mapping[str, str]) -> tuple[Parsed, dict[str, Spec]]:
    """Metadata with every type checked, and the arrays that it asks for, or `ModelFileError`."""
    if tuple(sorted(metadata)) != FIELDS:
        raise damaged(name, "the list of fields", sorted(metadata), f"{list(FIELDS)}")
    field = ""
    try:
        field = "identity"
        identity, parameters = _identity(parse_json(metadata[field]))
        field = "position"
        place = _place(parse_json(metadata[field]))
        field = "history"
        rows = _rows(parse_json(metadata[field]), place)
        field = "callbacks"
        states = _states(parse_json(metadata[field]))
    except (ValueError, TypeError, KeyError) as error:
        raise damaged(
            name, f"the field {field!r}", metadata[field], f"what a checkpoint has ({error!s:.200})"
        ) from error
    specs: dict[str, Spec] = {"weights": ("F32", (parameters,))}
    specs |= {f"slot{n}": ("F32", (parameters,)) for n in range(place.slots)}
    specs["sums"] = ("F64", (3,))
    for n, state in enumerate(states):
        specs |= {f"callback{n}.{key}": ("F32", (size,)) for key, size in state["vectors"].items()}
    return (identity, place, rows, states), specs


def _identity(found: Any) -> tuple[Identity, int]:
    """With the number of parameters of the network that it names."""
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    classes = found["classes"]
    if classes is not None and not (
        isinstance(classes, list) and all(isinstance(one, str) for one in classes)
    ):
        raise ValueError("classes is no list of names")
    if not isinstance(found["layers"], str):
        raise ValueError("layers is no text")
    shape = as_input_shape(found["input_shape"])
    stages = group(parse_layers(found["layers"]), shape)
    if classes is not None and len(classes) != stages[-1].output_shape[0]:
        raise ValueError("classes and layers do not fit")
    return found, sum(stage.parameter_count for stage in stages)


def _place(found: Any) -> Place:
    if not isinstance(found, dict) or tuple(found) != POSITION:
        raise ValueError(f"it has not the keys {POSITION}")
    stopped = found["stopped"]
    numbers = [value for key, value in found.items() if key != "stopped"]
    if type(stopped) is not bool or not all(type(n) is int and 0 <= n < MOST for n in numbers):
        raise ValueError("it has other values than whole numbers")
    place = Place(**found)
    if not (
        place.epoch >= 1
        and place.step <= place.steps
        and place.steps >= 1
        and place.slots <= 2
        and place.updates == (place.epoch - 1) * place.steps + place.step
    ):
        raise ValueError("its numbers do not fit together")
    return place


def _rows(found: Any, place: Place) -> tuple[Row, ...]:
    if not isinstance(found, list) or len(found) != place.epoch - 1:
        raise ValueError("it has not a row for each epoch")
    rows = tuple(Row(**row) for row in found)
    for n, row in enumerate(rows):
        measured = row.test_loss, row.test_accuracy
        if (
            row.epoch != place.first_epoch + n + 1
            or type(row.epoch) is not int
            or not all(type(value) is float for value in (row.train_loss, row.seconds))
            or not all(value is None or type(value) is float for value in measured)
        ):
            raise ValueError(f"row {n + 1} holds something else")
    return rows


def _states(found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        raise ValueError("it is no list")
    for state in found:
        if not isinstance(state, dict) or tuple(state) != ("kind", "values", "vectors"):
            raise ValueError("a state has not kind, values and vectors")
        values, vectors = state["values"], state["vectors"]
        if not (
            isinstance(state["kind"], str)
            and isinstance(values, dict)
            and isinstance(vectors, dict)
            and not values.keys() & vectors.keys()
            and all(type(size) is int and 0 <= size < MOST for size in vectors.values())
        ):
            raise ValueError("a state holds something else")
    return found
