"""`convlet find-lr`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from convlet import plots
from convlet.cli import options, training
from convlet.cli.console import say, say_json
from convlet.engine import ENGINES
from convlet.errors import InputError
from convlet.inputs import as_count, as_positive, as_share
from convlet.network import Network
from convlet.plots.style import check_suffix, figure

EXAMPLE = "Example: convlet find-lr mnist --optimizer adam --out rates.png"


def find_lr(
    data: options.Data = "mnist",
    layers: options.Layers = None,
    recipe: training.RecipeName = "plain",
    optimizer: training.OptimizerName = None,
    momentum: training.Momentum = None,
    weight_decay: training.WeightDecay = None,
    clip_norm: training.ClipNorm = None,
    label_smoothing: training.LabelSmoothing = 0.0,
    augment: training.Augment = None,
    batch_size: training.BatchSize = None,
    least: Annotated[
        float, typer.Option(parser=options.real, metavar="X", help="The first rate.")
    ] = 1e-5,
    most: Annotated[
        float, typer.Option(parser=options.real, metavar="X", help="The last rate.")
    ] = 10.0,
    steps: Annotated[
        int, typer.Option(parser=options.whole, metavar="N", help="Rates to try, one a step.")
    ] = 200,
    seed: Annotated[
        int, typer.Option(parser=options.whole, metavar="N", help="Of weights and shuffles.")
    ] = 0,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="auto, native or reference.")
    ] = "auto",
    threads: options.Threads = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw loss over rate: a .png, .svg or .pdf file."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Suggest a learning rate: a short training while the rate grows.

    Nothing is saved but the picture.
    """
    base = training.read_recipe(recipe, data)
    changes: dict[str, Any] = {
        "optimizer": training.read_optimizer(optimizer, momentum, weight_decay, base.optimizer)
    }
    if batch_size is not None:
        changes["batch_size"] = as_count(batch_size, "--batch-size")
    if augment is not None:
        changes["augmentation"] = training.read_augmentation(augment)
    training.check_clip_norm(clip_norm)
    as_share(label_smoothing, "--label-smoothing")
    as_positive(least, "--least", 1e6)
    as_positive(most, "--most", 1e6)
    if not least < most:
        raise InputError(f"--most is {most!r}, expected more than --least, {least!r}")
    as_count(steps, "--steps", 2, 1 << 20)
    as_count(seed, "--seed", 0, (1 << 64) - 1)
    options.check_threads(threads)
    if engine not in ENGINES:
        raise InputError(f"--engine is {engine!r}, expected one of: {', '.join(ENGINES)}")
    chosen = options.read_layers(layers)
    if out is not None:
        check_suffix(out, "--out")
        options.refuse_unwritable(out, "--out")
        figure(1, 1)  # whether matplotlib is there

    dataset = options.load_data(data)
    plan = replace(base.fitted(dataset), **changes)
    chosen = options.layers_for(chosen, dataset, plan)
    shape = dataset.train.images.shape[1:]
    network = Network(chosen, shape, seed, classes=dataset.classes, engine=engine)
    with np.errstate(over="ignore", invalid="ignore"):
        result = network.find_learning_rate(
            dataset.train.images,
            dataset.train.labels,
            least,
            most,
            steps,
            plan.batch_size,
            seed,
            optimizer=plan.optimizer,
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            augmentation=plan.augmentation,
            threads=threads,
        )
    if out is not None:
        plots.save(plots.learning_rates(result), out)
    if json:
        for rate, loss, average in zip(result.rates, result.losses, result.smoothed, strict=True):
            say_json({"rate": float(rate), "loss": float(loss), "smoothed": float(average)})
        say_json({"suggestion": result.suggestion, "diverged": result.diverged})
        return
    if result.diverged:
        say(f"the loss exploded after {len(result.rates)} of {steps} steps")
    if result.suggestion is None:
        say("no rate can be suggested: try a lower --least, another --most, or more --steps")
    else:
        say(f"suggested learning rate: {result.suggestion:.2g}")
    if out is not None:
        say(f"picture saved in {out}")
