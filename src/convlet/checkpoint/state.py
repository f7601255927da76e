"""One checkpoint: a run as the bytes of a safetensors file, and back.

Written by `formats.records`, so that any damage is noticed; read back by parse.py.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.checkpoint.identity import Identity
from convlet.checkpoint.parse import COLUMNS, Place, parse, parse_rows, place_of
from convlet.errors import InputError
from convlet.formats.atomic import file_name
from convlet.formats.header import Spec, damaged
from convlet.formats.records import pack, unpack
from convlet.network import Network
from convlet.run import Callback, History, Row, Run

KIND = "convlet-checkpoint"
VERSION = 1


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


def pack_run(run: Run, callbacks: Sequence[Callback], identity: Identity) -> bytes:
    """The bytes of a checkpoint of a run that is not `closing`.

    Raises `InputError` if the state of a callback is none that can be kept.
    """
    rows = [[getattr(row, column) for column in COLUMNS] for row in run.history]
    arrays: dict[str, NDArray[Any]] = {
        "sums": np.array([run.total, run.total_weight, run.seconds]),
        "history": np.array(rows, np.float64).reshape(-1, len(COLUMNS)),  # None becomes NaN
        "weights": run.network.flat,
    }
    arrays |= {f"slot{n}": slot for n, slot in enumerate(run.slots)}
    states: list[dict[str, Any]] = []
    for callback in filter(has_state, callbacks):
        values, vectors = _parts(callback)
        arrays |= {f"callback{len(states)}.{key}": vector for key, vector in vectors.items()}
        sizes = {key: vector.size for key, vector in vectors.items()}
        states.append({"kind": type(callback).__name__, "values": values, "vectors": sizes})
    for name, value in identity.items():
        _refuse_no_json(value, f"{name.removeprefix('settings.')} is {value!r:.100}")
    metadata = {
        "callbacks": _text(states),
        "identity": _text(identity),
        "position": _text(vars(place_of(run))),
    }
    return pack(KIND, VERSION, metadata, arrays)


def _parts(callback: Callback) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The state of a callback: JSON values, vectors.  Raises `InputError`."""
    where, state = f"the state of callback {type(callback).__name__}", callback.state()
    if not isinstance(state, dict):
        raise InputError(f"{where} is {state!r:.100}, expected a dict of JSON values and vectors")
    try:
        _refuse_other_keys(state, where)
    except RecursionError as error:
        raise InputError(f"{where} is nested too deeply, expected plain JSON values") from error
    vectors = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    for key, vector in vectors.items():
        if vector.ndim != 1 or vector.dtype != np.float32:
            raise InputError(
                f"{where} has {key!r} of shape {vector.shape} and dtype {vector.dtype},"
                " expected a float32 vector"
            )
    values = {key: value for key, value in state.items() if key not in vectors}
    for key, value in values.items():
        _refuse_no_json(value, f"{where} has {key!r}")
    return values, vectors


def _refuse_other_keys(value: Any, where: str) -> None:
    """JSON would make texts of them."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InputError(f"{where} has the key {key!r:.100}, expected a str")
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_other_keys(inner, where)


def _refuse_no_json(value: Any, what: str) -> None:
    try:
        _text(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}, which cannot be kept as JSON: {error}") from error


def read(path: str | os.PathLike[str]) -> Saved:
    """The checkpoint in a file.

    Raises `FileError` if it cannot be read, `OtherVersionError` if another version's format it is,
    `ModelFileError` if it is damaged.
    """
    name = file_name(path)

    def expected(metadata: dict[str, str]) -> dict[str, Spec]:
        return parse(name, metadata).specs()

    record = unpack(path, KIND, (VERSION,), expected)
    found = parse(name, record.metadata)
    weights = record.arrays["weights"]
    if not np.isfinite(weights).all():
        raise damaged(name, "weights", weights[~np.isfinite(weights)][0], "finite numbers")
    rows = parse_rows(
        record.arrays["history"], found.place, found.identity["validation x"] != "none"
    )
    callbacks = []
    for n, state in enumerate(found.states):
        vectors = {key: record.arrays[f"callback{n}.{key}"] for key in state["vectors"]}
        callbacks.append((state["kind"], {**state["values"], **vectors}))
    return Saved(
        name,
        record.convlet_version,
        found.identity,
        found.place,
        rows,
        tuple(callbacks),
        record.arrays,
    )


def restore_run(saved: Saved, run: Run) -> None:
    """Bring a run, whose identity is that of the checkpoint, to where it stands.

    Raises `ModelFileError` for a checkpoint that contradicts its identity.
    """
    place, network = saved.place, run.network
    if (place.steps, place.slots) != (run.steps, len(run.slots)):
        found, wanted = (place.steps, place.slots), (run.steps, len(run.slots))
        raise damaged(saved.path, "the number of steps and slots", found, f"{wanted}")
    network.flat[...] = saved.arrays["weights"]
    for n, slot in enumerate(run.slots):
        slot[...] = saved.arrays[f"slot{n}"]
    network.epochs = place.epochs
    run.first_epoch, run.epoch, run.step = place.first_epoch, place.epoch, place.step
    run.total, run.total_weight, run.seconds = saved.arrays["sums"].tolist()
    run.history = History(saved.rows)
    run.stop = place.stopped


def restore_callbacks(saved: Saved, callbacks: Sequence[Callback]) -> None:
    """Give each callback its own state back, {} to one without.

    Raises `InputError` if others have one than when the checkpoint was written.
    """
    now = [type(one).__name__ for one in callbacks if has_state(one)]
    then = [name for name, _ in saved.callbacks]
    if now != then:
        raise InputError(
            f"callbacks with a state are {', '.join(now) or 'none'}, but {saved.path} is of a run"
            f" with {', '.join(then) or 'none'}: give the same, in the same order"
        )
    states = iter(saved.callbacks)
    for callback in callbacks:
        callback.restore(next(states)[1] if has_state(callback) else {})


def has_state(callback: Callback) -> bool:
    """Whether there is something to keep: its class says how."""
    plain = Callback.state
    return getattr(type(callback), "state", plain) is not plain


def load(path: str | os.PathLike[str], engine: str = "auto") -> Network:
    """The network as it was at a checkpoint: `convlet.load_checkpoint`.

    Raises as `read` does.
    """
    saved = read(path)
    identity = saved.identity
    network = Network(
        identity["layers"],
        identity["input_shape"],
        classes=identity["classes"],
        engine=engine,
        flat=saved.arrays["weights"],
    )
    network.epochs = saved.place.epochs
    return network


def _text(value: Any) -> str:
    """JSON; floats come back exactly, infinity and NaN too.  Raises `TypeError`, `ValueError`."""
    return json.dumps(value, ensure_ascii=False)
