"""What the metadata of a checkpoint say, checked field by field before anything is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convlet.checkpoint.identity import Identity
from convlet.equations import Float64
from convlet.formats.header import Spec, damaged, parse_json
from convlet.held_back import as_held_back
from convlet.inputs import as_data_name, as_input_shape
from convlet.optimizers import BY_NAME
from convlet.preparation import as_preparation
from convlet.run import Row, Run
from convlet.stages import group
from convlet.text import parse_layers

FIELDS = ("callbacks", "identity", "position")
COLUMNS = ("train_loss", "validation_loss", "validation_accuracy", "seconds")  # of the history
MOST_SLOTS = max(optimizer.slots for optimizer in BY_NAME.values())
MOST = 1 << 53  # of every whole number in a checkpoint


@dataclass(frozen=True)
class Position:
    """Where a run stands."""

    first_epoch: int  # of the network's life when the run began
    epoch: int  # of the run, from 1
    step: int  # done in this epoch
    steps: int  # an epoch
    updates: int  # done in the run
    stopped: bool  # a callback ended the run after the last epoch
    slots: int  # of the optimiser

    @property
    def epochs(self) -> int:
        """Whole epochs of the network's life."""
        return self.first_epoch + self.epoch - 1

    def words(self) -> str:
        """For people."""
        if self.step:
            return f"after step {self.step} of {self.steps} of epoch {self.epochs + 1}"
        return f"after epoch {self.epochs}" if self.updates else "before the first step"


def position_of(run: Run) -> Position:
    """Where a run that is not `closing` stands."""
    return Position(
        first_epoch=run.first_epoch,
        epoch=run.epoch,
        step=run.step,
        steps=run.steps,
        updates=run.updates,
        # inside an epoch it is an interruption, which a resumed run does not repeat
        stopped=run.stop and run.step == 0,
        slots=len(run.slots),
    )


@dataclass(frozen=True)
class Parsed:
    """The metadata of a checkpoint."""

    identity: Identity
    position: Position
    states: list[dict[str, Any]]  # kind, values, and the size of each vector, of each callback
    parameters: int  # of the network

    def specs(self) -> dict[str, Spec]:
        """The arrays that there must be."""
        specs: dict[str, Spec] = {
            "sums": ("F64", (3,)),
            "history": ("F64", (self.position.epoch - 1, len(COLUMNS))),
            "weights": ("F32", (self.parameters,)),
        }
        specs |= {f"slot{n}": ("F32", (self.parameters,)) for n in range(self.position.slots)}
        for n, state in enumerate(self.states):
            vectors: dict[str, int] = state["vectors"]
            specs |= {f"callback{n}.{key}": ("F32", (size,)) for key, size in vectors.items()}
        return specs


def parse(name: str, metadata: Mapping[str, str]) -> Parsed:
    """The metadata of the file called name.  Raises `ModelFileError`."""
    if tuple(sorted(metadata)) != FIELDS:
        raise damaged(name, "the list of fields", sorted(metadata), f"{list(FIELDS)}")
    found: dict[str, Any] = {}
    readers = {"callbacks": _states, "identity": _identity, "position": _position}
    for field, read in readers.items():
        try:
            found[field] = read(parse_json(metadata[field]))
        except (ValueError, TypeError, KeyError) as error:
            what = f"what a checkpoint has ({error!s:.200})"
            raise damaged(name, f"the field {field!r}", metadata[field], what) from error
    identity, parameters = found["identity"]
    return Parsed(identity, found["position"], found["callbacks"], parameters)


def parse_rows(table: Float64, position: Position, validated: bool) -> tuple[Row, ...]:
    """The history; without validation data it has no measures of them."""
    rows = []
    for n, (train_loss, loss, accuracy, seconds) in enumerate(table.tolist(), start=1):
        if not validated:
            loss = accuracy = None
        rows.append(Row(position.first_epoch + n, train_loss, loss, accuracy, seconds))
    return tuple(rows)


def _identity(found: Any) -> tuple[Identity, int]:
    """With the number of parameters of the network that it names."""
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    classes = found["classes"]
    if classes is not None and not (
        isinstance(classes, list) and all(isinstance(one, str) for one in classes)
    ):
        raise ValueError("classes is no list of names")
    as_data_name(found["data"])
    if found.get("preparation") is not None:  # which older ones do not have
        as_preparation(found["preparation"], found["input_shape"])
    if found.get("held_back") is not None:
        as_held_back(found["held_back"])
    if not (isinstance(found["layers"], str) and isinstance(found["validation x"], str)):
        raise ValueError("layers or validation x is no text")
    if type(found["settings.epochs"]) is not int:
        raise ValueError("settings.epochs is no whole number")
    stages = group(parse_layers(found["layers"]), as_input_shape(found["input_shape"]))
    if classes is not None and len(classes) != stages[-1].output_shape[0]:
        raise ValueError("classes and layers do not fit")
    return found, sum(stage.parameter_count for stage in stages)


def _position(found: Any) -> Position:
    fields = tuple(Position.__dataclass_fields__)
    if not isinstance(found, dict) or tuple(found) != fields:
        raise ValueError(f"it has not the keys {fields}")
    stopped = found["stopped"]
    numbers = [value for key, value in found.items() if key != "stopped"]
    if type(stopped) is not bool or not all(type(n) is int and 0 <= n < MOST for n in numbers):
        raise ValueError("it has other values than whole numbers")
    position = Position(**found)
    if not (
        position.epoch >= 1
        and position.step <= position.steps
        and position.steps >= 1
        and position.slots <= MOST_SLOTS
        and position.updates == (position.epoch - 1) * position.steps + position.step
    ):
        raise ValueError("its numbers do not fit together")
    return position


def _states(found: Any) -> Sequence[dict[str, Any]]:
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
