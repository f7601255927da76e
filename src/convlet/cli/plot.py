"""`convlet plot`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convlet import plots
from convlet.cli import options, places, reading
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.models import load_model, load_with_data
from convlet.cli.options import argument, file, whole
from convlet.cli.pictures import PictureFile
from convlet.cli.reading import Tested
from convlet.errors import InputError, blaming
from convlet.inputs import as_count
from convlet.plots.mistakes import MOST_IMAGES
from convlet.watch import read_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLE = "Example: convlet plot confusion mnist.safetensors mnist --out confusion.svg"
OF_A_CLASS = ("saliency", "class-activation")
OF_ONE = ("activations", *OF_A_CLASS)
"""Pictures of one image, and of a class that it might have."""
PICTURES = ("curves", "confusion", "filters", *OF_ONE, "mistakes", "reliability")
MISTAKES = 25


@click.command(cls=Command, epilog=EXAMPLE)
@argument("kind", f"{', '.join(PICTURES)}.", shell_complete=options.offering(PICTURES))
@argument("model", "A file that train saved; for curves, its --history file.", type=options.FILE)
@options.MODEL_DATA
@reading.TESTED
@file("--out", help="A .png, .svg or .pdf file.", show_default="convlet-KIND.png")
@whole("--image", default=0, help="For a picture of one image: which test image, from 0.")
@whole("--label", help="For saliency and class-activation: of which class, from 0.")
@whole("--count", default=MISTAKES, help="For mistakes: at most so many.")
def plot(
    kind: str,
    model: Path,
    data: str | None,
    tested: Tested,
    out: Path | None,
    image: int,
    label: int | None,
    count: int,
) -> None:
    """Draw one picture of training or of what was learned.

    All but curves and filters are of the test images of DATA; activations, saliency and
    class-activation are of one of them.
    """
    if kind not in PICTURES:
        raise InputError("kind", kind, f"one of: {', '.join(PICTURES)}")
    tested.check()
    _refuse_unused(kind, data, tested, image, label, count)
    as_count(image, "image", 0)
    if label is not None:
        as_count(label, "label", 0)
    as_count(count, "count", 1, MOST_IMAGES)
    places.refuse_same({"model": model, "out": out})
    places.refuse_inside(out, data)
    picture = PictureFile(out, f"convlet-{kind}.png")
    say(picture.save(_draw(kind, model, data, tested, image, label, count)))


def _refuse_unused(
    kind: str, data: str | None, tested: Tested, image: int, label: int | None, count: int
) -> None:
    """What a kind of picture would leave aside without a word."""
    if kind in ("curves", "filters"):
        if data is not None:
            raise InputError("data", data, but=f"{kind} needs none", hint="leave it out")
        for name, value in tested.arguments().items():
            if value:
                raise InputError(name, value, but=f"{kind} needs no data", hint="leave it out")
    if image and kind not in OF_ONE:
        raise InputError("image", image, but=f"{kind} is of all images", hint="leave it out")
    if label is not None and kind not in OF_A_CLASS:
        raise InputError("label", label, but=f"{kind} is of all classes", hint="leave it out")
    if count != MISTAKES and kind != "mistakes":
        raise InputError("count", count, but=f"{kind} shows no mistakes", hint="leave it out")


def _draw(
    kind: str,
    model: Path,
    data: str | None,
    tested: Tested,
    image: int,
    label: int | None,
    count: int,
) -> "Figure":
    if kind == "curves":
        with blaming("model"):
            return plots.training_curves(read_history(model, "model"))
    if kind == "filters":
        return plots.filters(load_model(model))
    network, dataset = load_with_data(model, data, **tested.arguments())
    for line in dataset.said:
        say(line)
    x, y = dataset.test.images, dataset.test.labels
    if kind == "confusion":
        return plots.confusion_matrix(network, x, y)
    if kind == "mistakes":
        return plots.mistakes(network, x, y, count, names=dataset.test.names)
    if kind == "reliability":
        return plots.reliability(network, x, y)
    if image >= len(x):
        raise InputError("image", image, f"0 to {len(x) - 1}", "a test image")
    if kind == "saliency":
        return plots.saliency(network, x[image], label)
    if kind == "class-activation":
        return plots.class_activation(network, x[image], label)
    return plots.activations(network, x[image])
