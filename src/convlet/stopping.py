"""Early stopping: training ends when the validation loss no longer falls; the best weights stay."""

from math import inf, isfinite
from typing import Any

import numpy as np

from convlet.callbacks import Callback
from convlet.equations import Float32
from convlet.errors import InputError
from convlet.inputs import as_bool, as_count, is_number
from convlet.run import Row, Run


class EarlyStopping(Callback):
    """Ends training after `patience` epochs in a row without a better validation loss.

    patience: epochs, 1 or more.  min_delta: by how much a loss must be lower to count as better.
    restore_best: when training ends, in whatever way, the network gets the weights of its best
    epoch; its count of epochs stays.

    After training, best_epoch is the epoch of the network's life that was best, None before the
    first one, and best_loss its validation loss.

    Raises `InputError`: for a wrong number; in `fit` for training without validation data.
    Source: Prechelt, "Early stopping - but when?", 1998.
    """

    def __init__(
        self, patience: int = 5, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        self.patience = as_count(patience, "patience")
        if not is_number(min_delta) or not 0 <= min_delta < inf:
            raise InputError("min_delta", min_delta, "a number of 0 or more")
        self.min_delta = float(min_delta)
        self.restore_best = as_bool(restore_best, "restore_best")
        self._forget()

    def _forget(self) -> None:
        self.best_loss = inf
        self.best_epoch: int | None = None
        self.waited = 0  # epochs since the best one
        self.longest = 0  # of the waits that a better epoch ended
        self.ended = False  # whether this callback ended the run
        self.weights: Float32 | None = None

    def on_begin(self, run: Run) -> None:
        if not run.validated:
            raise InputError(
                "validation",
                subject="EarlyStopping",
                found="needs validation data to watch",
                hint="give fit(validation=(x, y))",
            )
        self._forget()
        self.run = run

    def on_epoch(self, run: Run, row: Row) -> None:
        loss = row.validation_loss
        loss = inf if loss is None or not isfinite(loss) else loss
        if loss < self.best_loss - self.min_delta or self.best_epoch is None:
            self.longest = max(self.longest, self.waited)
            self.best_loss, self.best_epoch, self.waited = loss, row.epoch, 0
            if self.restore_best:
                self.weights = run.network.flat.copy()
            return
        self.waited += 1
        self._stop()

    def _stop(self) -> None:
        if self.waited >= self.patience and not self.run.stop:
            self.run.stop = self.ended = True

    def on_end(self, run: Run) -> None:
        if self.weights is not None:
            with run.writing():
                run.network.flat[...] = self.weights

    def state(self) -> dict[str, Any]:
        kept = {} if self.weights is None else {"weights": self.weights}
        return {
            **self._settings(),
            "best_loss": self.best_loss if isfinite(self.best_loss) else None,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "longest": self.longest,
            "ended": self.ended,
            **kept,
        }

    def _settings(self) -> dict[str, Any]:
        return {"min_delta": self.min_delta, "restore_best": self.restore_best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as if the run had begun with this patience.

        Raises `InputError` where it would have ended before, and for the state of one with another
        min_delta or restore_best.
        """
        for name, value in self._settings().items():
            if state[name] != value:
                raise InputError(
                    name,
                    value,
                    but=f"the checkpoint is of a run with {state[name]!r}",
                    hint="go on with what it was started with",
                    owner="EarlyStopping",
                )
        # inside an epoch, the run has gone on after its last wait
        least = max(state["longest"] + 1, state["waited"] + (self.run.step > 0))
        if self.patience < least:
            raise InputError(
                "patience",
                self.patience,
                but="with that the run would have ended before the place where its checkpoint"
                " stands",
                hint=f"ask for {least} or more",
                owner="EarlyStopping",
            )
        self.best_loss = inf if state["best_loss"] is None else float(state["best_loss"])
        self.best_epoch, self.waited = state["best_epoch"], state["waited"]
        self.longest = state["longest"]
        self.weights = None
        if "weights" in state:
            self.weights = np.array(state["weights"], np.float32)
        self.ended = state["ended"] and self.waited >= self.patience
        if state["ended"] and not self.ended:
            self.run.stop = False  # there is patience left
        self._stop()  # the checkpoint may be of the last epoch
