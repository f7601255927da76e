"""What tests of the live page have in common: a page of a small network, and who asks it."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import numpy as np

import convlet
from convlet.server import LivePage
from made_data import bright_rows

SHAPE = (6, 6, 1)
LAYERS = "conv 4 3, relu, pool 2, flatten, dense 8, relu, dense 3, softmax"
PATIENCE = 60.0  # seconds until something that does not happen counts as a failure
DATA = bright_rows(120, 0, SHAPE)
JUDGES = bright_rows(40, 1, SHAPE)


class Client:
    """Asks a page.  token: None sends none."""

    def __init__(self, page: LivePage, token: str | None = "") -> None:
        place = urlparse(page.url)
        self.host, self.port = place.hostname or "", place.port or 0
        self.place = f"{self.host}:{self.port}"
        self.token = place.fragment.removeprefix("token=") if token == "" else token

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        **headers: str,
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, the answer (of JSON, its value), headers."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": kind} if data is not None else {}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, data, sent)
            found = connection.getresponse()
            text = found.read()
        finally:
            connection.close()
        names = {name.lower(): value for name, value in found.getheaders()}
        is_json = names.get("content-type") == "application/json" and text
        return found.status, json.loads(text) if is_json else text, names

    def get(self, path: str) -> Any:
        status, found, _ = self.ask("GET", path)
        assert status == 200, found
        return found

    def post(self, path: str, **given: Any) -> Any:
        status, found, _ = self.ask("POST", path, given)
        assert status == 200, found
        return found

    def do(self, what: str) -> Any:
        return self.post("/api/train", do=what)

    def wait(self, status: str) -> dict[str, Any]:
        """Until training has that status -> how it stands."""
        return self.until(lambda run: run["status"] == status)

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while not holds(run := self.get("/api/state")["run"]):
            assert time.monotonic() < end, run
            time.sleep(0.01)
        return run

    def head(self, method: str = "GET", path: str = "/api/state", *more: str) -> bytes:
        """The head of a request as its bytes."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.place}"]
        lines += [f"Authorization: Bearer {self.token}", *more, "", ""]
        return "\r\n".join(lines).encode()

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)

    def raw(self, data: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        with self.connect() as peer:
            peer.sendall(data)
            return received(peer)

    @contextmanager
    def events(self) -> Iterator[Iterator[dict[str, Any]]]:
        """The lines of the stream of events."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            sent = {"Authorization": f"Bearer {self.token}"}
            connection.request("GET", "/api/events", headers=sent)
            found = connection.getresponse()
            assert found.status == 200
            yield (json.loads(line) for line in iter(found.readline, b""))
        finally:
            connection.close()


def says_ended(event: dict[str, Any]) -> bool:
    """Whether an event tells that training has ended: by itself, or with the whole state."""
    run = event["run"] if event["type"] == "state" else event
    return event["type"] in ("state", "status") and run["status"] == "ended"


def received(peer: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    try:
        while piece := peer.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def network(layers: str = LAYERS, seed: int = 0, **more: Any) -> convlet.Network:
    return convlet.Network(layers, SHAPE, seed, **more)


@contextmanager
def served(
    of: convlet.Network | None = None, data: Any = DATA, judges: Any = JUDGES, **settings: Any
) -> Iterator[tuple[LivePage, Client]]:
    """A page of a network, and a client of it."""
    of = network() if of is None else of
    with convlet.live(of, data, judges, browser=False, **settings) as page:
        yield page, Client(page)


def number(array: dict[str, Any]) -> np.ndarray:
    """An array as it goes over the wire."""
    from base64 import b64decode

    values = np.frombuffer(b64decode(array["data"]), "<f4")
    return values.reshape(array["shape"])
