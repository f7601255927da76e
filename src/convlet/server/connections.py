"""uvicorn, made careful: deadlines for headers and for readers, no more connections than so many.

Imports uvicorn, so import it late.
"""

import asyncio
import logging
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from convlet.server.exchange import error

MOST = 128
"""Connections at a time: a page has six, and 32 pages listen at most."""
HEADERS = 10.0
"""Seconds for the headers of a request."""
UNREAD = 30.0
"""Seconds after which a peer that reads nothing is left."""
HEADER_BYTES = 16 << 10
MOMENT = 0.5
"""Seconds for answers under way, and again for their last bytes, when the server ends."""

log = logging.getLogger("convlet.server")


class Connection(H11Protocol):
    """One connection.  Its peer may be slow, or hostile: nothing of it reaches stderr."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.logger = self.access_logger = log
        self.access_log = False
        self.late: asyncio.TimerHandle | None = None
        self.unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST:
            self._refuse(503, "too many connections")
            return
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before or (before is not None and not before.response_complete):
            self._received()
        else:  # a part of the next request
            self._expect()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        raise NotImplementedError  # without websockets there is none

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no request of HTTP")

    def _refuse(self, status: int, message: str) -> None:
        """Answer without a request, if none is being answered, and leave."""
        if self.cycle is None or self.cycle.response_complete:
            found = error(status, message)
            head = f"HTTP/1.1 {status} {message}\r\ncontent-type: {found.media_type}\r\n"
            rest = f"content-length: {len(found.body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + rest.encode() + found.body)
        self.transport.close()

    def _expect(self) -> None:
        """From now on the time for the headers runs."""
        if self.late is None:
            self.late = self.loop.call_later(HEADERS, self._too_late)

    def _received(self) -> None:
        if self.late is not None:
            self.late.cancel()
            self.late = None

    def _too_late(self) -> None:
        self.late = None
        self._refuse(408, "the request came too slowly")

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.unread is None:
            self._watch()

    def _watch(self) -> None:
        """A peer that has taken nothing by then is left; a slow one has as long again."""
        size = self.transport.get_write_buffer_size()
        self.unread = self.loop.call_later(UNREAD, self._check, size)

    def _check(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._watch()
        else:
            self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.unread is not None:
            self.unread.cancel()
            self.unread = None


class Loop(uvicorn.Server):
    """Serves until `ended` is set, and sleeps where nobody asks."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def main_loop(self) -> None:
        self.server_state.default_headers = []
        self.begun.set()
        await self.ended.wait()

    async def shutdown(self, sockets: Any = None) -> None:
        """Answers under way have a moment; then whoever is still there is left."""
        for server in self.servers:
            server.close()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=MOMENT)
        for connection in list(self.server_state.connections):
            connection.transport.close()  # when all that was said is sent
        end = asyncio.get_running_loop().time() + MOMENT
        while self.server_state.connections and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def config_for(app: Any) -> uvicorn.Config:
    """Nothing of uvicorn's that is not needed."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
