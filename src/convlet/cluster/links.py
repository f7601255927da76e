"""Connections between workers, kept for a run: sums go out by one and come in by another.

They are Dask's own, from the pool of the worker, so that its addresses and encryption hold.  All of
it happens on the event loop of the worker; `send` is called by the thread that computes.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from convlet.equations import Float32

SUMS = "convlet_sums"
"""The operation of a worker's server that reads sums until the connection ends."""

Tag = tuple[int, int, int, int]
"""Of a sum: the call, the step in it, and the node of the tree."""


class Lost(Exception):
    """Another worker cannot be reached."""

    def __init__(self, address: str, words: str) -> None:
        super().__init__(f"{address}: {words}")
        self.address, self.words = address, words


class Links:
    """Connections to other workers.  lost(address, words) is called when one breaks."""

    def __init__(self, worker: Any, run: str, lost: Callable[[str, str], None]) -> None:
        self.worker, self.run, self.lost = worker, run, lost
        self.queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, address: str, tag: Tag, costs: bytes, values: Float32) -> None:
        """Begin to send a sum; the array is not to be changed any more."""
        from distributed.protocol import to_serialize

        message = {"tag": tag, "costs": costs, "sum": to_serialize(values)}
        self.worker.loop.asyncio_loop.call_soon_threadsafe(self._put, address, message)

    def close(self) -> None:
        """End all, on the loop."""
        for task in self.tasks.values():
            task.cancel()

    def _put(self, address: str, message: dict[str, Any]) -> None:
        if address not in self.queues:
            self.queues[address] = asyncio.Queue()
            self.tasks[address] = asyncio.create_task(self._write(address, self.queues[address]))
        self.queues[address].put_nowait(message)

    async def _write(self, address: str, queue: asyncio.Queue[dict[str, Any]]) -> None:
        comm = None
        try:
            comm = await self.worker.rpc.connect(address)
            comm.name = "convlet"
            me = self.worker.address
            await comm.write({"op": SUMS, "run": self.run, "sender": me, "reply": False})
            while True:
                await comm.write(await queue.get())
        except Exception as error:  # OSError, CommClosedError, what TLS raises
            del self.queues[address], self.tasks[address]
            self.lost(address, f"{type(error).__name__}: {error}")
        finally:
            if comm is not None:
                comm.abort()
                self.worker.rpc.reuse(address, comm)


async def listen(comm: Any, run_now: Callable[[], Any], sender: str) -> str:
    """Put the sums of a connection where the run's thread waits for them.

    run_now: the run as the worker knows it; one that was left behind comes back as another.
    """
    try:
        while (run := run_now()) is not None:
            message = await comm.read()
            if (run := run_now()) is None:
                break
            number = message["tag"][0]
            run.inbox(number).put((tuple(message["tag"]), message["costs"], message["sum"]))
    except OSError as error:  # CommClosedError is one
        if (run := run_now()) is not None:
            run.lost(sender, f"{type(error).__name__}: {error}")
    with suppress(OSError):
        comm.abort()
    return "dont-reply"
