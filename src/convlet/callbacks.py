"""Who is told how a run of training goes: callbacks, and the keeper of checkpoints."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from convlet.errors import InputError
from convlet.run import Row, Run


class Callback:
    """Told how training goes.  Override what you need."""

    def on_begin(self, run: Run) -> None:
        """Before the first epoch."""

    def on_progress(self, run: Run) -> None:
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
        hint = "[callback] for one, () for none"
        raise InputError("callbacks", value, "a sequence of convlet.Callback", hint)
    callbacks = tuple(value)
    for n, one in enumerate(callbacks):
        missing = [name for name in methods if not callable(getattr(one, name, None))]
        if missing or isinstance(one, type):
            hint = f"it has no {missing[0]}" if missing else "make an object of that class"
            where = f"callbacks[{n}]"
            raise InputError("callbacks", one, "a convlet.Callback", hint, subject=where)
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


class NoCheckpoints:
    """Checkpoints of a run that keeps none."""

    def begin(self, run: Run) -> None:
        pass

    def start(self, run: Run, callbacks: Sequence[Callback]) -> None:
        pass

    def steps_left(self, run: Run) -> int:
        return run.steps

    def close(self, run: Run, callbacks: Sequence[Callback]) -> None:
        pass

    def save(self, run: Run, callbacks: Sequence[Callback]) -> None:
        pass

    def finish(self, run: Run, callbacks: Sequence[Callback], error: BaseException | None) -> None:
        pass
