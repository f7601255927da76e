"""`live`: the page of a network from a notebook or a script."""

from os import PathLike
from typing import Any

from convlet import datasets, recipes
from convlet.datasets import Dataset
from convlet.datasets.dataset import Split
from convlet.errors import InputError
from convlet.inputs import as_bool
from convlet.measures import as_network
from convlet.network import Network
from convlet.run import History
from convlet.server.description import Data, data_of, levels_of
from convlet.server.proposals import Plan
from convlet.server.serving import LOOPBACK, Serving, check_place, require_uvicorn
from convlet.server.session import Session
from convlet.server.trainer import Trainer
from convlet.settings import Settings


class LivePage:
    """A page that is served.

    url: its address; whoever has it may train, and load and save models.  A notebook shows it as a
    link, or in a frame where `live(frame=...)` allows that.
    """

    def __init__(self, serving: Serving, frame: str | None = None) -> None:
        self._serving, self._frame = serving, frame

    @property
    def url(self) -> str:
        return self._serving.url

    @property
    def network(self) -> Network:
        """The network of the page now: a new one after its settings were changed there."""
        return self._serving.session.network

    @property
    def history(self) -> History:
        """Of the run that the page shows."""
        return History(self._serving.session.records[-1].rows)

    def open(self) -> bool:
        """Show it in the browser of this machine -> whether there is one."""
        import webbrowser

        return webbrowser.open(self.url)

    def wait(self) -> None:
        """Until the page is closed, or Ctrl-C: for scripts, which would end otherwise."""
        try:
            self._serving.wait()
        except KeyboardInterrupt:
            self.close()
            raise

    def close(self) -> None:
        """End training and the server.  A second call does nothing."""
        self._serving.close()

    def __enter__(self) -> "LivePage":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LivePage({self.url!r})"

    def _repr_html_(self) -> str:
        link = f'<a href="{self.url}" target="_blank" rel="noopener">{self._serving.place}</a>'
        if self._frame is None:
            return f"<p>convlet live: {link}</p>"
        frame = f'<iframe src="{self.url}" title="convlet live" allow="camera"'
        return f'{frame} style="width:100%;height:48rem;border:0"></iframe><p>{link}</p>'


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
    `Dataset`, what `datasets.load` takes, or images and labels (x, y); None shows the network only.
    validation: (x, y) to judge each epoch by, with such a pair.  settings: those of `Network.fit`,
    as epochs=3; recipe: whose values hold for the others, without it "default" where neither a
    network nor a setting is given.  train: begin at once.  browser: open it.

    host, port: where it listens; 0 is any port that is free.  Only this machine reaches it, unless
    expose allows another host.  frame: an origin whose pages may hold it, as the
    "http://localhost:8888" of a notebook.

    It runs beside the program, and ends with it, or with `close`.  Raises `InputError`,
    `MissingDependencyError`.
    """
    require_uvicorn()
    check_place(host, port, expose)
    for name, value in (("train", train), ("browser", browser), ("expose", expose)):
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


def as_data(data: Any, validation: Any = None) -> Data | None:
    """What a page trains with and looks at.  Raises `InputError`."""
    if isinstance(data, str | PathLike):
        data = datasets.load(data)
    if isinstance(data, Dataset):
        if validation is not None:
            hint = "replace those of the data"
            raise InputError("validation", None, but="the data have their own", hint=hint)
        return data_of(data)
    if data is None:
        return None
    parts = {"train": _split(data, "data")}
    if validation is not None:
        parts["validation"] = _split(validation, "validation")
    judges = None if validation is None else "validation"
    return Data("data", parts, judges, None, (), levels_of(parts["train"].images))


def _split(pair: Any, name: str) -> Split:
    """Images and labels of a caller; what they hold is checked with the network."""
    import numpy as np

    from convlet.values import as_array

    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(name, pair, "a Dataset, the name of one, or a pair (x, y)")
    x = as_array(pair[0], f"{name} x", "(n, rows, columns, channels)")
    y = as_array(pair[1], f"{name} y", "(n,) classes")
    if x.ndim == 3:
        x = x[..., None]
    if y.ndim != 1 or y.dtype.kind not in "bui" or len(x) != len(y) or not len(x):
        found = f"has shape {y.shape} and dtype {y.dtype}"
        raise InputError(f"{name} y", None, f"({len(x)},) classes", found=found)
    return Split(x, y.astype(np.int64))
