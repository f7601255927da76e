"""A session: the network and the data of a page, its runs, and who listens."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from time import perf_counter
from typing import Any, Literal

import numpy as np

from convlet._version import __version__
from convlet.datasets.dataset import Split
from convlet.engine import Samples
from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import as_count
from convlet.network import Network
from convlet.run import Answers, Run
from convlet.server.description import Data, Json, choices, class_names, label_of, model_json
from convlet.server.driver import ConflictError, Driver
from convlet.server.evaluation import evaluation_of
from convlet.server.gate import Gate
from convlet.server.health import (
    Looks,
    StageHealth,
    Word,
    look,
    words,
    words_of_images,
)
from convlet.server.hub import Hub
from convlet.server.own import Own, meant
from convlet.server.proposals import Plan
from convlet.server.records import MOST_RUNS, Record
from convlet.server.snapshot import Snapshot
from convlet.server.telling import Teller

LOOKS_APART, EVALUATIONS_APART = 1.0, 0.2
"""Seconds between two, at least: epochs of a few images are shorter."""

Status = Literal["idle", "running", "paused", "ended", "failed"]


class Session:
    """What all pages of a server see.  Its methods may be called from any thread."""

    def __init__(self, network: Network, data: Data | None, plan: Plan) -> None:
        self.commands = RLock()  # one after the other
        self.network, self.data, self.plan = network, data, plan
        self.hub, self.own = Hub(), Own()
        self.gate = Gate(self._waits)
        self.snapshot = Snapshot(self.gate)
        self.driver: Driver
        self.status: Status = "idle"
        self.error: str | None = None
        self.records: list[Record] = []
        self.teller: Teller
        self.evaluation: Json | None = None
        self.health: list[StageHealth] = []
        self.words: list[Word] = []
        self.looks, self.evaluations = Looks(LOOKS_APART), Looks(EVALUATIONS_APART)
        self.sample: Samples | None = None
        self.new_record()

    # what pages are told

    def state(self) -> Json:
        """Everything that a page which just came needs.

        Whoever changes something tells it afterwards, so that no command has to be waited for.
        """
        records = self.records
        current = records[-1]
        return {
            "type": "state",
            "version": __version__,
            "settings": self.plan.as_json(),
            "choices": choices(),
            "model": model_json(self.network),
            "data": None if self.data is None else self.data.as_json(self.network),
            "run": self.run(),
            "runs": [one.as_json(one is current) for one in records],
            "can": self.driver.can(),
            "own": [{"part": "own", "index": number} for number in self.own.numbers()],
            "evaluation": self.evaluation,
            "health": self.health_json(),
        }

    def run(self) -> Json:
        """Where training stands."""
        images = 0 if self.data is None else len(self.data.train)
        settings = self.plan.settings
        begin: Json = {
            "epoch": 0,
            "epochs": settings.epochs,
            "step": 0,
            "steps": -(-images // settings.batch_size),
            "trained": self.network.epochs,
            "loss": None,
            "images_per_second": None,
            "seconds_left": None,
            "point": None,
        }
        return {
            **begin,
            **self.teller.progress,
            "trained": self.network.epochs,
            "status": self.status,
            "error": self.error,
            "run": self.records[-1].id,
            "learned": self.records[-1].learned,
        }

    def health_json(self) -> Json:
        told = list(self.words)
        if self.status == "failed" and self.error:
            told.insert(0, Word("error", self.error))
        if self.sample is not None:
            told += words_of_images(self.sample.images)
        return {
            "stages": [stage.as_json() for stage in self.health],
            "words": [word.as_json() for word in told],
        }

    def tell_status(self) -> None:
        self.hub.publish(lambda: {"type": "status", **self.run(), "can": self.driver.can()})

    # what the driver does

    def new_record(self, name: str | None = None) -> None:
        """The run of a network from its first weights on; one that learned nothing is replaced."""
        earlier, number = list(self.records), 1
        if earlier:
            last = earlier[-1]
            number = last.id + 1
            if last.rows or last.curve.points:
                last.close()
            else:
                number = earlier.pop().id
        new = Record(number, name or f"run {number}", self.plan.as_json())
        self.records = [*earlier, new][-MOST_RUNS:]  # at once: nobody finds none
        self.teller = Teller(self.hub, self.records[-1], self._look, self._judged)
        self.evaluation, self.health, self.words = None, [], []
        self.status, self.error = "idle", None

    def set_status(self, status: Status, error: str | None = None) -> None:
        self.status, self.error = status, error
        self.tell_status()
        if status != "running" and self.teller.skipped:
            self.teller.skipped = False
            self.hub.refresh()
        if status == "failed":
            self.hub.publish(lambda: {"type": "health", **self.health_json()})

    def _waits(self, waits: bool) -> None:
        """Of the gate: training waits there, or goes on."""
        if not waits:
            self.teller.resumed()
        self.set_status("paused" if waits else "running")

    def _look(self, run: Run) -> None:
        """At the health of the stages, where it is time."""
        if self.sample is None or not self.looks.due():
            return
        start = perf_counter()
        self.look(run)
        self.looks.took(start)

    def look(self, run: Run) -> None:
        assert self.sample is not None
        self.health = look(run.network, self.sample)
        loss = run.train_loss if run.total_weight else None
        closed = len(run.history)
        self.words = words(self.health, self.network.class_count, loss, run.updates, closed)
        self.hub.publish(lambda: {"type": "health", **self.health_json()})

    def _judged(self, run: Run) -> None:
        """The evaluation after an epoch, of which the answers are there."""
        if run.answers is None or self.data is None or self.data.judges is None:
            return
        goes_on = self.gate.mode == "run" and run.epoch < run.epochs and not run.stop
        if goes_on and not self.evaluations.due():
            return
        start = perf_counter()
        labels = self.data.parts[self.data.judges].labels
        if not np.array_equal(run.answers.labels, labels):  # a program judges by other images
            return
        row = run.history[-1]
        self._tell_evaluation(self.data, self.data.judges, run.answers, row.validation_accuracy)
        self.evaluations.took(start)

    def _tell_evaluation(
        self, data: Data, of: str, answers: Answers, accuracy: float | None
    ) -> None:
        names = class_names(self.network)
        self.evaluation = evaluation_of(answers, data, of, names, accuracy or 0.0)
        self.hub.publish({"type": "evaluation", **self.evaluation})

    # what pages ask

    @contextmanager
    def still(self) -> Iterator[Network]:
        """A copy of the network between two steps."""
        with self.snapshot.of_network(self.network) as network:
            yield network

    def taken(self) -> Network:
        """Such a copy for whoever works long: a report, an evaluation, a file."""
        return self.snapshot.taken(self.network)

    def evaluate(self) -> Json:
        """The network as it is now, on the images that judge it."""
        data = self.data
        if data is None or data.judges is None:
            raise ConflictError("there are no data to evaluate the network with")
        part = data.parts[data.judges]
        network = self.taken()
        answers = network.seen(network.samples(part.images, part.labels))
        accuracy = answers.judged(None).accuracy
        self._tell_evaluation(data, data.judges, answers, accuracy)
        assert self.evaluation is not None
        return self.evaluation

    def image(self, ref: Any) -> tuple[Array, int | None]:
        """The image (rows, columns, channels) that a ref means, and its label.

        Raises `InputError`.
        """
        if not isinstance(ref, dict) or not isinstance(ref.get("part"), str):
            raise InputError("ref", ref, 'an object, as in {"part": "test", "index": 0}')
        if ref["part"] == "own":
            return self.own.get(as_count(ref.get("index"), "index", 0)), None
        part = self.part(ref["part"])
        index = as_count(ref.get("index"), "index", 0, len(part) - 1)
        return meant(np.asarray(part.images[index]), self.network), label_of(part.labels[index])

    def part(self, name: Any) -> Split:
        """A part of the data.  Raises `InputError`."""
        parts = {} if self.data is None else self.data.parts
        if name not in parts:
            raise InputError("part", name, f"one of: {', '.join([*parts, 'own'])}")
        return parts[name]

    def close(self) -> None:
        """Training ends, and every stream."""
        self.driver.close()
        self.hub.close()
