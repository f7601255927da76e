"""How help looks: plain text that is readable from 40 columns on."""

import inspect
import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

import click

WIDEST = 80
LEAST_TEXT = 26
"""Columns of a description beside its option; where there are fewer, it goes below."""


class Formatter(click.HelpFormatter):
    """As wide as the terminal, no name broken, one column where two would be too narrow."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(width=min(shutil.get_terminal_size().columns, WIDEST))

    def write_text(self, text: str) -> None:
        width = self.width - self.current_indent
        paragraphs = inspect.cleandoc(text).split("\n\n")
        self._write_lines("\n\n".join(_filled(one, width) for one in paragraphs))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 0, col_spacing: int = 2
    ) -> None:
        rows = list(rows)
        first = max(len(term) for term, _ in rows) + col_spacing
        width = self.width - self.current_indent - first
        for term, text in rows:
            if width >= LEAST_TEXT:
                lines = textwrap.indent(_filled(text, width), " " * first)
                self._write_lines(term + lines[len(term) :])
            else:
                self._write_lines(term)
                self._write_lines(textwrap.indent(_filled(text, self.width - 6), " " * 4))

    def _write_lines(self, lines: str) -> None:
        self.write(textwrap.indent(lines, " " * self.current_indent) + "\n")


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False, break_long_words=False)


class Context(click.Context):
    """Of every command."""

    formatter_class = Formatter


class Argument(click.Argument):
    """A positional argument that says in the help what it is."""

    def __init__(self, *arguments: Any, about: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.about = about


class Command(click.Command):
    """A command with its arguments in the help, and an example below."""

    context_class = Context

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        arguments = [one for one in self.params if isinstance(one, Argument)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl([(one.make_metavar(ctx), one.about) for one in arguments])
        super().format_options(ctx, formatter)
