"""--checkpoint, --every and --resume of `convlet train`: their checks, and what is said of them."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from convlet.checkpoint import newest, place_of
from convlet.cli import options
from convlet.cli.console import printable, say
from convlet.errors import FileError, InputError, ModelFileError
from convlet.formats.atomic import make_folder
from convlet.inputs import as_count
from convlet.run import Callback, Run

Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="DIR", help="Write checkpoints to this folder."),
]
Every = Annotated[
    int | None,
    typer.Option(
        "--every",
        parser=options.whole,
        metavar="N",
        help="A checkpoint after every N steps of an epoch, too.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint in the folder.")
]

_NAMES = (
    "layers",
    "engine",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "optimizer",
    "schedule",
    "clip_norm",
    "label_smoothing",
)
_OPTIONS = {
    **{name: f"--{name.replace('_', '-')}" for name in _NAMES},
    "augmentation": "--augment",
    "optimizer.momentum": "--momentum",
    "optimizer.weight_decay": "--weight-decay",
    "patience": "--patience",
    "checkpoint": "--checkpoint",
    "input_shape": "DATA (size of an image)",
    "classes": "DATA (names of the classes)",
    "x": "DATA (images to train with)",
    "y": "DATA (labels to train with)",
    "validation x": "DATA (images to test with)",
    "validation y": "DATA (labels to test with)",
}
"""What an error of the library begins with, and what it is called on the command line."""

_DATA = ("x", "y", "validation x", "validation y")


def check(folder: Path | None, every: int | None, resume: bool) -> None:
    """Refuse wrong values, and make the folder: other files of the run may be in it.

    Raises `InputError`, `FileError`.
    """
    if every is not None:
        as_count(every, "--every")
    for option, given in (("--every", every is not None), ("--resume", resume)):
        if folder is None and given:
            raise InputError(f"{option} is given, but --checkpoint is not: name the folder")
    if folder is None:
        return
    options.refuse_unwritable_folder(folder, "--checkpoint")
    try:
        make_folder(str(folder))
    except FileError as error:
        raise FileError(f"--checkpoint: {error}") from None


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
        run, words = self.run, place_of(self.run).words()
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
def as_options(folder: Path | None) -> Iterator[None]:
    """Inside, errors name options, and an interruption says from where the run can go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        path = None
        with suppress(FileError):
            path = None if folder is None else newest(folder)
        if path is None:
            raise
        raise type(stop)(f"go on with --resume from {path}") from None
    except (InputError, FileError, ModelFileError) as error:
        if folder is None:
            raise
        raise type(error)(_renamed(str(error), folder)) from error


def _renamed(text: str, folder: Path) -> str:
    path = os.path.abspath(folder)
    if text.startswith(tuple(path + rest for rest in (" ", "/checkpoint-", "/lock"))):
        return f"--checkpoint: {text}"
    if text.startswith("callbacks with a state "):
        if "are none, but" in text:
            given, mend = "not given, but the run in {} was started with it", "give it"
        else:
            given, mend = "given, but the run in {} was started without it", "leave it out"
        return f"--patience is {given.format(folder)}: {mend}, or take another folder"
    name, _, rest = text.removeprefix("EarlyStopping: ").partition(" is ")
    option = _OPTIONS.get(name)
    if option is None and "." in name:  # a number of an optimiser or schedule
        outer, _, inner = name.partition(".")
        option = f"{_OPTIONS[outer]}: {inner}" if outer in _OPTIONS else None
    if option is None:
        return text
    rest = re.sub("^None, but", "none, but", rest).replace("resume=True", "--resume")
    rest = rest.replace(" is of a run with None", " is of a run without one")
    hint = "; --limit, --hold-out and --seed choose the images, too"
    return f"{option} is {rest}{hint if name in _DATA else ''}"
