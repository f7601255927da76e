"""What people call their arrays and files: which part of the data, images or labels.

x_train, trainX, train_images, images_train, kmnist-train-imgs and their like.
"""

import re
from typing import Literal

Part = Literal["train", "validation", "test"]

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
"""What people call the parts of their data, in small letters."""
Role = Literal["images", "labels"]

ROLES: dict[str, Role] = {
    **dict.fromkeys(
        ("x", "images", "image", "imgs", "img", "data", "features", "pixels"), "images"
    ),
    **dict.fromkeys(("y", "labels", "label", "lbls", "targets", "target"), "labels"),
}
_PARTS: dict[str, Part] = {**PARTS, "dev": "validation"}  # a folder may well be called dev
_WORD = re.compile(r"t10k|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_GLUED = re.compile(rf"(?:([xy])({'|'.join(_PARTS)})|({'|'.join(_PARTS)})([xy]))")


def part_of(name: str) -> Part | None:
    """The part that a name speaks of, None if of none."""
    found = [_PARTS[word] for word in _words(name) if word in _PARTS]
    return found[-1] if found else None


def role_of(name: str, strict: bool = True) -> tuple[Part | None, Role] | None:
    """Part and role that a name speaks of.  strict: None where it has other words, too."""
    words = _words(name)
    roles = [ROLES[word] for word in words if word in ROLES]
    if not roles or (strict and any(word not in ROLES and word not in _PARTS for word in words)):
        return None
    return part_of(name), roles[-1]


def _words(name: str) -> list[str]:
    words: list[str] = []
    for word in map(str.lower, _WORD.findall(name)):
        if glued := _GLUED.fullmatch(word):
            words += [piece for piece in glued.groups() if piece]
        else:
            words.append("test" if word == "t10k" else word)
    return words
