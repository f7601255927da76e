"""The addresses under /api: what each asks of the session."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from convlet.errors import ConvletError, InputError, ModelFileError
from convlet.formats.history import csv_header, csv_line
from convlet.loading import load
from convlet.run import History
from convlet.server import answers
from convlet.server.driver import ConflictError
from convlet.server.exchange import MB, Answer, RefusedError, Request, answer, error
from convlet.server.session import Session

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Answer]]

IMAGE_BYTES = 32 * MB
MODEL_BYTES = 256 * MB
WORKERS = 4
MOST_WAITING = 64
"""Questions that are being answered, or wait for that."""
OF_MEMORY = "out of memory: take fewer or smaller images, a smaller batch size or network"


class Api:
    """Answers for a session.  Whatever computes does so in a few threads of its own."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.pool = ThreadPoolExecutor(WORKERS, "convlet answer")
        self.waiting = 0
        self.handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/api/state"): self.state,
            ("POST", "/api/train"): self.train,
            ("POST", "/api/check"): self.check,
            ("POST", "/api/settings"): self.settings,
            ("GET", "/api/settings"): self.link,
            ("GET", "/api/images"): self.images,
            ("POST", "/api/augmentation"): self.posted(answers.augmented),
            ("POST", "/api/image"): self.image,
            ("POST", "/api/drawing"): self.posted(answers.own_drawing),
            ("POST", "/api/forward"): self.posted(answers.forward),
            ("POST", "/api/backward"): self.posted(answers.backward),
            ("POST", "/api/explain"): self.posted(answers.explained),
            ("GET", "/api/weights"): self.weights,
            ("POST", "/api/evaluate"): self.evaluate,
            ("POST", "/api/learn"): self.posted(answers.learn),
            ("GET", "/api/model"): self.model,
            ("POST", "/api/model"): self.new_model,
            ("GET", "/api/history"): self.history,
            ("GET", "/api/report"): self.report,
        }

    async def handle(self, request: Request) -> Answer:
        """Raises `RefusedError`; what the library refuses becomes an answer."""
        handler = self.handlers.get((request.method, request.path))
        if handler is None:
            if any(path == request.path for _, path in self.handlers):
                raise RefusedError(405, "this address takes other methods")
            raise RefusedError(404, "no such address")
        try:
            return await handler(request)
        except ConflictError as refused:
            return error(409, str(refused))
        except ConvletError as refused:
            return error(422, str(refused), refused.parameter)
        except MemoryError:
            return error(422, OF_MEMORY)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """A function in one of the threads.  Raises `RefusedError` where too many wait."""
        if self.waiting >= MOST_WAITING:
            raise RefusedError(503, "too many questions at once: ask again")
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.pool, function, *arguments)
        finally:
            self.waiting -= 1

    def posted(self, function: Callable[[Session, dict[str, Any]], Any]) -> Handler:
        """The handler that gives the object of a body to a function of the session."""

        async def handler(request: Request) -> Answer:
            given = await request.json()
            return await self.call(lambda: answer(function(self.session, given)))

        return handler

    async def state(self, request: Request) -> Answer:
        return await self.call(lambda: answer(self.session.state()))

    async def train(self, request: Request) -> Answer:
        given = await request.json()
        what = given.get("do")
        if what not in ("start", "pause", "step", "epoch", "reset", "stop"):
            raise InputError("do", what, "one of: start, pause, step, epoch, reset, stop")
        session = self.session

        def done() -> Answer:
            session.driver.do(what)
            return answer({"run": session.run(), "can": session.driver.can()})

        return await self.call(done)

    async def check(self, request: Request) -> Answer:
        given = await request.json()
        return await self.call(lambda: answer(answers.check(self.session, given).as_json()))

    async def settings(self, request: Request) -> Answer:
        given = await request.json()
        session = self.session

        def done() -> Answer:
            found = answers.check(session, given)
            if found.plan is None:
                return answer(found.as_json(), 422)
            session.driver.configure(found.plan)
            return answer(session.state())

        return await self.call(done)

    async def link(self, request: Request) -> Answer:
        """What a link to this page would hold."""
        return answer(self.session.plan.as_json())

    async def images(self, request: Request) -> Answer:
        part = request.query.get("part", "train")
        start, count = request.number("start", 0), request.number("count", 24)
        label = request.number("label", None)
        return await self.call(
            lambda: answer(answers.images(self.session, part, start, count, label))
        )

    async def image(self, request: Request) -> Answer:
        data = await request.whole(IMAGE_BYTES)
        return await self.call(lambda: answer(answers.own_file(self.session, data)))

    async def weights(self, request: Request) -> Answer:
        name = request.query.get("name")
        return await self.call(lambda: answer(answers.weights(self.session, name)))

    async def evaluate(self, request: Request) -> Answer:
        await request.json()
        return await self.call(lambda: answer(self.session.evaluate()))

    async def model(self, request: Request) -> Answer:
        """The network as a model file."""

        def saved() -> Answer:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.safetensors"
                with self.session.still() as network:
                    network.save(path)
                return Answer(path.read_bytes(), "application/octet-stream", headers=_file(path))

        return await self.call(saved)

    async def new_model(self, request: Request) -> Answer:
        """A model file that takes the place of the network."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "the file"
            with path.open("wb") as file:
                async for piece in request.body(MODEL_BYTES):
                    file.write(piece)

            def taken() -> Answer:
                try:
                    network = load(path)
                except ModelFileError as refused:
                    text = str(refused).replace(str(path), "the file")
                    raise ModelFileError(text) from None
                self.session.driver.adopt(network)
                return answer(self.session.state())

            return await self.call(taken)

    async def history(self, request: Request) -> Answer:
        """The epochs of the run as `convlet train --history` writes them."""
        rows = list(self.session.records[-1].rows)
        text = csv_header() + "".join(map(csv_line, rows))
        return Answer(text.encode(), "text/csv; charset=utf-8", headers=_file(Path("history.csv")))

    async def report(self, request: Request) -> Answer:
        """The page of `convlet report`."""
        session = self.session

        def made() -> Answer:
            from convlet.report import report

            data, rows = session.data, History(session.records[-1].rows)
            with session.still() as network:
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
            headers = _file(Path("report.html"))
            return Answer(page.encode(), "text/html; charset=utf-8", headers=headers)

        return await self.call(made)

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)


def _file(path: Path) -> dict[str, str]:
    """Nothing of these is shown in the page's own place: it is saved."""
    return {"content-disposition": f'attachment; filename="{path.name}"'}
