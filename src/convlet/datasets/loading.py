"""`load`: a data set by name or by path."""

import os
from collections.abc import Callable
from pathlib import Path

from convlet.datasets.builtin import load_digits, load_mnist
from convlet.datasets.dataset import Dataset
from convlet.datasets.fashion import load_fashion_mnist
from convlet.datasets.idx_folder import FILE, find_idx, load_idx
from convlet.datasets.image_folder import load_image_folder
from convlet.datasets.npy import load_npz
from convlet.errors import DataError, FileError, InputError
from convlet.files.paths import file_error, file_name

BUILTIN: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "fashion-mnist": load_fashion_mnist,
    "mnist": load_mnist,
}
KINDS = "a folder with IDX files, a folder of images for each class, or an .npz file"


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(BUILTIN)


def load(name_or_path: str | os.PathLike[str]) -> Dataset:
    """A data set with training and test images.

    name_or_path is one of `names()`, or the path of
    - a folder with four IDX files, plain or .gz (train-images-idx3-ubyte, ...), or one of them,
    - a folder of images, one folder for each class, with or without train and test above,
    - an .npz file with x_train, y_train, x_test, y_test.
    A name wins over a folder of that name in the current folder: write ./mnist for the folder.

    Raises `InputError` for a name that is not known, `FileError` for a path that cannot be read,
    `DataError` for files that do not hold what they should, `MissingDependencyError`.
    """
    text = file_name(name_or_path, "name_or_path")
    if isinstance(name_or_path, str) and name_or_path in BUILTIN:
        return BUILTIN[name_or_path]()
    path = Path(text)
    try:
        path.stat()
    except OSError as error:
        if isinstance(name_or_path, str) and not _looks_like_path(text):
            expected = f"one of {', '.join(names())}, or the path of {KINDS}"
            raise InputError("name_or_path", text, expected) from error
        raise file_error("read", text, error) from error
    name = path.resolve().stem if path.is_file() else path.resolve().name
    if path.is_dir():
        files = find_idx(path)
        return load_idx(name, files) if files else load_image_folder(name, path)
    if not path.is_file():
        raise FileError(f"{text} cannot be read: expected {KINDS}, found a device or pipe")
    if path.suffix.lower() == ".npz":
        return load_npz(name, path)
    if FILE.fullmatch(path.name):
        return load_idx(path.resolve().parent.name, find_idx(path.parent))
    raise DataError(f"{text}: expected {KINDS}, found another file")


def _looks_like_path(text: str) -> bool:
    return any(mark in text for mark in (os.sep, os.altsep or os.sep, ".", "~"))
