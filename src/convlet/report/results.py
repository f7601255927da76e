"""Sections about the predictions: by class, confusions, calibration, single images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet import measures
from convlet.datasets.encoded.pictures import pillow
from convlet.explaining.class_activation import class_activation
from convlet.layers import Conv2D
from convlet.measures import Predictions
from convlet.network import Network
from convlet.plots import calibration as reliability
from convlet.plots import confusion
from convlet.plots.activations import ANSWERS, maps, strip, trace
from convlet.plots.saliency import gradient, over
from convlet.plots.style import figure
from convlet.plots.tiles import as_rgb, mosaic
from convlet.report.html import (
    LONGEST,
    Html,
    box,
    chart,
    file_text,
    image,
    join,
    note,
    percent,
    picture_of,
    section,
    table,
    tag,
    text,
)
from convlet.wording import label

Names = tuple[str, ...]
WIDEST = 24  # classes of a confusion matrix with numbers; a greater one is a picture
UPRIGHT = 3  # letters of the longest name above a column; longer ones are turned
FREQUENT = 15  # confusions that are listed
MISTAKES = 24
CARD = 12  # letters of a narrow card
EXAMPLES = 10  # images whose activations are shown
MAPS = 16  # of a stage
SIDE = 96  # pixels of an image in the page, and
MAP_SIDE = 40  # of a feature map: greater ones are scaled down


def by_class(counts: measures.Counts, names: Names) -> Html:
    """Precision, recall, F1, support."""
    rows = [
        (
            text(name),
            percent(score.precision),
            percent(score.recall),
            percent(score.f1),
            text(f"{score.support:,}"),
        )
        for name, score in zip(names, measures.class_scores(counts), strict=True)
    ]
    caption = (
        "Precision: of the images called so, the share that is. Recall: of the images that are,"
        " the share called so. F1: their harmonic mean."
    )
    header = ("class", "precision", "recall", "F1", "images")
    return section("classes", "Classes", table(caption, header, rows, names_to=1))


def confusions(counts: measures.Counts, names: Names) -> Html:
    """The matrix, as a table or for many classes as a picture, and its most frequent confusions."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:FREQUENT]
    pairs = [divmod(int(place), len(names)) for place in order]
    rows = [
        (text(names[i]), text(names[j]), text(f"{wrong[i, j]:,}")) for i, j in pairs if wrong[i, j]
    ]
    if len(names) <= WIDEST:
        matrix = _matrix(counts, names)
    else:
        drawing = confusion.drawn(counts, names)
        alt = f"Confusion matrix of {len(names)} classes; the most frequent ones are listed below"
        matrix = box(picture_of(drawing, alt), "Confusion matrix", "box sheet")
    what = note(
        "A row is the truth, a column what was predicted. Blue is right, orange wrong; more"
        " colour is a greater share of the row, the strongest orange the most frequent confusion."
    )
    frequent = (
        table("The most frequent confusions.", ("truth", "predicted", "images"), rows, 2, 2)
        if rows
        else note("No image is wrong.")
    )
    return section(
        "confusion", "Confusion matrix", join(what, tag("div", matrix, frequent, class_="charts"))
    )


def _matrix(counts: measures.Counts, names: Names) -> Html:
    """A row a truth, a column a prediction; the style sheet makes the columns equal."""
    tints, shades = confusion.tints(counts), confusion.shades(counts)
    rows = []
    for i, name in enumerate(names):
        cells = [tag("th", text(name), scope="row")]
        for j in range(len(names)):
            if not counts[i, j]:
                cells.append(tag("td"))
                continue
            colour = "right" if i == j else "wrong"
            # over the page's own background, so that faint is faint in the dark too
            style = f"--tint:{100 * tints[i, j]:.0f}%" + (
                ";color:#fff" if confusion.is_dark(shades[i, j]) else ""
            )
            cells.append(tag("td", f"{counts[i, j]}", class_=colour, style=style))
        rows.append(tag("tr", *cells))
    letters = max(len(label(name, LONGEST)) for name in names)
    sizes = {"classes": len(names), "digits": len(f"{counts.max()}"), "letters": letters}
    style = ";".join(f"--{name}:{number}" for name, number in sizes.items())
    inside = _matrix_head(names) + tag("tbody", "\n".join(rows))
    kind = "confusion turned" if letters > UPRIGHT else "confusion"
    return box(tag("table", inside, class_=kind, style=style), "Confusion matrix")


