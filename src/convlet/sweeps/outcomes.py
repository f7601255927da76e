"""Trials of a sweep, what came of them, and which combination is best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, isfinite
from statistics import mean, stdev

LONGEST = 24
"""Characters of a value in a table or a picture."""

Grid = Mapping[str, Sequence[str]]
"""The values of each parameter, as text, in the order in which they were given."""


@dataclass(frozen=True)
class Trial:
    """One training: the combination, its seed, and the fold that it is judged by, from 1, or None.

    Without folds it is judged by training images that were held out.
    """

    combination: int
    seed: int
    fold: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: accuracy and loss of images that it was not trained on, or an error.

    seconds: of training.  again: whether the same trial may end in another way the next time, as
    after a machine was lost; a network that diverged will do so again.
    """

    trial: Trial
    accuracy: float | None = None
    loss: float | None = None
    seconds: float = 0.0
    error: str = ""
    again: bool = False


@dataclass(frozen=True)
class Result:
    """A combination of values with its outcomes so far, of `trials` that there will be."""

    combination: int
    values: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    trials: int

    @property
    def accuracies(self) -> list[float]:
        """Of the trials that ended well."""
        return [one.accuracy for one in self.outcomes if one.accuracy is not None]

    @property
    def error(self) -> str:
        """Of the first trial that failed, "" where none did."""
        return next((one.error for one in self.outcomes if one.error), "")

    @property
    def accuracy(self) -> float | None:
        """The mean; None before the first trial ended, and where one failed.

        Those that did not fail would flatter what fails on some of the folds.
        """
        return self._mean("accuracy")

    @property
    def loss(self) -> float | None:
        """The mean; None as for the accuracy."""
        return self._mean("loss")

    @property
    def spread(self) -> float | None:
        """The standard deviation of the accuracies, None of less than two."""
        if self.accuracy is None or len(self.outcomes) < 2:
            return None
        return stdev(self.accuracies)

    @property
    def seconds(self) -> float:
        """Of training, all trials together."""
        return sum(one.seconds for one in self.outcomes)

    @property
    def is_whole(self) -> bool:
        """Whether all its trials ended well."""
        return len(self.outcomes) == self.trials and not self.error

    def _mean(self, name: str) -> float | None:
        numbers = [getattr(one, name) for one in self.outcomes]
        return None if self.error or not numbers else mean(numbers)


def combinations(grid: Grid) -> list[dict[str, str]]:
    """Every combination of the values; the last parameter changes first."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def brief(grid: Grid, name: str, text: str) -> str:
    """A value where there is little room: a long one by its number among those of its parameter."""
    return text if len(text) <= LONGEST else f"#{[*grid[name]].index(text) + 1}"


def explained(grid: Grid) -> list[str]:
    """What such numbers stand for, a line each."""
    return [
        f"{called(name)} #{n}: {text}"
        for name, texts in grid.items()
        for n, text in enumerate(texts, start=1)
        if len(text) > LONGEST
    ]


def called(name: str) -> str:
    """What a parameter of the grid is called for people: as the option, without its dashes."""
    return "augment" if name == "augmentation" else name.replace("_", " ")


def described(grid: Grid, values: Mapping[str, str]) -> str:
    """The values of a combination in words."""
    return ", ".join(f"{called(name)} {brief(grid, name, text)}" for name, text in values.items())


def is_number(text: str) -> bool:
    """Whether a value is a finite number."""
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def ranked(grid: Grid, outcomes: Sequence[Outcome], trials: int) -> list[Result]:
    """All combinations, the highest mean accuracy first; of equal ones the lower loss is first.

    trials: of each combination.
    """
    by_combination: dict[int, list[Outcome]] = {}
    for one in sorted(outcomes, key=lambda one: (one.trial.seed, one.trial.fold or 0)):
        by_combination.setdefault(one.trial.combination, []).append(one)
    results = [
        Result(n, values, tuple(by_combination.get(n, ())), trials)
        for n, values in enumerate(combinations(grid))
    ]
    return sorted(results, key=_rank)


def _rank(result: Result) -> tuple[float, float, bool, int]:
    accuracy = -inf if result.accuracy is None else result.accuracy
    loss = inf if result.loss is None else result.loss
    return -accuracy, loss, bool(result.error), result.combination


def best(results: Sequence[Result]) -> Result | None:
    """The first of ranked combinations all of whose trials ended well."""
    return next((one for one in results if one.is_whole), None)
