"""Draw the pictures of docs/pictures.md, one of them also in README.md.

    python scripts/doc_pictures.py

Three epochs of the default recipe on MNIST, seed 0, as `convlet train mnist` trains them.  Draws
each picture into docs/images, and takes the report in a wide window and on a phone, side by side.
Needs the dev extra and Chromium.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

import convlet
from convlet import History, Network, plots
from convlet.datasets import Dataset
from convlet.report import report

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
WIDE, PHONE, HEIGHT = 980, 390, 1300  # of the windows, in pixels
GAP = 40  # between them


def train(data: Dataset) -> tuple[Network, History]:
    """A network by the default recipe, validated with the test images after each epoch."""
    recipe = convlet.recipes.recipe("default", data)
    network = Network(recipe.layers(len(data.classes)), classes=data.classes)
    history = network.fit(
        data.train.images,
        data.train.labels,
        validation=(data.test.images, data.test.labels),
        data_name="mnist",
        **recipe.settings(),
    )
    return network, history


def draw(network: Network, history: History, data: Dataset) -> None:
    """Each picture in its file."""
    test = data.test.images, data.test.labels
    figures = {
        "curves.svg": plots.training_curves(history),
        "confusion.svg": plots.confusion_matrix(network, *test),
        "filters.png": plots.filters(network),
        "activations.png": plots.activations(network, data.test.images[0]),
        "saliency.png": plots.saliency(network, data.test.images[0]),
        "class-activation.png": plots.class_activation(network, data.test.images[0]),
        "mistakes.png": plots.mistakes(network, *test),
        "reliability.svg": plots.reliability(network, *test),
    }
    for name, figure in figures.items():
        plots.save(figure, IMAGES / name)


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
    data = convlet.datasets.load("mnist")
    network, history = train(data)
    print(history)
    draw(network, history, data)
    test = data.test.images, data.test.labels
    page = report(network, *test, history, title="mnist.safetensors", data_name="mnist")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "report.html").write_text(page, encoding="utf-8")
        photograph(folder / "report.html", folder).save(IMAGES / "report.png", optimize=True)


if __name__ == "__main__":
    main()
