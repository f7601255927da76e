"""`live`: the page of a network from a notebook or a script."""

from typing import Any

from convlet import recipes
from convlet.errors import InputError
from convlet.inputs import as_bool
from convlet.measures import as_network
from convlet.network import Network
from convlet.server.description import Data
from convlet.server.given import as_data, refuse_without_data
from convlet.server.live_page import LivePage
from convlet.server.proposals import Plan
from convlet.server.serving import LOOPBACK, Serving, check_place, require_server
from convlet.server.session import Session
from convlet.server.trainer import Trainer
from convlet.settings import Settings


def live(
    network: Network | None = None,
    data: Any = None,
    validation: Any = None,
    *,
    recipe: str | None = None,
    threads: int | None = None,
    train: bool = False,
    browser: bool = True,
    host: str = LOOPBACK,
    port: int = 0,
    expose: bool = False,
    frame: str | None = None,
    **settings: Any,
) -> LivePage:
    """Serve the live page of a network: watch it learn, and follow any number of it.

    network: it is trained by the page; None is the one of the recipe for the data.  data: a
    `Dataset`, what `datasets.load` takes, or images and labels (x, y); None shows the network only,
    and what training needs is refused then.
    validation: (x, y) to judge each epoch by, with such a pair.  settings: those of `Network.fit`,
    as epochs=3; recipe: whose values hold for the others, without it "default" where neither a
    network nor a setting is given.  train: begin at once.  browser: open it.

    host, port: where it listens; 0 is any port that is free.  Only this machine reaches it, unless
    expose allows another host.  frame: an origin whose pages may hold it, as the
    "http://localhost:8888" of a notebook.

    It runs beside the program, and ends with it, or with `close`.  Raises `InputError`,
    `MissingDependencyError`.
    """
    require_server()
    check_place(host, port, expose, frame)
    for name, value in (("train", train), ("browser", browser)):
        as_bool(value, name)
    found = as_data(data, validation)
    if network is None and recipe is None and not settings:
        recipe = "default"
    source = None if found is None else found.source
    chosen = None if recipe is None else recipes.recipe(recipe, source)
    try:
        made = Settings(**settings) if chosen is None else chosen.settings_but(**settings)
    except TypeError as error:
        raise InputError("settings", settings, "those of Network.fit", str(error)) from None
    if network is None:
        if source is None or chosen is None:
            raise InputError("network", None, "a convlet.Network", "or data and a recipe")
        shape = source.train.images.shape[1:]
        layers = chosen.layers(len(source.classes))
        network = Network(layers, shape, made.seed, classes=source.classes)
        network.preparation, network.held_back = source.preparation, source.held_back
    network = as_network(network)
    if found is None:
        refuse_without_data({"train": train, "recipe": recipe, **settings})
    plan = Plan(network.layers, made, recipe)
    serving = serve(network, found, plan, threads, host, port, expose, frame)
    page = LivePage(serving, frame)
    if train:
        serving.session.driver.do("start")
    if browser:
        page.open()
    return page


def serve(
    network: Network,
    data: Data | None,
    plan: Plan,
    threads: int | None = None,
    host: str = LOOPBACK,
    port: int = 0,
    expose: bool = False,
    frame: str | None = None,
) -> Serving:
    """A page that trains by itself."""
    session = Session(network, data, plan)
    session.driver = Trainer(session, threads)
    return Serving(session, host, port, expose, frame)
