"""How a run of training is shown: a bar where a line can be drawn again, else a line an epoch.

rich is imported where it draws.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from convlet.callbacks import Callback
from convlet.run import Row, Run
from convlet.wording import clock, decimals, percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

WINDOW = 0.25
"""Seconds of training that the rate is a mean of: shorter, and it flickers."""
REDRAW = 0.08
"""Seconds between two drawings of the bar."""
LEAST_BAR = 6
"""Columns of the bar itself where everything else takes its room."""


def progress_callback(console: "Console | None" = None) -> Callback:
    """The callback that shows training on a console: a bar where it can be drawn again, else lines.

    console: of rich; None is stdout, or the notebook that this runs in.
    """
    console = console or _console()
    return Bar(console) if can_redraw(console) else Lines()


@contextmanager
def counted(show: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Inside, a function that shows how many of how many images are done with, and with what.

    As a bar, where a line can be drawn again; else not at all.
    """
    console = _console() if show else None
    if console is None or not can_redraw(console):
        yield lambda what, done, total: None
        return
    with _bar(console) as bar:
        task = bar.add_task("", total=None, state="")
        drawn = 0.0

        def told(what: str, done: int, total: int) -> None:
            nonlocal drawn
            if done == total or perf_counter() - drawn >= REDRAW:
                drawn = perf_counter()
                state = f"{done:,} of {total:,} images"
                bar.update(
                    task, completed=done, total=total, description=what, state=state, refresh=True
                )

        yield told


def is_interactive() -> bool:
    """Whether a person types: at a prompt of Python or IPython, or in a notebook."""
    return hasattr(sys, "ps1")


def can_redraw(console: "Console") -> bool:
    """Whether a console is a terminal that can draw a line again, or a notebook that can."""
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None  # with which rich draws there
    return sys.stdout.isatty() and not console.is_dumb_terminal


def _console() -> "Console":
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


def _bar(console: "Console") -> "Progress":
    """What is done, a bar, and how it stands; it wipes itself out at the end."""
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[state]}"),
        console=console,
        transient=True,
        expand=True,
        auto_refresh=False,  # no thread draws while a signal ends the run
    )


class Lines(Callback):
    """One line an epoch."""

    def __init__(self, say: Callable[[str], object] = print) -> None:
        self.say = say

    def on_epoch(self, run: Run, row: Row) -> None:
        self.say(epoch_line(run, row))


class Part(NamedTuple):
    """Words beside the bar; where there is no room for all, those of the least weight go first."""

    weight: int
    text: str


class Bar(Callback):
    """One line an epoch above a bar over all epochs, with the rate, the loss and the time left.

    From the second epoch on also the accuracy of the last validation.
    """

    def __init__(self, console: "Console | None" = None) -> None:
        self.console = console or _console()
        self.progress: Progress | None = None

    def on_begin(self, run: Run) -> None:
        # no step follows in a run that is resumed at the end of an epoch
        self.start = self.mark = self.now = self.drawn = self.begun = perf_counter()
        self.first = self.marked = _seen(run)  # not 0 in a run that is resumed
        self.rate = "-"  # images a second, not known yet
        self.accuracy = ""  # of the last validation
        self.close()
        self.progress = _bar(self.console)
        total = run.epochs * run.samples
        self.task = self.progress.add_task(_name(run.epoch, run), total=total, state="")
        try:
            self.progress.start()
        except BaseException:
            self.close()
            raise

    def on_progress(self, run: Run) -> None:
        self.now = now = perf_counter()
        seen = _seen(run)
        if now - self.mark >= WINDOW:
            self.rate = f"{(seen - self.marked) / (now - self.mark):,.0f}"
            self.mark, self.marked = now, seen
        epoch = _name(run.epoch, run)
        validates = run.step == run.steps and run.validated
        total = run.epochs * run.samples
        # the mean over everything so far, validation included, is the steadiest forecast
        left = (now - self.start) / (seen - self.first) * (total - seen)
        parts = [
            Part(3, percent(seen / total, 0)),
            Part(1, f"{self.rate} images/s"),
            Part(2, f"loss {decimals(run.train_loss)}"),
            Part(0, self.accuracy),
            Part(4, f"{clock(left)} left"),
        ]
        what = f"{'validating':{len(epoch)}}" if validates else epoch
        room = self.console.width - len(what) - LEAST_BAR - 3  # columns are a blank apart
        # what is seen during a validation is drawn before it, but not thousands of times
        since = self.begun if validates else self.drawn
        self._show(now, since, completed=seen, description=what, state=fitting(parts, room))

    def _show(self, now: float, since: float, **fields: Any) -> None:
        """Change the bar, and draw it where that is due, counted from a time."""
        draw = now - since >= REDRAW
        if draw:
            self.drawn = now
        if self.progress is not None:
            self.progress.update(self.task, refresh=draw, **fields)

    def on_epoch(self, run: Run, row: Row) -> None:
        self.begun = perf_counter()  # the next epoch
        self.mark += self.begun - self.now  # validation is no part of the rate
        if row.validation_accuracy is not None:
            self.accuracy = f"accuracy {percent(row.validation_accuracy)}"
        # epochs may be so short that no step draws
        self._show(self.begun, self.drawn, description=_name(run.epoch + 1, run))
        self.say_epoch(epoch_line(run, row))

    def say_epoch(self, line: str) -> None:
        """Above the bar."""
        if self.progress is not None:
            self.progress.console.print(line)

    def on_end(self, run: Run) -> None:
        self.close()

    def close(self) -> None:
        """Wipe the bar out: the terminal is as before."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def fitting(parts: Sequence[Part], room: int) -> str:
    """The parts that have room in so many columns, in their order."""
    kept = [part for part in parts if part.text]
    while len(kept) > 1 and len("  ".join(part.text for part in kept)) > room:
        kept.remove(min(kept))
    return "  ".join(part.text for part in kept)


def _name(epoch: int, run: Run) -> str:
    """What the bar calls an epoch: the last one, where none follows."""
    return f"epoch {min(epoch, run.epochs)}/{run.epochs}"


def _seen(run: Run) -> int:
    """Images done in this call of `fit`."""
    return (run.epoch - 1) * run.samples + run.seen


def epoch_line(run: Run, row: Row) -> str:
    """One epoch in words, in less than 80 columns."""
    parts = [f"epoch {run.epoch}/{run.epochs}", f"training loss {decimals(row.train_loss)}"]
    if row.validation_loss is not None:
        parts.append(f"validation {decimals(row.validation_loss)}")
    if row.validation_accuracy is not None:
        parts.append(f"accuracy {percent(row.validation_accuracy)}")
    return ", ".join([*parts, f"{row.seconds:.1f} s"])
