"""The folder of a run: when its checkpoints are written, which are kept, and from which it goes on.

Files are called checkpoint-EPOCHS-STEPS.safetensors after the epochs of the network's life and the
steps of the next one that are done.  Kept are the last two, and the best end of an epoch.
"""

import os
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import NamedTuple

import numpy as np

from convlet._version import __version__
from convlet.checkpoint.identity import fingerprint, identity, refuse_other
from convlet.checkpoint.lock import Lock
from convlet.checkpoint.state import Saved, pack_run, read, restore_callbacks, restore_run
from convlet.engine import Samples
from convlet.errors import DivergedError, InputError, ModelFileError
from convlet.formats.atomic import PREFIX, SUFFIX, file_error, file_name, write_atomic
from convlet.formats.records import OtherVersionError
from convlet.training import Callback, Row, Run

_NAME = re.compile(r"checkpoint-([0-9]{5,16})-([0-9]{6,16})\.safetensors", re.ASCII)
_TEMPORARY = re.compile(re.escape(PREFIX) + "[0-9a-f]{16}" + re.escape(SUFFIX), re.ASCII)


class Position(NamedTuple):
    """Where a checkpoint stands: the order of these is the order of training."""

    epochs: int  # of the network's life
    step: int

    def name(self) -> str:
        return f"checkpoint-{self.epochs:05}-{self.step:06}.safetensors"


