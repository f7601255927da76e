"""Labels of one part as they came, as text or whole numbers (n,), or refused."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.errors import DataError
from convlet.inputs import is_unicode
from convlet.wording import composed


def label_column(labels: NDArray[Any], name: str) -> tuple[NDArray[Any], int]:
    """Labels (n,) of text or whole numbers, and the number of classes where they were one-hot."""
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "surrogateescape")
    if labels.dtype.kind == "U":
        labels = _composed(labels)
    if labels.dtype.kind not in "buifU":
        raise DataError(
            f"{name}: expected labels that are whole numbers or names, found {labels.dtype}"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 and (labels.ndim != 2 or labels.dtype.kind == "U"):
        raise DataError(
            f"{name}: expected labels (n,), or one-hot (n, classes), found shape {labels.shape}"
        )
    if labels.ndim == 2:
        return _places_of_ones(labels, name), labels.shape[1]
    if labels.dtype.kind == "f":
        labels = labels.astype(np.float64)
        whole = np.isfinite(labels) & (labels == np.floor(labels)) & (np.abs(labels) < 2.0**53)
        if not whole.all():
            first = int(whole.argmin())
            raise DataError(
                f"{name}: expected labels that are whole numbers, found {labels[first]}"
                f" at position {first}"
            )
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "b":
        return labels.astype(np.int64), 2
    return labels, 0


def refuse_unreadable(labels: NDArray[Any], name: str) -> None:
    """Refuse names that are not in UTF-8: two of them may look alike."""
    if labels.dtype.kind != "U":
        return
    for name_of_class in np.unique(labels).tolist():
        if not is_unicode(name_of_class):
            found = name_of_class.encode("utf-8", "surrogateescape")
            raise DataError(
                f"{name}: expected names of classes in UTF-8, found {found!r}: save them so"
            )


def _composed(labels: NDArray[Any]) -> NDArray[Any]:
    """Names in one form each."""
    unique, inverse = np.unique(labels, return_inverse=True)
    names = np.array([composed(name) for name in unique.tolist()], str)
    return names[inverse].reshape(labels.shape)


def _places_of_ones(labels: NDArray[Any], name: str) -> NDArray[np.int64]:
    one_hot = ((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1)
    if not one_hot.all():
        first = int(one_hot.argmin())
        raise DataError(
            f"{name}: expected one-hot rows, a single 1 among zeros, as an image has one class,"
            f" found {labels[first].tolist()!s:.80} at position {first}"
        )
    return np.asarray(labels.argmax(axis=1), np.int64)
