"""`convlet train`."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import click

from convlet import datasets
from convlet.cli import choices as chosen
from convlet.cli import lines, machines, options, reading, records
from convlet.cli.checkpoints import resumable
from convlet.cli.choices import Choices, given_settings
from convlet.cli.console import say, say_json, warn
from convlet.cli.folds import cross_validate
from convlet.cli.help import Command
from convlet.cli.jobs import Job, job_for
from convlet.cli.machines import Machines
from convlet.cli.models import is_model, load_data
from convlet.cli.places import Output, stem_of
from convlet.cli.reading import Reading
from convlet.cli.records import Records
from convlet.cli.reporter import reporter
from convlet.cli.rescue import rescued
from convlet.cli.train_options import OPTIONS, TrainOptions
from convlet.datasets.dataset import Split
from convlet.network import Network
from convlet.run import Row
from convlet.stopping import EarlyStopping
from convlet.wording import percent

EXAMPLE = "Example: convlet train mnist --epochs 3 --out mnist.safetensors"
WITHOUT_RECIPE = (
    " Without it default; plain with --optimizer, --momentum, --weight-decay, --learning-rate or"
    " --schedule."
)


@click.command(cls=Command, epilog=EXAMPLE)
@OPTIONS
@chosen.shared(chosen.recipe_option(WITHOUT_RECIPE))
@reading.OPTIONS
@options.file("--out", help="Where the model goes.", show_default="convlet-DATA.safetensors")
@records.OPTIONS
@machines.OPTIONS
@options.JSON
def train(
    choices: Choices,
    training: TrainOptions,
    reading: Reading,
    out: Path | None,
    records: Records,
    machines: Machines,
    json: bool,
) -> None:
    """Train a network and save it.

    A recipe says how unless an option does; the last epoch's network is saved.

    With --checkpoint DIR a run can be interrupted; the same command with --resume goes on.
    """
    training = replace(training, shards=machines.shards(training.shards))
    choices = training.with_recipe(choices)
    choices.check(**given_settings(training))
    machines.check(choices.threads)
    machines.check_shards(training.shards or 1)
    reading.check()
    training.check()
    if training.folds is not None:
        records.refuse(out, "folds", "no single network comes of it")
        with machines.opened() as cluster:
            cross_validate(choices, training, reading, training.folds, json, cluster)
        return
    stopping = [] if training.patience is None else [EarlyStopping(training.patience)]
    watchers = records.prepare(choices.data, out, json)
    default = f"convlet-{stem_of(choices.data)}.safetensors"
    output = Output(out, default, "a convlet model", is_model)

    data = load_data(choices.data, json, seed=choices.seed, **reading.arguments())
    seen = training.seen(data, choices.seed)
    job = job_for(data, seen.train, seen.validation, choices, training)
    if not json:
        held = None if training.hold_out is None else seen.validation
        counts = len(seen.train), None if held is None else len(held)
        for line in lines.of_data(data, *counts):
            say(line)
        for line in job.lines():
            say(line)
    name = data.name if choices.data in datasets.names() else None
    with _kept(job.network, records, output):
        with machines.opened() as cluster, reporter(json) as report:
            told = [*stopping, *watchers, report]
            rows = job.fit(told, **records.arguments(), data_name=name, cluster=cluster)
        best = stopping[0].best_epoch if stopping else None
        row = next((row for row in rows if row.epoch == best), rows[-1])
        accuracy = _test_accuracy(job, data.test, row)
        place = output.write(job.network.save)

    seconds = sum(row.seconds for row in rows)
    for line in lines.of_chance(data, accuracy):
        (warn if json else say)(line)
    if json:
        found = {"model": str(output.path), "test_accuracy": accuracy, "seconds": seconds}
        say_json({**found, "said": [*data.said, *lines.of_drawn(data)]})
        return
    of = f" of epoch {row.epoch}" if stopping else ""
    say(f"test accuracy {percent(accuracy)}{of} after {seconds:.1f} s of training")
    say(f"model saved in {place}")


def _kept(network: Network, records: Records, output: Output) -> AbstractContextManager[None]:
    """Inside, an interruption loses nothing."""
    if records.checkpoint is None:
        return rescued(network, output.path)
    return resumable(records.checkpoint)


def _test_accuracy(job: Job, test: Split, row: Row) -> float:
    """Of the network that is saved; the row is that of its epoch."""
    if job.validation is test and row.validation_accuracy is not None:
        return row.validation_accuracy
    return job.evaluate(test).accuracy
