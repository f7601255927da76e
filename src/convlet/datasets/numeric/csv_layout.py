"""Which column of a table of pixels is what, by its first line.

label,pixel0,pixel1,...     a column for each pixel; without names the first is the label
emotion,pixels,Usage        the pixels in one field, between blanks; Usage names the part

Names tell the order of the pixels, wherever their columns are: one number counts along the rows,
two are row and column.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import NamedTuple

from convlet.datasets.numeric.csv_rows import Lines

LABELS = ("label", "labels", "class", "target", "y", "emotion", "digit", "character")
NUMBERS = ("", "id", "index", "unnamed: 0", "imageid", "image_id")
TEXTS = ("pixels",)
USAGES = ("usage", "split", "set", "subset", "part")
FEWEST = 4  # pixels
_PIXEL = re.compile(r"([^0-9]*)([0-9]{1,9})(?:([x_,-])([0-9]{1,9}))?")


class Missing(Enum):
    """Why a table has no layout."""

    PIXELS = "pixels"
    LABELS = "labels"


class Disordered(NamedTuple):
    """Columns whose names do not say in which order their pixels are: what was found, in words."""

    found: str


@dataclass(frozen=True)
class Layout:
    """Which column is what.

    header: whether the first line is one.  width: fields in a line.  label: the column of labels,
    called so.  pixels: the columns of pixels in their order, or with text the one that holds all of
    them.  usage: the column that names the part.  sides: rows and columns of an image, by the
    header.  names: of the pixels, in their order, where a header has such.
    """

    header: bool
    width: int
    label: int
    called: str
    pixels: tuple[int, ...]
    text: bool = False
    usage: int | None = None
    sides: tuple[int, int] | None = None
    names: tuple[str, ...] = ()


def layout_of(lines: Lines) -> Layout | Missing | Disordered:
    """Of a table, by its first line; what is missing where it is none of pixels with labels."""
    fields = lines.fields()
    names = [field.lower() for field in fields]
    known = next((n for n, name in enumerate(names) if name in LABELS), None)
    text = next((n for n, name in enumerate(names) if name in TEXTS), None)
    words = sum(not is_number(field) for field in fields)
    if text is None and known is None and words <= 1:  # a label may be a name
        return _without_names(lines, fields)
    usage = next((n for n, name in enumerate(names) if name in USAGES), None)
    if text is not None:
        if known is None:
            return Missing.LABELS
        return Layout(True, len(names), known, fields[known], (text,), True, usage)
    others = {known, usage, *(n for n, name in enumerate(names) if name in NUMBERS)}
    columns = {name: n for n, name in enumerate(names) if n not in others}
    if len(columns) < FEWEST or not any(map(_PIXEL.fullmatch, columns)):
        return Missing.PIXELS
    order = _in_order(list(columns))
    if isinstance(order, Disordered):
        return order
    if len(columns) + len(others - {None}) < len(names):
        return Disordered("a name twice")
    if known is None:
        return Missing.LABELS
    pixels = tuple(columns[name] for name in order)
    sides = _sides(order)
    return Layout(True, len(names), known, fields[known], pixels, False, usage, sides, order)


def _without_names(lines: Lines, fields: Sequence[str]) -> Layout | Missing:
    """The first column is the label, after that of an index; the last where only that has words."""
    if len(fields) <= FEWEST:
        return Missing.PIXELS
    # 0, 0.1, 0.2, ...: what pandas makes of a first row of zeros that it takes for names
    zeros = any("." in field for field in fields) and all(
        field.isdigit() for field in lines.fields(lines.second)
    )
    index = int(fields[0] == "")
    counted = list(fields[index:]) == [str(n) for n in range(len(fields) - index)]  # so do columns
    if not is_number(fields[-1]) and all(map(is_number, fields[:-1])):
        last = len(fields) - 1
        return Layout(False, len(fields), last, str(last + 1), tuple(range(last)))
    called = fields[index] if zeros or counted else "1"
    label = index if counted else 0
    pixels = tuple(range(label + 1, len(fields)))
    return Layout(zeros or counted, len(fields), label, called, pixels)


def _in_order(names: Sequence[str]) -> tuple[str, ...] | Disordered:
    """Names of pixels by the numbers in them, all of one pattern, none left out."""
    found = {name: match for name in names if (match := _PIXEL.fullmatch(name))}
    patterns = Counter(match.group(1, 3) for match in found.values())
    (pattern, _), *_ = patterns.most_common(1)
    for name in names:
        if name not in found or found[name].group(1, 3) != pattern:
            example = next(name for name in found if found[name].group(1, 3) == pattern)
            return Disordered(f"{name} beside {example}")
    place = {name: _numbers(name) for name in names}
    lowest, highest = (
        tuple(end(numbers) for numbers in zip(*place.values(), strict=True)) for end in (min, max)
    )
    order = tuple(sorted(names, key=place.__getitem__))
    if len(set(place.values())) < len(names):
        return Disordered("a number twice")
    if prod(high - low + 1 for low, high in zip(lowest, highest, strict=True)) != len(names):
        return Disordered(f"{len(names)} of the columns {order[0]} to {order[-1]}")
    return order


def _sides(order: Sequence[str]) -> tuple[int, int] | None:
    """(rows, columns) of names 1x1, 1x2, ..., 28x28, in their order."""
    first, last = _numbers(order[0]), _numbers(order[-1])
    return None if len(first) == 1 else (last[0] - first[0] + 1, last[1] - first[1] + 1)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall("[0-9]+", name)))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
