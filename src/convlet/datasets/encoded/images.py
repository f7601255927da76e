"""Encoded images as a data set: looked at, prepared in one way, divided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset, Split
from convlet.datasets.division import divided, groups_of, main_part, shared_groups
from convlet.datasets.encoded.choice import choose, resized, words
from convlet.datasets.encoded.image_cache import decoded
from convlet.datasets.encoded.levels import said_of_levels
from convlet.datasets.encoded.looking import survey
from convlet.datasets.encoded.source import Entry, Progress, Source
from convlet.datasets.figure import PLACED, are_figures, some_of
from convlet.datasets.labels import alike, sorted_classes
from convlet.datasets.naming import Part
from convlet.datasets.taking import taken
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError
from convlet.preparation import Preparation
from convlet.progress import counted
from convlet.wording import count

MOST_NAMED = 20  # damaged files in a message
AT_ONCE = 1 << 12  # images that are compared
DARK_FIGURES = "figures are dark on light: inverted, as those of MNIST are bright on black"


def load_images(name: str, source: Source, wishes: Wishes) -> Dataset:
    """The data set of a source of images.

    Raises `DataError`, `FileError`, `MissingDependencyError`.
    """
    main = main_part(source.parts, wishes, source.name)
    if wishes.judged:
        source = source.only(main)
    with counted(wishes.progress) as progress:
        found = survey(source, progress)
        if len(found.damaged) == found.images:
            _refuse_damaged(source, found.damaged)
        preparation = wishes.preparation or choose(found, wishes.size, wishes.colour, wishes.fit)
        said = [words(found, preparation, source.others), *source.said]
        pools = _pools(source, preparation, progress)
        ground = None if wishes.has_fit or resized(found, preparation) else _ground(pools[main])
        if ground is not None:
            how = replace(preparation, fit="figure")
            placed = _pools(source, how, progress)
            if all(_are_same(pools[part], placed[part], ground) for part in pools):
                preparation, pools = how, placed
                said += [DARK_FIGURES, PLACED] if ground else [PLACED]
        said += dict.fromkeys(note for pool in pools.values() for note in pool.said)
    lost = {pool.entries[n].path: why for pool in pools.values() for n, why in pool.damaged.items()}
    if not wishes.skip_damaged or not pools[main].whole:
        _refuse_damaged(source, lost)
    if lost:
        said.append(f"{count(len(lost), 'damaged image')} left out: {', '.join(sorted(lost))}")
    deep = found.deep > 0 and found.deep + len(found.damaged) == found.images
    for part, pool in pools.items():
        called = f"{source.name} ({part})" if part else source.name
        said += filter(None, [said_of_levels(called, pool.chosen, deep)])
    classes = source.classes or sorted_classes(pools[main].labels)
    said += alike(classes)
    for part, pool in pools.items():
        _refuse_unknown(source, part, pool.labels, classes)
    splits = {part: pool.split(classes) for part, pool in pools.items()}
    if wishes.group_by is not None:
        said += shared_groups(splits, wishes.group_by)
    if wishes.group_by is not None and main in ("train", None):
        groups = groups_of(splits[main].names or (), wishes.group_by, source.name)
        splits[main] = replace(splits[main], groups=groups)
    data = divided(name, source.name, splits, classes, wishes, said, preparation)
    return replace(data, survey=found)


@dataclass(frozen=True)
class _Pool:
    """The images of one part, and what is wrong with some of them."""

    entries: tuple[Entry, ...]
    images: NDArray[np.uint8]
    damaged: Mapping[int, str]
    said: tuple[str, ...] = ()

    @property
    def whole(self) -> list[int]:
        """The positions of those that are not damaged."""
        return [n for n in range(len(self.entries)) if n not in self.damaged]

    @cached_property
    def chosen(self) -> NDArray[np.uint8]:
        """The images that are not damaged."""
        return taken(self.images, np.array(self.whole, np.int64))

    @property
    def labels(self) -> set[str]:
        """The classes of those."""
        return {self.entries[n].label for n in self.whole}

    def split(self, classes: Sequence[str]) -> Split:
        """Those, with positions in the classes for labels."""
        number = {label: k for k, label in enumerate(classes)}
        chosen = [self.entries[n] for n in self.whole]
        labels = np.array([number[entry.label] for entry in chosen], np.int64)
        return Split(self.chosen, labels, tuple(entry.path for entry in chosen))


def _pools(
    source: Source, preparation: Preparation, progress: Progress
) -> dict[Part | None, _Pool]:
    """The images of each part, prepared."""
    pools = {}
    for part in sorted(source.parts, key=str):  # each a run of its own file
        members = source.only(part)
        images, damaged, said = decoded(members, preparation, progress)
        pools[part] = _Pool(members.entries, images, damaged, said)
    return pools


def _ground(pool: _Pool) -> int | None:
    """The level around figures as those of MNIST: 0 for bright ones, 255; None for other images."""
    if pool.images.shape[3] != 1 or not pool.whole:
        return None
    some = some_of(pool.chosen)
    return next((ground for ground in (0, 255) if are_figures(some ^ np.uint8(ground))), None)


def _are_same(plain: _Pool, placed: _Pool, ground: int) -> bool:
    """Whether the images of a pool, inverted where they are dark on 255, are all in place."""
    return all(
        np.array_equal(plain.images[some] ^ np.uint8(ground), placed.images[some])
        for some in (slice(n, n + AT_ONCE) for n in range(0, len(plain.images), AT_ONCE))
    )


def _refuse_unknown(
    source: Source, part: Part | None, labels: set[str], classes: Sequence[str]
) -> None:
    unknown = sorted(labels - set(classes))
    if unknown:
        raise DataError(
            f"{source.name}: expected classes of the training images in the {part} part, found"
            f" {unknown[0]!r}: rename it, or move it away"
        )


def _refuse_damaged(source: Source, damaged: Mapping[str, str]) -> None:
    if not damaged:
        return
    wrong = [f"{path}: {why}" for path, why in sorted(damaged.items())]
    shown = "; ".join(wrong[:MOST_NAMED])
    more = f"; and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    raise DataError(
        f"{source.name}: {count(len(wrong), 'damaged image')}: {shown}{more}; mend or delete them,"
        " or leave them out by skip_damaged=True (--skip-damaged)"
    )
