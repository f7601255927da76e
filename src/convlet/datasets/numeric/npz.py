"""An .npz file: arrays by name, x_train, y_train and their like, packed or not."""

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from lzma import LZMAError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset
from convlet.datasets.labels import as_classes
from convlet.datasets.listing import is_junk_member
from convlet.datasets.naming import Part, Role, role_of
from convlet.datasets.numeric.arrays import Pair, Stored, make
from convlet.datasets.numeric.npy import checked_header, read_array
from convlet.datasets.wishes import Wishes
from convlet.errors import ConvletError, DataError
from convlet.files.streams import MAX_BYTES, open_regular
from convlet.wording import listed

Named = Mapping[Part | None, Mapping[Role, str]]
"""What images and labels of each part are called."""

CLASSES = ("classes", "class_names", "label_names", "target_names", "names", "categories")
"""What an array of the names of the classes is called."""
MAX_NAMES = 1 << 24  # bytes of it
MOST_NAMED = 10  # arrays in a line
EXPECTED = "x_train, y_train, x_test, y_test, or train_images, train_labels, ..., or x, y"
MAX_END = 22 + 0xFFFF  # bytes of the end of a .zip archive, with its comment
# what zipfile raises, depending on which bytes are damaged, or for a method that it does not know
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    struct.error,
    ValueError,
    IndexError,
    OverflowError,
    RuntimeError,
)


def load_npz(name: str, path: str | os.PathLike[str], wishes: Wishes) -> Dataset:
    """The data set of an .npz file.  Raises `DataError`, `FileError`, `InputError`."""
    source = os.fspath(path)
    wishes.refuse_for_arrays(source)
    with open_zip(source) as archive:
        there = _members(archive)
        named, said = pairs_of(source, there, "arrays", True)
        total = sum(there[key].file_size for keys in named.values() for key in keys.values())
        if total > MAX_BYTES:
            raise DataError(f"{source}: expected at most {MAX_BYTES} bytes, found {total}")
        parts = {
            part: Pair(
                _stored(archive, source, keys["images"], False),
                _stored(archive, source, keys["labels"], True),
            )
            for part, keys in named.items()
        }
        used = {key for keys in named.values() for key in keys.values()}
        left = sorted((key for key in there if key not in used), key=_by_number)
        labels = [pair.labels for pair in parts.values()]
        classes: tuple[str, ...] | None = None
        for key in (key for key in CLASSES if key in left and classes is None):
            classes = _names(archive, source, key, labels)
            if classes is not None:
                left.remove(key)
    return make(name, source, parts, wishes, classes, said=[*said, *left_out(left)])


def left_out(names: Sequence[str]) -> tuple[str, ...]:
    """What to say of arrays, or files, that are not used."""
    return (f"left out: {listed(names, MOST_NAMED)}",) if names else ()


def _names(
    archive: zipfile.ZipFile, source: str, key: str, labels: Sequence[Stored]
) -> tuple[str, ...] | None:
    """The names of the classes in an array, None where it is none of them, or labels do not fit."""
    if _members(archive)[key].file_size > MAX_NAMES:
        return None
    with suppress(DataError):
        array = _stored(archive, source, key, True).read()
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8", "surrogateescape")
        names = tuple(map(str, array.tolist())) if array.ndim == 1 else ()
        if array.dtype.kind == "U" and len(set(names)) == len(names) and "" not in names:
            as_classes({stored.name: stored.read() for stored in labels}, names)
            return names
    return None


def single(path: str | os.PathLike[str], text: bool) -> Stored | None:
    """The array of an .npz file that holds one; None for another one.  Raises as `load_npz`.

    text: may hold names.
    """
    source = os.fspath(path)
    with open_zip(source) as archive:
        keys = list(_members(archive))
        return _stored(archive, source, keys[0], text) if len(keys) == 1 else None


def pairs_of(
    source: str, keys: Iterable[str], what: str, strict: bool
) -> tuple[Named, tuple[str, ...]]:
    """What images and labels of each part are called, and what is to be said of it.

    keys: the names that there are.  what: they are of, "arrays" or "files".  strict: leave out
    those that have other words, too.  Raises `DataError`.
    """
    keys = sorted(keys, key=_by_number)
    found: dict[Part | None, dict[Role, str]] = {}
    said: list[str] = []
    if keys and all(re.fullmatch(r"arr_[0-9]+", key) for key in keys) and len(keys) in (2, 4):
        parts: tuple[Part | None, ...] = (None,) if len(keys) == 2 else ("train", "test")
        for place, part in enumerate(parts):
            found[part] = {"images": keys[2 * place], "labels": keys[2 * place + 1]}
        said.append(f"{', '.join(keys)} are taken as images and labels in turn")
    for key in keys if not found else ():
        role = role_of(key, strict)
        if role is None:
            continue
        part, kind = role
        other = found.setdefault(part, {}).setdefault(kind, key)
        if other != key:
            raise DataError(
                f"{source}: expected one of the {what} for the {kind} of"
                f" {'the data' if part is None else f'the {part} part'}, found {other} and {key}:"
                " keep one of them"
            )
    whole = {part: names for part, names in found.items() if len(names) == 2}
    if None in whole and len(whole) > 1:
        del whole[None]
    there = listed(keys, 10)
    if not whole:
        raise DataError(f"{source}: expected the {what} {EXPECTED}, found {there or 'none'}")
    for part, names in found.items():
        if part is not None and part not in whole:
            ((there_is, key),) = names.items()
            other = "labels" if there_is == "images" else "images"
            raise DataError(
                f"{source}: expected {what} with images and labels of each part, found {there}:"
                f" {key} has no {other}, add them or leave it out"
            )
    return whole, tuple(said)


@contextmanager
def open_zip(source: str) -> Iterator[zipfile.ZipFile]:
    """A .zip archive; whatever zipfile says of its bytes becomes a `DataError`."""
    with open_regular(source) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if _promised(file) not in (len(archive.infolist()), 0xFFFF):
                    raise zipfile.BadZipFile("its directory is cut off")
                yield archive
        except ConvletError:
            raise
        except _ZIP_ERRORS as error:
            raise DataError(
                f"{source}: expected a whole .npz file, found a damaged one or something else"
                f" ({error})"
            ) from error


def _promised(file: IO[bytes]) -> int:
    """How many members the end of a .zip archive says that it has; zipfile does not compare."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_END))
    end = file.read()
    place = end.rindex(b"PK\5\6")
    return int.from_bytes(end[place + 10 : place + 12], "little")


def _by_number(key: str) -> tuple[int, str]:
    """arr_10 comes after arr_9."""
    return len(key) if key.startswith("arr_") else 0, key


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {
        info.filename.removesuffix(".npy"): info
        for info in archive.infolist()
        if info.filename.endswith(".npy") and not is_junk_member(info.filename)
    }


def _stored(archive: zipfile.ZipFile, source: str, key: str, text: bool) -> Stored:
    """An array in an archive, its header read."""
    info, name = _members(archive)[key], f"{source}[{key}]"
    with archive.open(info) as stream:
        shape = checked_header(stream, info.file_size, name, text).shape

    def read() -> NDArray[Any]:
        with open_zip(source) as again, again.open(info) as stream:
            return read_array(stream, info.file_size, name, text)

    return Stored(name, shape, read)
