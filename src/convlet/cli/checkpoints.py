"""--checkpoint and --resume of `convlet train`: what is said of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convlet.callbacks import Callback
from convlet.checkpoint import newest, position_of
from convlet.checkpoint.state import OtherCallbacksError
from convlet.cli.console import say
from convlet.errors import FileError, InputError
from convlet.run import Run
from convlet.wording import printable


class Announcer(Callback):
    """Says where a resumed run goes on: on stdout, or on stderr beside JSON.

    Nothing is said of a run that is refused: it stands behind the callbacks that may do so.
    """

    def __init__(self, folder: Path, as_json: bool) -> None:
        self.folder, self.as_json = folder, as_json

    def on_begin(self, run: Run) -> None:
        self.run = run
        if newest(self.folder) is None:
            self._say(f"no checkpoint in {self.folder} yet: the run begins")

    def restore(self, state: dict[str, Any]) -> None:
        run, words = self.run, position_of(self.run).words()
        if run.epoch > run.epochs:
            self._say(f"the run in {self.folder} is finished, {words}: nothing is left to train")
        elif run.stop:
            text = f"the run in {self.folder} was stopped early, {words}"
            self._say(f"{text}: only a larger --patience trains on")
        else:
            self._say(f"going on from {self.folder}, {words}")

    def _say(self, text: str) -> None:
        if self.as_json:
            print(f"convlet: {printable(text)}", file=sys.stderr, flush=True)
        else:
            say(text)


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Inside, an interruption says from where the run can go on.

    The only callback of ours with a state is that of --patience: others than before are about that.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        path = None
        with suppress(FileError):
            path = newest(folder)
        if path is None:
            raise
        raise type(stop)(f"go on with --resume from {path}") from None
    except OtherCallbacksError as error:
        with_it, hint = ("without", "leave it out") if error.now else ("with", "give it")
        but = f"the run in {folder} was started {with_it} it"
        hint = f"{hint}, or take another folder"
        raise InputError("patience", bool(error.now) or None, but=but, hint=hint) from error
