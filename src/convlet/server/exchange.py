"""Bodies with bounds and deadlines, answers in JSON, and what every answer has.

Imports starlette, so import it late.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Send

from convlet.server.wire import dumps

KB, MB = 1 << 10, 1 << 20
JSON_BYTES = 256 * KB
SILENCE = 10.0
"""Seconds without a byte of a body after which it is given up."""
WHOLE = 60.0
"""Seconds that a body may take."""
LINGER = 1.0
"""Seconds in which the rest of a body that is refused is taken, so that the answer arrives."""


class Answer(JSONResponse):
    """A value in JSON, in which NaN and infinity are null."""

    def render(self, content: Any) -> bytes:
        return dumps(content)


def error(status: int, message: str, parameter: str | None = None) -> Answer:
    return Answer({"error": {"parameter": parameter, "message": message}}, status)


async def pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body, so many bytes at most, whose pieces keep nobody waiting.

    Raises `HTTPException`.
    """
    too_large = HTTPException(413, f"the body is larger than {most:,} bytes")
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > most:
        raise too_large
    now = asyncio.get_running_loop().time
    size, end, stream = 0, now() + WHOLE, request.stream()
    while True:
        try:
            async with asyncio.timeout_at(min(end, now() + SILENCE)):
                piece = await anext(stream, b"")
        except TimeoutError:
            raise HTTPException(408, "the body came too slowly") from None
        if not piece:  # the last one
            return
        size += len(piece)
        if size > most:
            raise too_large
        yield piece


async def whole(request: Request, most: int) -> bytes:
    return b"".join([piece async for piece in pieces(request, most)])


async def given(request: Request) -> dict[str, Any]:
    """The object of JSON in the body; {} for none.  Raises `HTTPException`."""
    data = await whole(request, JSON_BYTES)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "expected the content type application/json")
    try:
        found = json.loads(data, parse_constant=_refuse) if data else {}
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "the body is no JSON object")
    return found


def _refuse(word: str) -> None:
    raise ValueError(word)


class Exchange:
    """Both ways of one request.  headers: of every answer that has no others of these names."""

    def __init__(self, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        self._receive, self._send, self.headers = receive, send, headers
        self.unread = True  # something of the body
        self.refused = False  # before all of it was read

    async def receive(self) -> Message:
        message = await self._receive()
        self.unread = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in self.headers.items():
                headers.setdefault(name, value)
            self.refused = message["status"] >= 400 and self.unread
            if self.refused:
                headers["connection"] = "close"
        elif self.refused:
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _linger(self) -> None:
        """Take what still comes of the body, for a moment."""
        try:
            async with asyncio.timeout(LINGER):
                while self.unread:
                    await self.receive()
        except TimeoutError:
            pass
