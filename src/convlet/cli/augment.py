"""`convlet augment`."""

from pathlib import Path
from typing import Annotated

import typer

from convlet import plots
from convlet.cli import options, training
from convlet.cli.console import say
from convlet.errors import InputError
from convlet.inputs import as_count
from convlet.plots.style import check_suffix, figure

EXAMPLE = 'Example: convlet augment mnist --augment "shift 2, elastic 30" --preview seen.png'


def augment(
    preview: Annotated[
        Path, typer.Option("--preview", metavar="FILE", help="A .png, .svg or .pdf file.")
    ],
    augment: Annotated[
        str,
        typer.Option("--augment", metavar="TEXT", help='As in "shift 2, rotation 15, elastic 30".'),
    ],
    data: options.Data = "mnist",
    seed: Annotated[
        int, typer.Option(parser=options.whole, metavar="N", help="That of the training.")
    ] = 0,
    count: Annotated[
        int,
        typer.Option(parser=options.whole, metavar="N", help="The first N training images."),
    ] = 8,
) -> None:
    """Draw training images beside what augmentation makes of them."""
    plan = training.read_augmentation(augment)
    if plan is None:
        raise InputError(f"--augment is {augment!r}, expected one that changes images")
    as_count(seed, "--seed", 0, (1 << 64) - 1)
    as_count(count, "--count", 1, 50)
    check_suffix(preview, "--preview")
    options.refuse_unwritable(preview, "--preview")
    figure(1, 1)  # whether matplotlib is there
    images = options.load_data(data).train.images[:count]
    plots.save(plots.augmented(images, plan, seed=seed), preview)
    say(f"picture saved in {preview}")
