"""The text form of a layer: how each number or choice in it is read, and how it is written.

A layer describes its text form once, as a `Form`; parser and printer both follow it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Word(NamedTuple):
    """One kind of word: text -> value, which raises `ValueError` with the reason, and back."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]


@dataclass(frozen=True)
class Form:
    """The text form of a layer: its name, words in a fixed order, then options by name.

    usage: for people.  Words and options are fields of the layer; an option that has the usual
    value is not written.
    """

    name: str
    usage: str
    sizes: Mapping[str, Word] = field(default_factory=dict)
    options: Mapping[str, Word] = field(default_factory=dict)

    def written(self, layer: Any, usual: Mapping[str, Any]) -> str:
        """The text of a layer; usual: value of each option that is not written."""
        words = [self.name]
        words += [word.write(getattr(layer, name)) for name, word in self.sizes.items()]
        for name, word in self.options.items():
            value = getattr(layer, name)
            if value != usual[name]:
                words += [name, word.write(value)]
        return " ".join(words)


def _whole(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", word):
        raise ValueError(f"{word!r} is not a whole number")
    return int(word)


def _pair(word: str) -> tuple[int, int]:
    if not re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9})?", word):
        raise ValueError(f"{word!r} is not a size such as 5 or 5x3")
    sides = [int(side) for side in word.split("x")]
    return sides[0], sides[-1]


def by(pair: tuple[int, int]) -> str:
    """(5, 3) as 5x3, (5, 5) as 5."""
    a, b = pair
    return str(a) if a == b else f"{a}x{b}"


def _share(word: str) -> float:
    if not re.fullmatch(r"[0-9]*\.?[0-9]+(e-?[0-9]{1,3})?", word):
        raise ValueError(f"{word!r} is not a number such as 0.5")
    return float(word)


def _padding(word: str) -> int | str:
    return word if word in ("same", "valid") else _whole(word)


def _conv_bias(word: str) -> str | None:
    if word not in ("channel", "position", "none"):
        raise ValueError(f"bias {word!r} is none of channel, position, none")
    return None if word == "none" else word


def _dense_bias(word: str) -> bool:
    if word != "none":
        raise ValueError(f"bias {word!r} is not none")
    return False


def _bias(value: str | bool | None) -> str:
    return str(value or "none")


WHOLE = Word(_whole, str)
PAIR = Word(_pair, by)
SHARE = Word(_share, repr)
PADDING = Word(_padding, str)
CONV_BIAS = Word(_conv_bias, _bias)
DENSE_BIAS = Word(_dense_bias, _bias)
