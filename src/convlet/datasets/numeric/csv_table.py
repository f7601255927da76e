"""The numbers of a table of pixels: images (n, pixels), labels, parts where a column tells them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.naming import Part, part_of
from convlet.datasets.numeric.arrays import Pair, held
from convlet.datasets.numeric.csv_layout import FEWEST, Layout, is_number
from convlet.datasets.numeric.csv_rows import Lines, rows_of, smallest, split_rows
from convlet.errors import DataError
from convlet.files.streams import MAX_BYTES

FER2013: dict[str, Part] = {
    "training": "train",
    "publictest": "validation",
    "privatetest": "test",
}


class Table(NamedTuple):
    """A file.  pixels: numbers of an image."""

    path: Path
    layout: Layout
    pixels: int
    parts: dict[Part | None, Pair]


def read_table(lines: Lines, layout: Layout, part: Part | None) -> Table:
    """The images and labels of a table; part: of all of them, unless a column tells it."""
    pixels: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    usages: list[str] = []
    taken = 0
    for number, block in lines.blocks(layout.header):
        for x, y, usage in _pieces(lines.path, layout, number, block):
            if pixels and x.shape[1] != pixels[0].shape[1]:
                raise DataError(
                    f"{lines.path}: expected {pixels[0].shape[1]} pixels in each row, found"
                    f" {x.shape[1]} near line {number}"
                )
            pixels.append(x)
            labels.append(y)
            usages += usage
            taken += x.nbytes
            if taken > MAX_BYTES:
                raise DataError(f"{lines.path}: expected at most {MAX_BYTES} bytes of pixels")
    if not pixels:
        raise DataError(f"{lines.path}: expected a row for each image, found none")
    x, y = np.concatenate(pixels), _labels(labels)
    path, width = Path(lines.path), x.shape[1]
    if layout.usage is None:
        pair = Pair(held(x, lines.path), held(y, f"{lines.path}[{layout.called}]"))
        return Table(path, layout, width, {part: pair})
    found: dict[Part | None, Pair] = {}
    for called_so in sorted(set(usages)):
        key = FER2013.get(called_so.lower()) or part_of(called_so)
        if key is None or key in found:
            raise DataError(
                f"{lines.path}: expected the name of a part (train, validation, test) in the column"
                f" {lines.fields()[layout.usage]}, found {called_so!r}"
            )
        chosen = np.array([other == called_so for other in usages])
        where = f"{lines.path}[{called_so}]"
        found[key] = Pair(held(x[chosen], where), held(y[chosen], f"{where}[{layout.called}]"))
    return Table(path, layout, width, found)


def _pieces(
    path: str, layout: Layout, number: int, block: bytes
) -> Iterator[tuple[NDArray[Any], NDArray[Any], list[str]]]:
    """Pixels, labels and parts of some lines."""
    if not block.strip():  # blank lines, however many
        return
    if not layout.text and layout.usage is None:
        block_rows = rows_of(block, layout.width)
        if block_rows is not None:
            first, end = layout.pixels[0], layout.pixels[0] + len(layout.pixels)
            run = layout.pixels == tuple(range(first, end))
            x = block_rows[:, first:end] if run else block_rows[:, layout.pixels]
            yield smallest(x), block_rows[:, layout.label], []
            return
    rows = []
    for place, fields in split_rows(block, number):
        if len(fields) != layout.width:
            raise DataError(
                f"{path}: expected {layout.width} fields in each line, found {len(fields)} in line"
                f" {place}"
            )
        rows.append((place, fields))
    if not rows:
        return
    usages = [] if layout.usage is None else [fields[layout.usage] for _, fields in rows]
    y = np.array([fields[layout.label] for _, fields in rows])
    if layout.text:
        x = _text_pixels(path, [(place, fields[layout.pixels[0]]) for place, fields in rows])
    else:
        x = np.stack(
            [_numbers(path, place, [fields[n] for n in layout.pixels]) for place, fields in rows]
        )
    yield x, y, usages


def _text_pixels(path: str, texts: Sequence[tuple[int, str]]) -> NDArray[Any]:
    words = [text.split() for _, text in texts]
    width = len(words[0])
    for (place, _), row in zip(texts, words, strict=True):
        if len(row) != width or width < FEWEST:
            raise DataError(
                f"{path}: expected {max(width, FEWEST)} pixels in each line, found {len(row)} in"
                f" line {place}"
            )
    fast = rows_of("\n".join(map(",".join, words)).encode("utf-8", "surrogateescape"), width)
    if fast is not None:
        return smallest(fast)
    return np.stack(
        [_numbers(path, place, row) for (place, _), row in zip(texts, words, strict=True)]
    )


def _numbers(path: str, place: int, fields: Sequence[str]) -> NDArray[np.float32]:
    try:
        return np.array(fields, np.float64).astype(np.float32)
    except ValueError:
        wrong = next((field for field in fields if not is_number(field)), "")
        raise DataError(
            f"{path}: expected numbers as pixels, found {wrong[:40]!r} in line {place}"
        ) from None


def _labels(pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Whole numbers if all of them are, else text."""
    if all(piece.dtype.kind == "i" for piece in pieces):
        return np.concatenate(pieces)
    texts = np.concatenate([piece.astype(str) for piece in pieces])
    if all(re.fullmatch(r"-?[0-9]{1,15}(\.0*)?", text) for text in texts.tolist()):
        return texts.astype(np.float64).astype(np.int64)
    return texts
