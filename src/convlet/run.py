"""A run of training as others see it: what it trains, where it stands, its history."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from convlet.engine import Engine, Samples
from convlet.equations import Float32, Float64
from convlet.held_back import HeldBack
from convlet.layers import Layer
from convlet.preparation import Preparation
from convlet.settings import Settings
from convlet.shapes import Shape
from convlet.stages import Stage
from convlet.tables import Table


@dataclass(frozen=True)
class Row:
    """One epoch.

    Losses are means of (14); train_loss is over the epoch as it went, each minibatch before its
    step.  validation_loss and validation_accuracy are of the validation data after the epoch, None
    without any.  seconds is training time, without the evaluation.
    """

    epoch: int  # from 1, counted over the network's whole life
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float


class History(Sequence[Row]):
    """A row an epoch: `history[-1].train_loss`, `for row in history`, `history.as_dicts()`."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows = list(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "History": ...
    def __getitem__(self, index: int | slice) -> "Row | History":
        return History(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def as_dicts(self) -> list[dict[str, int | float | None]]:
        """Rows as plain dicts, for JSON or a table."""
        return [asdict(row) for row in self.rows]

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table().html

    def _table(self) -> Table:
        """All rows, or the first and the last ones where they are many."""
        header = ("epoch", "train_loss", "validation_loss", "validation_accuracy", "seconds")
        rows = [_cells(row) for row in self.rows]
        if len(rows) > MOST_SHOWN:
            half = MOST_SHOWN // 2
            rows = [*rows[:half], ("...",) * len(header), *rows[-half:]]
        return Table(header, rows, ">>>>>")


MOST_SHOWN = 20
"""Epochs of a history that are printed."""


def _cells(row: Row) -> tuple[str, ...]:
    measures = row.train_loss, row.validation_loss, row.validation_accuracy
    numbers = ("-" if value is None else f"{value:.4f}" for value in measures)
    return (str(row.epoch), *numbers, f"{row.seconds:.2f}")


class Answers(Protocol):
    """What a network makes of samples, as `inference.Seen`."""

    @property
    def z(self) -> Float64: ...  # what enters the softmax (n, M)
    @property
    def labels(self) -> NDArray[np.int64]: ...
    @property
    def loss(self) -> float: ...
    def judged(self, weight: Float32 | None) -> tuple[float, float]: ...


class Trainee(Protocol):
    """What training asks of a network, and what callbacks may use of it."""

    @property
    def layers(self) -> tuple[Layer, ...]: ...
    @property
    def stages(self) -> tuple[Stage, ...]: ...
    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def shapes(self) -> Mapping[str, Shape]: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def data(self) -> str | None: ...
    @property
    def preparation(self) -> Preparation | None: ...
    @property
    def held_back(self) -> HeldBack | None: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def flat(self) -> Float32: ...
    @property
    def parameters(self) -> Mapping[str, Float32]: ...

    epochs: int

    def seen(self, data: Samples, threads: int | None = None) -> Answers: ...
    def predict(self, x: Any, *, threads: int | None = None) -> NDArray[np.int64]: ...
    def predict_proba(self, x: Any, *, threads: int | None = None) -> Float32: ...
    def save(self, path: str | PathLike[str]) -> None: ...


@dataclass
class Run:
    """Where a call of `fit` stands: all that a checkpoint needs to go on from here.

    Callbacks read it, and may set `stop` to end after the current epoch or call.  One that has kept
    the slots of an earlier call may fill them, and `earlier`, in its `on_begin`.
    """

    network: Trainee
    settings: Settings
    samples: int  # images an epoch
    first_epoch: int  # of the network's life when this call began
    slots: tuple[Float32, ...]  # of the optimiser, like the flat vector
    earlier: int = 0  # steps that filled the slots before this call, where it goes on with them
    epoch: int = 1  # of this call, from 1
    step: int = 0  # minibatches done in this epoch
    total: float = 0.0  # of costs times weights in this epoch
    total_weight: float = 0.0
    seconds: float = 0.0  # of training in this epoch
    history: History = field(default_factory=History)
    stop: bool = False
    validated: bool = False  # whether every epoch ends with an evaluation
    answers: Answers | None = None  # of that evaluation, while callbacks are told of the epoch
    # around a change of the parameters by a callback, so that nobody reads them half
    writing: Callable[[], AbstractContextManager[object]] = nullcontext

    @property
    def epochs(self) -> int:
        """Epochs asked for in this call."""
        return self.settings.epochs

    @property
    def steps(self) -> int:
        """Minibatches an epoch."""
        return -(-self.samples // self.settings.batch_size)

    @property
    def seen(self) -> int:
        """Images done in this epoch."""
        return min(self.step * self.settings.batch_size, self.samples)

    @property
    def updates(self) -> int:
        """Steps done in this call."""
        return (self.epoch - 1) * self.steps + self.step

    @property
    def closing(self) -> bool:
        """Whether an epoch is being closed: its row is there, but the next one has not begun."""
        closed = self.epoch - 1
        return (len(self.history), self.network.epochs) != (closed, self.first_epoch + closed)

    @property
    def not_finite(self) -> str | None:
        """The first parameter with a number that is NaN or infinite."""
        if np.isfinite(self.network.flat).all():
            return None
        parameters = self.network.parameters.items()
        return next(name for name, values in parameters if not np.isfinite(values).all())

    @property
    def train_loss(self) -> float:
        """Mean of (14) over the images seen in this epoch."""
        return self.total / self.total_weight if self.total_weight else 0.0
