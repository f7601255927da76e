"""Sections about the network itself: its stages, its training, its filters."""

from collections.abc import Sequence
from math import isfinite, prod

from convlet.errors import InputError
from convlet.network import Network
from convlet.overview import LayerRow, layer_rows
from convlet.plots import curves
from convlet.plots.filters import weights
from convlet.plots.style import figure
from convlet.plots.tiles import mosaic
from convlet.report.html import (
    Html,
    chart,
    image,
    join,
    note,
    own,
    pairs,
    percent,
    section,
    table,
    tag,
    text,
    whole,
)
from convlet.run import Row
from convlet.settings import Settings
from convlet.text import format_dropout
from convlet.wording import count, size

MOST_PIXELS = 100_000  # of the picture of the filters: noise does not compress


def facts(network: Network, history: Sequence[Row] | None) -> dict[str, Html]:
    """What the network says of itself, and the time of its training where a history tells all."""
    found = {"parameters": text(f"{network.flat.size:,}")}
    dropout = format_dropout(network.layers)
    if dropout and network.settings is None:  # else it is told with how it was trained
        found["dropout"] = text(dropout)
    if network.data is not None:
        found["trained on"] = text(network.data)
    if network.preparation is not None:
        found["images of files"] = text(network.preparation.words)
    found["epochs trained"] = text(f"{network.epochs:,}")
    time = None if history is None or not _is_whole(network, history) else _time(history)
    if time is not None:
        found["training time"] = time
    return found


def stages(network: Network) -> Html:
    """A row a layer, as `convlet show`."""
    header = ("stage", "layer, equations", "output", "parameters", "multiply-adds")
    rows = [
        (
            text(row.stage),
            _layer(row),
            text(size(row.output or ())),
            text(_count(row.parameters)),
            text(_count(row.multiply_adds)),
        )
        for row in layer_rows(network.stages, network.input_shape)
    ]
    caption = "A stage is an affine map with its weights, and what is applied to its result."
    return section("network", "Network", table(caption, header, rows, numbers_from=2))


def _layer(row: LayerRow) -> Html:
    """A layer and its equations, beside it or, where there is no room, below it."""
    name, equations = tag("span", text(row.layer)), tag("span", text(row.equations), class_="soft")
    return tag("div", name, " ", equations, class_="layer") if row.equations else name


def training(network: Network, history: Sequence[Row] | None) -> Html:
    """How it was trained, where that is known, and how that went, where there is a history."""
    pieces = [] if network.settings is None else [_settings(network, network.settings)]
    if history is not None:
        pieces += [note(_said(network, history)), _curves(history)]
    return section("training", "Training", *pieces)


def _settings(network: Network, settings: Settings) -> Html:
    """Optimiser, learning rate and the rest, in the words of `convlet train`."""
    words = {"batch size": f"{settings.batch_size:,}"} | settings.described(network.layers)
    return pairs({name: own(value) for name, value in words.items()}, "facts settings")


def _curves(history: Sequence[Row]) -> Html:
    """Each on its own, so that it is readable on a phone."""
    losses = figure(4.4, 3.2)
    curves.draw_losses(losses.subplots(), history)
    last = history[-1]
    words = f"Training loss by epoch, {last.train_loss:.4f} in the last one"
    if last.validation_loss is not None:
        words += f"; validation loss, {last.validation_loss:.4f} after it"
    charts = [chart(losses, "losses", words)]
    if any(row.validation_accuracy is not None for row in history):
        accuracy = figure(4.4, 3.2)
        curves.draw_accuracy(accuracy.subplots(), history)
        words = "Share of validation images that are right, by epoch"
        if last.validation_accuracy is not None:
            words += f", {percent(last.validation_accuracy)} after the last one"
        charts.append(chart(accuracy, "accuracy", words))
    return tag("div", *charts, class_="charts")


def _said(network: Network, history: Sequence[Row]) -> str:
    """What a history tells, and whether it is that of the whole training."""
    time = _time(history)
    words = ", ".join([count(len(history), "epoch"), *([] if time is None else [time])])
    if _is_whole(network, history):
        return f"{words} of training."
    first, last = history[0].epoch, history[-1].epoch
    which = f"epoch {first:,}" if first == last else f"epochs {first:,} to {last:,}"
    return (
        f"{words} of training: the history has {which}, the network was trained for"
        f" {count(network.epochs, 'epoch')}."
    )


def _is_whole(network: Network, history: Sequence[Row]) -> bool:
    """Whether a history has each epoch that the network was trained for, and no other."""
    return [row.epoch for row in history] == list(range(1, network.epochs + 1))


def _time(history: Sequence[Row]) -> Html | None:
    """Seconds of training, None where they are not known."""
    seconds = sum(row.seconds for row in history)
    return whole(f"{seconds:,.1f} s") if isfinite(seconds) else None


def filters(network: Network) -> Html:
    """The weights of the first stage as one image, or why there is none."""
    try:
        found = weights(network)
    except InputError as error:
        return section("filters", "Filters of the first stage", note(f"{error}."))
    shown = found.first(MOST_PIXELS // prod(found.tiles.shape[1:3]))
    columns = min(len(shown), 8) if found.each == 1 else found.each
    pixels = mosaic(shown, columns, max(1, shown.shape[1] // 8))
    alt = f"{len(shown)} pictures of the weights {found.stage.w_name} of {found.stage.affine}"
    width = f"min(100%, {max(4, columns) * 5}rem)"
    colours = "Colours are the three input channels, grey is 0."
    if found.scale is not None:
        colours = found.scale.words
    said = note(f"The weights {found.title(shown)}. {colours}")
    return section("filters", "Filters of the first stage", join(said, image(pixels, alt, width)))


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
