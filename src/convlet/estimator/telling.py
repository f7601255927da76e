"""Callbacks of the estimator: what it keeps of a run, and who else is told of it.

scikit-learn has callbacks of its own since 1.9, which `set_callbacks` takes.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from convlet.callbacks import Callback
from convlet.equations import Float32
from convlet.network import Network
from convlet.run import History, Row, Run

__all__ = ["CallbackSupportMixin", "Kept", "Told", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """There are no callbacks to support."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """There are none to end."""
        return method


class Kept(Callback):
    """What an estimator keeps of its training, so that `partial_fit` goes on with it.

    slots: of the optimiser.  updates: the steps that filled them.  history: of all epochs.  steps:
    of the last call.
    """

    def __init__(self, slots: tuple[Float32, ...] = (), updates: int = 0) -> None:
        self.slots, self.updates = slots, updates
        self.history, self.steps = History(), 0

    def on_begin(self, run: Run) -> None:
        """Go on with the slots, if they are as many as the optimiser has: else it begins anew."""
        self.earlier = list(self.history.rows)
        if len(self.slots) == len(run.slots):
            for slot, kept in zip(run.slots, self.slots, strict=True):
                slot[...] = kept
            run.earlier = self.updates

    def on_end(self, run: Run) -> None:
        self.steps = run.updates
        self.slots, self.updates = run.slots, run.earlier + self.steps
        self.history = History([*self.earlier, *run.history])

    def put_into(self, estimator: Any, network: Network) -> None:
        """Make an estimator one that has been trained so."""
        estimator.network_, estimator._kept, estimator.history_ = network, self, self.history
        estimator.n_iter_ = len(self.history)
        estimator.loss_curve_ = [row.train_loss for row in self.history]


class Told(Callback):
    """Tells the callbacks of scikit-learn of every epoch; one of them may end the run.

    estimator: with the context of this fit, whose metadata are such as the weights.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, metadata: dict[str, Any]) -> None:
        self.estimator = estimator
        self.given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata or None}

    def on_begin(self, run: Run) -> None:
        self.network = run.network
        self.fit = self.estimator._init_callback_context(max_subtasks=run.epochs)
        self.fit.call_on_fit_task_begin(**self.given)
        self.epoch: Any = None
        if run.epoch <= run.epochs and not run.stop:  # a resumed run may be at its end
            self._begin_epoch()

    def on_epoch(self, run: Run, row: Row) -> None:
        run.stop |= self._end_epoch()
        if run.epoch < run.epochs and not run.stop:
            self._begin_epoch()

    def on_end(self, run: Run) -> None:
        if self.epoch is not None and run.stop:  # inside an epoch
            self._end_epoch()
        if self.epoch is None:  # else an exception ended it
            self.fit.call_on_fit_task_end(**self.given, reconstruction_attributes=self._fitted)

    def _begin_epoch(self) -> None:
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.given, reconstruction_attributes=self._fitted)

    def _end_epoch(self) -> bool:
        """Whether a callback asks for the end."""
        ended, self.epoch = self.epoch, None
        return bool(
            ended.call_on_fit_task_end(**self.given, reconstruction_attributes=self._fitted)
        )

    def _fitted(self) -> dict[str, Any]:
        """What makes a copy of the estimator one that has been trained so far."""
        return {"network_": deepcopy(self.network)}
