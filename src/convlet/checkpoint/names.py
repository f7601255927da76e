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

from convlet.formats.atomic import PREFIX, SUFFIX, file_error
from convlet.run import Row

_NAME = re.compile(r"checkpoint-([0-9]{5,16})-([0-9]{6,16})\.safetensors", re.ASCII)
_TEMPORARY = re.compile(re.escape(PREFIX) + "[0-9a-f]{16}" + re.escape(SUFFIX), re.ASCII)


class Position(NamedTuple):
    """Where a checkpoint stands: the order of these is the order of training."""

    epochs: int  # of the network's life
    step: int  # done in the next one

    def name(self) -> str:
        return f"checkpoint-{self.epochs:05}-{self.step:06}.safetensors"


def positions(folder: str) -> list[Position]:
    """Of every checkpoint in the folder, the newest last.  Raises `FileError`."""
    names = _list(folder)
    matches = filter(None, map(_NAME.fullmatch, names))
    found = {Position(*map(int, match.groups())) for match in matches}
    return sorted(one for one in found if one.name() in names)  # not with more zeros than needed


def newest(folder: str | os.PathLike[str]) -> str | None:
    """The path of the newest checkpoint in a folder, whether it is valid or not; None without one.

    Raises `FileError`.
    """
    folder = os.fspath(folder)
    found = positions(folder)
    return os.path.join(folder, found[-1].name()) if found else None


def best(rows: Sequence[Row]) -> Position | None:
    """The end of the best epoch: by test accuracy, else by train loss; the first of equals."""
    if not rows:
        return None
    return Position(max(rows, key=_score).epoch, 0)


def _score(row: Row) -> float:
    if row.test_accuracy is not None:
        return row.test_accuracy
    return -row.train_loss if row.train_loss == row.train_loss else -inf


def keep_only(folder: str, kept: Iterable[Position]) -> None:
    """Delete every other checkpoint.  What cannot be deleted stays: it is one too many, no more."""
    for position in set(positions(folder)) - set(kept):
        with suppress(OSError):
            os.unlink(os.path.join(folder, position.name()))


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
