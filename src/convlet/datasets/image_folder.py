"""Images in one folder for each class."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset, every_fifth, make_dataset, make_split
from convlet.datasets.pictures import SUFFIXES, open_picture
from convlet.errors import DataError
from convlet.files.paths import file_error
from convlet.files.streams import MAX_BYTES
from convlet.inputs import is_unicode

CHANNELS = {"L": 1, "RGB": 3}
IGNORED = ("thumbs.db", "desktop.ini")
"""What file managers leave behind, beside names that start with a dot."""

Files = dict[str, list[Path]]
"""The files of each class."""
Kind = tuple[int, int, str]
"""Rows, columns and mode, "L" or "RGB", of an image."""


def load_image_folder(name: str, folder: Path) -> Dataset:
    """The data set of a folder with train and test, or with one folder for each class.

    Below train and test there is one folder for each class; other folders beside them are not
    read.  Without train and test the images of each class are sorted by name, and every fifth
    (4, 9, 14, ... counted from 0) is a test image.  Classes are sorted by name, or by value if
    all names are numbers.  Images are PNG, JPEG or BMP, all of one size, all grey ("L") or all
    "RGB".  Raises `DataError`, `FileError`, `MissingDependencyError`.
    """
    folders = {entry.name for entry in _entries(folder) if entry.is_dir()}
    parts = folders & {"train", "test"}
    if len(parts) == 2:
        train, test = _class_files(folder / "train"), _class_files(folder / "test")
    elif parts:
        raise DataError(
            f"{folder}: expected both folders train and test, found only {parts.pop()}: add the"
            " other, or leave both out and name folders after classes"
        )
    else:
        train, test = _divide(_class_files(folder))
    if unknown := sorted(test.keys() - train.keys()):
        raise DataError(
            f"{folder / 'test'}: expected classes of the training images, found {unknown[0]}"
        )
    classes = _sorted_classes(train)
    kind = _first_kind(train[classes[0]][0])
    first = train[classes[0]][0]
    splits = []
    for files in (train, test):
        pairs = [(path, k) for k, c in enumerate(classes) for path in files.get(c, ())]
        images = _read_all([path for path, _ in pairs], kind, first)
        labels = np.array([k for _, k in pairs], np.int64)
        splits.append(make_split(images, labels, str(folder), str(folder)))
    return make_dataset(name, splits[0], splits[1], str(folder), tuple(classes))


def _entries(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise file_error("read", str(folder), error) from error
    return [folder / n for n in names if not n.startswith(".") and n.lower() not in IGNORED]


def _class_files(folder: Path) -> Files:
    """The images of each class folder, sorted by name."""
    files: Files = {}
    for entry in _entries(folder):
        if entry.is_dir():
            files[entry.name] = _entries(entry)
        elif entry.suffix.lower() in SUFFIXES:
            raise DataError(
                f"{entry}: expected images in one folder for each class, found one beside them"
            )
    if not files:
        raise DataError(
            f"{folder}: expected one folder of images for each class, or the four IDX files of"
            " a data set (train-images-idx3-ubyte, ...), found neither"
        )
    for name, paths in files.items():
        if not is_unicode(name):
            raise DataError(
                f"{folder}: expected class folders with names in valid Unicode,"
                f" found {name!r}: rename it"
            )
        if not paths:
            raise DataError(f"{folder / name}: expected images of this class, found none")
        for path in paths:
            if path.suffix.lower() not in SUFFIXES:
                raise DataError(
                    f"{path}: expected an image ({', '.join(SUFFIXES)}), as {folder} should hold"
                    " one folder of images for each class, found something else"
                )
    return files


def _divide(files: Files) -> tuple[Files, Files]:
    """Train and test parts of classes that come without."""
    train: Files = {}
    test: Files = {}
    for name, paths in files.items():
        if len(paths) < 5:
            raise DataError(
                f"{paths[0].parent}: expected at least 5 images, as every fifth becomes a test"
                f" image, found {len(paths)}: add some, or divide them into train and test folders"
            )
        chosen = every_fifth(len(paths))
        train[name] = [path for path, is_test in zip(paths, chosen, strict=True) if not is_test]
        test[name] = [path for path, is_test in zip(paths, chosen, strict=True) if is_test]
    return train, test


def _sorted_classes(files: Files) -> list[str]:
    numbers = all(name.isascii() and name.isdecimal() for name in files)
    return sorted(files, key=lambda name: (int(name), name) if numbers else (0, name))


def _first_kind(path: Path) -> Kind:
    with open_picture(path) as picture:
        if picture.mode not in CHANNELS:
            raise DataError(f"{path}: expected mode L (grey) or RGB, found {picture.mode}")
        return picture.height, picture.width, picture.mode


def _read_all(paths: list[Path], kind: Kind, first: Path) -> NDArray[np.uint8]:
    """All images (n, rows, columns, channels).  kind: that of the image first, and of all."""
    rows, columns, mode = kind
    shape = (len(paths), rows, columns, CHANNELS[mode])
    if len(paths) * rows * columns * CHANNELS[mode] > MAX_BYTES:
        raise DataError(
            f"{first.parent.parent}: expected at most {MAX_BYTES} bytes, found images {shape}"
        )
    images = np.empty(shape, np.uint8)
    for image, path in zip(images, paths, strict=True):
        with open_picture(path) as picture:
            found = (picture.height, picture.width, picture.mode)
            if found != kind:
                raise DataError(
                    f"{path}: expected {rows} x {columns} pixels, mode {mode}, as in {first},"
                    f" found {found[0]} x {found[1]}, mode {found[2]}"
                )
            image[...] = np.asarray(picture).reshape(image.shape)
    return images
