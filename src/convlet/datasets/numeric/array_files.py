"""A folder of .npy files, or of .npz files with one array each: x_train.npy, y_train.npy, ...

Those of .npy stay on disk as memory maps: uint8 and float32 images whose channels come last need no
memory of their own, as long as the data have a test part.
"""

from functools import partial
from pathlib import Path

from convlet.datasets.dataset import Dataset
from convlet.datasets.naming import role_of
from convlet.datasets.numeric.arrays import Pair, Stored, make
from convlet.datasets.numeric.npy import map_npy, npy_shape
from convlet.datasets.numeric.npz import EXPECTED, left_out, pairs_of, single
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError

SUFFIXES = (".npy", ".npz")


def find_array_files(names: list[str]) -> list[str]:
    """Those of the files in a folder that are images or labels by their names."""
    found = [
        name
        for name in names
        if name.lower().endswith(SUFFIXES) and role_of(Path(name).stem, False) is not None
    ]
    roles = {role_of(Path(name).stem, False) for name in found}
    return found if {kind for _, kind in filter(None, roles)} == {"images", "labels"} else []


def load_array_files(name: str, folder: Path, files: list[str], wishes: Wishes) -> Dataset:
    """The data set of files that `find_array_files` found.

    Raises `DataError`, `FileError`, `InputError`.
    """
    wishes.refuse_for_arrays(str(folder))
    by_stem: dict[str, str] = {}
    for file in files:
        other = by_stem.setdefault(Path(file).stem, file)
        if other != file:
            raise DataError(
                f"{folder}: expected one file {Path(file).stem}, found {other} and {file}: keep"
                " one of them"
            )
    named, said = pairs_of(str(folder), by_stem, "files", False)
    parts = {
        part: Pair(
            _stored(folder / by_stem[keys["images"]], False),
            _stored(folder / by_stem[keys["labels"]], True),
        )
        for part, keys in named.items()
    }
    used = {key for keys in named.values() for key in keys.values()}
    left = [file for stem, file in by_stem.items() if stem not in used]
    return make(name, str(folder), parts, wishes, said=[*said, *left_out(left)])


def _stored(path: Path, text: bool) -> Stored:
    if path.suffix.lower() == ".npy":
        return Stored(str(path), npy_shape(path, text), partial(map_npy, path, text))
    found = single(path, text)
    if found is None:
        raise DataError(
            f"{path}: expected one array, as there are other files, found another number: name this"
            f" file alone to load its arrays {EXPECTED}"
        )
    return found
