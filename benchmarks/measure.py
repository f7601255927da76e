"""Verifies each contender, then times all of them in turns."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np

import verify
from layout import Net
from team import Failed, Worker

WARM_UP = 0.3
"""Seconds of each contender before the rounds that count."""


SCALING_BATCH = 128

DISTURBED = 0.08
"""A window in which others used more than this share of the CPUs is repeated."""

PAUSE = 1.0
"""Seconds before it is."""


@dataclass(frozen=True)
class Plan:
    """What to time.

    count: training images; seconds: of one window; rounds: windows of each contender;
    patience: seconds for which disturbed windows of a case are repeated.
    """

    nets: Sequence[Net]
    batch_sizes: Sequence[int]
    predictions: Sequence[int]
    count: int
    seconds: float
    rounds: int
    patience: float


@dataclass
class Row:
    """One case of one contender: seconds an image, a number a round.

    what: "training", size images a step; or "prediction", size images a call.  The rounds of the
    contenders of a case alternate, so that numbers of the same round belong together.
    """

    what: str
    network: str
    size: int
    contender: str
    flops: float  # of an image, dense: 2 a multiply-add, three times the forward ones in training
    seconds: list[float] = field(default_factory=list)
    difference: float = 0.0  # to convlet when verified, in units of the tolerance
    cut: int | None = None  # images at a time in a large prediction
    others: list[float] = field(default_factory=list)  # share of the CPUs that others used


Note = Callable[[str], None]


def cases(
    plan: Plan, workers: list[Worker], weights: Callable[[Net], Path], note: Note
) -> Iterator[list[Row]]:
    """The rows of each case.  workers: convlet first."""
    for net in plan.nets:
        file = weights(net)
        for batch_size in plan.batch_sizes:
            trainers = [worker for worker in workers if worker.trains]
            chosen = verify.minibatches(batch_size, plan.count)
            yield case(net, batch_size, trainers, file, chosen, plan, note)
        for images in plan.predictions:
            yield case(net, images, workers, file, None, plan, note)


def scaling(
    plan: Plan, workers: list[Worker], weights: Callable[[Net], Path], note: Note
) -> Iterator[list[Row]]:
    """Training at batch size 128 by workers that differ in their number of threads."""
    for net in plan.nets:
        chosen = verify.minibatches(SCALING_BATCH, plan.count)
        rows = case(net, SCALING_BATCH, workers, weights(net), chosen, plan, note)
        yield [replace(row, what="scaling") for row in rows]


def case(
    net: Net,
    size: int,
    workers: list[Worker],
    weights: Path,
    chosen: list[list[int]] | None,
    plan: Plan,
    note: Note,
) -> list[Row]:
    """Verify, warm up, then time the rounds in turns.

    chosen: the minibatches to verify training with; None for prediction.  A contender that fails or
    computes something else has no row; that is noted.  Raises `Failed` where convlet itself fails.
    """
    what = "prediction" if chosen is None else "training"
    flops = (2 if chosen is None else 6) * net.multiply_adds
    ready: list[tuple[Worker, Row]] = []
    expected: dict[str, Any] | None = None
    for worker in workers:
        row = Row(what, net.name, size, worker.name, flops)
        try:
            worker.build(net, weights, size if chosen else 32)
            given = results(worker, chosen)
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
            if chosen is None:
                row.cut = worker.ask("choose", count=size, seconds=WARM_UP / 3)
            else:
                worker.ask("train", seconds=WARM_UP)
            ready.append((worker, row))
        except (Failed, verify.Different) as error:
            if expected is None or worker is workers[0]:
                raise Failed(f"{net.name}, {what}, {size}: {error}") from None
            note(f"left out: {net.name}, {what}, {size}: {error}")
    call = "train" if chosen else "predict"
    end = monotonic() + plan.patience
    for turn in range(plan.rounds):
        first = turn % len(ready)
        for worker, row in ready[first:] + ready[:first]:
            seconds, others = worker.ask(call, seconds=plan.seconds)
            while others > DISTURBED and monotonic() < end:
                sleep(PAUSE)
                seconds, others = worker.ask(call, seconds=plan.seconds)
            row.seconds.append(seconds)
            row.others.append(others)
    return [row for _, row in ready]


def results(worker: Worker, chosen: list[list[int]] | None) -> dict[str, Any]:
    """What `verify.assert_same` compares."""
    probabilities = worker.ask("probabilities", count=verify.IMAGES)
    losses = None if chosen is None else worker.ask("losses", chosen=chosen)
    return {"probabilities": probabilities, "losses": losses}


def memory(
    names: Sequence[str], threads: int, folder: Path, net: Net, weights: Path, seconds: float = 2
) -> Iterator[dict[str, Any]]:
    """Peak memory of a fresh process that trains this network at batch 128, in bytes.

    over_data: the peak without the data set, but with interpreter and library; over_start: above
    what the process held when data and library were loaded.
    """
    for name in names:
        worker = Worker(name, threads, folder)
        # the others hold the images as floats too, which are no part of the need for training
        bytes_ = sum(np.load(file, mmap_mode="r").nbytes for file in folder.glob("*images.npy"))
        data = bytes_ if name == "convlet" else 5 * bytes_
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
