"""The application: who may ask is decided here, before anything else is done.

A page is served to whoever asks for it at its right name; under /api every request needs the token.
"""

import asyncio
import hmac
import logging
import secrets
from ipaddress import ip_address
from time import monotonic
from typing import Any

from convlet.server.api import Api
from convlet.server.exchange import (
    Answer,
    Receive,
    RefusedError,
    Request,
    Scope,
    Send,
    error,
)
from convlet.server.files_of_page import file_of_page, headers_of_all
from convlet.server.session import Session
from convlet.server.wire import dumps

ALIVE = 10.0
"""Seconds of silence after which a stream says that it is there."""

TICKET = 60.0
"""Seconds that a browser may take to start."""

log = logging.getLogger("convlet.server")
log.addHandler(logging.NullHandler())
log.propagate = False


class App:
    """ASGI.  token: of the session; port: that it listens at; host: that it was asked to be at.

    frame: origins whose pages may hold this one, as those of a notebook.
    """

    def __init__(
        self, session: Session, token: str, host: str, port: int, frame: str | None = None
    ) -> None:
        self.session, self.api = session, Api(session)
        self.token = token.encode()
        self.host, self.port = host, port
        self.headers = headers_of_all(frame)
        self.tickets: dict[str, float] = {}  # until when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = None
        try:
            request = Request(scope, receive)
            self._check_place(request)
            if request.path.startswith("/api/"):
                self._check_token(request)
                if (request.method, request.path) == ("GET", "/api/events"):
                    await self._events(request, send)
                    return
                found = await self.api.handle(request)
            else:
                found = self._file(request)
        except RefusedError as refused:
            found = error(refused.status, refused.message, refused.parameter)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.debug("an answer failed", exc_info=True)
            found = error(500, "something went wrong here")
        await self._send(found, request, send)

    def _check_place(self, request: Request) -> None:
        """Refuse names that are not ours, which a page elsewhere may make lead here."""
        host = request.header("host")
        if host is None or not self._is_ours(host):
            raise RefusedError(421, "this is not the host that was asked for")
        if request.has("origin"):
            origin = request.header("origin") or ""
            scheme, _, place = origin.partition("://")
            if scheme != "http" or not self._is_ours(place):
                raise RefusedError(403, "pages of other places may not ask here")

    def _is_ours(self, place: str) -> bool:
        name, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            name, port = place, "80"
        if port != str(self.port):
            return False
        name = name.lower()
        if ":" in name and not (name.startswith("[") and name.endswith("]")):
            return False
        if name in ("127.0.0.1", "localhost", "[::1]", self.host.lower(), f"[{self.host.lower()}]"):
            return True
        return not is_loopback(self.host) and _is_address(name)

    def _check_token(self, request: Request) -> None:
        given = (request.header("authorization") or "").encode("latin-1")
        kind, _, token = given.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.token):
            raise RefusedError(401, "the token of this session is needed")

    def ticket(self) -> str:
        """A word that gets the token, once and soon.

        What opens a browser shows its arguments to all users of the machine: not the token.
        """
        word = secrets.token_urlsafe(24)
        self.tickets[word] = monotonic() + TICKET
        return word

    def _redeemed(self, word: str) -> Answer:
        """The way to the page with its token, behind the # that no later request holds."""
        if self.tickets.pop(word, 0.0) < monotonic():
            raise RefusedError(403, "this link is used or too old: take the address that was said")
        place = {"location": f"/#token={self.token.decode()}", "cache-control": "no-store"}
        return Answer(status=303, headers=place)

    def _file(self, request: Request) -> Answer:
        """A file of the page, by its name among those that there are."""
        if request.path == "/" and "ticket" in request.query and request.method == "GET":
            return self._redeemed(request.query["ticket"])
        found = file_of_page(request.path.removeprefix("/"))
        if found is None:
            raise RefusedError(404, "no such address")
        if request.method not in ("GET", "HEAD"):
            raise RefusedError(405, "this address takes other methods")
        return found

    async def _send(self, found: Answer, request: Request | None, send: Send) -> None:
        headers = {
            "content-type": found.kind,
            "content-length": str(len(found.body)),
            **self.headers,
            **found.headers,
        }
        if found.status == 401:
            headers["www-authenticate"] = "Bearer"
        refused = found.status >= 400 and request is not None and not request.read
        if refused or found.status in (408, 413):
            headers["connection"] = "close"
        await send(_start(found.status, headers))
        await send({"type": "http.response.body", "body": found.body, "more_body": refused})
        if refused and request is not None:
            await request.drain()
            await send({"type": "http.response.body", "body": b""})

    async def _events(self, request: Request, send: Send) -> None:
        """Whatever happens, a line each, until the page goes or the session ends."""
        hub = self.session.hub
        box = hub.join()
        if box is None:
            raise RefusedError(503, "too many pages listen already")
        gone = asyncio.ensure_future(_until_gone(request))
        filled = None
        try:
            headers = {"content-type": "application/x-ndjson", **self.headers}
            await send(_start(200, headers))
            while not gone.done():
                closed, (behind, events) = box.closed, box.take()
                lines = [dumps(event) for event in events]
                if behind:
                    lines = [await self.api.call(lambda: dumps(self.session.state()))]
                if closed:
                    lines.append(dumps({"type": "closed"}))
                if lines:
                    body = b"\n".join([*lines, b""])
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                if closed:
                    break
                filled = asyncio.ensure_future(box.filled.wait())
                done, _ = await asyncio.wait(
                    {filled, gone}, timeout=ALIVE, return_when=asyncio.FIRST_COMPLETED
                )
                filled.cancel()
                if not done:
                    box.put({"type": "alive"})
            await send({"type": "http.response.body", "body": b""})
        finally:
            hub.leave(box)
            gone.cancel()

    def close(self) -> None:
        self.api.close()


async def _until_gone(request: Request) -> None:
    """The page has closed its stream."""
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body", False):
            request.read = True


def _start(status: int, headers: dict[str, str]) -> Any:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
