"""`Live`: the callback that shows any `fit` on the live page."""

import sys
from typing import Any, cast

from convlet.callbacks import Callback
from convlet.equations import Array
from convlet.inputs import as_bool
from convlet.network import Network
from convlet.run import Row, Run
from convlet.server.description import Json
from convlet.server.driver import ConflictError, words_of
from convlet.server.gate import MODES, Stopped
from convlet.server.given import as_data
from convlet.server.health import sample_of
from convlet.server.live_page import LivePage
from convlet.server.proposals import Plan
from convlet.server.serving import LOOPBACK, Serving, check_place, require_server
from convlet.server.session import Session

OF_A_PROGRAM = "a program trains this network: only it can do that"


class Watched:
    """The driver of a session whose network a program trains."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def can(self) -> list[str]:
        match self.session.status:
            case "running":
                return ["pause", "stop"]
            case "paused":
                return ["start", "epoch", "stop"]
            case _:
                return []

    def do(self, what: str) -> None:
        if what not in self.can():
            never = what in ("step", "reset")
            raise ConflictError(OF_A_PROGRAM if never else f"{what} makes no sense now")
        self.session.gate.ask(MODES[what])

    def configure(self, plan: Plan) -> None:
        raise ConflictError(OF_A_PROGRAM)

    def adopt(self, network: Network) -> None:
        raise ConflictError(OF_A_PROGRAM)

    def learn(self, images: Array, labels: Array, steps: int) -> Json:
        raise ConflictError(OF_A_PROGRAM)

    def close(self) -> None:
        """A paused program goes on."""
        self.session.gate.ask("run")


class Live(Callback):
    """Shows training on the live page: `network.fit(x, y, callbacks=[convlet.Live((x, y))])`.

    data, validation: images that the page shows, as for `live`; without them it has curves, stages
    and what its visitor draws.  The page may pause training and end it, after an epoch or a few
    steps; the bits stay those of the same `fit`.  browser, host, port, expose, frame: as for
    `live`.

    The page is there from the first `fit` on, until `close` or the end of the program; a later
    `fit` goes on in it.  Raises `InputError`, `MissingDependencyError`.
    """

    def __init__(
        self,
        data: Any = None,
        validation: Any = None,
        *,
        browser: bool = True,
        host: str = LOOPBACK,
        port: int = 0,
        expose: bool = False,
        frame: str | None = None,
    ) -> None:
        require_server()
        check_place(host, port, expose, frame)
        self.data, self.browser = as_data(data, validation), as_bool(browser, "browser")
        self.place = (host, port, expose, frame)
        self.page: LivePage | None = None
        """Where it is served, from the first `fit` on."""

    def on_begin(self, run: Run) -> None:
        self.handled = sys.exception()  # the caller's own, if `fit` is called while it is handled
        network = cast(Network, run.network)  # which alone is trained by `fit`
        plan = Plan(network.layers, run.settings, None)
        if self.page is None:
            self.session = Session(network, self.data, plan)
            self.session.driver = Watched(self.session)
            self._take_sample(network)
            self.page = LivePage(Serving(self.session, *self.place))
            if self.browser:
                self.page.open()
        elif self.session.network is not network or self.session.plan != plan:
            self.session.network, self.session.plan = network, plan
            self.session.new_record()
            self._take_sample(network)
        run.writing = self.session.gate.writing
        self.session.gate.ask("run")
        self.session.status = "running"
        self.session.teller.on_begin(run)
        self.session.hub.refresh()
        self._pass(run, False)

    def _take_sample(self, network: Network) -> None:
        if self.data is not None:
            train = self.data.train
            self.session.sample = sample_of(network.samples(train.images, train.labels))

    def on_progress(self, run: Run) -> None:
        self.session.gate.open()
        self.session.teller.on_progress(run)
        if run.step < run.steps:  # else the epoch is closed before anything changes
            self._pass(run, run.stop)

    def on_epoch(self, run: Run, row: Row) -> None:
        self.session.teller.on_epoch(run, row)
        self.session.gate.close(run, ())
        self._pass(run, run.stop or run.epoch == run.epochs)

    def _pass(self, run: Run, last: bool) -> None:
        """last: nothing follows but the ends of other callbacks, which may change parameters."""
        gate = self.session.gate
        if not last:
            try:
                gate.pass_()
                return
            except Stopped:
                run.stop = True
        gate.hold()

    def on_end(self, run: Run) -> None:
        self.session.gate.open()  # whoever had the turn: the engine, where it raised
        error = sys.exception()
        if error is self.handled or not isinstance(error, Exception):
            self.session.set_status("ended")
        else:
            self.session.set_status("failed", words_of(error))

    def close(self) -> None:
        """The page ends; training goes on."""
        if self.page is not None:
            self.page.close()
