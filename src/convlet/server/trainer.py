"""The driver of a page that trains by itself: a thread that calls the training loop of `fit`."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from convlet import training
from convlet.callbacks import Callback
from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import as_threads
from convlet.network import Network
from convlet.server.description import Json, samples_for
from convlet.server.driver import ConflictError, words_of
from convlet.server.gate import MODES, Mode, Stopped
from convlet.server.health import sample_of
from convlet.server.learning import among, learned
from convlet.server.proposals import Plan, check_for, network_for
from convlet.server.session import Session
from convlet.stopping import EarlyStopping
from convlet.values import check_same_scale, scale_of

LEARNING = "labelled images are being learned"
PATIENCE = 1.0
"""Seconds that a command waits for another one, which may wait for the end of a long step."""
BUSY = "another command is under way, as the end of a long step: ask again"


class Trainer:
    """Trains the network of a session as `convlet train` does, to the same bits.

    threads: as for `fit`.  The network, by whatever settings it was made, stays
    `session.network`.
    """

    def __init__(self, session: Session, threads: int | None = None) -> None:
        self.session, self.threads = session, as_threads(threads)
        self.thread: Thread | None = None
        self.learning = self.enough = False  # images that somebody labelled; and no more of it
        self._remember()
        if session.data is not None:  # what cannot be trained with is refused now
            settings = session.plan.settings
            check_for(settings, session.data)
            samples, held_out = samples_for(session.network, session.data, settings.class_weight)
            if held_out is not None:
                check_same_scale(samples.images, held_out.images, "x", "validation x")
            session.sample = sample_of(samples)

    def _remember(self) -> None:
        """What `reset` brings back."""
        network = self.session.network
        self.first = network.flat.copy(), network.epochs

    def can(self) -> list[str]:
        if self.session.data is None:
            return []
        if self.learning:
            return ["stop"]
        match self.session.status:
            case "running":
                return ["pause", "reset", "stop"]
            case "paused":
                return ["start", "step", "epoch", "reset", "stop"]
            case "failed":
                return ["reset"]
            case _:
                return ["start", "step", "epoch", "reset"]

    def do(self, what: str) -> None:
        session = self.session
        with self._alone():
            if what not in self.can():
                if session.data is None:
                    raise ConflictError("there are no data to train with")
                status = LEARNING if self.learning else f"training is {session.status}"
                raise ConflictError(f"{what} makes no sense: {status}")
            if self.learning:
                self.enough = True
            elif what in ("stop", "reset"):
                self._end()
                if what == "reset":
                    self._reset()
            elif what == "pause" or session.status == "paused":
                session.gate.ask(MODES[what])
            else:
                self._start(MODES[what])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One command after the other.  Raises `ConflictError` where one takes long."""
        if not self.session.commands.acquire(timeout=PATIENCE):
            raise ConflictError(BUSY)
        try:
            yield
        finally:
            self.session.commands.release()

    def _start(self, mode: Mode) -> None:
        session = self.session
        assert session.data is not None
        check_for(session.plan.settings, session.data)  # which may be those of a model's file
        self._join()
        session.gate.ask(mode)
        session.set_status("running")
        self.thread = Thread(target=self._train, name="convlet training", daemon=True)
        self.thread.start()

    def _train(self) -> None:
        session = self.session
        error: str | None = None
        try:
            self._fit()
        except Stopped:
            pass
        except BaseException as caught:  # whatever it is, readers go on
            error = words_of(caught)
        session.gate.open()
        session.set_status("ended" if error is None else "failed", error)

    def _fit(self) -> None:
        """As `Network.fit` for settings that are checked."""
        session = self.session
        network, data, settings = session.network, session.data, session.plan.settings
        assert data is not None
        train, held_out = samples_for(network, data, settings.class_weight)
        session.sample = sample_of(train)
        network.scale, network.settings = scale_of(train.images), settings
        callbacks: list[Callback] = [session.gate]
        if settings.patience is not None:
            callbacks.append(EarlyStopping(settings.patience))
        callbacks.append(session.teller)
        training.fit(network, train, held_out, settings, callbacks, self.threads, session.gate)

    def _end(self) -> None:
        """Training ends after a whole number of steps."""
        self.session.gate.ask("stop")
        self._join()

    def _join(self) -> None:
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def _reset(self) -> None:
        """The first weights again, and a new run beside the earlier ones."""
        session = self.session
        flat, epochs = self.first
        with session.gate.writing():
            session.network.flat[...] = flat
            session.network.epochs = epochs
        self._begin()

    def _begin(self, name: str | None = None) -> None:
        """A new run of the network that is there now."""
        session = self.session
        session.new_record(name)
        session.gate.ask("pause")
        session.hub.refresh()

    def _refuse_running(self) -> None:
        if self.learning:
            raise ConflictError(f"{LEARNING}: stop it first, or wait")
        if self.session.status in ("running", "paused"):
            raise ConflictError("training is under way: stop it first")
        self._join()

    def configure(self, plan: Plan) -> None:
        session = self.session
        with self._alone():
            self._refuse_running()
            session.network, session.plan = network_for(plan, session.network), plan
            self._remember()
            self._begin()

    def adopt(self, network: Network) -> None:
        session = self.session
        with self._alone():
            self._refuse_running()
            self._check_fit(network)
            settings = network.settings or session.plan.settings
            if network.input_shape != session.network.input_shape:
                session.own.forget()
            session.network = network
            session.plan = Plan(network.layers, settings, None)
            self._remember()
            self._begin(f"model of {network.epochs} epochs")

    def _check_fit(self, network: Network) -> None:
        """Raise `InputError` for a network that does not take the data."""
        data, there = self.session.data, self.session.network
        if data is None:
            return
        shape = data.train.images.shape[1:]
        if network.input_shape != shape or network.class_count != there.class_count:
            found = f"takes images {network.input_shape} of {network.class_count} classes"
            but = f"the data have images {shape} of {there.class_count}"
            raise InputError("model", found=found, but=but, hint="choose one trained on such data")
        if network.classes is None:
            network.classes = there.classes
        elif there.classes is not None and network.classes != there.classes:
            but = "the data have others, or in another order"
            raise InputError("model", found="has classes of its own", but=but)

    def learn(self, images: Array, labels: Array, steps: int) -> Json:
        session = self.session
        with self._alone():
            self._refuse_running()
            self.learning, self.enough = True, False
            session.records[-1].learned += len(images)
        session.tell_status()
        try:
            samples = among(images, labels, session.sample)
            costs = list(
                learned(session.network, samples, steps, session.gate, self.threads, self._goes_on)
            )
        finally:
            self.learning = False
            session.tell_status()
        return {"costs": costs}

    def _goes_on(self) -> bool:
        return not self.enough

    def close(self) -> None:
        self.enough = True
        self.session.gate.ask("stop")
        thread = self.thread
        if thread is not None:
            thread.join(5)