def _matrix_head(names: Names) -> Html:
    """Two rows: what rows and columns are, and the names of the columns."""
    columns = tag("colgroup", '<col class="head">', f'<col span="{len(names)}">')
    corner = tag("th", "truth", scope="col", rowspan=2)
    above = tag("th", "predicted", scope="colgroup", colspan=len(names))
    below = (tag("th", tag("span", text(name)), scope="col") for name in names)
    return Html(columns + tag("thead", tag("tr", corner, above), tag("tr", *below)))


def calibration(found: Predictions) -> Html:
    """The reliability diagram and the expected calibration error."""
    bins = measures.calibration(found.probabilities, found.labels)
    drawing = figure(4.4, 4.0)
    reliability.draw(drawing, bins)
    what = note(
        "Is the network right as often as it is sure? Images are sorted into bins by the"
        " probability of the predicted class; a bar is the share that is right, a dot lies at the"
        " mean probability. The expected calibration error is the mean distance of the two,"
        f" {percent(bins.error)} here."
    )
    alt = f"Reliability diagram, expected calibration error {percent(bins.error)}"
    return section("calibration", "Calibration", join(what, chart(drawing, "reliability", alt)))


def examples(network: Network, found: Predictions, names: Names) -> Html:
    """What every stage makes of the first image of each class that is recognised."""
    pieces = [
        note(
            "The first image of each class that is recognised (or the first one, if none is), and"
            " what each stage hands on: brighter is more, on a scale for each stage."
        )
    ]
    for n in _chosen(found, len(names)):
        pieces.append(_example(network, found, n, names, is_open=len(pieces) == 1))
    return section("activations", "Activations", *pieces)


def _chosen(found: Predictions, classes: int) -> list[int]:
    """The first image of each class that is recognised, or the first one, of some classes."""
    right = found.predicted == found.labels
    each = (np.flatnonzero(found.labels == k) for k in range(classes))
    return [int(places[right[places].argmax()]) for places in each if len(places)][:EXAMPLES]