class Folder:
    """Checkpoints of one call of `fit` in one folder, which is made if need be.

    every: steps between checkpoints inside an epoch; None: only after each epoch.  resume: go on
    from the newest valid one.  A context manager: inside, the folder is locked.

    Raises `FileError` if it is in use or cannot be written; see `begin` and `start` for the rest.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None,
        resume: bool,
        data: Samples,
        validation: Samples | None,
    ) -> None:
        self.path = os.path.abspath(file_name(path, "checkpoint"))
        self.shown = file_name(path)
        self.every, self.resume = every, resume
        self.data, self.validation = fingerprint(data), fingerprint(validation)
        self.saved: Saved | None = None  # from which the run goes on
        self.previous: list[Position] = []  # the last two that were written or resumed from
        self.closing: tuple[Position, bytes] | None = None
        self.broken = False  # a save failed

    def __enter__(self) -> "Folder":
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise file_error("written", self.shown, error) from error
        self.lock = Lock(self.shown)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.lock.release()

    def begin(self, run: Run) -> None:
        """Bring the run and its network to where the newest valid checkpoint stands.

        Raises `InputError` if the folder holds another run, or any and resume is False;
        `ModelFileError` if every file is damaged, or the newest is of another version.
        """
        names = self._list()
        for name in names:
            if _TEMPORARY.fullmatch(name):  # of a writer that was killed: we hold the lock
                with suppress(OSError):
                    os.unlink(self._file(name))
        found = sorted(Position(*map(int, m.groups())) for m in map(_NAME.fullmatch, names) if m)
        if not self.resume:
            self._refuse_any(found)
            return
        if not found:
            return
        saved, index = self._newest(found)
        refuse_other(saved.identity, run, self.data, self.validation, saved.path)
        done = saved.place.epoch - (saved.place.step == 0)  # epochs that have begun
        if done > run.epochs:
            raise InputError(
                f"epochs is {run.epochs}, but {saved.path} stands in epoch {done} of its run:"
                " ask for as many or more"
            )
        if saved.convlet_version != __version__:
            warnings.warn(
                f"{saved.path} was written by convlet {saved.convlet_version}, this is"
                f" {__version__}: training goes on, but its bits may differ",
                RuntimeWarning,
                stacklevel=2,
            )
        restore_run(saved, run)
        self.saved, self.previous = saved, found[max(0, index - 1) : index + 1]

    def start(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Bring the callbacks there too, and write a checkpoint: if that fails, it fails now.

        Raises `InputError` for other callbacks than before, `FileError`.
        """
        if self.saved is not None:
            restore_callbacks(self.saved, callbacks)
            self.saved = None  # its arrays are no longer needed
        self._write(*self._packed(run, callbacks), run)

    def steps_left(self, run: Run) -> int:
        """Steps until the next multiple of `every`."""
        return run.steps if self.every is None else self.every - run.step % self.every

    def close(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Keep what stands at the last step, before callbacks are told of the epoch."""
        self.closing = self._packed(run, callbacks)

    def save(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Write a checkpoint if one is due here.

        Raises `FileError`, and `DivergedError` if a parameter is not finite: the checkpoint before
        stays the last good one.
        """
        if run.step == 0 or (self.every is not None and run.step % self.every == 0):
            _refuse_not_finite(run)
            self._write(*self._packed(run, callbacks), run)

    def finish(self, run: Run, callbacks: Sequence[Callback], error: BaseException | None) -> None:
        """Write a final checkpoint of the last whole step, unless training diverged.

        Raises `FileError`.
        """
        if self.broken or isinstance(error, DivergedError) or not _is_finite(run):
            return
        if run.closing:
            if self.closing is not None:
                self._write(*self.closing, run)
        elif not self.previous or self.previous[-1] != Position(run.network.epochs, run.step):
            self._write(*self._packed(run, callbacks), run)

    def _packed(self, run: Run, callbacks: Sequence[Callback]) -> tuple[Position, bytes]:
        what = identity(run, self.data, self.validation)
        return Position(run.network.epochs, run.step), pack_run(run, callbacks, what)

    def _write(self, position: Position, data: bytes, run: Run) -> None:
        """Write a checkpoint; once it is safely there, delete those that are not kept."""
        try:
            write_atomic(os.path.join(self.shown, position.name()), data)
        except OSError:
            self.broken = True
            raise
        self.previous = [*(other for other in self.previous if other != position), position][-2:]
        kept = {one.name() for one in self.previous} | {_best(run.history)}
        for name in self._list():
            if _NAME.fullmatch(name) and name not in kept:
                with suppress(OSError):  # it would only be one too many
                    os.unlink(self._file(name))

    def _newest(self, found: Sequence[Position]) -> tuple[Saved, int]:
        """The newest valid checkpoint, and its place in the list; warns of damaged ones."""
        damaged: list[str] = []
        for index, position in reversed(list(enumerate(found))):
            try:
                saved = read(os.path.join(self.shown, position.name()))
            except OtherVersionError:
                raise
            except ModelFileError as error:
                damaged.append(str(error).removesuffix(", take another copy"))
                continue
            if damaged:
                used = f"{'; '.join(damaged)}: {saved.path} is used, {saved.words()}"
                warnings.warn(used, RuntimeWarning, stacklevel=3)
            return saved, index
        raise ModelFileError(
            f"{'; '.join(damaged)}: no valid checkpoint is left, start again in another folder"
        )

    def _refuse_any(self, found: Sequence[Position]) -> None:
        """A run in the folder must not be lost; one that never took a step may."""
        if not found:
            return
        path = os.path.join(self.shown, found[-1].name())
        with suppress(ModelFileError):
            saved = read(path)
            if saved.place.updates == 0:
                return
            path = f"{path}, {saved.words()}"
        raise InputError(
            f"checkpoint is {self.shown!r}, which holds a run already ({path}): go on with it by"
            " resume=True, or take another folder"
        )

    def _list(self) -> list[str]:
        try:
            return os.listdir(self.path)
        except OSError as error:
            raise file_error("read", self.shown, error) from error

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)


def _best(rows: Sequence[Row]) -> str | None:
    """The checkpoint after the best epoch: by test accuracy, else by train loss; the first one."""
    if not rows:
        return None
    best = max(rows, key=_score)
    return Position(best.epoch, 0).name()


def _score(row: Row) -> float:
    if row.test_accuracy is not None:
        return row.test_accuracy
    return -row.train_loss if row.train_loss == row.train_loss else -inf


def _is_finite(run: Run) -> bool:
    return bool(np.isfinite(run.network.flat).all())


def _refuse_not_finite(run: Run) -> None:
    if _is_finite(run):
        return
    for name, values in run.network.parameters.items():
        if not np.isfinite(values).all():
            # an epoch that has just ended counts as the one before
            epoch, step = run.network.epochs + 1, run.step
            if not step:
                epoch, step = epoch - 1, run.steps
            raise DivergedError(
                f"after step {step} of epoch {epoch} the parameter {name} of stage {name[1:]} is"
                " not finite; the checkpoint before is kept: try a smaller learning rate, or"
                " clip_norm"
            )
