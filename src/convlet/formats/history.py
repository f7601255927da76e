"""History files: a row an epoch, as JSON Lines or CSV, written line by line and read strictly."""

import csv
import io
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, fields
from math import isfinite, isnan
from pathlib import Path
from typing import Any, get_type_hints

from convlet.errors import DataError
from convlet.files.streams import open_regular, read_up_to
from convlet.run import History, Row

Cells = dict[str, Any]
"""One row before it is checked: name -> value."""

MAX_BYTES = 1 << 26
"""Of a history file: a hundred thousand epochs fit."""
NAMES = tuple(field.name for field in fields(Row))
TYPES = get_type_hints(Row)


def json_line(row: Row) -> str:
    """One object on one line.  A number that is not finite, unknown to JSON, becomes null."""
    record = {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(row).items()
    }
    return json.dumps(record, allow_nan=False) + "\n"


def csv_header() -> str:
    """The first line of a CSV file."""
    return _csv_line(NAMES)


def csv_line(row: Row) -> str:
    """One line; an empty cell stands for None."""
    return _csv_line("" if value is None else repr(value) for value in asdict(row).values())


def read_json_lines(path: Path, whole: bool = True) -> History:
    """The rows of a file of `json_line`, or of the output of `convlet train --json`.

    whole: refuse a last line without its end; otherwise drop it: a process was killed there.
    Raises `FileError`, `DataError` that names file and line.
    """
    return _history(path, _json_rows(path, whole))


def read_csv(path: Path, whole: bool = True) -> History:
    """The rows of a file of `csv_header` and `csv_line`.  whole, raises: as `read_json_lines`."""
    return _history(path, _csv_rows(path, whole))


def _lines(path: Path, whole: bool) -> list[str]:
    """The lines of a text file."""
    with open_regular(path) as file:
        data = bytes(read_up_to(file, MAX_BYTES + 1))
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES} bytes, found more")
    *lines, rest = data.split(b"\n")
    if rest and whole:
        raise _wrong(path, len(lines) + 1, "a whole line", "a file that ends inside it")
    texts = []
    for number, line in enumerate(lines, start=1):
        try:
            texts.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError:
            raise _wrong(path, number, "text in UTF-8", "other bytes") from None
    return texts


def _json_rows(path: Path, whole: bool) -> list[tuple[int, Cells]]:
    """Line number and cells of every row."""
    rows = []
    lines = _lines(path, whole)
    for number, line in enumerate(lines, start=1):
        try:
            cells = json.loads(
                line, object_pairs_hook=_without_twins, parse_constant=_refuse_constant
            )
        except (ValueError, RecursionError) as error:
            raise _wrong(path, number, "a JSON object", str(error)) from None
        if not isinstance(cells, dict):
            raise _wrong(path, number, "a JSON object", type(cells).__name__)
        if number == len(lines) and "model" in cells and "epoch" not in cells:
            break  # the last line of `convlet train --json`
        rows.append((number, cells))
    return rows


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word}, which is no JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> Cells:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name that is there twice")
    return dict(pairs)


def _csv_rows(path: Path, whole: bool) -> list[tuple[int, Cells]]:
    """Line number and cells of every row."""
    lines = _lines(path, whole)
    header = lines[0].split(",") if lines else []
    if len(set(header)) != len(header) or not set(header) >= set(NAMES):
        raise _wrong(path, 1, f"the header {','.join(NAMES)}", repr(lines[0] if lines else ""))
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")
        if len(cells) != len(header):
            raise _wrong(path, number, f"{len(header)} cells", f"{len(cells)}")
        values = {name: _number(cell) for name, cell in zip(header, cells, strict=True)}
        rows.append((number, values))
    return rows


def _number(cell: str) -> int | float | str | None:
    """An empty cell as None, a number as a number, anything else as it is."""
    if cell == "":
        return None
    if re.fullmatch(r"[0-9]{1,18}", cell):
        return int(cell)
    if re.fullmatch(r"-?([0-9.]+(e[+-]?[0-9]+)?|inf|nan)", cell):
        with suppress(ValueError):  # two points
            return float(cell)
    return cell


def _history(path: Path, rows: list[tuple[int, Cells]]) -> History:
    """Checked rows, their epochs in order."""
    history: list[Row] = []
    for number, cells in rows:
        row = _row(path, number, cells)
        if history and row.epoch <= history[-1].epoch:
            raise _wrong(path, number, f"an epoch after {history[-1].epoch}", f"{row.epoch}")
        history.append(row)
    return History(history)


def _row(path: Path, number: int, cells: Cells) -> Row:
    """Cells of one line as a Row.  Raises `DataError`."""
    for name in cells:
        if name not in NAMES:
            raise _wrong(path, number, f"the names {', '.join(NAMES)}", repr(name))
    for name in NAMES:
        if name not in cells:
            raise _wrong(path, number, name, "a row without it")
    values: Cells = {}
    for name, value in cells.items():
        kind = TYPES[name]
        if kind is float and value is None:
            value = float("nan")  # what JSON cannot say
        expected = "a whole number" if kind is int else "a number"
        fits = isinstance(value, int if kind is int else int | float) or (
            value is None and kind not in (int, float)
        )
        too_large = isinstance(value, int) and abs(value) >= 1 << 63
        if isinstance(value, bool) or not fits or too_large:
            raise _wrong(path, number, f"{name} to be {expected}", f"{value!r:.50}")
        values[name] = value if value is None or kind is int else float(value)
    row = Row(**values)
    if row.epoch < 1:
        raise _wrong(path, number, "an epoch from 1", f"{row.epoch}")
    for name, limit in (("validation_accuracy", 1.0), ("seconds", float("inf"))):
        value = values.get(name)
        if value is not None and not isnan(value) and not 0 <= value <= limit:
            raise _wrong(path, number, f"{name} from 0 to {limit:g}", f"{value}")
    return row


def _wrong(path: Path, line: int, expected: str, found: str) -> DataError:
    return DataError(f"{path}, line {line}: expected {expected}, found {found[:200]}")


def _csv_line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