def _example(network: Network, found: Predictions, n: int, names: Names, is_open: bool) -> Html:
    inside = [tag("summary", text(names[found.labels[n]]), " ", _which(found, n))]
    seen = thumbnail(as_rgb(found.images[n]), SIDE)
    inside.append(image(seen, found.name(n), "5rem"))
    for stage in trace(network, found.images[n : n + 1]):
        size = tag("span", text(f"→ {stage.size}"), class_="whole")
        inside.append(tag("h3", text(stage.words), " ", size))
        if stage.stage is network.stages[-1]:
            inside.append(_bars(stage.values, names))
        elif stage.values.ndim == 1:
            units = strip(stage, 32)
            alt = f"outputs of {len(stage.values)} units"
            inside.append(image(units, alt, "min(100%, 32rem)"))
        else:
            count = stage.values.shape[2]
            tiles = maps(stage)[:MAPS]
            tiles = np.stack([thumbnail(tile, MAP_SIDE) for tile in tiles])
            pixels = mosaic(tiles, min(len(tiles), 8), max(1, tiles.shape[1] // 8))
            alt = f"{len(tiles)} of {count} feature maps"
            inside.append(image(pixels, alt, f"min(100%, {4 * min(len(tiles), 8)}rem)"))
            if count > MAPS:
                inside.append(note(f"The first {MAPS} of {count} maps."))
    attributes = {"open": "open"} if is_open else {}
    return tag("details", *inside, **attributes)


def saliency(network: Network, found: Predictions, names: Names) -> Html:
    """The same images, which of their pixels change the cost, and what speaks for their class."""
    words = (
        "The same images. Second: ∂E/∂x⁰, how the cost (14) of the true class changes with each"
        " pixel, by the errors (2), (7) down to the image, added over its channels: brighter there"
        " lowers the cost, purple, or raises it, orange."
    )
    spatial = any(isinstance(stage.affine, Conv2D) for stage in network.stages)
    if spatial:
        words += (
            " Third: what speaks for the class (Selvaraju and others, 2017), the maps of the last"
            " convolution, each times the mean derivative by it of what enters the softmax, added."
        )
    cards = []
    for n in _chosen(found, len(names)):
        x, k = found.images[n : n + 1], int(found.labels[n])
        tiles = [as_rgb(x[0]), gradient(network, x, k).by_brightness]
        if spatial:
            tiles.append(over(x[0], class_activation(network, x, k)[1]))
        pixels = mosaic(np.stack([thumbnail(tile, SIDE) for tile in tiles]), len(tiles), 2)
        alt = f"Which pixels matter in {found.name(n)}"
        seen = image(pixels, alt, "min(100%, 18rem)")
        caption = tag("figcaption", tag("b", text(names[k])), " ", _which(found, n))
        cards.append(tag("li", tag("figure", seen, caption)))
    what = note(words)
    return section("saliency", "Pixels that matter", what, tag("ul", *cards, class_="cards triple"))


def _bars(probabilities: NDArray[Any], names: Names) -> Html:
    """The most probable classes."""
    best = np.argsort(-probabilities, kind="stable")[:ANSWERS]
    lines = [
        tag(
            "li",
            tag("span", text(names[k])),
            tag("i", style=f"width:{100 * float(probabilities[k]):.1f}%", aria_hidden="true"),
            tag("span", percent(float(probabilities[k])), class_="number"),
        )
        for k in best
    ]
    return tag("ol", *lines, class_="bars")


def mistakes(found: Predictions, names: Names) -> Html:
    """Cards of the most confident mistakes, the worst first."""
    wrong = int((found.predicted != found.labels).sum())
    worst = measures.worst_mistakes(found.probabilities, found.labels, MISTAKES).tolist()
    count = f"{wrong:,} of {len(found.labels):,} test images are wrong."
    if wrong > len(worst):
        count += f" These {len(worst)} are those that the network is surest of."
    if wrong and found.names is None:
        count += " An image is called by its number in the test images, from 0."
    said = note(count)
    if not wrong:
        return section("mistakes", "Mistakes", said)
    words = [found.name(n) for n in worst]
    words += [names[k] for n in worst for k in (found.predicted[n], found.labels[n])]
    kind = "cards" if max(map(len, words)) <= CARD else "cards wide"
    cards = (tag("li", _card(found, n, names)) for n in worst)
    return section("mistakes", "Mistakes", said, tag("ul", *cards, class_=kind))


def _card(found: Predictions, n: int, names: Names) -> Html:
    """An image, its name, what was said and the truth."""
    said, truth = found.predicted[n], found.labels[n]
    words = (
        _which(found, n),
        "<br>said ",
        tag("b", text(names[said])),
        "<br>",
        percent(float(found.probabilities[n, said])),
        "<br>is ",
        tag("b", text(names[truth])),
    )
    seen = image(thumbnail(as_rgb(found.images[n]), SIDE), found.name(n), "7.5rem")
    return tag("figure", seen, tag("figcaption", *words))


def _which(found: Predictions, n: int) -> Html:
    """What an image is called; a number stays beside its word."""
    kind = "soft whole" if found.names is None else "soft"
    return tag("span", file_text(found.name(n)), class_=kind)


def thumbnail(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pixels (rows, columns, 3), scaled down where one side is longer than that."""
    rows, columns = pixels.shape[:2]
    if max(rows, columns) <= side:
        return pixels
    scale = side / max(rows, columns)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    return np.asarray(pillow().fromarray(pixels).resize(size, pillow().Resampling.BOX))
