"""How a sweep is shown: a live table on a terminal, a line a trial in a pipe, or JSON."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from convlet.cli.console import console, is_live, print_table, say, say_json, table_of
from convlet.progress import REDRAW
from convlet.sweeps.outcomes import (
    Grid,
    Outcome,
    Result,
    Trial,
    brief,
    called,
    combinations,
    described,
    explained,
    is_number,
)
from convlet.wording import clock, count, decimals, percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

Ranking = Callable[[], Sequence[Result]]
"""Gives the combinations, the best first."""

AROUND = 6  # lines of a terminal that are no combinations of the table
MOST_NAMED = 5  # combinations that failed


class Screen:
    """Told how a sweep goes; this one shows nothing.

    total: trials, with those that ended earlier.
    """

    def __init__(self, grid: Grid, total: int, seeds: int) -> None:
        self.grid, self.total, self.seeds = grid, total, seeds
        self.combinations = combinations(grid)
        self.done = self.began = 0

    def said(self, trial: Trial) -> str:
        """A trial in words."""
        fold = "" if trial.fold is None else f", fold {trial.fold}"
        seed = f", seed {trial.seed}" if self.seeds > 1 else ""
        return f"{described(self.grid, self.combinations[trial.combination])}{fold}{seed}"

    def begin(self, done: int, ranking: Ranking) -> None:
        """So many trials ended in an earlier run."""
        self.done = self.began = done

    def ended(self, outcome: Outcome) -> None:
        """A trial ended."""
        self.done += 1

    def progress(self, words: str) -> None:
        """What goes on, often."""


class JsonLines(Screen):
    """An object a trial."""

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        trial = outcome.trial
        say_json(
            {
                "values": self.combinations[trial.combination],
                "seed": trial.seed,
                "fold": trial.fold,
                "accuracy": outcome.accuracy,
                "loss": outcome.loss,
                "seconds": outcome.seconds,
                "error": outcome.error or None,
            }
        )


class Lines(Screen):
    """A line a trial."""

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        say(f"trial {self.done} of {self.total}: {self.said(outcome.trial)}: {_came(outcome)}")


def _came(outcome: Outcome) -> str:
    """What came of a trial, in words."""
    if outcome.accuracy is None or outcome.loss is None:
        return f"failed: {outcome.error}"
    loss = decimals(outcome.loss)
    return f"accuracy {percent(outcome.accuracy)}, loss {loss}, {outcome.seconds:.1f} s"


class LiveTable(Screen):
    """The table of combinations, the best first, and below it how far the sweep is."""

    def __init__(self, grid: Grid, total: int, seeds: int, console: "Console") -> None:
        super().__init__(grid, total, seeds)
        self.console, self.words = console, ""
        self.ranking: Ranking = list
        self.start, self.drawn = perf_counter(), 0.0
        self.live: Live | None = None

    def begin(self, done: int, ranking: Ranking) -> None:
        from rich.live import Live

        super().begin(done, ranking)
        self.ranking = ranking
        # no thread draws while a signal ends the run
        self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.live.start()
        self.draw()

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        self.progress(self.words)

    def progress(self, words: str) -> None:
        self.words = words
        if perf_counter() - self.drawn >= REDRAW:
            self.draw()

    def draw(self) -> None:
        from rich.console import Group
        from rich.text import Text

        if self.live is None:
            return
        self.drawn, results = perf_counter(), self.ranking()
        room = max(1, self.console.height - AROUND)
        table = table_of(*columns(self.grid, results[:room]), self.console.width)
        lines = [self.state()]
        if len(results) > room:
            lines.insert(0, f"... and {count(len(results) - room, 'combination')} more")
        texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in lines]
        self.live.update(Group(table, *texts), refresh=True)

    def state(self) -> str:
        """How far the sweep is."""
        now = self.done - self.began
        left = (perf_counter() - self.start) / now * (self.total - self.done) if now else None
        parts = [
            f"{self.done} of {count(self.total, 'trial')}",
            *([] if left is None else [f"{clock(left)} left"]),
            *filter(None, [self.words]),
        ]
        return ", ".join(parts)

    def close(self) -> None:
        """Wipe the table out: the terminal is as before."""
        if self.live is not None:
            self.live.stop()
            self.live = None


@contextmanager
def screen(as_json: bool, grid: Grid, total: int, seeds: int) -> Iterator[Screen]:
    """Whoever shows the sweep; on leaving, in any way, the terminal is as before."""
    if as_json:
        yield JsonLines(grid, total, seeds)
    elif not is_live():
        yield Lines(grid, total, seeds)
    else:
        table = LiveTable(grid, total, seeds, console())
        try:
            yield table
        finally:
            table.close()


def columns(
    grid: Grid, results: Sequence[Result]
) -> tuple[list[str], list[tuple[object, ...]], str, tuple[str, ...]]:
    """Header, rows, alignment of a table of combinations, and what a narrow one does without."""
    header = [*map(called, grid), "accuracy", "spread", "loss", "trials", "time"]
    rows: list[tuple[object, ...]] = [
        (
            *(brief(grid, name, text) for name, text in one.values.items()),
            "failed" if one.error else "-" if one.accuracy is None else percent(one.accuracy),
            "-" if one.spread is None else f"{100 * one.spread:.2f}",
            "-" if one.loss is None else decimals(one.loss),
            f"{len(one.outcomes)}/{one.trials}",
            f"{one.seconds:.1f} s",
        )
        for one in results
    ]
    align = "".join(">" if all(map(is_number, texts)) else "<" for texts in grid.values())
    return header, rows, f"{align}>>>>>", ("time", "trials", "loss", "spread")


def say_results(grid: Grid, results: Sequence[Result]) -> None:
    """The table in the end, what its numbers stand for, and why combinations failed."""
    print_table(*columns(grid, results))
    for line in explained(grid):
        say(line)
    failed = [one for one in results if one.error]
    for one in failed[:MOST_NAMED]:
        say(f"failed: {described(grid, one.values)}: {one.error}")
    if len(failed) > MOST_NAMED:
        say(f"... and {len(failed) - MOST_NAMED} more failed")
