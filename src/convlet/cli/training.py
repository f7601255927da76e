"""How a step is taken: the options of `convlet train` and `convlet find-lr`, and their checks."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from convlet import recipes
from convlet.augmentation import Augmentation, parse_augmentation
from convlet.cli import options
from convlet.errors import InputError
from convlet.inputs import as_positive, as_share
from convlet.optimizers import NAMES, SGD, Optimizer, as_optimizer
from convlet.recipes import Recipe
from convlet.schedules import KINDS, Schedule, parse_schedule

OF_RECIPE = "of the recipe"

RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help=f"What options are unless given: {', '.join(recipes.NAMES)}.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        parser=options.whole,
        metavar="N",
        help="Images in one step.",
        show_default=OF_RECIPE,
    ),
]
OptimizerName = Annotated[
    str | None,
    typer.Option(
        "--optimizer", metavar="NAME", help=", ".join(NAMES) + ".", show_default=OF_RECIPE
    ),
]
Momentum = Annotated[
    float | None,
    typer.Option(
        "--momentum",
        parser=options.real,
        metavar="X",
        help="Of sgd, momentum and nesterov.",
        show_default=OF_RECIPE,
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        "--weight-decay",
        parser=options.real,
        metavar="X",
        help="Lambda, beside the gradient.",
        show_default=OF_RECIPE,
    ),
]
ScheduleName = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        metavar="TEXT",
        help=f'Of the learning rate: {", ".join(KINDS)}; with numbers as in "step every 5".',
        show_default=OF_RECIPE,
    ),
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-norm", parser=options.real, metavar="X", help="Greatest norm of a gradient."
    ),
]
LabelSmoothing = Annotated[
    float,
    typer.Option(
        "--label-smoothing", parser=options.real, metavar="S", help="Share spread over all classes."
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        "--augment",
        metavar="TEXT",
        help='As in "shift 2, rotation 15": also scale, shear, elastic, sigma, flip; or none.',
        show_default=OF_RECIPE,
    ),
]


def read_recipe(name: str, data: str) -> Recipe:
    """The recipe of --recipe, not yet fitted to the data."""
    with options.renamed("recipe", "--recipe"):
        return recipes.recipe(name, Path(data).name)


def read_optimizer(
    name: str | None,
    momentum: float | None,
    weight_decay: float | None,
    otherwise: Optimizer,
) -> Optimizer:
    """The optimiser of --optimizer with the numbers of the other two.  Raises `InputError`.

    otherwise: without --optimizer.
    """
    if name is not None and name not in NAMES:
        raise InputError(f"--optimizer is {name!r}, expected one of: {', '.join(NAMES)}")
    optimizer = as_optimizer(name) if name is not None else otherwise
    if momentum is not None:
        as_share(momentum, "--momentum")
        if not isinstance(optimizer, SGD):
            raise InputError(
                f"--momentum is {momentum!r}, but {optimizer.name} has its own averages:"
                " it is for sgd, momentum and nesterov"
            )
        if optimizer.nesterov and not momentum:
            raise InputError("--momentum is 0, expected a number above 0 for --optimizer nesterov")
        optimizer = replace(optimizer, momentum=momentum)
    if weight_decay is not None:
        with options.renamed(f"{type(optimizer).__name__}: weight_decay", "--weight-decay"):
            optimizer = replace(optimizer, weight_decay=weight_decay)
    return optimizer


def read_schedule(text: str) -> Schedule:
    """The schedule of --schedule."""
    with options.renamed("schedule", "--schedule"):
        return parse_schedule(text)


def check_clip_norm(clip_norm: float | None) -> None:
    """Refuse what is no norm."""
    if clip_norm is not None:
        as_positive(clip_norm, "--clip-norm", 1e9)


def read_augmentation(text: str | None) -> Augmentation | None:
    """The augmentation of --augment, None where it is not given."""
    if text is None:
        return None
    with options.prefixed("--augment"):
        return parse_augmentation(text)
