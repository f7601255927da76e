"""`convlet train`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import click

from convlet import datasets
from convlet.callbacks import Callback
from convlet.cli import choices as chosen
from convlet.cli import lines, options, records
from convlet.cli.checkpoints import resumable
from convlet.cli.choices import Choices, given_settings
from convlet.cli.console import say, say_json, warn
from convlet.cli.help import Command
from convlet.cli.models import load_data
from convlet.cli.names import call
from convlet.cli.places import Output
from convlet.cli.records import Records
from convlet.cli.reporter import reporter
from convlet.cli.rescue import rescued
from convlet.cli.train_options import OPTIONS, TrainOptions
from convlet.datasets import Dataset
from convlet.errors import ModelFileError
from convlet.formats.model import read_network
from convlet.network import Network
from convlet.run import History, Row
from convlet.settings import Settings
from convlet.stopping import EarlyStopping
from convlet.wording import count, percent

EXAMPLE = "Example: convlet train mnist --epochs 3 --out mnist.safetensors"
WITHOUT_RECIPE = (
    " Without it default; plain with --optimizer, --momentum, --weight-decay, --learning-rate or"
    " --schedule."
)


@click.command(cls=Command, epilog=EXAMPLE)
@OPTIONS
@chosen.shared(chosen.recipe_option(WITHOUT_RECIPE))
@options.file("--out", help="Where the model goes.", show_default="convlet-DATA.safetensors")
@records.OPTIONS
@options.JSON
def train(
    choices: Choices, training: TrainOptions, out: Path | None, records: Records, json: bool
) -> None:
    """Train a network and save it.

    A recipe says how unless an option does; the last epoch's network is saved.

    With --checkpoint DIR a run can be interrupted; the same command with --resume goes on.
    """
    call(count="--hold-out")
    choices = training.with_recipe(choices)
    choices.check(**given_settings(training))
    training.check()
    stopping = [] if training.patience is None else [EarlyStopping(training.patience)]
    watchers = records.prepare(choices.data, out, json)
    output = Output(out, _default_out(choices.data), "a convlet model", _is_model)

    job = _job(choices, training)
    if not json:
        for line in _plan(job, training):
            say(line)
    with _kept(job.network, records, output):
        rows = _fit(job, choices, records, [*stopping, *watchers], json)
        best = stopping[0].best_epoch if stopping else None
        row = next((row for row in rows if row.epoch == best), rows[-1])
        accuracy = _test_accuracy(job, training, row, choices.threads)
        place = output.write(job.network.save)

    seconds = sum(row.seconds for row in rows)
    for line in lines.of_chance(job.data, accuracy):
        (warn if json else say)(line)
    if json:
        say_json({"model": str(output.path), "test_accuracy": accuracy, "seconds": seconds})
        return
    of = f" of epoch {row.epoch}" if stopping else ""
    say(f"test accuracy {percent(accuracy)}{of} after {seconds:.1f} s of training")
    say(f"model saved in {place}")


@dataclass(frozen=True)
class _Job:
    """What is trained, with what, and how."""

    data: Dataset
    seen: Dataset  # its test images are those of the validation after each epoch
    network: Network
    recipe: str
    settings: Settings


def _job(choices: Choices, training: TrainOptions) -> _Job:
    """Read the data, and fit the recipe to them."""
    data = load_data(choices.data)
    recipe = choices.base().fitted(data)
    settings = choices.settings(recipe, **given_settings(training))
    network = choices.network(data, recipe)
    return _Job(data, training.seen(data, choices.seed), network, recipe.name, settings)


def _plan(job: _Job, training: TrainOptions) -> Iterator[str]:
    """What will be done, in words."""
    yield from lines.of_data(job.data, len(job.seen.train.labels), training.hold_out)
    yield from lines.of_network(job.network)
    epochs = count(job.settings.epochs, "epoch")
    yield f"recipe {job.recipe}: {epochs}, batch size {job.settings.batch_size}"
    yield from lines.of_settings(job.settings, job.network.layers, training.patience)


def _kept(network: Network, records: Records, output: Output) -> AbstractContextManager[None]:
    """Inside, an interruption loses nothing."""
    if records.checkpoint is None:
        return rescued(network, output.path)
    return resumable(records.checkpoint)


def _fit(
    job: _Job, choices: Choices, records: Records, callbacks: Sequence[Callback], json: bool
) -> History:
    """Train."""
    images, validation = job.seen.train, job.seen.test
    with reporter(json) as report:
        return job.network.fit(
            images.images,
            images.labels,
            (validation.images, validation.labels),
            **vars(job.settings),
            **records.arguments(),
            callbacks=(*callbacks, report),
            threads=choices.threads,
            data_name=job.data.name if choices.data in datasets.names() else None,
        )


def _test_accuracy(job: _Job, training: TrainOptions, row: Row, threads: int | None) -> float:
    """Of the network that is saved; the row is that of its epoch."""
    if training.hold_out is None and row.validation_accuracy is not None:
        return row.validation_accuracy  # of the test images
    test = job.data.test
    return job.network.evaluate(test.images, test.labels, threads=threads).accuracy


def _is_model(path: Path) -> bool:
    try:
        read_network(path)
    except ModelFileError:
        return False
    return True


def _default_out(data: str) -> str:
    """In the current folder, after the data."""
    stem = re.sub(r"[^\w.-]+", "-", Path(data).resolve().stem if "/" in data else Path(data).stem)
    return f"convlet-{stem}.safetensors"
