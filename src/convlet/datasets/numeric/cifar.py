"""CIFAR-10 and CIFAR-100 in their binary version (Krizhevsky, 2009).

    data_batch_1.bin ... test_batch.bin    a byte of label, then 3 x 32 x 32 bytes: R, G, B planes
    train.bin, test.bin                    CIFAR-100: a byte of superclass before that of the class

The version for Python is made of pickles, which can run code: it is refused by name.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset
from convlet.datasets.naming import Part
from convlet.datasets.numeric.arrays import Pair, held, make
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError
from convlet.files.streams import MAX_BYTES, open_regular, read_up_to

SIDE, CHANNELS = 32, 3
PIXELS = SIDE * SIDE * CHANNELS
MAX_NAMES = 1 << 16  # bytes of a list of class names


class Kind(NamedTuple):
    """One of the two.  labels: bytes before the pixels, the last is the class."""

    name: str
    train: re.Pattern[str]
    test: str
    labels: int
    classes: int
    names: str


_BATCH, _TRAIN = re.compile(r"data_batch_[0-9]+\.bin"), re.compile(r"train\.bin")
_NUMBER = re.compile("[0-9]+")
BATCHES = 5
KINDS = (
    Kind("cifar-10", _BATCH, "test_batch.bin", 1, 10, "batches.meta.txt"),
    Kind("cifar-100", _TRAIN, "test.bin", 2, 100, "fine_label_names.txt"),
)
FOLDERS = (
    "cifar-10-batches-bin",
    "cifar-100-binary",
    "cifar-10-batches-py",
    "cifar-100-python",
)
"""What the published archives unpack to."""
PICKLES = re.compile(r"data_batch_[0-9]+|test_batch|batches\.meta")


def find_cifar(folder: Path, names: list[str]) -> Kind | None:
    """Which of the two is in a folder with these files, if any.

    Raises `DataError` for the version of pickles.
    """
    pickles = [name for name in names if PICKLES.fullmatch(name)]
    if len(pickles) > 1 or {"train", "test", "meta"} <= set(names):
        kind = KINDS[0] if pickles else KINDS[1]
        raise DataError(
            f"{folder}: expected the binary version of {kind.name.upper()}, found the one for"
            " Python: its pickles can run code and are never loaded; get"
            f" {kind.name}-binary.tar.gz and unpack it"
        )
    for kind in KINDS:
        if kind.test in names and any(kind.train.fullmatch(name) for name in names):
            return kind
    found = next((name for name in names if _BATCH.fullmatch(name)), None)
    if found is not None:
        raise DataError(
            f"{folder}: expected {KINDS[0].test} beside {found}, found none: get it again"
        )
    return None


def load_cifar(name: str, folder: Path, names: list[str], kind: Kind, wishes: Wishes) -> Dataset:
    """The data set of a folder in which `find_cifar` found something.

    Raises `DataError`, `FileError`, `InputError`.
    """
    wishes.refuse_for_arrays(str(folder))
    files: dict[Part, list[str]] = {
        "train": [name for name in names if kind.train.fullmatch(name)],
        "test": [kind.test],
    }
    said: list[str] = []
    if kind is KINDS[1]:
        said.append("classes are the fine labels, not the coarse ones")
    else:
        there = {int(_NUMBER.findall(name)[0]) for name in files["train"]}
        missing = [n for n in range(1, max(BATCHES, *there) + 1) if n not in there]
        if gaps := [n for n in missing if n < max(there)]:
            raise DataError(
                f"{folder}: expected {_batch(gaps[0])} beside {_batch(max(there))}, found none: get"
                " it again, or name the batches from 1 on if you want fewer"
            )
        if missing:
            said.append(f"not there: {', '.join(map(_batch, missing))}")
    classes = _class_names(folder / kind.names, kind) if kind.names in names else None
    parts: dict[Part | None, Pair] = {}
    for part, chosen in files.items():
        records = np.concatenate([_records(folder / file, kind) for file in chosen])
        planes = records[:, kind.labels :].reshape(-1, CHANNELS, SIDE, SIDE)
        images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        labels = records[:, kind.labels - 1].copy()
        where = ", ".join(str(folder / file) for file in chosen)
        parts[part] = Pair(held(images, where), held(labels, f"labels of {where}"))
    return make(name, str(folder), parts, wishes, classes, said=said)


def _batch(number: int) -> str:
    return f"data_batch_{number}.bin"


def _records(path: Path, kind: Kind) -> NDArray[np.uint8]:
    """(n, labels + pixels)."""
    length = kind.labels + PIXELS
    with open_regular(path) as file:
        data = read_up_to(file, MAX_BYTES)
    if len(data) == 0 or len(data) % length:
        raise DataError(
            f"{path}: expected records of {length} bytes, {kind.labels} of labels and {PIXELS} of"
            f" pixels, found {len(data)} bytes: it is cut off, or is no file of {kind.name.upper()}"
        )
    return np.frombuffer(data, np.uint8).reshape(-1, length)


def _class_names(path: Path, kind: Kind) -> tuple[str, ...]:
    with open_regular(path) as file:
        text = bytes(read_up_to(file, MAX_NAMES)).decode("utf-8", "surrogateescape")
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(names) != kind.classes:
        raise DataError(
            f"{path}: expected {kind.classes} names of classes, a line each, found {len(names)}"
        )
    return names
