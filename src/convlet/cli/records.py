"""What `convlet train` writes while it trains: history, event files, checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from convlet import datasets, watch
from convlet.callbacks import Callback
from convlet.checkpoint.names import is_reserved
from convlet.cli import places
from convlet.cli.checkpoints import Announcer
from convlet.cli.options import file, folder, together, whole
from convlet.errors import InputError, Name, blaming
from convlet.files.atomic import make_folder
from convlet.inputs import check_checkpoint


@dataclass(frozen=True)
class Records:
    """Where to write; None is nowhere."""

    history: Path | None
    tensorboard: Path | None
    checkpoint: Path | None
    every: int | None
    resume: bool

    def prepare(self, data: str, out: Path | None, as_json: bool) -> list[Callback]:
        """Refuse wrong values and places, also those of the data and of the model -> callbacks.

        Makes the folder of checkpoints: other files of the run may be in it.  Raises `InputError`,
        `FileError`, `MissingDependencyError`.
        """
        check_checkpoint(self.checkpoint, self.every, self.resume)
        files = {"out": out, "history": self.history}
        folders = {"tensorboard": self.tensorboard, "checkpoint": self.checkpoint}
        path = None if data in datasets.names() else data
        places.refuse_same({"data": path, **folders, **files})
        self._refuse_reserved(files)
        for name, place in folders.items():
            if place is not None:
                places.refuse_unwritable_folder(place, name)
        if self.checkpoint is not None:
            with blaming("checkpoint"):
                make_folder(str(self.checkpoint))
        callbacks: list[Callback] = []
        if self.history is not None:
            history = watch.history_file(self.history, "history")
            places.refuse_unwritable(self.history, "history")
            with blaming("history"):
                history.earlier()
            callbacks.append(history)
        if self.tensorboard is not None:
            callbacks.append(watch.TensorBoard(self.tensorboard))
        if self.resume and self.checkpoint is not None:
            callbacks.append(Announcer(self.checkpoint, as_json))
        return callbacks

    def refuse(self, out: Path | None, option: str, why: str) -> None:
        """Raise `InputError` for a place, where nothing is written because of an option."""
        for name, value in {"out": out, **vars(self)}.items():
            if value:
                raise InputError(name, str(value), but=why, hint=("leave out ", Name(option)))

    def _refuse_reserved(self, files: Mapping[str, Path | None]) -> None:
        """Raise `InputError` for a file that a run would take for one of its own."""
        for name, path in files.items():
            if path is None or self.checkpoint is None or not is_reserved(path.name):
                continue
            if places.is_same(path.parent, self.checkpoint):
                but = ("the folder of ", Name("checkpoint"), " has files of such names of its own")
                raise InputError(name, str(path), but=but, hint="choose another name")

    def arguments(self) -> dict[str, Any]:
        """Of `Network.fit`."""
        return {"checkpoint": self.checkpoint, "every": self.every, "resume": self.resume}


OPTIONS = together(
    "records",
    Records,
    [
        file("--history", help="Record each epoch in a .jsonl or .csv file."),
        folder("--tensorboard", help="Record each epoch for TensorBoard in this folder."),
        folder("--checkpoint", help="Write checkpoints to this folder."),
        whole("--every", help="A checkpoint after every N steps of an epoch, too."),
        click.option(
            "--resume", is_flag=True, help="Go on from the newest checkpoint in the folder."
        ),
    ],
)
