"""Take the pictures of docs/live.md: a short tour of the live page, and four that stand still.

    python scripts/live_tour.py

Starts `convlet live mnist`, trains, looks at a number forward and back and draws a digit, as a
person would, and writes docs/images/live*.  Needs the test extra and Chromium.
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT / "tests"))
import chromium  # noqa: E402
from live_browser import by_mouse, click_number, draw, opened, server  # noqa: E402

WIDTH, HEIGHT = 1120, 700
SHOWN = 840  # pixels that the tour is wide
FRAME = 180  # ms
QUALITY = 62  # of WebP
POINTER = """
(place => {
  const dot = document.getElementById("tour") ?? document.body.appendChild(
    Object.assign(document.createElement("div"), { id: "tour" }));
  Object.assign(dot.style, {
    position: "fixed", zIndex: 99, width: "18px", height: "18px", margin: "-9px",
    borderRadius: "50%", background: "#d55e00", opacity: 0.75, pointerEvents: "none",
    left: `${place[0]}px`, top: `${place[1]}px`, boxShadow: "0 0 0 3px #fff",
  });
})
"""


class Tour:
    """Frames of a page, one after the other."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def take(self, count: int = 1, time: int = FRAME) -> None:
        for _ in range(count):
            shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
            size = SHOWN, round(SHOWN * HEIGHT / WIDTH)
            self.frames.append(shot.resize(size, Image.Resampling.LANCZOS))
            self.times.append(time)

    def point(self, selector: str) -> None:
        """The pointer goes to the middle of an element."""
        box = self.page.locator(selector).first.bounding_box()
        assert box is not None
        self.page.evaluate(POINTER, [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
        self.take(2)

    def show(self, selector: str, above: int = 90) -> None:
        """Scroll to an element, in a few steps."""
        script = "([at, above]) => document.querySelector(at).getBoundingClientRect().top - above"
        way = self.page.evaluate(script, [selector, above])
        for _ in range(4):
            self.page.evaluate("way => scrollBy(0, way)", way / 4)
            self.take(1, 90)

    def save(self, path: Path) -> None:
        first, *rest = self.frames
        first.save(
            path,
            save_all=True,
            append_images=rest,
            duration=self.times,
            loop=0,
            quality=QUALITY,
            method=6,
        )


def tour(browser: Browser, address: str) -> None:
    """Train, look, go back, draw."""
    size = {"width": WIDTH, "height": HEIGHT}
    with opened(browser, address, viewport=size) as live:
        page = live.page
        taken = Tour(page)
        taken.take(3)
        taken.point("[data-do=start]")
        live.press("start")
        while live.text("#status") != "ended":
            taken.take()
        live.wait("right.", "#judged-words")
        taken.take(1, 1200)
        taken.show("#look")
        page.locator("#gallery button").nth(2).wait_for()
        taken.point("#gallery li:nth-child(4) button")
        page.locator("#gallery li:nth-child(4) button").click()
        live.wait("Taken for 0", "#taken-for")
        taken.take(1, 900)
        taken.show("#stage-0", 120)
        taken.point("[aria-label^='z of stage 0']")
        click_number(live, "z of stage 0", (24, 24, 8), (12, 7, 4))
        live.wait_told("z/0/12,7,4")
        page.evaluate(POINTER, [-50, -50])
        taken.take(1, 2200)
        taken.show("#saliency", 320)
        page.wait_for_timeout(600)
        click_number(live, "Derivative of the cost by each pixel", (28, 28, 1), (14, 8, 0))
        live.wait_told("dx/0/14,8,0")
        taken.take(1, 2200)
        taken.show("#draw")

        def slowly(page: Page, points: list[tuple[float, float]]) -> None:
            (x, y), *rest = points
            page.mouse.move(x, y)
            page.mouse.down()
            for n, (x, y) in enumerate(rest):
                page.mouse.move(x, y, steps=4)
                if n % 2:
                    taken.take(1, 120)
            page.mouse.up()

        draw(live, 3, slowly)
        live.wait("Taken for 3", "#drawn-words")
        taken.take(1, 2500)
        taken.save(IMAGES / "live.webp")


def stills(browser: Browser, address: str) -> None:
    """Train, the number and the derivative wide, and the pad on a phone in the dark."""
    with opened(browser, address, viewport={"width": 1280, "height": 860}) as live:
        page = live.page
        live.wait("right.", "#judged-words")
        page.wait_for_timeout(500)
        save(page, "live-train.png")
        page.evaluate("document.querySelector('#look').scrollIntoView()")
        live.wait("Taken for", "#taken-for")
        page.evaluate("document.querySelector('#stage-1').scrollIntoView()")
        click_number(live, "z of stage 1", (8, 8, 16), (3, 4, 2))
        live.wait_told("z/1/3,4,2")
        page.evaluate("document.querySelector('#stages').scrollIntoView()")
        page.wait_for_timeout(500)
        save(page, "live-number.png")
        page.locator("#mistakes button").first.click()
        live.wait("; it is", "#taken-for")
        page.locator("details.parameters").last.locator("summary").click()
        words = "Derivative of the cost by each weight of stage 0"
        click_number(live, words, (5, 5, 1, 8), (1, 2, 0, 5))
        live.wait("goes from", "#number-step")
        page.locator("#compare").click()
        live.wait("Central differences", "#number-difference")
        page.evaluate("document.querySelector('#back-0').scrollIntoView()")
        page.evaluate("document.querySelector('aside').scrollTo(0, 9999)")
        page.wait_for_timeout(500)
        save(page, "live-back.png")
    size = {"width": 390, "height": 844}
    with opened(browser, address, viewport=size, color_scheme="dark", has_touch=True) as live:
        page = live.page
        page.evaluate("document.querySelector('#draw').scrollIntoView()")
        draw(live, 3, by_mouse)
        live.wait("Taken for 3", "#drawn-words")
        page.evaluate("document.querySelector('.drawing').scrollIntoView()")
        page.wait_for_timeout(300)
        save(page, "live-draw.png")


def save(page: Page, name: str) -> None:
    """A picture in few colours: it is of flat ones."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(256, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


def main() -> None:
    options = ("mnist", "--recipe", "plain", "--epochs", "3", "--threads", "1")
    with sync_playwright() as playwright, server(*options) as (_, address):
        browser = playwright.chromium.launch(
            executable_path=chromium.find(), args=["--no-sandbox", "--hide-scrollbars"]
        )
        tour(browser, address)
        stills(browser, address)
        browser.close()


if __name__ == "__main__":
    main()
