"""`convlet find-lr`."""

from collections.abc import Iterator
from pathlib import Path

import click

from convlet import plots
from convlet.augmentation import check_shift
from convlet.cli import choices as chosen
from convlet.cli import options, places, reading
from convlet.cli.choices import Choices
from convlet.cli.console import say, say_json
from convlet.cli.help import Command
from convlet.cli.models import load_data
from convlet.cli.options import real, whole
from convlet.cli.pictures import PictureFile
from convlet.cli.reading import Reading
from convlet.search import LearningRates, find_learning_rate, growing_rates

EXAMPLE = "Example: convlet find-lr mnist --optimizer adam --out rates.png"


@click.command("find-lr", cls=Command, epilog=EXAMPLE)
@chosen.shared(chosen.recipe_option("", default="plain"))
@reading.OPTIONS
@real("--least", default=1e-5, help="The first rate.")
@real("--most", default=10.0, help="The last rate.")
@whole("--steps", default=200, help="Rates to try, one a step.")
@options.file("--out", help="Draw loss over rate: a .png, .svg or .pdf file.")
@options.JSON
def find_lr(
    choices: Choices,
    reading: Reading,
    least: float,
    most: float,
    steps: int,
    out: Path | None,
    json: bool,
) -> None:
    """Suggest a learning rate: a short training while the rate grows.

    Nothing is saved but the picture.
    """
    choices.check()
    reading.check()
    rates = growing_rates(least, most, steps)
    places.refuse_inside(out, choices.data)
    picture = None if out is None else PictureFile(out)

    data = load_data(choices.data, json, seed=choices.seed, **reading.arguments())
    if not json:
        for line in data.said:
            say(line)
    recipe = choices.fitted(data)
    settings, network = choices.settings(recipe), choices.network(data, recipe)
    check_shift(settings.augmentation, network.input_shape)
    images = data.train
    samples = network.samples(images.images, images.labels, class_weight=settings.class_weight)
    result = find_learning_rate(network, samples, rates, settings, choices.threads)
    saved = None if picture is None else picture.save(plots.learning_rates(result))

    if json:
        for rate, loss, average in zip(result.rates, result.losses, result.smoothed, strict=True):
            say_json({"rate": float(rate), "loss": float(loss), "smoothed": float(average)})
        say_json(
            {
                "suggestion": result.suggestion,
                "diverged": result.diverged,
                "optimizer": str(settings.optimizer),
                "batch_size": settings.batch_size,
            }
        )
        return
    how = f"{settings.optimizer}, batch size {settings.batch_size}"
    for line in _words(result, steps, how):
        say(line)
    if saved is not None:
        say(saved)


def _words(result: LearningRates, steps: int, how: str) -> Iterator[str]:
    """What was found.  how: it was trained."""
    if result.diverged:
        yield f"the loss exploded after {len(result.rates)} of {steps} steps"
    if result.suggestion is None:
        yield f"no rate can be suggested for {how}:"
        yield "try a lower --least, another --most, or more --steps"
    else:
        yield f"suggested learning rate: {result.suggestion:.2g} for {how}"
