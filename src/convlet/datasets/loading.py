"""`load`: a data set by name or by path."""

import os
from collections.abc import Callable
from pathlib import Path

from convlet.datasets.builtin import load_digits, load_mnist
from convlet.datasets.dataset import Dataset
from convlet.datasets.fashion import load_fashion_mnist
from convlet.datasets.kinds import KINDS
from convlet.datasets.recognising import reader_of_file, reader_of_folder
from convlet.datasets.wishes import Wishes, as_wishes
from convlet.errors import FileError, InputError
from convlet.files.paths import file_error, file_name
from convlet.inputs import as_bool
from convlet.preparation import Preparation
from convlet.progress import is_interactive

BUILTIN: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "fashion-mnist": load_fashion_mnist,
    "mnist": load_mnist,
}


def names() -> tuple[str, ...]:
    """The data sets that `load` knows by name."""
    return tuple(BUILTIN)


def load(
    name_or_path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    colour: str | None = None,
    fit: str | None = None,
    *,
    test_share: float | None = None,
    group_by: str | None = None,
    seed: int = 0,
    skip_damaged: bool = False,
    preparation: Preparation | None = None,
    progress: bool | None = None,
) -> Dataset:
    """A data set with training and test images.

    name_or_path is one of `names()`, or the path of
    - a folder of images, one folder for each class, with or without train, test and validation,
    - a folder with IDX files, plain or .gz (train-images-idx3-ubyte, ...), or one of them,
    - a folder with the binary version of CIFAR-10 or CIFAR-100,
    - an .npz file, or a folder of .npy files, with x_train, y_train, x_test, y_test and their like,
    - a table of pixels (.csv), or a folder with train.csv and test.csv,
    - Parquet files or tar shards of encoded images with labels, or folders with them.
    A name wins over a folder of that name in the current folder: write ./mnist for the folder.

    For image files: size, rows and columns or one number for both, colour, "grey" or "rgb", and
    fit, "crop", "pad" or "stretch"; None chooses by the images.  preparation: that of a network, in
    their place.  test_share: of each class, above 0 and below 1, to test with where there is no
    test part; None is 0.2 where there is no validation part either.  group_by: a regular
    expression that finds the name of an image's subject in its path; one subject is trained or
    tested with, after `hold_out` and in `folds` too.  seed: of the division.  skip_damaged: leave
    damaged images out, which `Dataset.said` tells.  progress: show a bar while images are decoded;
    None: where a person types.  Decoded images are kept in `cache_folder()`.  See docs/data.md.

    Raises `InputError` for a name that is not known, `FileError` for a path that cannot be read,
    `DataError` for files that do not hold what they should, `MissingDependencyError`.
    """
    wishes = as_wishes(
        size,
        colour,
        fit,
        test_share,
        group_by,
        seed,
        skip_damaged,
        preparation,
        as_bool(is_interactive() if progress is None else progress, "progress"),
    )
    return _read(name_or_path, wishes)


def load_tested(
    name_or_path: str | os.PathLike[str],
    preparation: Preparation | None = None,
    *,
    test_share: float | None = None,
    group_by: str | None = None,
    seed: int = 0,
    skip_damaged: bool = False,
    progress: bool = False,
) -> Dataset:
    """As `load`, a data set of which only the test images matter: those that a network meets.

    preparation: that of the network, None where it has none.  test_share: None for all images where
    there is neither a test nor a validation part, which is said.
    """
    wishes = as_wishes(
        test_share=test_share,
        group_by=group_by,
        seed=seed,
        skip_damaged=skip_damaged,
        preparation=preparation,
        progress=progress,
        judged=True,
    )
    return _read(name_or_path, wishes)


def _read(name_or_path: str | os.PathLike[str], wishes: Wishes) -> Dataset:
    """The data set of a name or path."""
    if isinstance(name_or_path, str) and name_or_path in BUILTIN:
        wishes.refuse_for_arrays(name_or_path)
        wishes.refuse_share(name_or_path)
        return BUILTIN[name_or_path]()
    text = file_name(name_or_path, "name_or_path", "file or folder")
    path = Path(text)
    try:
        path.stat()
    except OSError as error:
        if isinstance(name_or_path, str) and not _looks_like_path(text):
            expected = f"one of {', '.join(names())}, or the path of {KINDS}"
            raise InputError("name_or_path", text, expected) from error
        raise file_error("read", text, error) from error
    if path.is_dir():
        return reader_of_folder(path)(wishes)
    if not path.is_file():
        raise FileError(f"{text} cannot be read: expected {KINDS}, found a device or pipe")
    return reader_of_file(path)(wishes)


def _looks_like_path(text: str) -> bool:
    return any(mark in text for mark in (os.sep, os.altsep or os.sep, ".", "~"))
