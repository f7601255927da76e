"""The folder of a run: when its checkpoints are written, which are kept, and from which it goes on.

Kept are the last two, and the best end of an epoch.
"""

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from convlet._version import __version__
from convlet.callbacks import Callback
from convlet.checkpoint import names
from convlet.checkpoint.identity import Identity, fingerprints, identity, refuse_other
from convlet.checkpoint.lock import Lock
from convlet.checkpoint.names import CheckpointName
from convlet.checkpoint.state import Saved, pack_run, read, restore_callbacks, restore_run
from convlet.engine import Samples
from convlet.errors import DivergedError, InputError, ModelFileError, Name, blaming
from convlet.files.atomic import make_folder, write_atomic
from convlet.files.paths import file_name
from convlet.formats.header import DamagedError, damaged
from convlet.formats.records import OtherVersionError
from convlet.run import Run

RESUME = Name("resume=True")
"""How one asks for a run to be resumed."""


class Folder:
    """Checkpoints of one call of `fit` in one folder, which is made if need be.

    every: steps between checkpoints inside an epoch; None: only after each epoch.  resume: go on
    from the newest valid one, or begin where there is none.  A context manager: inside, the folder
    is locked.

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
        # absolute: a callback may change the current folder
        self.path = os.path.abspath(file_name(path, "checkpoint", "folder"))
        self.every, self.resume = every, resume
        self.samples = data, validation
        self.data: Identity = {}  # their fingerprints
        self.saved: Saved | None = None  # from which the run goes on
        self.last: list[CheckpointName] = []  # the last two that were written or resumed from
        self.closing: tuple[CheckpointName, bytes] | None = None
        self.broken = False  # a save failed

    @blaming("checkpoint")
    def __enter__(self) -> "Folder":
        make_folder(self.path)
        self.lock = Lock(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.lock.release()

    @blaming("checkpoint")
    def begin(self, run: Run) -> None:
        """Bring the run and its network to where the newest valid checkpoint stands.

        Raises `InputError` if the folder holds another run, or any and resume is False;
        `ModelFileError` if every file is damaged, or the newest is of another version.
        """
        found = names.checkpoints(self.path)
        if found and not self.resume:
            self._refuse(found[-1])
        names.delete_temporaries(self.path)
        self.data = fingerprints(*self.samples)
        if not found or not self.resume:
            return
        saved, index = self._newest(found)
        refuse_other(saved.identity, run, self.data, saved.path)
        begun = saved.position.epoch - (saved.position.step == 0)
        if begun > run.epochs:
            raise InputError(
                "epochs",
                run.epochs,
                but=f"{saved.path} stands in epoch {begun} of its run",
                hint="ask for as many or more",
            )
        if saved.convlet_version != __version__:
            warnings.warn(
                f"{saved.path} was written by convlet {saved.convlet_version}, this is"
                f" {__version__}: training goes on, but its bits may differ",
                RuntimeWarning,
                stacklevel=8,  # whoever calls Network.fit
            )
        restore_run(saved, run)
        self.saved, self.last = saved, found[max(0, index - 1) : index + 1]

    @blaming("checkpoint")
    def start(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Bring the callbacks there too, and write a checkpoint: if that fails, it fails now.

        Raises `InputError` for other callbacks than before, `FileError`.
        """
        if self.saved is not None:
            restore_callbacks(self.saved, callbacks)
            if run.stop and run.epochs > self.saved.identity["settings.epochs"]:
                warnings.warn(
                    f"{self.saved.path} is where the run ends early, {self.saved.position.words()}:"
                    " more epochs do nothing, but a larger patience may",
                    RuntimeWarning,
                    stacklevel=8,  # whoever calls Network.fit
                )
            self.saved = None  # its arrays are no longer needed
        if run.not_finite is None:  # else the first step will say so
            self._write(*self._packed(run, callbacks), run)

    def steps_left(self, run: Run) -> int:
        """Steps until the next multiple of `every`."""
        return run.steps if self.every is None else self.every - run.step % self.every

    def close(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Keep what stands at the last step, before callbacks are told of the epoch."""
        self.closing = self._packed(run, callbacks)

    @blaming("checkpoint")
    def save(self, run: Run, callbacks: Sequence[Callback]) -> None:
        """Write a checkpoint if one is due here.  Raises `FileError`."""
        if run.step == 0 or (self.every is not None and run.step % self.every == 0):
            self._write(*self._packed(run, callbacks), run)

    @blaming("checkpoint")
    def finish(self, run: Run, callbacks: Sequence[Callback], error: BaseException | None) -> None:
        """Write a final checkpoint of the last whole step, unless training diverged.

        Raises `FileError`, and `DivergedError` again with the name of the last good checkpoint.
        """
        if isinstance(error, DivergedError):
            good = self._file(self.last[-1]) if self.last else "none"
            raise DivergedError(error.what, error.hint, good) from error
        if self.broken or run.not_finite is not None:
            return
        if run.closing:
            if self.closing is not None:
                self._write(*self.closing, run)
        elif not self.last or self.last[-1] != CheckpointName(run.network.epochs, run.step):
            self._write(*self._packed(run, callbacks), run)

    def _packed(self, run: Run, callbacks: Sequence[Callback]) -> tuple[CheckpointName, bytes]:
        what = identity(run, self.data)
        return CheckpointName(run.network.epochs, run.step), pack_run(run, callbacks, what)

    def _write(self, name: CheckpointName, data: bytes, run: Run) -> None:
        """Write a checkpoint; once it is safely there, delete those that are not kept."""
        try:
            write_atomic(self._file(name), data)
        except OSError:
            self.broken = True
            raise
        self.last = [*(other for other in self.last if other != name), name][-2:]
        best = names.best(run.history)
        names.keep_only(self.path, [*self.last, *([] if best is None else [best])])

    def _newest(self, found: Sequence[CheckpointName]) -> tuple[Saved, int]:
        """The newest valid checkpoint, and its place in the list; warns of damaged ones."""
        wrong: list[str] = []
        for index, name in reversed(list(enumerate(found))):
            try:
                saved = self._read(name)
            except OtherVersionError:
                raise
            except ModelFileError as error:
                wrong.append(f"{self._file(name)} is {_flaw(error)}")
                continue
            if wrong:
                used = f"{'; '.join(wrong)}: {saved.path} is used, {saved.position.words()}"
                warnings.warn(used, RuntimeWarning, stacklevel=9)
            return saved, index
        raise ModelFileError(
            f"{'; '.join(wrong)}: no valid checkpoint is left, start again in another folder"
        )

    def _read(self, name: CheckpointName) -> Saved:
        saved = read(self._file(name))
        expected = CheckpointName(saved.position.epochs, saved.position.step)
        if name != expected:
            raise damaged(saved.path, "its name", name.text(), expected.text())
        return saved

    def _refuse(self, newest: CheckpointName) -> None:
        """A run in the folder must not be lost; one that never took a step may."""
        path = self._file(newest)
        with suppress(ModelFileError):
            position = read(path).position
            if position.updates == 0:
                return
            path = f"{path}, {position.words()}"
        raise InputError(
            "checkpoint",
            self.path,
            found=f"is {self.path!r}, which holds a run already ({path})",
            hint=("go on with it by ", RESUME, ", or take another folder"),
        )

    def _file(self, name: CheckpointName) -> str:
        return os.path.join(self.path, name.text())


def _flaw(error: ModelFileError) -> str:
    """What is wrong with a file, in a few words: whoever resumes cannot mend a checksum."""
    return (
        f"damaged ({error.what} is wrong)" if isinstance(error, DamagedError) else "no checkpoint"
    )
