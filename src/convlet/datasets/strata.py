"""Images chosen so that each class keeps its share: held-out images, limits, folds.

Which ones is decided by counted randomness, keyed by the seed: who asks first changes nothing.
Images of one group stay together: then the shares are as near as whole groups come to them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlet.errors import InputError
from convlet.randomness import Purpose, permutation

Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Groups:
    """Images that belong together.

    names: of the groups, in the order of their first images.  of: (n,) the group of each image.
    counts: (groups, classes) images.
    """

    names: tuple[str, ...]
    of: Positions
    counts: Positions

    @classmethod
    def found(cls, labels: Positions, groups: Sequence[str]) -> "Groups":
        """Those of images with these labels (n,) and names of groups (n,)."""
        places: dict[str, int] = {}
        of = np.array([places.setdefault(name, len(places)) for name in groups], np.int64)
        counts = np.zeros((len(places), int(labels.max()) + 1), np.int64)
        np.add.at(counts, (of, labels), 1)
        return cls(tuple(places), of, counts)


def allotted(
    counts: Positions, total: int, least: int = 0, most: Positions | None = None
) -> Positions:
    """`total` places for classes of so many images each, by their shares (classes,).

    By the largest remainder; of equal ones the first class has it.  Each class gets at least
    `least`, if it has so many, and at most `most` (its images, if None); `total` is within both
    sums.
    """
    floor, ceiling = np.minimum(counts, least), counts if most is None else most
    exact = counts * (total / max(1, int(counts.sum())))
    places = np.clip(np.floor(exact).astype(np.int64), floor, ceiling)
    while (missing := total - int(places.sum())) != 0:
        step = 1 if missing > 0 else -1
        free = places < ceiling if step > 0 else places > floor
        wish = np.where(free, step * (exact - places), -np.inf)
        places[int(wish.argmax())] += step
    return np.asarray(places, np.int64)


def chosen(
    labels: Positions, count: int, seed: int, groups: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """(n,) true for `count` images, of each class its share, drawn by the seed.

    The others have an image of each class, if there are enough of them.  groups: of the images,
    (n,), of which whole ones are chosen, about `count` images.  Raises `InputError` where each
    group is the only one of a class.
    """
    counts = np.bincount(labels)
    spare = np.maximum(counts - 1, 0)
    places = allotted(counts, count, most=spare if count <= spare.sum() else counts)
    if groups is None:
        order = permutation(seed, Purpose.HOLD_OUT, 0, len(labels))
        return first_of_each(labels, order, places)
    found = Groups.found(labels, groups)
    order = permutation(seed, Purpose.HOLD_OUT, 0, len(found.names))
    held = whole_groups(found, order.tolist(), places)
    if not held.any():
        but = f"each of the {len(found.names)} groups is the only one of a class"
        raise InputError("count", count, but=but)
    return held


def first(labels: Positions, count: int) -> NDArray[np.bool_]:
    """(n,) true for `count` images, of each class its share and one at least, the first ones.

    All of them where there are no more.  Raises `InputError` where there are more classes.
    """
    counts = np.bincount(labels)
    classes = int((counts > 0).sum())
    if count < classes:
        raise InputError("count", count, f"{classes} or more: an image of each class")
    places = allotted(counts, min(count, len(labels)), least=1)
    return first_of_each(labels, np.arange(len(labels)), places)


def folds(
    labels: Positions, count: int, seed: int, groups: Sequence[str] | None = None
) -> Positions:
    """(n,) the fold of each image, 0 to count - 1: of each class every fold has its share.

    A class is dealt out in an order drawn by the seed, beginning where the one before it ended.
    groups: of the images, (n,), each in one fold.  Raises `InputError` for more folds than images,
    or groups, of a class.
    """
    found = None if groups is None else Groups.found(labels, groups)
    counts = np.bincount(labels) if found is None else (found.counts > 0).sum(axis=0)
    fewest = int(counts[counts > 0].min())
    if count > fewest:
        which = "images of the smallest class" if found is None else "groups of one of the classes"
        raise InputError("count", count, f"at most {fewest}, the {which}")
    if found is not None:
        order = permutation(seed, Purpose.HOLD_OUT, 0, len(found.names))
        return _dealt(found, order, count)[found.of]
    order = permutation(seed, Purpose.HOLD_OUT, 0, len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[by_class] = np.arange(len(labels)) % count
    return fold


def first_of_each(labels: Positions, order: Positions, places: Positions) -> NDArray[np.bool_]:
    """(n,) true for the first `places[k]` images of class k in this order."""
    mask = np.zeros(len(labels), np.bool_)
    for k in np.flatnonzero(places):
        mask[order[labels[order] == k][: places[k]]] = True
    return mask


def whole_groups(groups: Groups, order: Iterable[int], places: Positions) -> NDArray[np.bool_]:
    """(n,) true for the images of groups that fill `places[k]` of class k as well as they can.

    In this order, each that brings the classes nearer to their places; if none does, the one that
    leaves them nearest.  Never a group with the last images of a class: none, where all are such.
    """
    left = groups.counts.sum(axis=0)
    weights = 1 / np.maximum(left, 1)
    missing = places.astype(np.int64)
    held: list[int] = []
    nearest: tuple[float, int] | None = None
    for n in order:
        group = groups.counts[n]
        if ((left == group) & (group > 0)).any():
            continue
        # by how much sum(weights * missing**2) falls
        gain = float((weights * group * (2 * missing - group)).sum())
        if gain > 0:
            held.append(n)
            left, missing = left - group, missing - group
        elif not held and (nearest is None or gain > nearest[0]):
            nearest = gain, n
    if not held and nearest is not None:
        held = [nearest[1]]
    return np.isin(groups.of, held)


def _dealt(groups: Groups, order: Positions, count: int) -> Positions:
    """(groups,) the fold of each: the large ones first, each to where its classes are rarest.

    A fold does not get the last group of a class of which it has all the others, if another can.
    """
    totals = groups.counts.sum(axis=0)
    weights = 1 / np.maximum(totals, 1)
    have = np.zeros((count, len(totals)), np.int64)
    fold = np.empty(len(order), np.int64)
    for n in order[np.argsort(-groups.counts[order].sum(axis=1), kind="stable")]:
        group = groups.counts[n]
        whole = ((have + group == totals) & (group > 0)).any(axis=1)
        rarity = (have * (weights * group)).sum(axis=1)
        fold[n] = np.lexsort((have.sum(axis=1), rarity, whole))[0]
        have[fold[n]] += group
    return fold
