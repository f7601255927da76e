"""Which reader a path is for, by what is there and what it is called."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from convlet.datasets.dataset import Dataset
from convlet.datasets.encoded import parquet, tar_shards
from convlet.datasets.encoded.folders import image_files, list_folder
from convlet.datasets.encoded.images import load_images
from convlet.datasets.encoded.shards import BELOW, find_shards
from convlet.datasets.encoded.source import Source
from convlet.datasets.kinds import KINDS, refusal
from convlet.datasets.listing import entries_of, files_in, is_folder
from convlet.datasets.naming import part_of, role_of
from convlet.datasets.numeric import array_files, cifar, csv_images
from convlet.datasets.numeric.idx_folder import FILE, find_idx, find_idx_below, load_idx
from convlet.datasets.numeric.npz import load_npz
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError
from convlet.wording import listed

Reader = Callable[[Wishes], Dataset]
PICTURES = ("assets", "docs")
"""Folders beside tables and arrays with pictures for those who read about the data."""


def reader_of_folder(path: Path) -> Reader:
    """Of a folder.  Raises `DataError`, `FileError`, in which it says what is missing."""
    name = _name(path)
    files = find_idx_below(path)
    if files:
        return lambda wishes: load_idx(
            _name(next(iter(files.values())).parent), files, None, wishes
        )
    for below in cifar.FOLDERS:
        if (path / below).is_dir():
            return reader_of_folder(path / below)
    names = files_in(path)
    kind = cifar.find_cifar(path, names)
    if kind is not None:
        return partial(cifar.load_cifar, name, path, names, kind)
    tables_of_images = find_shards(path, parquet.SUFFIX)
    if tables_of_images:
        _refuse_images_beside(path, str(tables_of_images[0].relative_to(path)), "Parquet files")
        return _reader(name, parquet.parquet_source, path, tables_of_images)
    arrays = array_files.find_array_files(names)
    if arrays:
        _refuse_images_beside(path, arrays[0], "arrays")
        return partial(array_files.load_array_files, name, path, arrays)
    tables = csv_images.find_csv(path, names)
    if tables:
        _refuse_images_beside(path, tables[0], "tables of pixels")
        return partial(csv_images.load_csv_folder, name, path, tables)
    shards = find_shards(path, tar_shards.SUFFIX)
    if shards and not _has_other_folders(path):
        return _reader(name, tar_shards.tar_source, path, shards)
    if not _has_images(str(path)):
        for suffix, source_of in (
            (parquet.SUFFIX, parquet.parquet_source),
            (tar_shards.SUFFIX, tar_shards.tar_source),
        ):
            if found := _shards_below(path, suffix):
                return _reader(name, source_of, *found)
    return lambda wishes: load_images(name, list_folder(path), wishes)


def reader_of_file(path: Path) -> Reader:
    """Of a file.  Raises `DataError`, `FileError`."""
    name, lower = path.resolve().stem, path.name.lower()
    if lower.endswith(".npz"):
        return partial(load_npz, name, path)
    if match := FILE.fullmatch(path.name):
        files = find_idx(path.parent, (match[1] or "").lower())
        return lambda wishes: load_idx(_name(path.parent), files, None, wishes)
    if lower.endswith(".npy"):
        return _beside(path)
    if lower.endswith(csv_images.SUFFIXES):
        name = re.sub(r"\.csv(\.gz)?$", "", path.resolve().name, flags=re.IGNORECASE)
        return lambda wishes: csv_images.load_csv(name, [(None, path)], wishes)
    if lower.endswith(parquet.SUFFIX):
        return _reader(name, parquet.parquet_source, path, [path])
    if lower.endswith(tar_shards.SUFFIX):
        return _reader(name, tar_shards.tar_source, path, [path])
    raise DataError(f"{path}: expected {KINDS}, found {refusal(path.name) or 'another file'}")


def _reader(
    name: str, source_of: Callable[[Path, list[Path]], Source], folder: Path, paths: list[Path]
) -> Reader:
    """Of files that each hold many encoded images."""
    return lambda wishes: load_images(name, source_of(folder, paths), wishes)


def _beside(path: Path) -> Reader:
    """One of the .npy files of a folder stands for all of them."""
    names = array_files.find_array_files(files_in(path.parent))
    if path.name not in names or role_of(path.stem, False) is None:
        raise DataError(
            f"{path}: expected images and labels in two files beside each other, as x_train.npy and"
            f" y_train.npy, found {path.name} without another: call them so"
        )
    return partial(array_files.load_array_files, _name(path.parent), path.parent, names)


def _refuse_images_beside(path: Path, file: str, what: str) -> None:
    """Refuse a folder with other data than this file and its like.  Raises `DataError`."""
    for entry in entries_of(path):
        if entry.name.lower() not in PICTURES and is_folder(entry) and _has_images(entry.path):
            raise DataError(
                f"{path}: expected {what} or folders of images, found {file} beside {entry.name}:"
                f" name {file} if you want the {what}, else move them away"
            )


def _has_images(folder: str) -> bool:
    with suppress(DataError):  # none in there
        return next(image_files(Path(folder)), None) is not None
    return False


def _shards_below(path: Path, suffix: str) -> tuple[Path, list[Path]] | None:
    """The one folder with shards in it, as of a configuration on the hub, and these.

    plain_text/train/0000.parquet.  Raises `DataError` for several such folders.
    """
    found = {
        folder.name: (Path(folder.path), shards)
        for folder in entries_of(path)
        if is_folder(folder) and (shards := find_shards(Path(folder.path), suffix))
    }
    if len(found) > 1:
        raise DataError(
            f"{path}: expected {suffix} files of one data set, found such of {len(found)},"
            f" {listed(list(found))}: name one of these folders, as {path / next(iter(found))}"
        )
    return next(iter(found.values()), None)


def _has_other_folders(path: Path) -> bool:
    """Whether there are folders in which shards are not looked for: those of classes."""
    return any(
        is_folder(entry) and entry.name.lower() not in BELOW and not part_of(entry.name)
        for entry in entries_of(path)
    )


def _name(folder: Path) -> str:
    """What to call the data of a folder: raw is where torchvision puts the files of its parent."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "raw" else folder.name
