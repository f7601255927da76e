"""`convlet augment`."""

from pathlib import Path

import click

from convlet import plots
from convlet.augmentation import as_changes
from convlet.cli import options
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import load_data
from convlet.cli.options import whole
from convlet.cli.pictures import PictureFile
from convlet.inputs import as_count, as_seed
from convlet.plots.augmented import MOST_IMAGES

EXAMPLE = 'Example: convlet augment mnist --augment "shift 2, elastic 30" --preview seen.png'


@click.command(cls=Command, epilog=EXAMPLE)
@options.DATA
@options.file("--preview", required=True, help="A .png, .svg or .pdf file.")
@click.option(
    "--augment",
    metavar="CHANGES",
    required=True,
    help='As in "shift 2, rotation 15, elastic 30".',
)
@whole("--seed", default=0, help="That of the training.")
@whole("--count", default=8, help="The first N training images.")
def augment(data: str, preview: Path, augment: str, seed: int, count: int) -> None:
    """Draw training images beside what augmentation makes of them."""
    changes = as_changes(augment)
    as_seed(seed)
    as_count(count, "count", 1, MOST_IMAGES)
    picture = PictureFile(preview, name="preview")
    images = load_data(data).train.images[:count]
    say(picture.save(plots.augmented(images, changes, seed=seed)))
