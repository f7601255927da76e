"""The live page in Chromium, by Playwright: opening it, drawing on it, reading its numbers."""

import base64
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

import children

STATUS = "#status"
SLOW = 60_000  # ms until something that should happen has failed: no speed is tested

ZERO = [(0.5 + 0.2 * math.sin(t), 0.5 - 0.3 * math.cos(t)) for t in np.linspace(0, 2 * math.pi, 13)]
THREE = [
    (0.3, 0.25), (0.45, 0.18), (0.62, 0.22), (0.66, 0.34), (0.58, 0.44), (0.44, 0.48),
    (0.6, 0.52), (0.7, 0.64), (0.62, 0.78), (0.45, 0.84), (0.28, 0.76),
]  # fmt: skip
SEVEN = [(0.25, 0.22), (0.72, 0.22), (0.6, 0.45), (0.5, 0.62), (0.42, 0.85)]
DIGITS = {0: ZERO, 3: THREE, 7: SEVEN}


@contextmanager
def launched(program: str, *options: str) -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-gpu", *options]
        found = playwright.chromium.launch(executable_path=program, args=args)
        yield found
        found.close()


@contextmanager
def server(*options: str) -> Iterator[tuple[Any, str]]:
    """A running `convlet live` and its address."""
    command = [*children.CONVLET, "live", *options, "--no-browser"]
    with children.start(command, stdout=-1, stderr=-2, text=True) as child:
        try:
            said = []
            for line in child.stdout:
                said.append(line)
                found = re.search(r"http://\S+#token=\S+", line)
                if found:
                    break
            else:
                raise AssertionError("".join(said))
            yield child, found[0]
        finally:
            child.terminate()
            child.communicate(timeout=children.PATIENCE)


class Watched:
    """A page and what went wrong on it."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(SLOW)
        self.wrong: list[str] = []
        self.place = address.split("#")[0]
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(address)
        begun = "() => document.querySelector('#status').textContent !== 'connecting'"
        self.page.wait_for_function(begun)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.place, "data:", f"blob:{self.place}")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def wait(self, words: str, selector: str) -> None:
        """Until an element says these words."""
        script = "([words, at]) => document.querySelector(at)?.textContent.includes(words)"
        self.page.wait_for_function(script, arg=[words, selector])

    def wait_told(self, address: str) -> None:
        """Until the panel shows the number at an address."""
        script = "what => document.querySelector('#goto-address').value === what"
        self.page.wait_for_function(script, arg=address)

    def press(self, what: str) -> None:
        self.page.locator(f"[data-do={what}]").click()


@contextmanager
def opened(browser: Browser, address: str, **options: Any) -> Iterator[Watched]:
    """A page in a window of its own, on which nothing may go wrong."""
    options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
    context = browser.new_context(**options)
    try:
        watched = Watched(context, address)
        yield watched
        assert watched.wrong == []
    finally:
        context.close()


# ------------------------------------------------------------------------------------------ drawing


def by_mouse(page: Page, points: list[tuple[float, float]]) -> None:
    (x, y), *rest = points
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in rest:
        page.mouse.move(x, y, steps=2)
    page.mouse.up()


def by_touch(page: Page, points: list[tuple[float, float]]) -> None:
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        found = [{"x": x, "y": y} for x, y in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})

    touch("touchStart", points[0])
    for (x0, y0), (x1, y1) in pairwise(points):
        for share in (0.25, 0.5, 0.75, 1):
            touch("touchMove", (x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    touch("touchEnd")


def draw(watched: Watched, digit: int, how: Callable[..., None]) -> float:
    """Draw a digit on the clear pad -> by how much the pad moved meanwhile."""
    page = watched.page
    page.locator("#pad-clear").click()
    pad = page.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    place = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in DIGITS[digit]]
    how(page, place)
    after = pad.bounding_box()
    assert after is not None
    return after["y"] - box["y"]


# ------------------------------------------------------------------------------------------ numbers


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace("\u2212", "-").replace(",", ""))


def picture(watched: Watched, words: str) -> Locator:
    """The picture of that name, on the screen and with its numbers."""
    field = watched.page.locator(f"[role=application][aria-label^='{words}']")
    field.scroll_into_view_if_needed()
    watched.page.locator(f"[role=application][aria-label^='{words}']:not([aria-busy])").wait_for()
    return field


def click_number(
    watched: Watched, words: str, sizes: tuple[int, ...], place: tuple[int, ...]
) -> None:
    """Click the number at a place of an array on its picture, which is found by its name.

    sizes: of the array; where it stands is worked out here, from the size of the picture.
    """
    field = picture(watched, words)
    box, cells = field.bounding_box(), field.locator("canvas").evaluate("c => [c.width, c.height]")
    assert box is not None
    zoom = box["width"] / cells[0]
    tile, i, j, (rows, columns) = _tile(sizes, place, cells[0])
    across = (cells[0] + 1) // (columns + 1)
    top, left = tile // across * (rows + 1) + i, tile % across * (columns + 1) + j
    field.click(position={"x": (left + 0.5) * zoom, "y": (top + 0.5) * zoom})


def _tile(
    sizes: tuple[int, ...], place: tuple[int, ...], cells: int
) -> tuple[int, int, int, tuple[int, int]]:
    """(tile, row, column, (rows, columns) of a tile) of a place."""
    match sizes, place:
        case (rows, columns, _), (i, j, k):
            return k, i, j, (rows, columns)
        case (rows, columns, inputs, _), (p, q, r, k):
            return k * inputs + r, p, q, (rows, columns)
        case (inputs, outputs), (i, j):
            return (0, j, i, (outputs, inputs)) if inputs > outputs else (0, i, j, sizes)
        case (length,), (n,):
            return 0, n // cells, n % cells, (-(-length // cells), cells)
    raise AssertionError(sizes)


def floats(array: dict[str, Any]) -> Any:
    values = np.frombuffer(base64.b64decode(array["data"]), "<f4")
    return values.reshape(array["shape"])
