"""A folder with the four IDX files of a data set, named like those of MNIST."""

import os
import re
from pathlib import Path

import numpy as np

from convlet.datasets.dataset import Dataset, Split, check_shapes, make_dataset, make_split
from convlet.datasets.idx import read_idx, read_idx_header
from convlet.errors import DataError
from convlet.files.paths import file_error

FILE = re.compile(r"(train|t10k|test)[-_](images|labels)[-.]idx\d[-.]ubyte(\.gz)?")
EXAMPLES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


def find_idx(folder: Path) -> dict[tuple[str, str], Path]:
    """The IDX files of a folder by part, such as ("train", "images"); all four, or none at all.

    Names are those of EXAMPLES, or with test for t10k, a dot for a dash, .gz at the end.
    A .gz file beside its unpacked twin is left aside.
    Raises `DataError` for a part that is missing or there twice, `FileError`.
    """
    found: dict[tuple[str, str], list[str]] = {}
    try:
        entries = sorted(os.listdir(folder))
    except OSError as error:
        raise file_error("read", str(folder), error) from error
    for entry in entries:
        unpacked_too = entry.endswith(".gz") and entry[:-3] in entries
        if not unpacked_too and (match := FILE.fullmatch(entry)):
            part = "train" if match[1] == "train" else "test"
            found.setdefault((part, match[2]), []).append(entry)
    if not found:
        return {}
    for key, example in EXAMPLES.items():
        if key not in found:
            have = ", ".join(name for names in found.values() for name in names)
            raise DataError(f"{folder}: expected a file {example} or {example}.gz, found {have}")
        if len(found[key]) > 1:
            raise DataError(
                f"{folder}: expected one file with {key[0]} {key[1]},"
                f" found {' and '.join(found[key])}: keep one of them"
            )
    return {key: folder / names[0] for key, names in found.items()}


def load_idx(
    name: str, files: dict[tuple[str, str], Path], classes: tuple[str, ...] | None = None
) -> Dataset:
    """The data set of the files that `find_idx` found.  Raises `DataError`, `FileError`."""
    source = str(files["train", "images"].parent)
    train, test = (
        _read_split(files[part, "images"], files[part, "labels"]) for part in ("train", "test")
    )
    return make_dataset(name, train, test, source, classes)


def _read_split(images: Path, labels: Path) -> Split:
    # headers first: files that do not belong together are refused before their entries take memory
    x_shape, y_shape = _shape(images, (3, 4), "images"), _shape(labels, (1,), "labels")
    check_shapes(x_shape, y_shape, str(images), str(labels))
    y = read_idx(labels)  # the small file first: damage is found sooner
    return make_split(read_idx(images), y, str(images), str(labels))


def _shape(path: Path, dimensions: tuple[int, ...], what: str) -> tuple[int, ...]:
    """The shape in the header of a file of uint8."""
    dtype, shape = read_idx_header(path)
    if dtype != np.uint8 or len(shape) not in dimensions:
        expected = " or ".join(map(str, dimensions))
        raise DataError(
            f"{path}: expected {what}, uint8 with {expected} dimensions,"
            f" found {dtype} with {len(shape)}"
        )
    return shape
