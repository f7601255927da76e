"""Data as a caller of `live` gives them."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from convlet import datasets
from convlet.datasets import Dataset
from convlet.datasets.dataset import Split
from convlet.errors import InputError, Name
from convlet.server.description import Data, data_of, levels_of
from convlet.values import as_array

NO_DATA = "there are no data to train with"
GIVE_DATA = ("give ", Name("data"), ", too")


def refuse_without_data(given: Mapping[str, Any]) -> None:
    """Raise `InputError` for an argument that only training needs.  None, False, 0: not given.

    The learning rate is that of the step (21) that an explanation tells, also without data.
    """
    for name, value in given.items():
        if value and name != "learning_rate":
            raise InputError(name, value, but=NO_DATA, hint=GIVE_DATA)


def as_data(data: Any, validation: Any = None) -> Data | None:
    """What a page trains with and looks at.  Raises `InputError`."""
    if isinstance(data, str | PathLike):
        data = datasets.load(data)
    if isinstance(data, Dataset):
        if validation is not None:
            hint = "replace those of the data"
            raise InputError("validation", None, but="the data have their own", hint=hint)
        return data_of(data)
    if data is None:
        if validation is not None:
            raise InputError("validation", found="is given", but=NO_DATA, hint=GIVE_DATA)
        return None
    parts = {"train": _split(data, "data")}
    if validation is not None:
        parts["validation"] = _split(validation, "validation")
    judges = None if validation is None else "validation"
    return Data("data", parts, judges, None, (), levels_of(parts["train"].images))


def _split(pair: Any, name: str) -> Split:
    """Images and labels of a caller; what they hold is checked with the network."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(name, pair, "a Dataset, the name of one, or a pair (x, y)")
    x = as_array(pair[0], f"{name} x", "(n, rows, columns, channels)")
    y = as_array(pair[1], f"{name} y", "(n,) classes")
    if x.ndim == 3:
        x = x[..., None]
    if y.ndim != 1 or y.dtype.kind not in "bui" or len(x) != len(y) or not len(x):
        found = f"has shape {y.shape} and dtype {y.dtype}"
        raise InputError(f"{name} y", None, f"({len(x)},) classes", found=found)
    return Split(x, y.astype(np.int64))
