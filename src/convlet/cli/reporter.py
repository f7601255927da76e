"""How training is shown: a bar on a terminal, a line an epoch in a pipe, or JSON."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict

from convlet.callbacks import Callback
from convlet.cli.console import console, is_live, say, say_json
from convlet.progress import Bar, Lines
from convlet.run import Row, Run


@contextmanager
def reporter(as_json: bool) -> Iterator[Callback]:
    """The callback that shows training; on leaving, in any way, the terminal is as before."""
    if as_json:
        yield JsonLines()
    elif not is_live():
        yield Lines(say)
    else:
        with closing(Bar(console())) as bar:
            yield bar


@contextmanager
def fold_reporter(as_json: bool) -> Iterator[Callback]:
    """The same for one training of several: the bar alone, if it can be drawn."""
    if as_json or not is_live():
        yield Callback()
    else:
        with closing(_BarAlone(console())) as bar:
            yield bar


class _BarAlone(Bar):
    """No lines above the bar."""

    def say_epoch(self, line: str) -> None:
        pass


class JsonLines(Callback):
    """One object an epoch."""

    def on_epoch(self, run: Run, row: Row) -> None:
        say_json(asdict(row))
