"""A server in a thread of its own: where it listens, its address, its end."""

import asyncio
import re
import secrets
import socket
from contextlib import suppress
from threading import Event, Thread

from convlet.errors import InputError, Name
from convlet.inputs import as_bool, as_count
from convlet.libraries import library
from convlet.server.hosts import is_loopback
from convlet.server.session import Session

LOOPBACK = "127.0.0.1"
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


def require_server() -> None:
    """Raise `MissingDependencyError` where the extra is not installed."""
    for name in ("starlette", "uvicorn"):
        library(name, "the live page needs", '"convlet[live]"')


def check_place(host: str, port: int, expose: bool, frame: str | None = None) -> None:
    """Raise `InputError` for a host that others reach, unless that is asked for, and only then.

    frame: an origin, or None.
    """
    as_count(port, "port", 0, 65535)
    as_bool(expose, "expose")
    if frame is not None and not (isinstance(frame, str) and ORIGIN.fullmatch(frame)):
        raise InputError("frame", frame, 'an origin, as in "http://localhost:8888"')
    if not isinstance(host, str) or not host:
        raise InputError("host", host, "the address of this machine to listen at")
    if not expose and not is_loopback(host):
        but = "others could reach the page there"
        hint = "allow that with expose, or leave it at 127.0.0.1 and use an SSH tunnel"
        raise InputError("host", host, but=but, hint=hint)
    if expose and is_loopback(host):
        but = f"only this machine reaches {host}"
        reached = ("give the ", Name("host"), " that others reach, as in 0.0.0.0")
        raise InputError("expose", expose, but=but, hint=reached)


class Serving:
    """A running server.  url: its address with the token, which no request line ever holds."""

    def __init__(
        self,
        session: Session,
        host: str = LOOPBACK,
        port: int = 0,
        expose: bool = False,
        frame: str | None = None,
    ) -> None:
        require_server()
        from convlet.server.app import App

        check_place(host, port, expose, frame)
        self.session = session
        self.socket = _listening(host, port)
        self.port: int = self.socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24)
        name = socket.gethostname() if host in ("0.0.0.0", "::") else host
        self.app = App(session, self.token, name if expose else host, self.port, frame)
        shown = f"[{name}]" if ":" in name else name
        self.place = f"http://{shown}:{self.port}/"
        self.url = f"{self.place}#token={self.token}"
        self.ready, self.ended = Event(), Event()
        self.thread = Thread(target=self._run, name="convlet live", daemon=True)
        self.thread.start()
        self.ready.wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self.ready.set()
            self.ended.set()

    def ticket_url(self) -> str:
        """An address that leads to the page with its token, once."""
        return f"{self.place}?ticket={self.app.ticket()}"

    def wait(self) -> None:
        """Until it is closed.  Ctrl-C in a `join` would leave a thread that counts as ended."""
        self.ended.wait()

    async def _serve(self) -> None:
        from convlet.server.connections import Loop, config_for

        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda loop, context: None)  # of peers that break off
        self.server = Loop(config_for(self.app))
        serving = asyncio.ensure_future(self.server.serve([self.socket]))
        begun = asyncio.ensure_future(self.server.begun.wait())
        await asyncio.wait({serving, begun}, return_when=asyncio.FIRST_COMPLETED)
        self.ready.set()
        await serving

    def close(self) -> None:
        """End training, streams and server.  A second call does nothing."""
        self.session.close()
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self.server.ended.set)
        self.ended.wait(5)
        self.app.close()
        self.socket.close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.  Raises `InputError` where the system refuses."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as refused:
        raise InputError("host", host, but=refused.strerror or str(refused)) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
        found.setblocking(False)
    except OSError as refused:
        found.close()
        hint = "choose another one, or 0 for any that is free"
        raise InputError("port", port, but=refused.strerror or str(refused), hint=hint) from None
    return found
