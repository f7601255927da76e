"""The exchanges of a call on a worker: sums go out and come in by its links, one step at a time."""

from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol

import numpy as np

from convlet.cluster.calls import Call
from convlet.cluster.exchange import Exchange, Node
from convlet.cluster.links import Links, Lost
from convlet.equations import Float32, Float64

TICK = 0.5
"""Seconds after which a thread that waits looks whether it should."""


class AbortedError(Exception):
    """The caller wants the call no longer, or is gone."""


class Running(Protocol):
    """What an exchange asks of the run."""

    links: Links
    waiting: tuple[str, float] | None  # for whom, since when

    @property
    def over(self) -> bool:
        """Whether nobody asks for the run any more."""

    def inbox(self, number: int) -> SimpleQueue[Any]:
        """Where the sums of a call come in."""


class Exchanging:
    """The exchanges of a call, one a step."""

    def __init__(self, run: Running, call: Call) -> None:
        self.run, self.call, self.number = run, call, 0
        self.inbox = run.inbox(call.number)
        self.early: dict[tuple[int, Node], tuple[Float64, Float32]] = {}
        self.exchange = Exchange(call.edges, call.worker, self._send, self._receive)

    def step(self, sums: Float32, costs: Float64, gradient: Float32) -> None:
        if self.run.over:
            raise AbortedError
        self.exchange(sums, costs, gradient)
        self.number += 1

    def _send(self, other: int, node: Node, costs: Float64, values: Float32) -> None:
        tag = (self.call.number, self.number, *node)
        self.run.links.send(self.call.team[other], tag, costs.tobytes(), values)

    def _receive(self, other: int, node: Node) -> tuple[Float64, Float32]:
        wanted = self.number, node
        while wanted not in self.early:
            try:
                item = self.inbox.get_nowait() if self.inbox.qsize() else self._wait(other)
            except Empty:
                if self.run.over:
                    raise AbortedError from None
                continue
            if isinstance(item, Lost) and item.address not in self.call.team:
                continue  # left behind before
            if isinstance(item, Exception):
                raise item
            (_, step, start, end), costs, values = item
            self.early[step, (start, end)] = np.frombuffer(costs), values
        self.run.waiting = None
        return self.early.pop(wanted)

    def _wait(self, other: int) -> Any:
        if self.run.waiting is None:
            self.run.waiting = self.call.team[other], monotonic()
        return self.inbox.get(timeout=TICK)
