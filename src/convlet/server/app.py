"""The application: who may ask is decided here, before anything else is done.

A page is served to whoever asks for it at its right name; under /api every request needs the token.
Imports starlette, so import it late.
"""

import hmac
import logging
import secrets
from time import monotonic

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from convlet.errors import ConvletError
from convlet.server.api import Api
from convlet.server.driver import ConflictError
from convlet.server.exchange import Answer, Exchange, error
from convlet.server.files_of_page import file_of_page, headers_of_all
from convlet.server.hosts import is_address, is_loopback
from convlet.server.own import GoneError
from convlet.server.session import Session

TICKET = 60.0
"""Seconds that a browser may take to start."""
FIELDS = 20
"""Of a query."""
OF_MEMORY = "out of memory: take fewer or smaller images, a smaller batch size or network"

log = logging.getLogger("convlet.server")
log.addHandler(logging.NullHandler())
log.propagate = False


class App:
    """ASGI, around Starlette's.  token: of the session; port: that it listens at; host: it is at.

    frame: origins whose pages may hold this one, as those of a notebook.
    """

    def __init__(
        self, session: Session, token: str, host: str, port: int, frame: str | None = None
    ) -> None:
        self.api = Api(session)
        self.token = token.encode()
        self.host, self.port = host, port
        self.headers = headers_of_all(frame)
        self.tickets: dict[str, float] = {}  # until when
        kinds = (HTTPException, ConvletError, MemoryError, Exception)
        self.starlette = Starlette(
            routes=[Mount("/api", self.api.router), Route("/{name:path}", self.file)],
            exception_handlers=dict.fromkeys(kinds, _refused),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(receive, send, self.headers)
        answer = self._refusal(scope, Headers(scope=scope)) or self.starlette
        try:
            await answer(scope, exchange.receive, exchange.send)
        except Exception:  # which is answered, unless the peer has gone
            log.debug("an answer failed", exc_info=True)

    def _refusal(self, scope: Scope, headers: Headers) -> Answer | None:
        """An error for whoever may not ask, as at names that a page elsewhere makes lead here."""
        host, origin, given = (
            ", ".join(headers.getlist(name)) for name in ("host", "origin", "authorization")
        )
        if not self._is_ours(host):
            return error(421, "this is not the host that was asked for")
        scheme, _, place = origin.partition("://")
        if "origin" in headers and not (scheme == "http" and self._is_ours(place)):
            return error(403, "pages of other places may not ask here")
        kind, _, token = given.encode("latin-1").partition(b" ")
        known = kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token)
        if scope["path"].startswith("/api/") and not known:
            found = error(401, "the token of this session is needed")
            found.headers["www-authenticate"] = "Bearer"
            return found
        if scope["query_string"].count(b"&") >= FIELDS:
            return error(400, "the query has too many fields")
        return None

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
        return not is_loopback(self.host) and is_address(name)

    def ticket(self) -> str:
        """A word that gets the token, once and soon.

        What opens a browser shows its arguments to all users of the machine: not the token.
        """
        word = secrets.token_urlsafe(24)
        self.tickets[word] = monotonic() + TICKET
        return word

    def _redeemed(self, word: str) -> Response:
        """The way to the page with its token, behind the # that no later request holds."""
        if self.tickets.pop(word, 0.0) < monotonic():
            raise HTTPException(403, "this link is used or too old: take the address that was said")
        return RedirectResponse(f"/#token={self.token.decode()}", 303)

    async def file(self, request: Request) -> Response:
        """A file of the page, by its name among those that there are."""
        name, ticket = request.path_params["name"], request.query_params.get("ticket")
        if name == "" and ticket is not None and request.method == "GET":
            return self._redeemed(ticket)
        found = file_of_page(name)
        if found is None:
            raise HTTPException(404)
        return found

    def close(self) -> None:
        self.api.close()


async def _refused(request: Request, refused: Exception) -> Response:
    """What is not answered otherwise: a sentence, without a trace."""
    match refused:
        case HTTPException():
            return error(refused.status_code, refused.detail)
        case ConflictError():
            return error(409, str(refused))
        case GoneError():
            return error(410, str(refused), refused.parameter)
        case ConvletError():
            return error(422, str(refused), refused.parameter)
        case MemoryError():
            return error(422, OF_MEMORY)
    return error(500, "something went wrong here")
