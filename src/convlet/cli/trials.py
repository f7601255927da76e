"""The trials of `convlet sweep`: what is trained on what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from time import perf_counter

import numpy as np

from convlet.callbacks import Callback
from convlet.checkpoint.identity import fingerprints
from convlet.cli.choices import Choices
from convlet.cli.jobs import Job, job_for
from convlet.cli.train_options import TrainOptions
from convlet.datasets import Dataset
from convlet.datasets.dataset import Split
from convlet.engine import Samples
from convlet.errors import ConvletError, DivergedError, InputError, one_line
from convlet.sweeps.outcomes import Outcome, Trial

HELD_OUT = 6
"""One of so many training images is held out, where nobody says how many, and none came for it."""


@dataclass(frozen=True)
class Plan:
    """What a sweep trains: options of each combination, and by which images it is judged.

    folds: of the training images, or None.  hold_out: so many of them, where there are no folds;
    None takes the validation images that came with the data.
    """

    combinations: Mapping[int, tuple[Choices, TrainOptions]]
    seeds: tuple[int, ...]
    folds: int | None
    hold_out: int | None
    limit: int | None

    def trials(self) -> list[Trial]:
        """All of them: every combination is trained once before any is trained again."""
        numbers = [None] if self.folds is None else range(1, self.folds + 1)
        return [
            Trial(combination, seed, fold)
            for seed in self.seeds
            for fold in numbers
            for combination in self.combinations
        ]

    def only(self, trial: Trial) -> "Plan":
        """What a worker has to know for one trial."""
        number = trial.combination
        return replace(self, combinations={number: self.combinations[number]})

    def parts(self, data: Dataset, trial: Trial) -> tuple[Dataset, Split, Split]:
        """The data that the recipe is fitted to, images to train with, and images to judge by."""
        return _parts(data, self.limit, self.folds, self.hold_out, trial.seed, trial.fold)

    def job(self, data: Dataset, trial: Trial) -> tuple[Job, Split]:
        """What is trained, as `convlet train` does with the same options; what judges it.

        Raises `InputError`.
        """
        choices, training = self.combinations[trial.combination]
        whole, train, judging = self.parts(data, trial)
        return job_for(whole, train, None, replace(choices, seed=trial.seed), training), judging

    def run(
        self,
        data: Dataset,
        trial: Trial,
        callbacks: Sequence[Callback] = (),
        threads: int | None = None,
    ) -> Outcome:
        """Train and judge; what fails says why, and does not end the sweep."""
        began = perf_counter()
        try:
            job, judging = self.job(data, trial)
            if threads is not None:
                job = replace(job, threads=threads)
            seconds = sum(row.seconds for row in job.fit(callbacks))
            loss, accuracy = job.evaluate(judging)
        except (ConvletError, MemoryError) as error:
            again = not isinstance(error, DivergedError | InputError)
            why = one_line(error) if str(error) else "out of memory"
            return Outcome(trial, seconds=perf_counter() - began, error=why, again=again)
        if not isfinite(loss):
            return Outcome(trial, seconds=seconds, error="the loss is not finite")
        return Outcome(trial, accuracy, loss, seconds)


@lru_cache(maxsize=1)  # trials that follow one another mostly have the same parts
def _parts(
    data: Dataset,
    limit: int | None,
    folds: int | None,
    hold_out: int | None,
    seed: int,
    fold: int | None,
) -> tuple[Dataset, Split, Split]:
    seen = data if limit is None else data.limited(limit)
    if folds is not None and fold is not None:
        part = seen.fold(fold, folds, seed)
        return part, part.train, part.test
    if hold_out is None and seen.validation is not None:
        return data, seen.train, seen.validation
    held = seen.hold_out(held_out(seen) if hold_out is None else hold_out, seed)
    return data, held.train, held.test


def held_out(data: Dataset) -> int:
    """How many of the training images are held out where nobody says."""
    return max(1, len(data.train) // HELD_OUT)


@lru_cache(maxsize=1)
def marks(data: Dataset) -> Mapping[str, str]:
    """What tells the images that trials see from others."""
    samples = [
        None if part is None else Samples(part.images, part.labels.astype(np.int32))
        for part in (data.train, data.validation)
    ]
    assert samples[0] is not None
    found = fingerprints(samples[0], samples[1])
    del found["sample_weight"]
    return {**found, "classes": ", ".join(data.classes)}


def forget() -> None:
    """Let the data go that the last trials used."""
    for function in (marks, _parts):
        function.cache_clear()
