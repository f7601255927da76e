"""`convlet live`."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from convlet import datasets
from convlet.balance import parsed
from convlet.cli import choices as chosen
from convlet.cli import lines, options, reading
from convlet.cli.choices import Choices, given_settings
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.jobs import job_for
from convlet.cli.models import data_for, data_of, is_model, load_data, load_model
from convlet.cli.names import call
from convlet.cli.options import whole
from convlet.cli.reading import Reading
from convlet.cli.train_options import ONE, Course
from convlet.datasets import Dataset
from convlet.errors import InputError
from convlet.network import Network
from convlet.server.description import data_of as page_data_of
from convlet.server.given import refuse_without_data
from convlet.server.live_page import LivePage
from convlet.server.proposals import Plan
from convlet.server.serving import LOOPBACK, check_place, require_server
from convlet.server.start import serve
from convlet.settings import Settings

EXAMPLE = "Example: convlet live mnist --train"
WITHOUT_RECIPE = (
    " Without it default; plain with --optimizer, --momentum, --weight-decay, --learning-rate or"
    " --schedule."
)


@click.command(cls=Command, epilog=EXAMPLE)
@chosen.shared(chosen.recipe_option(WITHOUT_RECIPE))
@ONE
@reading.OPTIONS
@options.file(
    "--model", "model_file", help="Show and train this one, of which DATA may also be the name."
)
@click.option("--train", "begin", is_flag=True, help="Begin to train at once.")
@click.option("--no-browser", is_flag=True, help="Only say the address.")
@whole("--port", default=0, help="To listen at; 0 is any that is free.")
@click.option("--host", metavar="HOST", default=LOOPBACK, help="Address to listen at.")
@click.option("--expose", is_flag=True, help="Let other machines reach the page at --host.")
def live(
    choices: Choices,
    course: Course,
    reading: Reading,
    model_file: Path | None,
    begin: bool,
    no_browser: bool,
    port: int,
    host: str,
    expose: bool,
) -> None:
    """Serve a page on which a network learns, and any number of it can be followed.

    DATA is as for train.  A model in its place comes with the data that it was trained on, if they
    have a name.  Ctrl-C ends it.
    """
    require_server()
    check_place(host, port, expose)
    course.with_recipe(choices).check(**given_settings(course))
    reading.check()
    course.check()
    network, data, plan = _found(choices, course, reading, model_file)
    if data is None:
        call(train="--train")
        refuse_without_data({"train": begin, **_of_training(choices, course, reading)})
    shown = None if data is None else page_data_of(data)
    serving = serve(network, shown, plan, choices.threads, host, port, expose)
    with closing(serving):
        if begin:
            serving.session.driver.do("start")
        say(f"live page: {serving.url}")
        if not no_browser and not LivePage(serving).open():
            say("no browser to open it with: open that address in one")
        say("Ctrl-C ends it")
        serving.wait()


def _found(
    choices: Choices, course: Course, reading: Reading, model: Path | None
) -> tuple[Network, Dataset | None, Plan]:
    """The network, its data as training sees them, and how it is trained."""
    place = Path(choices.data)
    if model is not None:
        call(model="--model")
        return _of_model(choices, course, reading, model, choices.data)
    if choices.data not in datasets.names() and place.is_file() and is_model(place):
        return _of_model(choices, course, reading, place, None)
    return _of_data(course.with_recipe(choices), course, reading)


def _of_training(choices: Choices, course: Course, reading: Reading) -> dict[str, Any]:
    """The options that only training needs; those that were not given are None, or 0."""
    others = ("data", "layers", "engine", "threads")
    found = {name: value for name, value in vars(choices).items() if name not in others}
    return found | vars(course) | reading.arguments()


def _of_data(choices: Choices, course: Course, reading: Reading) -> tuple[Network, Dataset, Plan]:
    data = load_data(choices.data, seed=choices.seed, **reading.arguments())
    seen = course.seen(data, choices.seed)
    job = job_for(data, seen.train, seen.validation, choices, course)
    for line in (*lines.of_data(data, len(seen.train)), *job.lines()):
        say(line)
    if choices.data in datasets.names():
        job.network.data = data.name
    return job.network, seen, Plan(job.network.layers, job.settings, choices.recipe)


def _of_model(
    choices: Choices, course: Course, reading: Reading, model: Path, name: str | None
) -> tuple[Network, Dataset | None, Plan]:
    """name: of the data; None for those that the model was trained on."""
    taken = {"layers": choices.layers} | {n: getattr(reading, n) for n in ("size", "colour", "fit")}
    for option, value in taken.items():
        if value is not None:
            raise InputError(option, value, but=f"{model} has its own", hint="leave it out")
    network = load_model(model, choices.engine)
    name = data_of(network) if name is None else name
    data = None
    if name is not None:
        data = data_for(network, name, model, False, datasets.load, **reading.arguments())
        _refuse_unknown(data, model)
        for line in lines.of_data(data, len(data.train)):
            say(line)
        data = course.seen(data, choices.seed)
    if network.settings is None or choices.recipe is not None:
        chosen = course.with_recipe(choices)
        settings = chosen.settings(chosen.fitted(data), **given_settings(course))
    else:
        settings = _but(network.settings, choices, course)
    return network, data, Plan(network.layers, settings, choices.recipe)


def _but(settings: Settings, choices: Choices, course: Course) -> Settings:
    """Those of a model with what was given; its seed and smoothing stay unless one is."""
    given = given_settings(choices) | given_settings(course)
    for name in ("seed", "label_smoothing"):
        if not given[name]:
            del given[name]
    if choices.class_weight is not None:
        given["class_weight"] = parsed(choices.class_weight)
    return settings.but(**given | {"optimizer": choices.optimizer_for(settings.optimizer)})


def _refuse_unknown(data: Dataset, model: Path) -> None:
    """Raise `InputError` for training images of classes that the network has not."""
    unknown = int((data.train.labels < 0).sum())
    if unknown:
        found = f"has {unknown:,} training images of classes that {model} does not know"
        raise InputError("data", data.name, found=found, hint="move them away")
