"""The exchanges of a call on a worker: sums go out and come in by its links, one step at a time."""

from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol

import numpy as np

from convlet.cluster.calls import Call
from convlet.cluster.exchange import Exchange, Node
from convlet.cluster.links import TICK, Links, Lost
from convlet.equations import Float32, Float64


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
        tag, address = (self.call.number, self.number, *node), self.call.team[other]

        def look() -> None:
            """It takes time; it may be for nothing."""
            self._wait_for(address)
            if self.run.over:
                raise AbortedError
            while self.inbox.qsize():
                self._take(self.inbox.get_nowait())

        self.run.links.send(address, tag, costs.tobytes(), values, look)
        self.run.waiting = None

    def _receive(self, other: int, node: Node) -> tuple[Float64, Float32]:
        wanted = self.number, node
        while wanted not in self.early:
            try:
                item = self.inbox.get_nowait() if self.inbox.qsize() else self._wait(other)
            except Empty:
                if self.run.over:
                    raise AbortedError from None
                continue
            self._take(item)
        self.run.waiting = None
        return self.early.pop(wanted)

    def _take(self, item: Any) -> None:
        """Keep a sum until it is asked for; raise what came in its place."""
        if isinstance(item, Lost) and item.address not in self.call.team:
            return  # left behind before
        if isinstance(item, Exception):
            raise item
        (_, step, start, end), costs, values = item
        self.early[step, (start, end)] = np.frombuffer(costs), values

    def _wait(self, other: int) -> Any:
        self._wait_for(self.call.team[other])
        return self.inbox.get(timeout=TICK)

    def _wait_for(self, address: str) -> None:
        if self.run.waiting is None:
            self.run.waiting = address, monotonic()
