"""One request and one answer, between ASGI and the functions behind the addresses."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from convlet.server.wire import dumps

Message = Any
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = Any

KB, MB = 1 << 10, 1 << 20
JSON_BYTES = 256 * KB
SILENCE = 10.0
"""Seconds without a byte of a body after which it is given up."""
WHOLE = 60.0
"""Seconds that a body may take."""
LINGER = 1.0
"""Seconds in which the rest of a body that is refused is taken, so that the answer arrives."""


class RefusedError(Exception):
    """A request that gets an error for an answer.  status: of HTTP."""

    def __init__(self, status: int, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.parameter = status, message, parameter


@dataclass
class Answer:
    """status, body and headers beside those that every answer has."""

    body: bytes = b""
    kind: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(value: Any, status: int = 200) -> Answer:
    return Answer(dumps(value), status=status)


def error(status: int, message: str, parameter: str | None = None) -> Answer:
    return answer({"error": {"parameter": parameter, "message": message}}, status)


class Request:
    """method, path, query and headers of a request, and its body."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.receive = receive
        self.headers: list[tuple[str, str]] = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        self.read = False  # to the end of its body
        text = scope["query_string"].decode("latin-1")
        try:
            found = parse_qs(text, keep_blank_values=True, max_num_fields=20)
        except ValueError:
            raise RefusedError(400, "the query has too many fields") from None
        self.query = {name: values[-1] for name, values in found.items()}

    def header(self, name: str) -> str | None:
        """The value of a header; None where there is none, or more than one."""
        values = [value for known, value in self.headers if known == name]
        return values[0] if len(values) == 1 else None

    def has(self, name: str) -> bool:
        return any(known == name for known, _ in self.headers)

    def number(self, name: str, otherwise: int | None) -> int | str | None:
        """A whole number of the query, or its text for the check that names it."""
        text = self.query.get(name)
        if text is None:
            return otherwise
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text

    async def body(self, most: int) -> AsyncIterator[bytes]:
        """The pieces of the body, so many bytes at most, none of which keeps one waiting."""
        length = self.header("content-length")
        if length is not None and (not length.isdigit() or int(length) > most):
            raise RefusedError(413, f"the body is larger than {most:,} bytes")
        size, end = 0, asyncio.get_running_loop().time() + WHOLE
        while not self.read:
            left = end - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(self.receive(), min(SILENCE, max(left, 0.001)))
            except TimeoutError:
                raise RefusedError(408, "the body came too slowly") from None
            if message["type"] == "http.disconnect":
                self.read = True
                raise RefusedError(400, "the request broke off")
            self.read = not message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > most:
                raise RefusedError(413, f"the body is larger than {most:,} bytes")
            yield message.get("body", b"")

    async def whole(self, most: int) -> bytes:
        return b"".join([piece async for piece in self.body(most)])

    async def json(self) -> dict[str, Any]:
        """The object in the body; {} for none.  Raises `RefusedError`."""
        data = await self.whole(JSON_BYTES)
        kind = (self.header("content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusedError(415, "expected the content type application/json")
        try:
            found = json.loads(data, parse_constant=_refuse) if data else {}
        except (ValueError, RecursionError):
            raise RefusedError(400, "the body is no JSON") from None
        if not isinstance(found, dict):
            raise RefusedError(400, "the body is no JSON object")
        return found

    async def drain(self) -> None:
        """Take what still comes of a body, for a moment."""
        end = asyncio.get_running_loop().time() + LINGER
        while not self.read:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                message = await asyncio.wait_for(self.receive(), left)
            except TimeoutError:
                return
            self.read = message["type"] != "http.request" or not message.get("more_body", False)


def _refuse(word: str) -> None:
    raise ValueError(word)
