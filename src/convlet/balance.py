"""Weights of classes: omega of (13) for every image, from a weight for its class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convlet.arrays import as_sample_weight
from convlet.equations import Array, Float64
from convlet.errors import InputError
from convlet.wording import composed, listed

BALANCED = "balanced"
EXPECTED = "'balanced', or a dict of classes with their weights"

ClassWeight = str | tuple[tuple[str | int, float], ...]
"""In normal form: "balanced", or pairs of a class, its name or number, and its weight."""


def parsed(text: str, name: str = "class_weight") -> ClassWeight:
    """Weights of classes from text: "balanced", or as in "cat=2, dog=0.5".  Raises `InputError`."""
    if text.strip() == BALANCED:
        return BALANCED
    pairs: list[tuple[str, float]] = []
    for part in text.split(","):
        key, equals, number = (word.strip() for word in part.rpartition("="))
        try:
            if not (key and equals):
                raise ValueError
            pairs.append((key, float(number)))
        except ValueError:
            expected = 'balanced, or each class once, as in "cat=2, dog=0.5"'
            raise InputError(name, text, expected) from None
    found = as_class_weight(pairs, name)
    assert found is not None
    return found


def as_class_weight(value: Any, name: str = "class_weight") -> ClassWeight | None:
    """Weights of classes in normal form, or None.

    value: None; "balanced", by which all classes have the same weight in sum, n / (classes that
    occur * images of the class), as in scikit-learn; a mapping from classes, their numbers or
    names, to finite numbers of 0 or more, or such pairs.  A class that is not named has 1.  Raises
    `InputError`.
    """
    if value is None or (isinstance(value, str) and value == BALANCED):
        return value
    pairs = value.items() if isinstance(value, Mapping) else value
    if isinstance(pairs, str) or not _are_pairs(pairs):
        raise InputError(name, value, EXPECTED)
    weights: dict[str | int, float] = {}
    for key, weight in pairs:
        if isinstance(key, bool) or not isinstance(key, str | int | np.integer):
            raise InputError(name, key, "a number or name of a class", found=f"names {key!r}")
        known = key if isinstance(key, str) else int(key)
        if known in weights:
            raise InputError(name, key, "each class once", found=f"has {key!r} twice")
        weights[known] = as_weight(key, weight, name)
    return tuple(weights.items())


def as_weight(key: Any, weight: Any, name: str = "class_weight") -> float:
    """The weight of the class `key`.  Raises `InputError`."""
    number = isinstance(weight, int | float | np.integer | np.floating)
    if not number or isinstance(weight, bool) or not 0 <= weight < np.inf:
        expected = "a finite number of 0 or more"
        raise InputError(name, weight, expected, subject=f"{name}[{key!r}]")
    return float(weight)


def described(value: ClassWeight) -> str:
    """For people, as balanced, or cat 2, dog 0.5."""
    if isinstance(value, str):
        return value
    return listed([f"{key} {weight:g}" for key, weight in value])


def by_class(
    value: ClassWeight | None, targets: Array, count: int, names: Sequence[str] | None = None
) -> Float64 | None:
    """The weight of each class, (count,), or None.

    targets: (n,) classes or (n, count) distributions.  names: of the classes.  Raises `InputError`
    for a class that nobody knows, and where nothing that occurs has a weight.
    """
    if value is None:
        return None
    images = _images(targets, count)
    if isinstance(value, str):
        there = images > 0
        weights = np.zeros(count)
        weights[there] = images.sum() / (there.sum() * images[there])
        return weights
    weights = np.ones(count)
    named: set[int] = set()
    for key, weight in value:
        k = _class(key, count, names)
        if k in named:
            raise InputError("class_weight", key, "each class once", found=f"has {key!r} twice")
        named.add(k)
        weights[k] = weight
    if not (weights[images > 0] > 0).any():
        expected = "a weight above 0 for a class that occurs"
        raise InputError("class_weight", dict(value), expected)
    return weights


def omega(weights: Float64 | None, targets: Array, sample_weight: Array | None) -> Array | None:
    """Omega of (13) as float32 (n,): the weight of an image's class times its own.

    targets: (n,) classes, or distributions (n, classes), of which it is the mean weight.  Raises
    `InputError` for numbers that float32 does not hold.
    """
    if weights is None:
        return sample_weight
    of_class = weights[targets] if targets.ndim == 1 else targets.astype(np.float64) @ weights
    own = 1 if sample_weight is None else sample_weight.astype(np.float64)
    return as_sample_weight(of_class * own, len(targets), "class_weight")


def _are_pairs(value: Any) -> bool:
    try:
        return all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in value)
    except TypeError:
        return False


def _images(targets: Array, count: int) -> Float64:
    """Images of each class, (count,); a distribution counts for each class by its share."""
    if targets.ndim == 1:
        return np.bincount(targets, minlength=count).astype(np.float64)
    return np.asarray(targets.sum(axis=0, dtype=np.float64))


def _class(key: str | int, count: int, names: Sequence[str] | None) -> int:
    if isinstance(key, str) and names is not None:
        forms = [composed(name) for name in names]
        if composed(key) in forms:
            return forms.index(composed(key))
    if isinstance(key, int) and 0 <= key < count:
        if names is not None and str(key) in names and names[key] != str(key):
            but = f"the class in place {key} is called {names[key]!r}, and another one {str(key)!r}"
            raise InputError("class_weight", key, but=but, hint="write names, as text")
        return key
    known = f"a number 0 to {count - 1}"
    if names is not None:
        known += f", or a name: {listed(names)}"
    raise InputError("class_weight", key, known, found=f"names the class {key!r}")
