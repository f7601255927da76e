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

from convlet.callbacks import Callback
from convlet.checkpoint.identity import Identity
from convlet.checkpoint.parse import COLUMNS, Position, parse, parse_rows, position_of
from convlet.errors import InputError
from convlet.files.paths import file_name
from convlet.formats.header import Spec, damaged
from convlet.formats.records import pack, unpack
from convlet.run import History, Row, Run

KIND = "convlet-checkpoint"
VERSION = 2


class OtherCallbacksError(InputError):
    """A run is resumed with other callbacks that have a state than it was started with.

    now, then: the names of their classes.
    """

    def __init__(self, now: Sequence[str], then: Sequence[str], path: str) -> None:
        self.now, self.then = tuple(now), tuple(then)
        super().__init__(
            "callbacks",
            now,
            subject="callbacks with a state",
            found=f"are {', '.join(now) or 'none'}",
            but=f"{path} is of a run with {', '.join(then) or 'none'}",
            hint="give the same, in the same order",
        )


@dataclass(frozen=True)
class Saved:
    """A checkpoint as it was read."""

    path: str
    convlet_version: str
    identity: Identity
    position: Position
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
        _refuse_no_json(value, name.removeprefix("settings."), f"is {value!r:.100}")
    metadata = {
        "callbacks": _text(states),
        "identity": _text(identity),
        "position": _text(vars(position_of(run))),
    }
    return pack(KIND, VERSION, metadata, arrays)


def _parts(callback: Callback) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The state of a callback: JSON values, vectors.  Raises `InputError`."""
    state = callback.state()
    where = f"the state of callback {type(callback).__name__}"
    if not isinstance(state, dict):
        expected = "a dict of JSON values and vectors"
        raise _wrong_state(where, state, f"is {state!r:.100}", expected)
    try:
        _refuse_other_keys(state, where)
    except RecursionError as error:
        expected = "plain JSON values"
        raise _wrong_state(where, state, "is nested too deeply", expected) from error
    vectors = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    for key, vector in vectors.items():
        if vector.ndim != 1 or vector.dtype != np.float32:
            found = f"has {key!r} of shape {vector.shape} and dtype {vector.dtype}"
            raise _wrong_state(where, state, found, "a float32 vector")
    values = {key: value for key, value in state.items() if key not in vectors}
    for key, value in values.items():
        _refuse_no_json(value, "callbacks", f"has {key!r}", where)
    return values, vectors


def _wrong_state(where: str, state: object, found: str, expected: str) -> InputError:
    return InputError("callbacks", state, expected, subject=where, found=found)


def _refuse_other_keys(value: Any, where: str) -> None:
    """JSON would make texts of them."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise _wrong_state(where, value, f"has the key {key!r:.100}", "a str")
    if isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_other_keys(inner, where)


def _refuse_no_json(value: Any, parameter: str, found: str, subject: str = "") -> None:
    try:
        _text(value)
    except (TypeError, ValueError) as error:
        found = f"{found}, which cannot be kept as JSON"
        raise InputError(parameter, value, hint=str(error), subject=subject, found=found) from error


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
        record.arrays["history"], found.position, found.identity["validation x"] != "none"
    )
    callbacks = []
    for n, state in enumerate(found.states):
        vectors = {key: record.arrays[f"callback{n}.{key}"] for key in state["vectors"]}
        callbacks.append((state["kind"], {**state["values"], **vectors}))
    return Saved(
        name,
        record.convlet_version,
        found.identity,
        found.position,
        rows,
        tuple(callbacks),
        record.arrays,
    )


def restore_run(saved: Saved, run: Run) -> None:
    """Bring a run, whose identity is that of the checkpoint, to where it stands.

    Raises `ModelFileError` for a checkpoint that contradicts its identity.
    """
    position, network = saved.position, run.network
    if (position.steps, position.slots) != (run.steps, len(run.slots)):
        found, wanted = (position.steps, position.slots), (run.steps, len(run.slots))
        raise damaged(saved.path, "the number of steps and slots", found, f"{wanted}")
    network.flat[...] = saved.arrays["weights"]
    for n, slot in enumerate(run.slots):
        slot[...] = saved.arrays[f"slot{n}"]
    network.epochs = position.epochs
    run.first_epoch, run.epoch, run.step = position.first_epoch, position.epoch, position.step
    run.total, run.total_weight, run.seconds = saved.arrays["sums"].tolist()
    run.history = History(saved.rows)
    run.stop = position.stopped


def restore_callbacks(saved: Saved, callbacks: Sequence[Callback]) -> None:
    """Give each callback its own state back, {} to one without.

    Raises `InputError` if others have one than when the checkpoint was written.
    """
    now = [type(one).__name__ for one in callbacks if has_state(one)]
    then = [name for name, _ in saved.callbacks]
    if now != then:
        raise OtherCallbacksError(now, then, saved.path)
    states = iter(saved.callbacks)
    for callback in callbacks:
        callback.restore(next(states)[1] if has_state(callback) else {})


def has_state(callback: Callback) -> bool:
    """Whether there is something to keep: its class says how."""
    plain = Callback.state
    return getattr(type(callback), "state", plain) is not plain


def _text(value: Any) -> str:
    """JSON; floats come back exactly, infinity and NaN too.  Raises `TypeError`, `ValueError`."""
    return json.dumps(value, ensure_ascii=False)
