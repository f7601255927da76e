"""A run of training as others see it: its settings, where it stands, its history, who is told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from convlet.augmentation import Augmentation
from convlet.engine import Float32
from convlet.errors import InputError
from convlet.optimizers import SGD, Optimizer
from convlet.schedules import Constant, Schedule

if TYPE_CHECKING:
    from convlet.network import Network


@dataclass(frozen=True)
class Row:
    """One epoch.

    Losses are means of (14); train_loss is over the epoch as it went, each minibatch before its
    step.  test_loss and test_accuracy are of the validation data after the epoch, None without any.
    seconds is training time, without the evaluation.
    """

    epoch: int  # from 1, counted over the network's whole life
    train_loss: float
    test_loss: float | None
    test_accuracy: float | None
    seconds: float


class History(Sequence[Row]):
    """A row an epoch: `history[-1].test_accuracy`, `for row in history`, `history.as_dicts()`."""

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
        lines = ["epoch train_loss  test_loss test_accuracy  seconds"]
        for row in self.rows:
            loss, accuracy = _cell(row.test_loss, 10), _cell(row.test_accuracy, 13)
            lines.append(
                f"{row.epoch:5} {row.train_loss:10.4f} {loss} {accuracy} {row.seconds:8.2f}"
            )
        return "\n".join(lines)


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.4f}"


@dataclass(frozen=True)
class Settings:
    """How a call of `fit` trains; with the data and the network this decides every bit."""

    epochs: int = 5
    batch_size: int = 32
    seed: int = 0
    optimizer: Optimizer = field(default_factory=SGD)
    learning_rate: float = 0.1
    schedule: Schedule = field(default_factory=Constant)
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    augmentation: Augmentation | None = None


@dataclass
class Run:
    """Where a call of `fit` stands: all that a checkpoint needs to go on from here.

    Callbacks read it, and may set `stop` to end after the current epoch or call.
    """

    network: "Network"
    settings: Settings
    samples: int  # images an epoch
    first_epoch: int  # of the network's life when this call began
    slots: tuple[Float32, ...]  # of the optimiser, like the flat vector
    epoch: int = 1  # of this call, from 1
    step: int = 0  # minibatches done in this epoch
    total: float = 0.0  # of costs times weights in this epoch
    total_weight: float = 0.0
    seconds: float = 0.0  # of training in this epoch
    history: History = field(default_factory=History)
    stop: bool = False
    validated: bool = False  # whether every epoch ends with a test

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


class Callback:
    """Told how training goes.  Override what you need."""

    def on_begin(self, run: Run) -> None:
        """Before the first epoch."""

    def on_step(self, run: Run) -> None:
        """After every few steps, about twenty times a second."""

    def on_epoch(self, run: Run, row: Row) -> None:
        """After every epoch and its evaluation."""

    def on_end(self, run: Run) -> None:
        """After the last epoch; also when training was interrupted by an exception."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback: JSON values and float32 vectors by name.

        A class that overrides this is asked at every checkpoint, and given its state back by
        `restore` in a resumed run.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave, {} for a class without one.

        Called in a resumed run only, after the `on_begin` of all callbacks, in their order.
        """


def as_callbacks(value: Any) -> tuple[Callback, ...]:
    """Callbacks, checked: a subclass of `Callback`, or whatever has its methods."""
    methods = [name for name in vars(Callback) if not name.startswith("_")]
    if not isinstance(value, Iterable):
        raise InputError(
            f"callbacks is {value!r}, expected a sequence of convlet.Callback: [callback] for one,"
            " () for none"
        )
    callbacks = tuple(value)
    for n, one in enumerate(callbacks):
        missing = [name for name in methods if not callable(getattr(one, name, None))]
        if missing or isinstance(one, type):
            hint = f"it has no {missing[0]}" if missing else "make an object of that class"
            raise InputError(f"callbacks[{n}] is {one!r}, expected a convlet.Callback: {hint}")
    return callbacks


class Checkpoints(Protocol):
    """What `fit` asks of checkpoints; see checkpoint/."""

    def begin(self, run: Run) -> None:
        """Bring the run and its network to where the newest checkpoint stands."""

    def start(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Bring the callbacks there too, after their `on_begin`, and write a first checkpoint."""

    def steps_left(self, run: Run) -> int:
        """Steps until the next checkpoint inside this epoch."""

    def close(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """All steps of an epoch are done: remember this in case its end is interrupted."""

    def save(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Write a checkpoint if one is due here."""

    def finish(self, run: Run, callbacks: Sequence[Callback], error: BaseException | None) -> None:
        """Training ended, or `error` ended it."""
