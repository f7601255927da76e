"""The stream of events: whatever happens, a line each, until the page goes or the session ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from convlet.server.hub import Hub, Mailbox
from convlet.server.wire import dumps

ALIVE = 10.0
"""Seconds of silence after which a stream says that it is there."""


class Events(StreamingResponse):
    """A listener of a hub, as long as it is sent.  state: gives the whole state as its line."""

    def __init__(self, hub: Hub, state: Callable[[], Awaitable[bytes]]) -> None:
        box = hub.join()
        if box is None:
            raise HTTPException(503, "too many pages listen already")
        self.hub, self.box = hub, box
        super().__init__(_lines(box, state), media_type="application/x-ndjson")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ends as soon as the page has gone, not with the next event; then its place is free."""
        gone = asyncio.ensure_future(self.listen_for_disconnect(receive))
        gone.add_done_callback(lambda _: self.box.close())
        try:
            await self.stream_response(send)
        finally:
            gone.cancel()
            self.hub.leave(self.box)


async def _lines(box: Mailbox, state: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
    while True:
        closed, (behind, events) = box.closed, box.take()
        lines = [await state()] if behind else [dumps(event) for event in events]
        if closed:
            lines.append(dumps({"type": "closed"}))
        if lines:
            yield b"\n".join([*lines, b""])
        if closed:
            return
        try:
            async with asyncio.timeout(ALIVE):
                await box.filled.wait()
        except TimeoutError:
            box.put({"type": "alive"})
