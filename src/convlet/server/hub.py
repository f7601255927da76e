"""Events to every page that listens: a slow one gets the newest, never a growing queue."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any

Event = dict[str, Any]

MOST_PENDING = 64
"""Events that wait for one page; of more, it gets the whole state instead."""


class Mailbox:
    """What waits for one page, the newest of each type; of epochs, each."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.filled = asyncio.Event()
        self.lock = Lock()
        self.pending: dict[object, Event] = {}
        self.behind = True  # it has to be told the whole state
        self.closed = False

    def put(self, event: Event) -> None:
        """From any thread."""
        kind = event["type"]
        key = (event["run"], event["epoch"]) if kind == "epoch" else kind
        with self.lock:
            self.pending.pop(key, None)  # the newest comes last
            self.pending[key] = event
            if self.behind or len(self.pending) > MOST_PENDING:
                self.behind = True  # the whole state, which is read later, has it
                self.pending.clear()
        self._wake()

    def refresh(self) -> None:
        """The whole state is told next."""
        with self.lock:
            self.behind = True
            self.pending.clear()
        self._wake()

    def close(self) -> None:
        """What is pending is still taken."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self.filled.set)

    def take(self) -> tuple[bool, list[Event]]:
        """Whether the whole state comes first, and what is pending after it."""
        with self.lock:
            behind, events = self.behind, list(self.pending.values())
            self.pending, self.behind = {}, False
            self.filled.clear()
        return behind, events


class Hub:
    """All who listen.  most: of them at a time."""

    def __init__(self, most: int = 32) -> None:
        self.most = most
        self.lock = Lock()
        self.boxes: set[Mailbox] = set()

    def publish(self, event: Event | Callable[[], Event]) -> None:
        """To all, from any thread.  A function is asked only where somebody listens."""
        if boxes := self._all():
            made = event() if callable(event) else event
            for box in boxes:
                box.put(made)

    def refresh(self) -> None:
        """The whole state to all; each stream makes it itself, in its own time."""
        for box in self._all():
            box.refresh()

    def _all(self) -> list[Mailbox]:
        with self.lock:
            return list(self.boxes)

    def join(self) -> Mailbox | None:
        """A new listener, in a coroutine of its loop; None where there are too many."""
        box = Mailbox(asyncio.get_running_loop())
        with self.lock:
            if len(self.boxes) >= self.most:
                return None
            self.boxes.add(box)
        return box

    def leave(self, box: Mailbox) -> None:
        with self.lock:
            self.boxes.discard(box)

    def close(self) -> None:
        """Every stream ends."""
        with self.lock:
            boxes, self.most = list(self.boxes), 0
        for box in boxes:
            box.close()
