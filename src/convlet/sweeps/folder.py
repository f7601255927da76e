"""The folder of a sweep: every trial that ended, a line each, and read again.

trials.jsonl: a line that says what the sweep is, then a line for each trial as it ends; of a trial
that ran again the last one counts.  A crash can cut the last line, which is forgiven: that trial
runs again.  results.csv: the combinations, the best first, written when the sweep ends.
"""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import Any

from convlet.checkpoint.lock import Lock
from convlet.errors import DataError, InputError
from convlet.files.atomic import append, make_folder, write_atomic
from convlet.files.streams import open_regular, read_up_to
from convlet.sweeps.outcomes import Outcome, Result, Trial, ranked

TRIALS, RESULTS = "trials.jsonl", "results.csv"
MAX_BYTES = 1 << 28
FORMAT = 1

Identity = dict[str, Any]
"""What decides the outcomes: names and JSON values.  "grid" has the values of each parameter,
"trials" how many each combination has."""


class SweepFolder:
    """The outcomes in a folder, which other processes leave alone until `close`.

    Raises `InputError` where another sweep is there, `FileError`, `DataError`.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path, self.identity = path, identity
        self.by_trial: dict[Trial, Outcome] = {}
        self.ranking: list[Result] | None = None
        self.size = 0  # bytes of whole lines
        make_folder(str(path))
        self.lock = Lock(str(path), "its trials")
        try:
            if (path / TRIALS).exists():
                found, outcomes, self.size = _read(path)
                refuse_other(found, identity, path)
                self.by_trial = {one.trial: one for one in outcomes}
        except BaseException:
            self.lock.release()
            raise

    @property
    def outcomes(self) -> list[Outcome]:
        """The last one of each trial that ended."""
        return list(self.by_trial.values())

    @property
    def results(self) -> list[Result]:
        """All combinations, the best first."""
        if self.ranking is None:
            grid, trials = self.identity["grid"], self.identity["trials"]
            self.ranking = ranked(grid, self.outcomes, trials)
        return self.ranking

    def add(self, outcome: Outcome) -> None:
        """Keep one more outcome; it is in the file when this returns.  Raises `FileError`."""
        name = self.path / TRIALS
        if self.size == 0:
            first = _line({"convlet sweep": FORMAT, **self.identity})
            write_atomic(name, first)
            self.size = len(first)
        self.size = append(name, self.size, _line(_record(outcome)))
        self.by_trial[outcome.trial] = outcome
        self.ranking = None

    def close(self) -> None:
        """Write the results, and let others have the folder.  Raises `FileError`."""
        try:
            if self.by_trial:
                write_atomic(self.path / RESULTS, _csv(self.results).encode())
        finally:
            self.lock.release()


def read(path: Path) -> tuple[Identity, list[Outcome]]:
    """What the sweep in a folder is, and its outcomes.  Raises `FileError`, `DataError`."""
    identity, outcomes, _ = _read(path)
    return identity, list({one.trial: one for one in outcomes}.values())


def _read(path: Path) -> tuple[Identity, list[Outcome], int]:
    """The same, all outcomes that were ever added, and how many bytes of whole lines there are."""
    name = path / TRIALS
    with open_regular(name) as file:
        data = bytes(read_up_to(file, MAX_BYTES + 1))
    if len(data) > MAX_BYTES:
        raise DataError(f"{name}: expected at most {MAX_BYTES} bytes, found more")
    size = data.rfind(b"\n") + 1
    lines = data[:size].decode(errors="replace").splitlines()
    found = [_object(line, number, name) for number, line in enumerate(lines, start=1)]
    if not found or found[0].pop("convlet sweep", None) != FORMAT:
        raise DataError(f"{name}: expected the trials of a sweep, found another file")
    identity = found[0]
    grid, trials = identity.get("grid"), identity.get("trials")
    if not (_is_grid(grid) and isinstance(trials, int)):
        raise DataError(f"{name}, line 1: expected a grid and the trials of each combination")
    return identity, [_outcome(one, n, name) for n, one in enumerate(found[1:], start=2)], size


def refuse_other(found: Identity, wanted: Identity, path: Path) -> None:
    """Raise `InputError` unless these are of one sweep, of the first thing that differs."""
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        mine, other = wanted.get(name), found.get(name)
        if mine != other:
            theirs = "without one" if other is None else f"with {_short(other)}"
            raise InputError(
                name,
                mine,
                found="" if mine is None else f"is {_short(mine)}",
                but=f"{path / TRIALS} is of a sweep {theirs}",
                hint="go on with what it was started with, or take another folder",
            )


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        value = "; ".join(f"{name}={','.join(map(str, inner))}" for name, inner in value.items())
    text = value if isinstance(value, str) else repr(value)
    text = re.sub(r"(sha256 [0-9a-f]{12})[0-9a-f]{52}", r"\1...", text)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, allow_nan=False) + "\n").encode()


def _record(outcome: Outcome) -> dict[str, Any]:
    return {**asdict(outcome.trial), **{n: v for n, v in vars(outcome).items() if n != "trial"}}


def _object(line: str, number: int, name: Path) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}, line {number}: expected a JSON object ({error})") from None
    if not isinstance(found, dict):
        raise DataError(f"{name}, line {number}: expected a JSON object, found {line[:50]!r}")
    return found


def _is_grid(grid: Any) -> bool:
    return (
        isinstance(grid, dict)
        and bool(grid)
        and all(isinstance(texts, list) and texts for texts in grid.values())
        and all(isinstance(text, str) for texts in grid.values() for text in texts)
    )


def _outcome(cells: dict[str, Any], number: int, name: Path) -> Outcome:
    try:
        trial = Trial(**{one.name: cells.pop(one.name) for one in fields(Trial)})
        outcome = Outcome(trial, **cells)
    except (KeyError, TypeError):
        raise DataError(f"{name}, line {number}: expected a trial of a sweep") from None
    wholes = (trial.combination, trial.seed, 1 if trial.fold is None else trial.fold)
    numbers = [outcome.seconds]
    if not outcome.error:
        numbers += [outcome.accuracy, outcome.loss]  # type: ignore[list-item]
    good = all(type(one) is int and one >= 0 for one in wholes) and all(
        type(one) in (int, float) and isfinite(one) for one in numbers
    )
    if not good or type(outcome.error) is not str or type(outcome.again) is not bool:
        raise DataError(f"{name}, line {number}: expected numbers of a trial, found others")
    return outcome


def _csv(results: list[Result]) -> str:
    """A row for each combination, the best first; an empty cell is what nobody knows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(results[0].values)
    writer.writerow([*names, "accuracy", "spread", "loss", "trials", "seconds", "error"])
    for one in results:
        numbers = (one.accuracy, one.spread, one.loss)
        cells = ["" if number is None else repr(number) for number in numbers]
        done = [str(len(one.outcomes)), repr(round(one.seconds, 3)), one.error]
        writer.writerow([*one.values.values(), *cells, *done])
    return text.getvalue()
