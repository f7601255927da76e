"""Verifies each contender, then times all of them in turns."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np

import verify
from layout import Net
from team import Failed, Worker

WARM_UP = 0.3
"""Seconds of each contender before the rounds that count."""

DISTURBED = 0.08
"""A window in which others used more than this share of the CPUs is repeated."""

PAUSE = 1.0
"""Seconds before it is."""

PARTS = ("images", "test_images")


@dataclass(frozen=True)
class Pace:
    """How long to look.

    seconds: of one window; rounds: windows of each contender; patience: seconds for which disturbed
    windows of a case are repeated.
    """

    seconds: float
    rounds: int
    patience: float


@dataclass(frozen=True)
class Case:
    """What is timed of every contender.

    what: "training", size images a step; "prediction", size images a call; "latency", each call by
    itself.  dtype: of predicted images; None is what each library takes best.
    """

    what: str
    net: Net
    size: int
    dtype: str | None = None


@dataclass
class Row:
    """One case of one contender: seconds an image, a number a round (latency: the median call).

    The rounds of the contenders of a case alternate, so that numbers of the same round belong
    together.
    """

    case: Case
    contender: str
    threads: int
    seconds: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)  # latency: the 99th percentile of a round
    difference: float = 0.0  # to convlet when verified, in units of the tolerance
    chosen: int | str | None = None  # images at a time in a large prediction; a way to update
    others: list[float] = field(default_factory=list)  # share of the CPUs that others used

    @property
    def flops(self) -> float:
        """Of an image, dense: 2 a multiply-add, three times the forward ones in training."""
        return (6 if self.case.what == "training" else 2) * self.case.net.multiply_adds


Note = Callable[[str], None]
ASKED = {"training": "train", "prediction": "predict", "latency": "latency"}


def timed(
    case: Case,
    workers: Sequence[Worker],
    weights: Path,
    chosen: list[list[int]],
    pace: Pace,
    note: Note,
) -> list[Row]:
    """Verify, warm up, then time the rounds in turns.

    workers: convlet first; those that do not train are left out of training.  chosen: the
    minibatches to verify it with.  A contender that fails or computes something else has no row;
    that is noted.  Raises `Failed` where convlet itself fails.
    """
    ready: list[tuple[Worker, Row]] = []
    expected: dict[str, Any] | None = None
    title = f"{case.net.name}, {case.what}, {case.size}"
    for worker in workers:
        if case.what == "training" and not worker.trains:
            continue
        row = Row(case, worker.name, worker.threads)
        try:
            given = results(worker, case, weights, chosen)
            if expected is None:
                expected = given
            else:
                row.difference = verify.assert_same(
                    worker.name,
                    given["probabilities"],
                    expected["probabilities"],
                    given["losses"],
                    expected["losses"],
                )
            if case.what == "training":
                row.chosen = worker.ask("settle", seconds=WARM_UP)
            else:
                ways = {"count": case.size, "dtype": case.dtype}
                row.chosen = worker.ask("choose", **ways, seconds=WARM_UP / 3)
            ready.append((worker, row))
        except (Failed, verify.Different) as error:
            if worker is workers[0]:
                raise Failed(f"{title}: {error}") from None
            note(f"left out: {title}: {error}")
    end = monotonic() + pace.patience
    for turn in range(pace.rounds):
        first = turn % len(ready)
        for worker, row in ready[first:] + ready[:first]:
            seconds, others, *tail = worker.ask(ASKED[case.what], seconds=pace.seconds)
            while others > DISTURBED and monotonic() < end:
                sleep(PAUSE)
                seconds, others, *tail = worker.ask(ASKED[case.what], seconds=pace.seconds)
            row.seconds.append(seconds)
            row.others.append(others)
            row.tails += tail
    return [row for _, row in ready]


def results(worker: Worker, case: Case, weights: Path, chosen: list[list[int]]) -> dict[str, Any]:
    """What `verify.assert_same` compares; leaves the worker with the network of the case.

    Everybody draws dropout in another way: losses are those of the network without it.
    """
    worker.build(case.net, weights, case.size)
    probabilities = worker.ask("probabilities", count=verify.IMAGES, dtype=case.dtype)
    if case.what != "training":
        return {"probabilities": probabilities, "losses": None}
    plain = case.net.without_dropout()
    if plain != case.net:
        worker.build(plain, weights, case.size)
    losses = worker.ask("losses", chosen=chosen)
    if plain != case.net:
        worker.build(case.net, weights, case.size)
    return {"probabilities": probabilities, "losses": losses}


def memory(
    names: Sequence[str], threads: int, folder: Path, net: Net, weights: Path, seconds: float = 2
) -> Iterator[dict[str, Any]]:
    """Peak memory of a fresh process that trains this network at batch 128, in bytes.

    over_data: the peak without the data set, but with interpreter and library; over_start: above
    what the process held when data and library were loaded.
    """
    for name in names:
        worker = Worker(name, threads)
        worker.load(folder)
        # images are no part of the need for training; others hold floats, and levels to predict
        images, test = (np.load(folder / f"{part}.npy", mmap_mode="r").nbytes for part in PARTS)
        data = images + test if name == "convlet" else 4 * images + 5 * test
        before = worker.ask("reset_peak")
        worker.build(net, weights, 128)
        worker.ask("train", seconds=seconds)
        peak = worker.ask("peak")
        yield {
            "contender": name,
            "network": net.name,
            "peak": peak,
            "over_data": peak - data,
            "over_start": peak - before,
        }
        worker.close()


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
