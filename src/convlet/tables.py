"""Small tables: plain text for a terminal, HTML for a notebook, from the same cells."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Table(str):
    """A table as text, which a notebook shows as a table and a terminal as it is printed."""

    html: str

    def __new__(
        cls, header: Sequence[str], rows: Iterable[Sequence[str]], align: str, caption: str = ""
    ) -> "Table":
        """align: one of "<", ">" for each column.  caption: a line above."""
        cells = [tuple(header), *map(tuple, rows)]
        widths = [max(len(row[n]) for row in cells) for n in range(len(align))]
        forms = [f"{side}{width}" for side, width in zip(align, widths, strict=True)]
        lines = ["  ".join(map(format, row, forms)).rstrip() for row in cells]
        table = super().__new__(cls, "\n".join([caption] * bool(caption) + lines))
        table.html = _html(cells, align, caption)
        return table

    def __reduce__(self) -> tuple[Any, ...]:
        """Out of another process, or copied, it is whole."""
        return _remade, (str(self), self.html)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.html


def _remade(text: str, html: str) -> Table:
    table = str.__new__(Table, text)
    table.html = html
    return table


def _html(cells: Sequence[Sequence[str]], align: str, caption: str) -> str:
    sides = ["left" if side == "<" else "right" for side in align]

    def row(kind: str, words: Sequence[str]) -> str:
        marks = (
            f'<{kind} style="text-align: {side}">{escape(word)}</{kind}>'
            for side, word in zip(sides, words, strict=True)
        )
        return f"<tr>{''.join(marks)}</tr>"

    head = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(row("td", words) for words in cells[1:])
    return f"<table>{head}<thead>{row('th', cells[0])}</thead><tbody>{body}</tbody></table>"
