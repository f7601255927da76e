"""`convlet train --folds N`: networks trained without a part of the images, and tested on it."""

from collections.abc import Iterator
from statistics import mean, stdev
from typing import Any

from convlet.cli.choices import Choices
from convlet.cli.console import say, say_json
from convlet.cli.jobs import job_for
from convlet.cli.models import load_data
from convlet.cli.names import call
from convlet.cli.reading import Reading
from convlet.cli.reporter import fold_reporter
from convlet.cli.train_options import TrainOptions
from convlet.datasets import Dataset
from convlet.inference import Evaluation
from convlet.wording import decimals, percent


def cross_validate(
    choices: Choices,
    training: TrainOptions,
    reading: Reading,
    folds: int,
    json: bool,
    cluster: Any = None,
) -> None:
    """Train and test `folds` times, say each result, their mean and their spread.

    cluster: as `Network.fit` takes it.
    """
    data = load_data(choices.data, json, seed=choices.seed, **reading.arguments())
    whole = training.limited(data.pooled() if data.held_back else data)
    call(count="--folds")
    results: list[Evaluation] = []
    for n, part in enumerate(whole.folds(folds, choices.seed), 1):
        job = job_for(part, part.train, None, choices, training)
        if n == 1 and not json:
            for line in (*_plan(data, len(part.train) + len(part.test), folds), *job.lines()):
                say(line)
        with fold_reporter(json) as report:
            job.fit([report], cluster=cluster)
        results.append(job.evaluate(part.test))
        if json:
            say_json({"fold": n, **results[-1]._asdict()})
        else:
            loss, accuracy = results[-1]
            say(f"fold {n} of {folds}: loss {decimals(loss)}, accuracy {percent(accuracy)}")
    accuracies = [result.accuracy for result in results]
    losses = [result.loss for result in results]
    if json:
        found = {"accuracy": mean(accuracies), "spread": stdev(accuracies), "loss": mean(losses)}
        say_json({**found, "said": list(data.said)})
        return
    say(
        f"mean accuracy {percent(mean(accuracies))}, standard deviation"
        f" {100 * stdev(accuracies):.2f} points, {percent(min(accuracies))} to"
        f" {percent(max(accuracies))}, mean loss {decimals(mean(losses))}"
    )


def _plan(data: Dataset, images: int, folds: int) -> Iterator[str]:
    """With what it will be done, in words."""
    yield from data.said
    used = "the test images are not used"
    if data.held_back:
        everyone = images == len(data.train) + len(data.test)
        used = "all of them" if everyone else "chosen from all of them"
    if data.validation is not None:
        used += ", nor are the validation images" if "not" in used else ", no validation image"
    yield f"{data.name}: {images:,} images in {folds} folds, by --seed; {used}"
