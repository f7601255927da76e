"""`convlet live`."""

from contextlib import closing
from pathlib import Path

import click

from convlet import datasets
from convlet.cli import choices as chosen
from convlet.cli import lines, reading
from convlet.cli.choices import Choices, given_settings
from convlet.cli.console import say
from convlet.cli.help import Command
from convlet.cli.jobs import job_for
from convlet.cli.models import data_for, data_of, is_model, load_data, load_model
from convlet.cli.options import argument, whole
from convlet.cli.reading import Reading
from convlet.cli.train_options import ONE, Course
from convlet.datasets import Dataset
from convlet.errors import InputError, Name
from convlet.network import Network
from convlet.server.description import data_of as page_data_of
from convlet.server.live_page import LivePage
from convlet.server.proposals import Plan
from convlet.server.serving import LOOPBACK, check_place, require_uvicorn
from convlet.server.start import serve

EXAMPLE = "Example: convlet live mnist --train"
WITHOUT_RECIPE = (
    " Without it default; plain with --optimizer, --momentum, --weight-decay, --learning-rate or"
    " --schedule."
)


@click.command(cls=Command, epilog=EXAMPLE)
@chosen.shared(chosen.recipe_option(WITHOUT_RECIPE))
@argument(
    "looked_at",
    "After a MODEL: data, as for train.  [default: (what the model was trained on)]",
    required=False,
    metavar="[DATA]",
)
@ONE
@reading.OPTIONS
@click.option("--train", "begin", is_flag=True, help="Begin to train at once.")
@click.option("--no-browser", is_flag=True, help="Only say the address.")
@whole("--port", default=0, help="To listen at; 0 is any that is free.")
@click.option("--host", metavar="HOST", default=LOOPBACK, help="Address to listen at.")
@click.option("--expose", is_flag=True, help="Let other machines reach the page at --host.")
def live(
    choices: Choices,
    looked_at: str | None,
    course: Course,
    reading: Reading,
    begin: bool,
    no_browser: bool,
    port: int,
    host: str,
    expose: bool,
) -> None:
    """Serve a page on which a network learns, and any number of it can be followed.

    DATA is as for train; a MODEL in its place is shown and trained on.  Ctrl-C ends it.
    """
    require_uvicorn()
    check_place(host, port, expose)
    choices = course.with_recipe(choices)
    choices.check(**given_settings(course))
    reading.check()
    course.check()
    network, data, plan = _found(choices, looked_at, course, reading)
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
    choices: Choices, looked_at: str | None, course: Course, reading: Reading
) -> tuple[Network, Dataset | None, Plan]:
    """The network, its data as training sees them, and how it is trained."""
    model = Path(choices.data)
    if choices.data in datasets.names() or not (model.is_file() and is_model(model)):
        if looked_at is not None:
            but = ("a second one comes after a ", Name("model"), " only")
            raise InputError("data", looked_at, but=but, hint="give one of them")
        return _of_data(choices, course, reading)
    if choices.layers is not None:
        hint = "give data in the place of it"
        raise InputError("layers", choices.layers, but=f"{model} has its own", hint=hint)
    network = load_model(model)
    name = data_of(network) if looked_at is None else looked_at
    data = None
    if name is not None:
        data = course.seen(_data_of_model(network, name, model, reading), choices.seed)
    settings = network.settings
    if settings is None or choices.recipe != "default" or given_settings(course):
        settings = choices.settings(choices.fitted(data), **given_settings(course))
    return network, data, Plan(network.layers, settings, None)


def _of_data(choices: Choices, course: Course, reading: Reading) -> tuple[Network, Dataset, Plan]:
    data = load_data(choices.data, seed=choices.seed, **reading.arguments())
    seen = course.seen(data, choices.seed)
    job = job_for(data, seen.train, seen.validation, choices, course)
    for line in (*lines.of_data(data, len(seen.train)), *job.lines()):
        say(line)
    if choices.data in datasets.names():
        job.network.data = data.name
    recipe = choices.recipe or "default"
    return job.network, seen, Plan(job.network.layers, job.settings, recipe)


def _data_of_model(network: Network, name: str, model: Path, reading: Reading) -> Dataset:
    """Data as a network takes them, to train with as well."""
    for option in ("size", "colour", "fit"):
        if getattr(reading, option) is not None:
            but = f"{model} says how its images are prepared"
            raise InputError(option, getattr(reading, option), but=but, hint="leave it out")
    data = data_for(network, name, model, False, datasets.load, **reading.arguments())
    unknown = int((data.train.labels < 0).sum())
    if unknown:
        found = f"has {unknown:,} training images of classes that {model} does not know"
        raise InputError("data", name, subject=data.name, found=found, hint="move them away")
    for line in lines.of_data(data, len(data.train)):
        say(line)
    return data
