"""The driver of a page that trains by itself: a thread that calls the training loop of `fit`."""

from threading import Thread
from typing import Any

import numpy as np

from convlet import training
from convlet.callbacks import Callback
from convlet.engine import Samples, Steps, as_floats
from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import as_threads
from convlet.network import Network
from convlet.optimizers import SGD
from convlet.server.description import Json, samples_for
from convlet.server.driver import ConflictError, words_of
from convlet.server.gate import Mode, Stopped
from convlet.server.health import sample_of
from convlet.server.proposals import Plan, network_for
from convlet.server.session import Session
from convlet.settings import Settings
from convlet.stopping import EarlyStopping
from convlet.values import check_same_scale, scale_of

MODES: dict[str, Mode] = {"start": "run", "step": "step", "epoch": "epoch"}
RATE = 0.05
"""Of (21), for images that are learned one by one."""
BATCH = 64
"""Images of such a step: those to learn, and of training, of which none is to be forgotten."""


class Trainer:
    """Trains the network of a session as `convlet train` does, to the same bits.

    threads: as for `fit`.  The network, by whatever settings it was made, stays
    `session.network`.
    """

    def __init__(self, session: Session, threads: int | None = None) -> None:
        self.session, self.threads = session, as_threads(threads)
        self.thread: Thread | None = None
        self._remember()
        if session.data is not None:  # what cannot be trained with is refused now
            samples, held_out = samples_for(
                session.network, session.data, session.plan.settings.class_weight
            )
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
        with session.commands:
            if what not in self.can():
                if session.data is None:
                    raise ConflictError("there are no data to train with")
                raise ConflictError(f"{what} makes no sense: training is {session.status}")
            if what == "pause":
                session.gate.ask("pause")
            elif what in MODES and session.status == "paused":
                session.gate.ask(MODES[what])
            elif what in MODES:
                self._start(MODES[what])
            else:
                self._end()
                if what == "reset":
                    self._reset()

    def _start(self, mode: Mode) -> None:
        session = self.session
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
        if self.session.status in ("running", "paused"):
            raise ConflictError("training is under way: stop it first")
        self._join()

    def configure(self, plan: Plan) -> None:
        session = self.session
        with session.commands:
            self._refuse_running()
            session.network, session.plan = network_for(plan, session.network), plan
            self._remember()
            self._begin()

    def adopt(self, network: Network) -> None:
        session = self.session
        with session.commands:
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
        with session.commands:
            self._refuse_running()
            network = session.network
            samples = _among(images, labels, self._others(len(images)))
            order = np.tile(np.arange(len(samples), dtype=np.int64), steps)
            settings = Settings(batch_size=len(samples), learning_rate=RATE, optimizer=SGD())
            rates = np.full(steps, RATE, np.float32)
            taken = Steps(order, rates, 0, network.epochs)
            with session.gate.writing():
                done = network.engine.train(
                    network.flat, (), samples, taken, settings, self.threads
                )
            session.records[-1].learned += len(images)
            if done.diverged:
                raise InputError("items", found="lead to numbers that are not finite")
            session.tell_status()
            return {"costs": [float(cost) for cost in done.costs]}

    def _others(self, count: int) -> Samples | None:
        """Images of training that are learned beside so many others."""
        sample = self.session.sample
        if sample is None or count >= BATCH:
            return None
        rows = np.linspace(0, len(sample) - 1, min(BATCH - count, len(sample))).astype(np.int64)
        return Samples(sample.images[rows], sample.targets[rows])

    def close(self) -> None:
        self.session.gate.ask("stop")
        thread = self.thread
        if thread is not None:
            thread.join(5)


def _among(images: Array, labels: Array, others: Samples | None) -> Samples:
    """Images to learn with half of the weight, and others with the other half."""
    own = Samples(as_floats(images), labels)
    if others is None:
        return own
    x = np.concatenate([own.images, as_floats(others.images)])
    y: Any = np.concatenate([labels, others.targets]).astype(np.int32)
    halves = [(len(own), 0.5 / len(own)), (len(others), 0.5 / len(others))]
    weight = np.concatenate([np.full(count, each, np.float32) for count, each in halves])
    return Samples(np.ascontiguousarray(x), y, weight)
