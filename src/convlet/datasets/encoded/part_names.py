"""What the names of folders say of the images in them: which part, or that they have no class."""

import re
from collections.abc import Mapping
from itertools import combinations

from convlet.datasets.naming import PARTS, ROLES, Part

NAMES: dict[str, Part] = {
    **PARTS,
    "dev": "validation",
    "eval": "test",
    "trainset": "train",
    "testset": "test",
    "valset": "validation",
}
"""Words for a part, in the names of folders."""
UNLABELLED = frozenset(("pred", "prediction", "predictions", "unlabeled", "unlabelled"))
"""Words for a folder of images that have no class."""
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def part_in(name: str) -> Part | None:
    """The part that a name speaks of."""
    found = [NAMES[word] for word in _words(name) if word in NAMES]
    return found[-1] if found else None


def without_part(name: str) -> tuple[str, ...]:
    """What a name says else: seg of seg_train."""
    return tuple(word for word in _words(name) if word not in NAMES)


def sure_parts(called: Mapping[str, Part]) -> set[str]:
    """The folders whose names leave no doubt: train, or seg_train beside seg_test."""
    alike = {
        top
        for one, other in combinations(called, 2)
        if called[one] != called[other] and without_part(one) == without_part(other)
        for top in (one, other)
    }
    return alike | {top for top in called if top.lower() in PARTS}


def called_as(folder: str, top: str) -> bool:
    """Whether a folder is called as the top folder around it, or speaks of the same part."""
    part = part_in(top)
    return folder.lower() == top.lower() or (part is not None and part_in(folder) == part)


def is_unlabelled(top: str, inside: set[str]) -> bool:
    """Whether a top folder, with these folders inside, says that its images have no class."""
    return not inside and not UNLABELLED.isdisjoint(_words(top))


def names_images(folder: str) -> bool:
    """Whether a name says no more than that images are in a folder, perhaps without a class."""
    return ROLES.get(folder.lower()) == "images" or not UNLABELLED.isdisjoint(_words(folder))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]
