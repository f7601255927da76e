"""y and the weights as training takes them: numbers of classes, omega of (13)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from convlet.balance import BALANCED, ClassWeight, as_weight
from convlet.errors import InputError
from convlet.wording import listed

Codes = NDArray[np.int64]


def classes_in(y: Any, name: str = "y") -> NDArray[Any]:
    """The labels that occur, sorted: two or more.  Raises `ValueError`."""
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"has 1 class, {classes.tolist()[0]!r}"
        raise InputError(name, None, "two classes or more", found=found)
    return np.asarray(classes)


def codes_of(y: Any, classes: NDArray[Any], name: str = "y") -> Codes:
    """The class of each label, a position in the sorted classes, (n,).  Raises `InputError`."""
    y = np.asarray(y)
    known = np.isin(y, classes)
    if not known.all():
        n = int(known.argmin())
        expected = f"one of the classes: {listed([*map(str, classes)])}"
        raise InputError(name, y[n : n + 1].tolist()[0], expected, subject=f"{name}[{n}]")
    return np.asarray(np.searchsorted(classes, y), np.int64)


def classes_of(classes: Any) -> NDArray[Any]:
    """The labels that the first call of `partial_fit` names, sorted.  Raises `ValueError`."""
    if classes is None:
        expected = "all labels, as in classes=[0, 1], in the first call of partial_fit"
        raise InputError("classes", None, expected)
    return classes_in(np.asarray(classes), "classes")


def refuse_other(classes: Any, known: NDArray[Any]) -> None:
    """Raise `InputError` for classes of a later call that are not those of the first."""
    if classes is not None and not np.array_equal(np.unique(np.asarray(classes)), known):
        expected = f"those of the first call: {listed([*map(str, known)])}"
        raise InputError("classes", classes, expected)


def refuse_one_class(codes: Codes) -> None:
    """Raise `InputError` where weights leave the images of one class only."""
    if len(np.unique(codes)) < 2:
        found = "is above 0 for 1 class only"
        raise InputError("sample_weight", None, "weights for two classes or more", found=found)


def class_weight_of(value: Any, classes: NDArray[Any]) -> ClassWeight | None:
    """The weights of classes by their positions, in normal form, or None.

    value: "balanced", or a dict of labels.  As in scikit-learn it may name more labels than occur,
    as long as it names all that do.  Raises `InputError`.
    """
    if value is None or (isinstance(value, str) and value == BALANCED):
        return value
    if not isinstance(value, dict):
        raise InputError(
            "class_weight", value, "'balanced', or a dict of labels with their weights"
        )
    named = [(k, label) for k, label in enumerate(classes.tolist()) if label in value]
    if len(named) < min(len(classes), len(value)):
        strange = next(key for key in value if key not in classes.tolist())
        known = f"one of the classes: {listed([*map(str, classes)])}"
        raise InputError("class_weight", strange, known, found=f"names {strange!r}")
    return tuple((k, as_weight(label, value[label])) for k, label in named)


def names_of(classes: Sequence[Any] | NDArray[Any]) -> list[str]:
    """A name for each class, as a model file has it."""
    return [str(label) for label in np.asarray(classes).tolist()]
