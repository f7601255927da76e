"""Connections between workers, kept for a run: sums go out by one and come in by another.

They are Dask's own, from the pool of the worker, so that its addresses and encryption hold.  Over
TCP, with TLS or without, Dask's loop lets go of the socket once both ends know each other: the
thread that computes writes to it, and one that does nothing else reads.  Through two event loops
and Dask's serialisation a sum of 740 kB takes 2.5 ms of the processors that the work needs, see
docs/machines.md.  Over whatever else Dask has (inproc, ucx, ws) its messages carry the sums.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from struct import Struct
from typing import Any, Protocol

import numpy as np

from convlet.equations import Float32
from convlet.settings import MOST_SHARDS

SUMS = "convlet_sums"
"""The operation of a worker's server that reads sums until the connection ends."""

TICK = 0.5
"""Seconds after which a thread that waits looks whether it should."""

Tag = tuple[int, int, int, int]
"""Of a sum: the call, the step in it, and the node of the tree."""

Look = Callable[[], None]
"""Raises where what is waited for is not wanted any more."""

HEAD = Struct("<5q")
"""In front of a sum on a socket: its tag, and the parameters.  The costs follow, then the sum."""

READY = b"\x01"
"""What comes back on a socket whose other end is read by a thread."""


class Lost(Exception):
    """Another worker cannot be reached."""

    def __init__(self, address: str, words: str) -> None:
        super().__init__(f"{address}: {words}")
        self.address, self.words = address, words


class Receiver(Protocol):
    """What the reader of a connection asks of the run."""

    parameters: int

    def inbox(self, number: int) -> Any:
        """Where the sums of a call come in."""

    def lost(self, address: str, words: str) -> None:
        """A connection broke."""


class Links:
    """Connections to other workers, by which the thread that computes sends."""

    def __init__(self, worker: Any, run: str) -> None:
        self.worker, self.run = worker, run
        self.links: dict[str, _Socket | _Messages] = {}

    def send(self, address: str, tag: Tag, costs: bytes, values: Float32, look: Look) -> None:
        """Send a sum, which may change when this returns.

        look: called now and then while nothing moves.  Raises what it raises, and `Lost`.
        """
        try:
            if address not in self.links:
                self.links[address] = self._open(address, look)
            self.links[address].write(tag, costs, values, look)
        except BaseException as error:
            self._drop(address)  # half of a sum may be on its way
            if isinstance(error, OSError):  # CommClosedError and SSLError are such
                raise Lost(address, f"{type(error).__name__}: {error}") from error
            raise

    def close(self) -> None:
        """End all."""
        for address in list(self.links):
            self._drop(address)

    def _open(self, address: str, look: Look) -> "_Socket | _Messages":
        opening = asyncio.run_coroutine_threadsafe(
            self._connected(address), self.worker.loop.asyncio_loop
        )
        link: _Socket | _Messages = _waited(opening, look)
        link.begin(look)
        return link

    async def _connected(self, address: str) -> "_Socket | _Messages":
        comm = await self.worker.rpc.connect(address)
        comm.name = "convlet"
        own = _socket_of(comm)
        op = {"op": SUMS, "run": self.run, "sender": self.worker.address, "reply": False}
        await comm.write(op | {"raw": own is not None})
        if own is None:
            return _Messages(self.worker, address, comm)
        await _let_go(comm)
        return _Socket(self.worker, address, comm, own)

    def _drop(self, address: str) -> None:
        if link := self.links.pop(address, None):
            self.worker.loop.add_callback(link.close)


class _Link:
    """A connection to another worker."""

    def __init__(self, worker: Any, address: str, comm: Any) -> None:
        self.worker, self.address, self.comm = worker, address, comm

    def begin(self, look: Look) -> None:
        """Wait until the other end is ready."""

    def close(self) -> None:
        """End it, on the loop."""
        self.comm.abort()
        self.worker.rpc.reuse(self.address, self.comm)


class _Socket(_Link):
    """One whose socket the thread writes to itself."""

    def __init__(self, worker: Any, address: str, comm: Any, own: socket.socket) -> None:
        super().__init__(worker, address, comm)
        self.socket = own
        own.settimeout(TICK)

    def begin(self, look: Look) -> None:
        _read(self.socket, memoryview(bytearray(READY)), look)

    def write(self, tag: Tag, costs: bytes, values: Float32, look: Look) -> None:
        for part in HEAD.pack(*tag, values.size) + costs, values.data:
            left = memoryview(part).cast("B")
            while left:
                try:
                    left = left[self.socket.send(left) :]
                except TimeoutError:
                    look()


