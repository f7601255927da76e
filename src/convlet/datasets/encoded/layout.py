"""What the paths of images mean: which part of the data, which class.

cat/a.jpg                  a folder for each class, files at any depth below it
train/cat/a.jpg            parts above the classes: train, test, validation
cat/train/a.jpg            or below them
photos/cat/a.jpg           one folder around everything has no meaning
train/photos/cat/a.jpg     nor one around everything in a part

Folders whose names have other words, too, are parts where they show it: seg_train and seg_test, or
any that hold the same classes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from convlet.datasets.encoded.part_names import (
    NAMES,
    called_as,
    is_unlabelled,
    names_images,
    part_in,
    sure_parts,
    without_part,
)
from convlet.datasets.encoded.source import Entry
from convlet.datasets.naming import PARTS, Part
from convlet.errors import DataError
from convlet.inputs import is_unicode
from convlet.wording import composed, count, listed

Names = tuple[str, ...]
"""Those in the path of an image: of folders, and of its file."""

MOST_NAMED = 3  # folders, in a sentence


def labelled(name: str, paths: Sequence[str]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """An entry for each image that has a class, and what a reader should know of the others.

    name: of the folder, for messages.  Raises `DataError` for a layout that has no single meaning.
    """
    split: list[Names] = [tuple(composed(path).split(os.sep)) for path in paths]
    above = _around(split)
    inner = [path[above:] for path in split]
    for path in inner:
        if len(path) == 1:
            raise _beside(name, path)
    bare = _unwrapped(inner)
    parts = _parts(name, bare, inner)
    said: tuple[str, ...] = ()
    found: list[tuple[str, Names, Part | None]]
    if parts:
        loose = {path[0] for path in bare if len(path) == 2}
        without = sum(path[0] in loose for path in bare)
        if without:
            said = (
                f"{count(without, 'image')} without a class left out in {', '.join(sorted(loose))}",
            )
        found = [
            (path, names[1:], parts[names[0]])
            for path, names in zip(paths, bare, strict=True)
            if names[0] not in loose
        ]
    elif _parts_below(name, inner):
        found = [
            (path, (names[0], *names[2:]), NAMES[names[1].lower()])
            for path, names in zip(paths, inner, strict=True)
        ]
    else:
        found = [(path, names, None) for path, names in zip(paths, inner, strict=True)]
        said = (*_alike_inside(inner), *_called_like_parts(inner))
    labels = {names[0] for _, names, _ in found}
    for label in sorted(labels):
        if not is_unicode(label):
            raise DataError(
                f"{name}: expected class folders with names in valid Unicode, found {label!r}:"
                " rename it"
            )
    for image, names, _ in found:
        inside = (labels - {names[0]}).intersection(names[1:-1])
        if inside:
            raise DataError(
                f"{os.path.join(name, image)}: expected images of one class, found the folder of a"
                f" class, {inside.pop()}, inside of another, {names[0]}: delete it if it is a copy,"
                " else move or rename it"
            )
    return tuple(Entry(path, names[0], part) for path, names, part in found), said


def _around(paths: Sequence[Names]) -> int:
    """How many folders are around everything: they neither are classes nor parts."""
    above = 0
    while all(len(path) > above + 2 for path in paths):
        names = {path[above] for path in paths}
        if len(names) > 1 or names.pop().lower() in PARTS:
            break
        above += 1
    return above


def _unwrapped(paths: Sequence[Names]) -> list[Names]:
    """Without the folder that is around everything in a top folder, where it is no class.

    That is one called as the top folder or its part (train/train, test/test), one of the same
    name in all (train/images, test/images) that holds folders, and one around images without a
    class (test/images beside the classes in train).
    """
    inside = _inside(paths)
    direct = {path[0] for path in paths if len(path) == 2}
    alone = {top: next(iter(names)) for top, names in inside.items() if len(names) == 1}
    alone = {top: folder for top, folder in alone.items() if top not in direct}
    several = {folder for top, names in inside.items() if top not in alone for folder in names}
    parts = {top for top in inside if part_in(top) is not None}
    divided = any(len(inside[top]) > 1 for top in parts)
    deeper = _inside(path[1:] for path in paths if alone.get(path[0]) == path[1])
    around = {
        top: folder
        for top, folder in alone.items()
        if folder not in several
        and (
            called_as(folder, top)
            or (top in parts and len(deeper[folder]) > 1)
            or (top in parts and divided and not deeper[folder] and names_images(folder))
        )
    }
    return [(path[0], *path[2:]) if path[0] in around else path for path in paths]


def _parts(name: str, paths: Sequence[Names], shown: Sequence[Names]) -> Mapping[str, Part | None]:
    """The part that each top folder is, None for one without classes; nothing if they are classes.

    shown: the paths for messages.
    """
    inside = _inside(paths)
    flat = {path[0]: other for path, other in zip(paths, shown, strict=True) if len(path) == 2}
    called = {top: part for top in inside if (part := part_in(top)) is not None}
    divided = any(inside[top] for top in called)
    left = {top for top in inside.keys() - called if divided and is_unlabelled(top, inside[top])}
    others = sorted(inside.keys() - called.keys() - left)
    exact = {top for top in called if top.lower() in PARTS}
    if others:
        twins = any(_alike(inside[top], inside[other]) for top in called for other in others)
        sure = sure_parts(called)
        whole = sure - flat.keys()
        loose = not any(inside[other] for other in others)
        several = len({called[top] for top in sure}) > 1
        if whole and loose and several and not all(inside[top] for top in sure):
            left.update(others)
        elif twins or (whole and (loose or several)) or _share_classes(inside, called):
            raise DataError(
                f"{name}: expected parts ({', '.join(sorted(called))}) or classes, found"
                f" {others[0]} beside the parts: move it elsewhere, or rename what is a class and"
                " called like a part"
            )
        else:
            return {}
    if exact != called.keys() and not left and not _share_classes(inside, called):
        same = len({without_part(top) for top in called}) == 1
        if not same or len(set(called.values())) < 2:
            return {}
    for top in sorted(flat.keys() - left):  # an image of no class: is there one in the whole part?
        if inside[top] or called[top] == "train" or not divided:
            raise _beside(name, flat[top])
    by_part: dict[Part, str] = {}
    for top, part in sorted(called.items()):
        if part in by_part:
            raise DataError(
                f"{name}: expected one folder of {part} images, found {by_part[part]} and {top}:"
                " keep one of them"
            )
        by_part[part] = top
    return {**called, **dict.fromkeys(left)}


def _alike_inside(paths: Sequence[Names]) -> Iterator[str]:
    """What is said where perhaps the inner folders are the classes, and the outer ones persons."""
    inside = _inside(paths)
    outer, inner = sorted(inside), next(iter(inside.values()))
    if len(inner) > 1 and all(names == inner for names in inside.values()):
        yield (
            f"the classes are the outer folders ({listed(outer, MOST_NAMED)}), not those in each of"
            f" them ({listed(sorted(inner), MOST_NAMED)})"
        )


def _called_like_parts(paths: Sequence[Names]) -> Iterator[str]:
    """What is said where a class is called like a part, and has folders as one has."""
    inside = _inside(paths)
    for top in sorted(inside):
        if top.lower() in PARTS and inside[top]:
            others = listed(sorted(inside.keys() - {top}), MOST_NAMED)
            yield f"{top} is a class, as {others} beside it: folders inside of it have no meaning"


def _inside(paths: Iterable[Names]) -> dict[str, set[str]]:
    """The folders with images in each top folder."""
    found: dict[str, set[str]] = {}
    for path in paths:
        found.setdefault(path[0], set()).update(path[1:2] if len(path) > 2 else ())
    return found


def _share_classes(inside: Mapping[str, set[str]], tops: Iterable[str]) -> bool:
    """Whether two of these folders hold the same classes."""
    return any(_alike(inside[one], inside[other]) for one, other in combinations(tops, 2))


def _alike(one: set[str], other: set[str]) -> bool:
    """Whether two folders hold the same classes: one name in common may be chance."""
    return len(one & other) > 1


def _parts_below(name: str, paths: Sequence[Names]) -> bool:
    """Whether every class is divided into parts, each in its own folder."""
    called = [path for path in paths if len(path) > 2 and path[1].lower() in NAMES]
    if len({NAMES[path[1].lower()] for path in called}) < 2:
        return False
    if len(called) < len(paths):
        odd = next(path for path in paths if len(path) == 2 or path[1].lower() not in NAMES)
        raise DataError(
            f"{name}: expected every image below a part ({called[0][0]}/{called[0][1]}, ...), found"
            f" {os.sep.join(odd)}: move it into one"
        )
    return True


def _beside(name: str, path: Names) -> DataError:
    return DataError(
        f"{os.path.join(name, *path)}: expected images in one folder for each class, found one"
        " beside them"
    )
