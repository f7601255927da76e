"""Sections about the network itself: its stages, its training, its filters."""

from collections.abc import Sequence
from math import prod

from convlet.errors import InputError
from convlet.layers import Shape
from convlet.network import Network
from convlet.overview import layer_rows
from convlet.plots import curves
from convlet.plots.style import figure
from convlet.plots.tiles import filter_tiles, mosaic
from convlet.report.html import Html, chart, image, join, note, section, table, tag, text
from convlet.run import Row

MOST_PIXELS = 100_000  # of the picture of the filters: noise does not compress


def stages(network: Network) -> Html:
    """A row a layer, as `convlet show`."""
    header = ("stage", "layer", "equations", "output", "parameters", "multiply-adds")
    rows = [
        (row.stage, row.layer, row.equations, _size(row.output), *map(_count, row[4:]))
        for row in layer_rows(network.stages, network.input_shape)
    ]
    caption = "A stage is an affine map with its weights, and what is applied to its result."
    return section(
        "network",
        "Network",
        table(caption, header, [tuple(map(text, row)) for row in rows], numbers_from=3),
    )


def training(history: Sequence[Row]) -> Html:
    """The curves, each on its own so that it is readable on a phone."""
    losses = figure(4.4, 3.2)
    curves.draw_losses(losses.subplots(), history)
    last = history[-1]
    words = f"Training loss by epoch, {last.train_loss:.4f} in the last one"
    if last.test_loss is not None:
        words += f"; validation loss, {last.test_loss:.4f} after it"
    charts = [chart(losses, "losses", words)]
    if any(row.test_accuracy is not None for row in history):
        accuracy = figure(4.4, 3.2)
        curves.draw_accuracy(accuracy.subplots(), history)
        words = "Share of validation images that are right, by epoch"
        if last.test_accuracy is not None:
            words += f", {100 * last.test_accuracy:.2f} % after the last one"
        charts.append(chart(accuracy, "accuracy", words))
    seconds = sum(row.seconds for row in history)
    epochs = f"{len(history)} epoch{'s' if len(history) > 1 else ''}"
    said = note(f"{epochs}, {seconds:.1f} s of training.")
    return section("training", "Training", said, tag("div", *charts, class_="charts"))


def filters(network: Network) -> Html:
    """The weights of the first stage as one image, or why there is none."""
    stage, channels = network.stages[0], network.input_shape[2]
    try:
        tiles = filter_tiles(network)
    except InputError as error:
        return section("filters", "Filters of the first stage", note(f"{error}."))
    most = max(1, MOST_PIXELS // prod(tiles.shape[1:3]))
    shown = tiles[:most]
    columns = min(len(shown), 8 if channels in (1, 3) or channels > 16 else channels)
    pixels = mosaic(shown, columns, max(1, tiles.shape[1] // 8))
    what = (
        "Colours are the three input channels, grey is 0."
        if channels == 3
        else "Purple is negative, white 0, orange positive."
    )
    if channels not in (1, 3):
        what += f" {channels} pictures, one for each input channel, are one filter."
    if len(shown) < len(tiles):
        what += f" The first {len(shown)} of {len(tiles)} pictures."
    alt = f"{len(shown)} pictures of the weights w0 of {stage.affine}"
    width = f"min(100%, {max(4, columns) * 5}rem)"
    return section(
        "filters",
        "Filters of the first stage",
        join(note(f"The weights w0 of {stage.affine}. {what}"), image(pixels, alt, width)),
    )


def _size(shape: Shape | None) -> str:
    return " x ".join(map(str, shape or ()))


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
