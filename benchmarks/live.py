#!/usr/bin/env python3
"""What the live page costs the training that it shows: `fit` with and without it, in turns.

    python benchmarks/live.py                      # a page that listens, 7 rounds
    python benchmarks/live.py --browser chromium   # and one that a browser draws, by playwright

MNIST and the usual network, batch 64, three epochs, each judged on the test images.  The listener
is a process of its own; a browser draws on the processors that the training needs.  The weights
must be equal.  Needs convlet with its extra "live", for the browser playwright, and a machine on
which nothing else runs.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import urlparse

import convlet

LAYERS = (
    "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu, dense 10, softmax"
)
EPOCHS = 3


TOLD: list[int] = []  # updates of each run that a listener saw


def listen(url: str, ready: Callable[[], object], told: Any) -> None:
    """Read the stream of a page until it ends; told: counts what it says of progress."""
    place = urlparse(url)
    head = {"Authorization": "Bearer " + place.fragment.removeprefix("token=")}
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=600)
    connection.request("GET", "/api/events", headers=head)
    answer = connection.getresponse()
    answer.readline()
    ready()
    while line := answer.readline():
        told.value += b'"type":"progress"' in line


@contextmanager
def listener(url: str) -> Iterator[None]:
    """A process that listens."""
    spawned = multiprocessing.get_context("spawn")
    ready, told = spawned.Event(), spawned.Value("i")
    process = spawned.Process(target=listen, args=(url, ready.set, told), daemon=True)
    process.start()
    ready.wait(60)
    try:
        yield
    finally:
        process.terminate()
        process.join()
        TOLD.append(told.value)


@contextmanager
def browser(url: str, program: str) -> Iterator[None]:
    """A browser that shows the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        shown = playwright.chromium.launch(executable_path=shutil.which(program))
        page = shown.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_timeout(3000)
        try:
            yield
        finally:
            shown.close()


class Shown(convlet.Live):
    """Begins to count when somebody listens."""

    def __init__(self, data: object, validation: object, way: Callable[..., object]) -> None:
        super().__init__(data, validation, browser=False)
        self.way, self.start = way, 0.0

    def on_begin(self, run: convlet.Run) -> None:
        super().on_begin(run)
        assert self.page is not None
        self.shown = self.way(self.page.url)
        self.shown.__enter__()  # type: ignore[attr-defined]
        self.start = perf_counter()

    def on_end(self, run: convlet.Run) -> None:
        self.seconds = perf_counter() - self.start
        super().on_end(run)
        self.shown.__exit__(None, None, None)  # type: ignore[attr-defined]


class Counted(convlet.Callback):
    def on_begin(self, run: convlet.Run) -> None:
        self.start = perf_counter()

    def on_end(self, run: convlet.Run) -> None:
        self.seconds = perf_counter() - self.start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--browser", metavar="PROGRAM", help="as in chromium")
    given = parser.parse_args()
    data = convlet.datasets.load("mnist")
    train, test = (data.train.images, data.train.labels), (data.test.images, data.test.labels)

    def fit(callback: convlet.Callback) -> bytes:
        network = convlet.Network(LAYERS, seed=0)
        network.fit(
            *train,
            validation=test,
            epochs=given.epochs,
            batch_size=64,
            callbacks=[callback],
            progress=False,
        )
        return network.flat.tobytes()

    ways: dict[str, Callable[..., object]] = {"listener": listener}
    if given.browser:
        ways["browser"] = lambda url: browser(url, given.browser)
    ratios: dict[str, list[float]] = {way: [] for way in ways}
    updates: list[float] = []
    for _ in range(given.rounds):
        counted = Counted()
        weights = fit(counted)
        for name, way in ways.items():
            shown = Shown(train, test, way)
            assert fit(shown) == weights, "the weights differ"
            shown.close()
            ratios[name].append(shown.seconds / counted.seconds)
            if name == "listener":
                updates.append(TOLD[-1] / shown.seconds)
    for name, values in ratios.items():
        spread = f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
        print(f"{name}: time of fit with the page over that without, {spread}")
    told = f"{median(updates):.1f} ({min(updates):.1f} to {max(updates):.1f})"
    print(f"updates a second that the listener saw: {told}")


if __name__ == "__main__":
    main()
