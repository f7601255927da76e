"""How every command speaks: plain lines, tables, JSON lines, warnings and errors of one line."""

import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from convlet.formats.json_values import finite
from convlet.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAP = 2
"""Columns between two of a table."""


def say(text: object = "") -> None:
    """One line of the answer on stdout, at once: who reads a pipe sees it when it happens."""
    print(printable(text), flush=True)


def say_json(record: Mapping[str, Any]) -> None:
    """One object on one line of stdout.  NaN and infinity, unknown to JSON, become null."""
    print(json.dumps(finite(record), allow_nan=False), flush=True)


def warn(message: object) -> None:
    """One line on stderr."""
    print(f"convlet: warning: {_joined(message)}", file=sys.stderr, flush=True)


def fail(message: object) -> int:
    """One line on stderr -> the exit status of an error."""
    print(f"convlet: error: {_joined(message)}", file=sys.stderr, flush=True)
    return 2


def _joined(message: object) -> str:
    return printable(" ".join(str(message).splitlines()))


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, Python's warnings are one line each, without the place in the source."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: warn(message)
        yield


def console() -> "Console":
    """A rich console on stdout that prints names as they are: no markup, emoji, guessed colours."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # `main` ends quietly; rich would end with status 1

    return Plain(markup=False, emoji=False, highlight=False)


def is_live() -> bool:
    """Whether stdout is a terminal that can draw a line again."""
    from convlet.progress import can_redraw

    return can_redraw(console())


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], align: str, less: Sequence[str] = ()
) -> None:
    """A table on stdout.

    align: one of "<", ">" for each column; ">" is for numbers, which are never broken.  rows: a
    cell for each column, or () for a rule.  less: columns that a narrow terminal does without, the
    first one first.
    """
    screen = console()
    screen.print(table_of(header, rows, align, less, screen.width))


def table_of(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    align: str,
    less: Sequence[str],
    width: int,
) -> "Table":
    """The table that `print_table` prints, of so many columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [[printable(cell) for cell in row] for row in rows]
    kept = _columns(header, cells, align, less, width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for n in kept:
        number = align[n] == ">"
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(Text(header[n]), justify=justify, no_wrap=number, overflow="fold")
    for row in cells:
        if row:
            table.add_row(*(Text(row[n]) for n in kept))
        else:
            table.add_section()
    return table


def _columns(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    align: str,
    less: Sequence[str],
    width: int,
) -> list[int]:
    """The columns that fit: whole numbers, and words that are not broken."""
    needs = []
    for n, title in enumerate(header):
        texts = [title, *(row[n] for row in rows if row)]
        longest = texts if align[n] == ">" else [word for text in texts for word in text.split()]
        needs.append(max(map(len, longest), default=0))
    kept = list(range(len(header)))
    for name in less:
        if sum(needs[n] + GAP for n in kept) <= width:
            break
        kept.remove(header.index(name))
    return kept
