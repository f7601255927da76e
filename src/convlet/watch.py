"""Callbacks that record training while it goes on, and the reader of what they wrote.

    network.fit(x, y, callbacks=[watch.CSV("run.csv"), watch.TensorBoard("runs/first")])

A history file has a row an epoch: one JSON object a line, or CSV with a header.  It always tells
the life of one network: a file that is there already keeps its rows up to the network's epoch, and
loses later ones, which are trained again.  So a resumed run continues its file, and a new network
starts it anew.  Rows that a checkpoint remembers are taken from there.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from convlet.callbacks import Callback
from convlet.errors import DataError, InputError
from convlet.files.atomic import make_folder, write_atomic
from convlet.files.paths import file_error, file_name
from convlet.formats import history
from convlet.libraries import library
from convlet.run import History, Row, Run

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter


class _File(Callback):
    """What both kinds of history file share: when lines are written.

    Raises `InputError` for a name with another suffix, which `read_history` could not read again.
    """

    suffix: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(file_name(path))
        if self.path.suffix.lower() != self.suffix:
            expected = f"a name that ends in {self.suffix}"
            raise InputError("path", os.fspath(path), expected)

    def start(self) -> str:
        """What stands above the first row."""
        return ""

    def line(self, row: Row) -> str:
        """One row with its line end."""
        raise NotImplementedError

    def read(self, whole: bool = True) -> History:
        """The rows so far."""
        raise NotImplementedError

    def on_begin(self, run: Run) -> None:
        """Keep the rows up to the network's epoch.  Raises `DataError`, `FileError`."""
        kept = [row for row in self.earlier() if row.epoch <= run.first_epoch]
        kept += run.history  # of a resumed run, whether the file had these rows or not
        write_atomic(self.path, (self.start() + "".join(map(self.line, kept))).encode())

    def on_epoch(self, run: Run, row: Row) -> None:
        """Append a row; it is in the file when this returns.  Raises `FileError`."""
        try:
            with open(self.path, "ab") as file:
                file.write(self.line(row).encode())
        except OSError as error:
            raise file_error("written", str(self.path), error) from error

    def earlier(self) -> Iterable[Row]:
        """What is in the file already.  Raises `DataError`, `FileError`."""
        return self.read(whole=False) if self.path.exists() and self.path.stat().st_size else ()


class JSONLines(_File):
    """One object an epoch, one a line, as in {"epoch": 1, "train_loss": 0.21, ...}.

    A number that is not finite, unknown to JSON, becomes null.
    """

    suffix = ".jsonl"

    def line(self, row: Row) -> str:
        return history.json_line(row)

    def read(self, whole: bool = True) -> History:
        return history.read_json_lines(self.path, whole)


class CSV(_File):
    """A header, then a line an epoch; an empty cell stands for None."""

    suffix = ".csv"

    def start(self) -> str:
        return history.csv_header()

    def line(self, row: Row) -> str:
        return history.csv_line(row)

    def read(self, whole: bool = True) -> History:
        return history.read_csv(self.path, whole)


class TensorBoard(Callback):
    """Event files for TensorBoard: loss, accuracy and images a second, a point an epoch.

    folder is made if it is not there.  A resumed run writes its earlier epochs anew.  Whatever else
    is in the folder of the epochs since the run began is hidden by TensorBoard.  Raises
    `InputError`, and `MissingDependencyError` without tensorboardX.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(file_name(folder, "folder", "folder")).absolute()
        self.writer: EventsWriter | None = None
        _tensorboard()

    def on_begin(self, run: Run) -> None:
        """Start an event file, with the epochs that a checkpoint remembers.  Raises `FileError`."""
        event_pb2, _, writer = _tensorboard()
        unique = "." + os.urandom(4).hex()  # its names differ by the second only
        make_folder(str(self.folder))
        try:
            self.writer = writer(str(self.folder / "events"), unique)
        except OSError as error:
            raise file_error("written", str(self.folder), error) from error
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(run.first_epoch + 1, session_log=start)  # hides what is from there on
        for row in run.history:
            self.on_epoch(run, row)

    def on_epoch(self, run: Run, row: Row) -> None:
        """Add the points of an epoch.  Raises `FileError`."""
        _, scalar, _ = _tensorboard()
        points = {
            "loss/train": row.train_loss,
            "loss/validation": row.validation_loss,
            "accuracy/validation": row.validation_accuracy,
            "images per second": run.samples / row.seconds if row.seconds else None,
        }
        for tag, value in points.items():
            if value is not None:
                self._write(row.epoch, summary=scalar(tag.replace(" ", "_"), value))

    def on_end(self, run: Run) -> None:
        """Close the file."""
        if self.writer is not None:
            with suppress(OSError):  # every point has been flushed
                self.writer.close()
            self.writer = None

    def _write(self, step: int, **what: Any) -> None:
        """One event, in the file when this returns."""
        from time import time

        assert self.writer is not None
        event_pb2, _, _ = _tensorboard()
        try:
            self.writer.write_event(event_pb2.Event(wall_time=time(), step=step, **what))
            self.writer.flush()
        except OSError as error:
            raise file_error("written", str(self.folder), error) from error


def history_file(path: str | os.PathLike[str], name: str = "path") -> JSONLines | CSV:
    """The callback for a path that ends in .jsonl or .csv.  Raises `InputError` for another one."""
    suffix = Path(file_name(path, name)).suffix.lower()
    for kind in (JSONLines, CSV):
        if suffix == kind.suffix:
            return kind(path)
    raise InputError(name, os.fspath(path), "a name that ends in .jsonl or .csv")


def read_history(path: str | os.PathLike[str], name: str = "path") -> History:
    """The rows of a history file; also of the output of `convlet train --json`.

    name: of the argument, in errors.

    Raises `InputError` for another ending than .jsonl or .csv, `FileError` for a file that cannot
    be read, `DataError` that names file and line for one that holds something else.
    """
    rows = history_file(path, name).read()
    if not rows:
        raise DataError(f"{os.fspath(path)}: expected at least one epoch, found none")
    return rows


def _tensorboard() -> tuple[Any, Any, Any]:
    """event_pb2, scalar and EventsWriter of tensorboardX.  Raises `MissingDependencyError`."""
    library("tensorboardX", "event files need", '"convlet[tensorboard]"')
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto import event_pb2
    from tensorboardX.summary import scalar

    return event_pb2, scalar, EventsWriter
