"""How training is shown: a bar on a terminal, a line an epoch in a pipe, or JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING

from convlet.cli.console import console, is_live, say, say_json
from convlet.run import Callback, Row, Run

if TYPE_CHECKING:
    from rich.progress import Progress

WINDOW = 0.25
"""Seconds of training that the rate is a mean of: shorter, and it flickers."""


@contextmanager
def reporter(as_json: bool, tested: str = "test") -> Iterator[Callback]:
    """The callback that shows training; on leaving, in any way, the terminal is as before.

    tested: what the images are called that each epoch is tested on.
    """
    if as_json:
        yield JsonLines()
    elif not is_live():
        yield Lines(tested)
    else:
        from rich.progress import BarColumn, Progress, TextColumn

        with Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[state]}"),
            console=console(),
            transient=True,
            expand=True,
        ) as progress:
            yield Bar(progress, tested)


class JsonLines(Callback):
    """One object an epoch."""

    def on_epoch(self, run: Run, row: Row) -> None:
        say_json(asdict(row))


class Lines(Callback):
    """One line an epoch."""

    def __init__(self, tested: str) -> None:
        self.tested = tested

    def on_epoch(self, run: Run, row: Row) -> None:
        say(epoch_line(run, row, self.tested))


class Bar(Callback):
    """One line an epoch above a bar over all epochs, with the rate, the loss and the time left.

    From the second epoch on also the accuracy of the last test.
    """

    def __init__(self, progress: "Progress", tested: str) -> None:
        self.progress, self.tested = progress, tested
        self.task = progress.add_task("", total=None, state="")

    def on_begin(self, run: Run) -> None:
        # no step follows in a run that is resumed at the end of an epoch
        self.start = self.mark = self.now = perf_counter()
        self.first = self.marked = _seen(run)  # not 0 in a run that is resumed
        self.rate = "-"  # images a second, not known yet
        self.accuracy = ""  # of the last test
        self.progress.update(
            self.task,
            total=run.epochs * run.samples,
            description=f"epoch {min(run.epoch, run.epochs)}/{run.epochs}",
        )

    def on_step(self, run: Run) -> None:
        self.now = now = perf_counter()
        seen = _seen(run)
        if now - self.mark >= WINDOW:
            self.rate = f"{(seen - self.marked) / (now - self.mark):,.0f}"
            self.mark, self.marked = now, seen
        # the mean over everything so far, tests included, is the steadiest forecast
        left = (now - self.start) / (seen - self.first) * (run.epochs * run.samples - seen)
        loss = f"loss {decimals(run.train_loss)}"
        state = f"{self.rate} images/s  {loss}{self.accuracy}  {clock(left)} left"
        epoch = f"epoch {run.epoch}/{run.epochs}"
        self.progress.update(
            self.task,
            completed=seen,
            description=epoch if run.step < run.steps else f"{'testing':{len(epoch)}}",
            state=state,
        )

    def on_epoch(self, run: Run, row: Row) -> None:
        self.mark += perf_counter() - self.now  # the test is no part of the rate
        if row.test_accuracy is not None:
            self.accuracy = f"  test {percent(row.test_accuracy)}"
        self.progress.console.print(epoch_line(run, row, self.tested))


def _seen(run: Run) -> int:
    """Images done in this call of `fit`."""
    return (run.epoch - 1) * run.samples + run.seen


def epoch_line(run: Run, row: Row, tested: str = "test") -> str:
    """One epoch in words, in less than 80 columns."""
    parts = [f"epoch {run.epoch}/{run.epochs}", f"train loss {decimals(row.train_loss)}"]
    if row.test_loss is not None:
        parts.append(f"{tested} loss {decimals(row.test_loss)}")
    if row.test_accuracy is not None:
        parts.append(f"accuracy {percent(row.test_accuracy)}")
    return ", ".join([*parts, f"{row.seconds:.1f} s"])


def decimals(loss: float) -> str:
    """A loss with four decimals, or short where training goes astray."""
    return f"{loss:.4f}" if loss < 1e4 else f"{loss:.1e}"


def percent(share: float) -> str:
    """0.9871 as 98.71 %."""
    return f"{100 * share:.2f} %"


def clock(seconds: float) -> str:
    """Seconds as 0:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
