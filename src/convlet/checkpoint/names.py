"""What is in a folder of checkpoints, by names alone.

Files are called checkpoint-EPOCHS-STEPS.safetensors after the epochs of the network's life and the
steps of the next one that are done, so the order of names is the order of training.
"""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from typing import NamedTuple

from convlet.checkpoint.lock import NAME as LOCK
from convlet.files.atomic import PREFIX, SUFFIX
from convlet.files.paths import file_error, file_name
from convlet.run import Row

_NAME = re.compile(r"checkpoint-([0-9]{5,16})-([0-9]{6,16})\.safetensors", re.ASCII)
_TEMPORARY = re.compile(re.escape(PREFIX) + "[0-9a-f]{16}" + re.escape(SUFFIX), re.ASCII)


class CheckpointName(NamedTuple):
    """What the name of a checkpoint says: the order of these is the order of training."""

    epochs: int  # of the network's life
    step: int  # done in the next one

    def text(self) -> str:
        return f"checkpoint-{self.epochs:05}-{self.step:06}.safetensors"


def is_reserved(name: str) -> bool:
    """Whether a folder of checkpoints has files of such a name of its own."""
    return name == LOCK or any(form.fullmatch(name) for form in (_NAME, _TEMPORARY))


def checkpoints(folder: str) -> list[CheckpointName]:
    """Every checkpoint in the folder, the newest last.  Raises `FileError`."""
    names = _list(folder)
    matches = filter(None, map(_NAME.fullmatch, names))
    found = {CheckpointName(*map(int, match.groups())) for match in matches}
    return sorted(one for one in found if one.text() in names)  # not with more zeros than needed


def newest(folder: str | os.PathLike[str]) -> str | None:
    """The path of the newest checkpoint in a folder, whether it is valid or not; None without one.

    Raises `FileError`.
    """
    folder = file_name(folder, "folder", "folder")
    found = checkpoints(folder)
    return os.path.join(folder, found[-1].text()) if found else None


def best(rows: Sequence[Row]) -> CheckpointName | None:
    """The end of the best epoch: by validation accuracy, else train loss; the first of equals."""
    if not rows:
        return None
    return CheckpointName(max(rows, key=_score).epoch, 0)


def _score(row: Row) -> float:
    if row.validation_accuracy is not None:
        return row.validation_accuracy
    return -row.train_loss if row.train_loss == row.train_loss else -inf


def keep_only(folder: str, kept: Iterable[CheckpointName]) -> None:
    """Delete every other checkpoint.  What cannot be deleted stays: it is one too many, no more."""
    for one in set(checkpoints(folder)) - set(kept):
        with suppress(OSError):
            os.unlink(os.path.join(folder, one.text()))


def delete_temporaries(folder: str) -> None:
    """Delete what writers left behind that were killed: only for whoever holds the lock."""
    for name in filter(_TEMPORARY.fullmatch, _list(folder)):
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise file_error("read", folder, error) from error
