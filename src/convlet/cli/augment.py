"""`convlet augment`."""

from pathlib import Path

import click

from convlet import plots
from convlet.augmentation import as_changes
from convlet.cli import options, places, reading
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import load_data
from convlet.cli.options import whole
from convlet.cli.pictures import PictureFile
from convlet.cli.reading import Reading
from convlet.inputs import as_count
from convlet.plots.augmented import MOST_IMAGES

EXAMPLE = 'Example: convlet augment mnist --augment "shift 2, elastic 30" --preview seen.png'


@click.command(cls=Command, epilog=EXAMPLE)
@options.DATA
@reading.OPTIONS
@options.file("--preview", required=True, help="A .png, .svg or .pdf file.")
@click.option(
    "--augment",
    metavar="CHANGES",
    required=True,
    help='As in "shift 2, rotation 15, elastic 30".',
)
@whole("--seed", default=0, help="That of the training.")
@whole("--count", default=8, help="The first N training images.")
def augment(
    data: str, reading: Reading, preview: Path, augment: str, seed: int, count: int
) -> None:
    """Draw training images beside what augmentation makes of them."""
    changes = as_changes(augment)
    reading.check(seed)
    as_count(count, "count", 1, MOST_IMAGES)
    places.refuse_inside(preview, data, "preview")
    picture = PictureFile(preview, name="preview")
    dataset = load_data(data, seed=seed, **reading.arguments())
    for line in dataset.said:
        say(line)
    images = dataset.train.images[:count]
    say(picture.save(plots.augmented(images, changes, seed=seed)))