class _Messages(_Link):
    """One whose sums are messages of Dask."""

    sending: Any = None

    def write(self, tag: Tag, costs: bytes, values: Float32, look: Look) -> None:
        from distributed.protocol import to_serialize

        if self.sending is not None:
            _waited(self.sending, look)
        message = {"tag": tag, "costs": costs, "sum": to_serialize(values.copy())}
        loop = self.worker.loop.asyncio_loop
        self.sending = asyncio.run_coroutine_threadsafe(self.comm.write(message), loop)


async def listen(comm: Any, run_now: Callable[[], Receiver | None], sender: str, raw: bool) -> str:
    """Put the sums of a connection where the run's thread waits for them.

    run_now: the run as the worker knows it; one that was left behind comes back as another.
    """
    read = _read_messages if not raw else _read_socket
    try:
        if run_now() is not None:
            await read(comm, run_now)
    except Exception as error:  # that the connection broke, or what came is no message
        if (run := run_now()) is not None:
            run.lost(sender, f"{type(error).__name__}: {error}")
    with suppress(OSError):
        comm.abort()
    return "dont-reply"


async def _read_messages(comm: Any, run_now: Callable[[], Receiver | None]) -> None:
    while run_now() is not None:
        message = await comm.read()
        if (run := run_now()) is not None:
            found = tuple(message["tag"]), message["costs"], message["sum"]
            run.inbox(message["tag"][0]).put(found)


async def _read_socket(comm: Any, run_now: Callable[[], Receiver | None]) -> None:
    """Have a thread read it."""
    own = _socket_of(comm)
    if own is None:
        raise OSError("the other worker's Dask takes another kind of connection than this one's")
    await _let_go(comm)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Exception | None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if not ended.done():
            ended.set_result(error)

    def read() -> None:
        error: Exception | None = None
        try:
            own.settimeout(TICK)
            own.sendall(READY)
            _read_sums(own, run_now)
        except _OverError:
            pass
        except Exception as found:
            error = found
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=read, name="convlet sums", daemon=True).start()
    if (error := await ended) is not None:
        raise error if isinstance(error, OSError) else OSError(str(error))


class _OverError(Exception):
    """Nobody asks for the run any more."""


def _read_sums(own: socket.socket, run_now: Callable[[], Receiver | None]) -> None:
    """Sums, one after the other, as long as there is a run.

    A sum stands here until the next but one of its node has come, which its sender begins when all
    have what they need of this one: so two arrays, in turns, are enough.
    """

    def look() -> None:
        if run_now() is None:
            raise _OverError

    head = bytearray(HEAD.size)
    arrays: dict[tuple[int, int], list[Float32]] = {}
    while True:
        _read(own, memoryview(head), look)
        call, step, start, end, size = HEAD.unpack(head)
        if (run := run_now()) is None:
            return
        if size != run.parameters or not 0 <= start < end <= MOST_SHARDS:
            words = f"a sum of {size} parameters and shards {start} to {end - 1}"
            raise OSError(f"{words} came, expected {run.parameters}")
        costs = bytearray(8 * (end - start))
        _read(own, memoryview(costs), look)
        turns = arrays.setdefault((start, end), [np.empty(size, np.float32) for _ in range(2)])
        turns.reverse()
        _read(own, turns[0].data.cast("B"), look)
        if (run := run_now()) is not None:
            run.inbox(call).put(((call, step, start, end), costs, turns[0]))


def _read(own: socket.socket, into: memoryview, look: Look) -> None:
    """Fill it.  Raises `OSError` where the connection ends."""
    while into:
        try:
            count = own.recv_into(into)
        except TimeoutError:
            look()
            continue
        if count == 0:
            raise ConnectionError("the connection ended")
        into = into[count:]


def _waited(future: Any, look: Look) -> Any:
    """The result of what is done on the loop."""
    while True:
        try:
            return future.result(timeout=TICK)
        except TimeoutError:
            if future.done():  # its own
                raise
            try:
                look()
            except BaseException:
                future.cancel()
                raise


def _socket_of(comm: Any) -> socket.socket | None:
    """Of a connection over TCP, with TLS or without; None for another one."""
    from tornado.iostream import IOStream

    stream = getattr(comm, "stream", None)
    return stream.socket if isinstance(stream, IOStream) else None


async def _let_go(comm: Any) -> None:
    """The loop reads and writes no more there; nothing is on its way to it."""
    while comm.stream.writing():
        await asyncio.sleep(0.001)
    comm.stream.io_loop.remove_handler(comm.stream.socket)
