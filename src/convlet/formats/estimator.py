"""What a model file keeps of a scikit-learn estimator, beside its network: one field of JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.errors import InputError
from convlet.formats.header import parse_json
from convlet.inputs import as_count, as_seed
from convlet.optimizers import BY_NAME

NUMBERS = ("bool", *(f"{kind}int{n}" for kind in ("", "u") for n in (8, 16, 32, 64)))
DTYPES = (*NUMBERS, "float16", "float32", "float64", "str", "object")
"""Of labels."""
MOST = 1 << 53  # of every whole number
MOST_SLOTS = max(optimizer.slots for optimizer in BY_NAME.values())
ROW = 4  # numbers of an epoch


@dataclass(frozen=True)
class EstimatorRecord:
    """An estimator without its network, in JSON values.

    parameters: of `__init__`, by name.  labels: the classes, of the dtype of that name.  features:
    the names of the columns, or None.  divisor: of X.  updates: steps that filled the slots of the
    optimiser, so many vectors like the parameters.  rows: of each epoch training loss, validation
    loss, validation accuracy, seconds.
    """

    parameters: Mapping[str, Any]
    labels: list[Any]
    dtype: str
    features: list[str] | None
    divisor: float
    seed: int
    updates: int
    slots: int
    rows: list[list[float | None]]

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            expected = f"one of: {', '.join(DTYPES)}"
            raise InputError("labels", self.dtype, expected, found=f"have dtype {self.dtype!r:.80}")

    def text(self) -> str:
        """JSON, which `read_estimator` reads.  Raises `InputError` for what JSON does not have."""
        try:
            return json.dumps(vars(self), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            found = f"cannot be saved: {error}"
            raise InputError("estimator", None, found=found) from None

    @property
    def classes(self) -> NDArray[Any]:
        """The labels as an array.  Raises `ValueError`."""
        array = np.array(self.labels, self.dtype)
        found = array.tolist()
        if found != self.labels or any(map(is_other_kind, found, self.labels)):
            raise ValueError(f"labels are none of {self.dtype}")
        return array


def is_other_kind(one: object, other: object) -> bool:
    return type(one) is not type(other)


def read_estimator(text: str, classes: int, features: int) -> EstimatorRecord:
    """The record of an estimator with so many classes and features.  Raises `ValueError`."""
    found = parse_json(text)
    names = [one.name for one in fields(EstimatorRecord)]
    if not isinstance(found, dict) or list(found) != names:
        raise ValueError(f"it has not the keys {names}")
    record = EstimatorRecord(**found)
    _check_labels(record, classes)
    if not isinstance(record.parameters, dict):
        raise ValueError("parameters is no object")
    if record.features is not None and not _is_list(record.features, features, str):
        raise ValueError("features is no list of a name for each")
    if type(record.divisor) is not float or not (isfinite(record.divisor) and record.divisor > 0):
        raise ValueError("divisor is no number above 0")
    as_seed(record.seed)
    as_count(record.updates, "updates", 1, MOST)
    as_count(record.slots, "slots", 0, MOST_SLOTS)
    if not isinstance(record.rows, list) or not all(map(_is_row, record.rows)):
        raise ValueError(f"rows are no lists of {ROW} numbers")
    if record.text() != text:
        raise ValueError("it is not in the form in which it is written")
    return record


def _check_labels(record: EstimatorRecord, count: int) -> None:
    if not any(_is_list(record.labels, count, kind) for kind in (str, int, float, bool)):
        raise ValueError(f"labels is no list of {count} of one kind")
    try:
        classes = record.classes
    except OverflowError as error:
        raise ValueError(f"labels are none of {record.dtype}") from error
    if not np.array_equal(np.unique(classes), classes):
        raise ValueError("labels are not sorted")


def _is_list(value: Any, count: int, kind: type) -> bool:
    return (
        isinstance(value, list) and len(value) == count and all(type(one) is kind for one in value)
    )


def _is_row(row: Any) -> bool:
    """Training loss and seconds are numbers; those of validation may be None."""
    if not isinstance(row, list) or len(row) != ROW:
        return False
    loss, *validation, seconds = row
    numbers = [loss, seconds, *(one for one in validation if one is not None)]
    return all(type(one) is float for one in numbers)
