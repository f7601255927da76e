"""The gate between two calls of the engine: where training waits, and where others may read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Literal

from convlet.callbacks import Callback, NoCheckpoints
from convlet.run import Run

Mode = Literal["run", "epoch", "step", "pause", "stop"]
MODES: dict[str, Mode] = {
    "start": "run",
    "pause": "pause",
    "step": "step",
    "epoch": "epoch",
    "stop": "stop",
}
"""What a visitor of the page asks for."""


class Stopped(Exception):
    """Training was asked to end."""


class Gate(NoCheckpoints, Callback):
    """Lets training through as asked, and readers where no parameter changes.

    As the checkpoints of a run it is asked before every call of the engine, as its first callback
    it is told after it.  mode: "run", to the end of the "epoch", one "step", "pause", or "stop",
    which raises `Stopped`.  told: called where the run begins to wait, with True, and where it goes
    on.  Nobody polls.
    """

    def __init__(self, told: Callable[[bool], object]) -> None:
        self.told = told
        self.changed = Condition()
        self.mode: Mode = "pause"
        self.working = False  # the engine may change the parameters
        self.readers = 0
        self.version = 0
        """Counts the calls of the engine: equal numbers, equal parameters."""

    def ask(self, mode: Mode) -> None:
        """From any thread."""
        with self.changed:
            self.mode = mode
            self.changed.notify_all()

    def pass_(self) -> Mode:
        """Wait until training may go on -> how.  Raises `Stopped`."""
        with self.changed:
            waits = self.mode == "pause"
        if waits:
            self.told(True)
        with self.changed:
            self.changed.wait_for(lambda: self.mode != "pause" and not self.readers)
            mode = self.mode
            if mode == "stop":
                raise Stopped
            if mode == "step":
                self.mode = "pause"
            self._take()
        if waits:
            self.told(False)
        return mode

    def open(self) -> None:
        """The parameters stay as they are until the next `pass_`."""
        with self.changed:
            self.working = False
            self.changed.notify_all()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, no parameter changes: copy them, and go."""
        with self.changed:
            self.readers += 1
            self.changed.wait_for(lambda: not self.working)
        try:
            yield
        finally:
            with self.changed:
                self.readers -= 1
                self.changed.notify_all()

    def hold(self) -> None:
        """Nobody reads until `open`."""
        with self.changed:
            self._take()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, nobody reads; a callback of a run may have the turn: then it stays theirs."""
        with self.changed:
            had = self.working
            self._take()
        try:
            yield
        finally:
            if not had:
                self.open()

    def _take(self) -> None:
        """With the lock: from now on the parameters may change.

        Whoever has the turn already waits for nobody: the readers that came meanwhile wait for it.
        """
        if not self.working:
            self.changed.wait_for(lambda: not self.readers)
        self.working = True
        self.version += 1

    # as the checkpoints of a run

    def steps_left(self, run: Run) -> int:
        return 1 if self.pass_() == "step" else run.steps

    def close(self, run: Run, callbacks: object) -> None:
        with self.changed:
            if self.mode == "epoch":
                self.mode = "pause"

    def finish(self, run: Run, callbacks: object, error: BaseException | None) -> None:
        """What follows may change the parameters, as `EarlyStopping` does; then `open`."""
        self.hold()

    # as a callback

    def on_progress(self, run: Run) -> None:
        self.open()
