"""Draw the pictures of docs/pictures.md: three epochs of the default recipe on MNIST, seed 0.

    python scripts/doc_pictures.py

Trains, draws each picture with `convlet plot` into docs/images, and takes the report in a wide
window and on a phone, side by side.  Needs the dev extra and Chromium.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from convlet.cli import main as convlet

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
PICTURES = {
    "confusion": "confusion.svg",
    "filters": "filters.png",
    "activations": "activations.png",
    "mistakes": "mistakes.png",
    "reliability": "reliability.svg",
}
WIDE, PHONE, HEIGHT = 980, 390, 1300  # of the windows, in pixels
GAP = 40  # between them


def run(*arguments: object) -> None:
    """A command of convlet, or the end."""
    if convlet([str(argument) for argument in arguments]):
        raise SystemExit(1)


def photograph(page: Path, folder: Path) -> Image.Image:
    """The top of the page in both windows."""
    sys.path.insert(0, str(ROOT / "tests"))
    import chromium

    program = chromium.find()
    if program is None:
        raise SystemExit("no Chromium found: apt install chromium")
    sheet = Image.new("RGB", (WIDE + GAP + PHONE, HEIGHT), "#c9ced3")
    with chromium.browser(program, folder / "profile") as browser:
        for left, width in ((0, WIDE), (WIDE + GAP, PHONE)):
            browser.show(page, width)
            browser.screenshot(folder / "page.png")
            with Image.open(folder / "page.png") as whole:
                sheet.paste(whole.crop((0, 0, width, HEIGHT)), (left, 0))
    return sheet.quantize(128)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, history = folder / "mnist.safetensors", folder / "run.csv"
        run("train", "mnist", "--history", history, "--out", model)
        run("plot", "curves", history, "--out", IMAGES / "curves.svg")
        for kind, file in PICTURES.items():
            run("plot", kind, model, "--out", IMAGES / file)
        page = folder / "report.html"
        run("report", model, "--history", history, "--out", page)
        photograph(page, folder).save(IMAGES / "report.png", optimize=True)


if __name__ == "__main__":
    main()
