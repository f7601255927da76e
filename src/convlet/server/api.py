"""The addresses under /api: what each asks of the session."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from convlet.errors import InputError, ModelFileError
from convlet.formats.history import csv_header, csv_line
from convlet.loading import load
from convlet.run import History
from convlet.server import answers, exchange
from convlet.server.events import Events
from convlet.server.exchange import MB, Answer
from convlet.server.gate import MODES
from convlet.server.session import Session
from convlet.server.wire import dumps

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

IMAGE_BYTES = 32 * MB
MODEL_BYTES = 256 * MB
WORKERS = 4
MOST_WAITING = 64
"""Questions that are being answered by some threads, or wait for that."""
COMMANDS = (*MODES, "reset")


NO_MODEL = "the file is damaged, or no model that this version of convlet knows"


class Threads:
    """A few threads, and how many questions wait for them."""

    def __init__(self, count: int, name: str) -> None:
        self.pool = ThreadPoolExecutor(count, name)
        self.waiting = 0

    async def call(self, function: Callable[[], T]) -> T:
        """A function in one of them.  Raises `HTTPException` where too many wait."""
        if self.waiting >= MOST_WAITING:
            raise HTTPException(503, "too many questions at once: ask again")
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, function)
        finally:
            self.waiting -= 1


class Api:
    """Answers for a session.

    Whatever computes does so in threads of its own: what reads the parameters may wait for the end
    of a long step, and must not keep commands and the state from being answered.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.reading = Threads(WORKERS, "convlet reader")
        self.asking = Threads(WORKERS, "convlet answer")
        self.telling = Threads(1, "convlet state")
        routes = [
            _route("GET", "/state", self.state),
            _route("POST", "/train", self.train),
            _route("POST", "/check", self.check),
            _route("POST", "/settings", self.settings),
            _route("GET", "/settings", self.link),
            _route("GET", "/images", self.images),
            _route("POST", "/augmentation", self.posted(self.asking, answers.augmented)),
            _route("POST", "/image", self.image),
            _route("POST", "/drawing", self.posted(self.reading, answers.own_drawing)),
            _route("POST", "/forward", self.posted(self.reading, answers.forward)),
            _route("POST", "/backward", self.posted(self.reading, answers.backward)),
            _route("POST", "/explain", self.posted(self.reading, answers.explained)),
            _route("GET", "/weights", self.weights),
            _route("POST", "/evaluate", self.evaluate),
            _route("POST", "/learn", self.posted(self.asking, answers.learn)),
            _route("GET", "/model", self.model),
            _route("POST", "/model", self.new_model),
            _route("GET", "/history", self.history),
            _route("GET", "/report", self.report),
            _route("GET", "/events", self.events),
        ]
        self.router = Router(routes, redirect_slashes=False)

    def posted(
        self, threads: Threads, function: Callable[[Session, dict[str, Any]], Any]
    ) -> Handler:
        """The handler that gives the object of a body to a function of the session."""

        async def handler(request: Request) -> Response:
            given = await exchange.given(request)
            return await threads.call(lambda: Answer(function(self.session, given)))

        return handler

    async def events(self, request: Request) -> Response:
        def state() -> Awaitable[bytes]:  # of a listener, whose number is bounded
            loop = asyncio.get_running_loop()
            return loop.run_in_executor(self.telling.pool, lambda: dumps(self.session.state()))

        return Events(self.session.hub, state)

    async def state(self, request: Request) -> Response:
        return await self.telling.call(lambda: Answer(self.session.state()))

    async def train(self, request: Request) -> Response:
        given = await exchange.given(request)
        what = given.get("do")
        if not isinstance(what, str) or what not in COMMANDS:
            raise InputError("do", what, f"one of: {', '.join(COMMANDS)}")
        session = self.session

        def done() -> Response:
            session.driver.do(what)
            return Answer({"run": session.run(), "can": session.driver.can()})

        return await self.asking.call(done)

    async def check(self, request: Request) -> Response:
        given = await exchange.given(request)
        return await self.asking.call(lambda: Answer(answers.check(self.session, given).as_json()))

    async def settings(self, request: Request) -> Response:
        given = await exchange.given(request)
        session = self.session

        def done() -> Response:
            found = answers.check(session, given)
            if found.plan is None:
                return Answer(found.as_json(), 422)
            session.driver.configure(found.plan)
            return Answer(session.state())

        return await self.asking.call(done)

    async def link(self, request: Request) -> Response:
        """What a link to this page would hold."""
        return Answer(self.session.plan.as_json())

    async def images(self, request: Request) -> Response:
        part = request.query_params.get("part", "train")
        start, count = _number(request, "start", 0), _number(request, "count", 24)
        label = _number(request, "label", None)
        return await self.asking.call(
            lambda: Answer(answers.images(self.session, part, start, count, label))
        )

    async def image(self, request: Request) -> Response:
        data = await exchange.whole(request, IMAGE_BYTES)
        return await self.asking.call(lambda: Answer(answers.own_file(self.session, data)))

    async def weights(self, request: Request) -> Response:
        name = request.query_params.get("name")
        return await self.reading.call(lambda: Answer(answers.weights(self.session, name)))

    async def evaluate(self, request: Request) -> Response:
        await exchange.given(request)
        return await self.reading.call(lambda: Answer(self.session.evaluate()))

    async def model(self, request: Request) -> Response:
        """The network as a model file."""

        def saved() -> Response:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.safetensors"
                self.session.taken().save(path)
                return _file(path.name, path.read_bytes(), "application/octet-stream")

        return await self.reading.call(saved)

    async def new_model(self, request: Request) -> Response:
        """A model file that takes the place of the network."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "the file"
            with path.open("wb") as file:
                async for piece in exchange.pieces(request, MODEL_BYTES):
                    file.write(piece)

            def taken() -> Response:
                try:
                    network = load(path)
                except ModelFileError as refused:  # its words name a place of this machine
                    raise ModelFileError(NO_MODEL) from refused
                self.session.driver.adopt(network)
                return Answer(self.session.state())

            return await self.asking.call(taken)

    async def history(self, request: Request) -> Response:
        """The epochs of the run as `convlet train --history` writes them."""

        def written() -> Response:
            rows = list(self.session.records[-1].rows)
            text = csv_header() + "".join(map(csv_line, rows))
            return _file("history.csv", text, "text/csv")

        return await self.asking.call(written)

    async def report(self, request: Request) -> Response:
        """The page of `convlet report`."""
        session = self.session

        def made() -> Response:
            from convlet.report import report

            data, rows = session.data, History(session.records[-1].rows)
            network = session.taken()
            if data is None or data.judges is None:
                page = report(network, history=rows or None)
            else:
                part = data.parts["test" if "test" in data.parts else data.judges]
                page = report(
                    network,
                    part.images,
                    part.labels,
                    rows or None,
                    data_name=data.name,
                    names=part.names,
                    said=data.said,
                )
            return _file("report.html", page, "text/html")

        return await self.reading.call(made)

    def close(self) -> None:
        for threads in (self.reading, self.asking, self.telling):
            threads.pool.shutdown(wait=False, cancel_futures=True)


def _route(method: str, path: str, handler: Handler) -> Route:
    route = Route(path, handler, methods=[method])
    route.methods = {method}  # without HEAD, for which a stream of events would have no end
    return route


def _number(request: Request, name: str, otherwise: int | None) -> int | str | None:
    """A whole number of the query, or its text for the check that names it."""
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else text


def _file(name: str, content: str | bytes, kind: str) -> Response:
    """Nothing of these is shown in the page's own place: it is saved."""
    return Response(content, 200, {"content-disposition": f'attachment; filename="{name}"'}, kind)
