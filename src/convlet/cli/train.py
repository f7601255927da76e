"""`convlet train`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from convlet import datasets, recipes, watch
from convlet.cli import checkpoints, options, training
from convlet.cli.console import say, say_json
from convlet.cli.progress import percent, reporter
from convlet.engine import ENGINES
from convlet.errors import DivergedError, InputError
from convlet.inputs import as_count, as_positive, as_share
from convlet.network import Network
from convlet.run import Callback
from convlet.stopping import EarlyStopping
from convlet.text import format_layers

EXAMPLE = "Example: convlet train mnist --epochs 3 --out mnist.safetensors"


def train(
    data: options.Data = "mnist",
    layers: options.Layers = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"What options are unless given: {', '.join(recipes.NAMES)}. Without it default;"
            " plain with --optimizer, --momentum, --weight-decay, --learning-rate or --schedule.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=options.whole,
            metavar="N",
            help="How often every image is used.",
            show_default=training.OF_RECIPE,
        ),
    ] = None,
    batch_size: training.BatchSize = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            parser=options.real,
            metavar="X",
            help="Step size, eta.",
            show_default="of the recipe; with another optimizer its usual one",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            parser=options.whole, metavar="N", help="Of weights, shuffles, dropout, augmentation."
        ),
    ] = 0,
    optimizer: training.OptimizerName = None,
    momentum: training.Momentum = None,
    weight_decay: training.WeightDecay = None,
    schedule: training.ScheduleName = None,
    clip_norm: training.ClipNorm = None,
    label_smoothing: training.LabelSmoothing = 0.0,
    augment: training.Augment = None,
    patience: Annotated[
        int | None,
        typer.Option(
            parser=options.whole,
            metavar="N",
            help="Stop after N epochs without a lower loss in the tests; the best epoch is saved.",
        ),
    ] = None,
    hold_out: Annotated[
        int | None,
        typer.Option(
            parser=options.whole,
            metavar="N",
            help="Keep N training images, chosen by --seed, for the test of each epoch; the test"
            " images wait for the end.",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="auto, native or reference.")
    ] = "auto",
    threads: options.Threads = None,
    limit: Annotated[
        int | None,
        typer.Option(
            parser=options.whole, metavar="N", help="Use the first N training images only."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the model goes.", show_default="convlet-DATA.safetensors"
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Record each epoch in a .jsonl or .csv file."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Record each epoch for TensorBoard in this folder."),
    ] = None,
    checkpoint: checkpoints.Checkpoint = None,
    every: checkpoints.Every = None,
    resume: checkpoints.Resume = False,
    json: options.Json = False,
) -> None:
    """Train a network and save it.

    A recipe says how unless an option does; the last epoch's network is saved.

    With --checkpoint DIR a run can be interrupted; the same command with --resume goes on.
    """
    stepping = (optimizer, momentum, weight_decay, learning_rate, schedule)
    if recipe is None:  # the default one's numbers were not chosen for another step
        recipe = "default" if all(value is None for value in stepping) else "plain"
    base = training.read_recipe(recipe, data)
    rule = training.read_optimizer(optimizer, momentum, weight_decay, base.optimizer)
    changes: dict[str, Any] = {"optimizer": rule}  # of the recipe
    if epochs is not None:
        changes["epochs"] = as_count(epochs, "--epochs")
    if batch_size is not None:
        changes["batch_size"] = as_count(batch_size, "--batch-size")
    if learning_rate is not None:
        changes["learning_rate"] = as_positive(learning_rate, "--learning-rate", 1e6)
    elif rule.usual_rate != base.optimizer.usual_rate:  # a recipe's is for its own optimiser
        changes["learning_rate"] = rule.usual_rate
    if schedule is not None:
        changes["schedule"] = training.read_schedule(schedule)
    if augment is not None:
        changes["augmentation"] = training.read_augmentation(augment)
    as_count(seed, "--seed", 0, (1 << 64) - 1)
    training.check_clip_norm(clip_norm)
    as_share(label_smoothing, "--label-smoothing")
    options.check_threads(threads)
    for option, count in (("--patience", patience), ("--hold-out", hold_out), ("--limit", limit)):
        if count is not None:
            as_count(count, option)
    if engine not in ENGINES:
        raise InputError(f"--engine is {engine!r}, expected one of: {', '.join(ENGINES)}")
    chosen = options.read_layers(layers)
    out = default_out(data) if out is None else out
    checkpoints.check(checkpoint, every, resume)
    options.refuse_unwritable(out, "--out")
    watchers = _watchers(history, tensorboard)
    if resume and checkpoint is not None:
        watchers.append(checkpoints.Announcer(checkpoint, json))

    dataset = options.load_data(data)
    plan = replace(base.fitted(dataset), **changes)
    chosen = options.layers_for(chosen, dataset, plan)
    shape = dataset.train.images.shape[1:]
    network = Network(chosen, shape, seed, classes=dataset.classes, engine=engine)
    seen = replace(dataset, train=dataset.train.take(slice(limit)))
    if hold_out is not None:
        with options.renamed("count", "--hold-out"):
            seen = seen.hold_out(hold_out, seed)
    if not json:
        held = "" if hold_out is None else f"{hold_out:,} held out, "
        say(
            f"{dataset.name}: {len(seen.train.labels):,} training images, {held}"
            f"{len(dataset.test.labels):,} test images, {options.size(network.input_shape)},"
            f" {network.class_count} classes"
        )
        say(f"network: {format_layers(network.layers)}")
        say(f"{network.flat.size:,} parameters, {network.engine.name} engine")
        epochs_asked = f"{plan.epochs} epoch{'s' * (plan.epochs > 1)}"
        say(
            f"recipe {plan.name}: {epochs_asked}, batch size {plan.batch_size},"
            f" {plan.optimizer.name} {plan.learning_rate:g}, {plan.schedule.name}"
        )
        if plan.augmentation is not None:
            say(f"augmentation: {plan.augmentation}")
    # a diverging run is reported once, as an error, and not by NumPy
    tested = "test" if hold_out is None else "held-out"
    stopping = [] if patience is None else [EarlyStopping(patience)]
    quiet = np.errstate(over="ignore", invalid="ignore")
    with checkpoints.as_options(checkpoint), reporter(json, tested) as report, quiet, _diverging():
        rows = network.fit(
            seen.train.images,
            seen.train.labels,
            (seen.test.images, seen.test.labels),
            **plan.settings(),
            seed=seed,
            callbacks=(*stopping, *watchers, report),
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            threads=threads,
            checkpoint=checkpoint,
            every=every,
            resume=resume,
        )
    network.data = dataset.name if data in datasets.names() else None
    network.save(out)
    best = stopping[0].best_epoch if stopping else None
    saved = next((row for row in rows if row.epoch == best), rows[-1])
    accuracy, seconds = saved.test_accuracy, sum(row.seconds for row in rows)
    if hold_out is not None:
        test = dataset.test
        accuracy = network.evaluate(test.images, test.labels, threads=threads).accuracy
    if json:
        say_json({"model": str(out), "test_accuracy": accuracy, "seconds": seconds})
    else:
        assert accuracy is not None  # there was validation data
        of = f" of epoch {saved.epoch}" if stopping else ""
        say(f"test accuracy {percent(accuracy)}{of} after {seconds:.1f} s of training")
        say(f"model saved in {out}")


def _watchers(history: Path | None, tensorboard: Path | None) -> list[Callback]:
    """The callbacks of --history and --tensorboard.

    Raises `InputError`, `DataError`, `FileError`, `MissingDependencyError`.
    """
    callbacks: list[Callback] = []
    if history is not None:
        file = watch.history_file(history, "--history")
        options.refuse_unwritable(history, "--history")
        callbacks.append(file)
    if tensorboard is not None:
        options.refuse_unwritable_folder(tensorboard, "--tensorboard")
        callbacks.append(watch.TensorBoard(tensorboard))
    return callbacks


@contextmanager
def _diverging() -> Iterator[None]:
    """Inside, a diverged training names options in the place of parameters."""
    try:
        yield
    except DivergedError as error:
        text, mark, place = str(error).partition("; last good checkpoint: ")
        text = text.replace("try a learning rate", "try a --learning-rate")
        raise DivergedError(text.replace("clip_norm", "--clip-norm") + mark + place) from None


def default_out(data: str) -> Path:
    """In the current folder, after the data."""
    stem = re.sub(r"[^\w.-]+", "-", Path(data).resolve().stem if "/" in data else Path(data).stem)
    return Path(f"convlet-{stem}.safetensors")
