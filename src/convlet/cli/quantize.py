"""`convlet quantize`."""

from pathlib import Path

import click

from convlet import datasets
from convlet.cli import lines, options, reading
from convlet.cli.byte_tables import BYTES_HEADER, BYTES_LESS, NOISE, noise_rows, of_calibration
from convlet.cli.console import print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.models import data_for, load_model, named_data
from convlet.cli.names import call
from convlet.cli.options import file, whole, word
from convlet.cli.places import Output
from convlet.cli.reading import Tested
from convlet.comparison import Comparison, compare
from convlet.datasets import Dataset
from convlet.errors import ModelFileError
from convlet.inputs import as_count, as_seed, as_threads
from convlet.quantised.calibration import USUAL_COUNT, USUAL_RANGES
from convlet.quantised.file import read
from convlet.quantised.network import QuantizedNetwork
from convlet.quantised.overview import stage_rows
from convlet.quantised.ranges import CHOICES, as_ranges
from convlet.wording import count as counted
from convlet.wording import percent

MOST_CONFUSED = 5


@click.command(cls=Command, epilog="Example: convlet quantize mnist.safetensors mnist")
@options.MODEL
@options.MODEL_DATA
@file("--out", help="Where it goes.", show_default="MODEL-int8.safetensors")
@whole("--count", default=USUAL_COUNT, help="Training images that show which values occur.")
@whole("--calibration-seed", default=0, help="Of the draw of these.")
@word("--ranges", of=CHOICES, metavar="NAME", default=USUAL_RANGES, help=f"{', '.join(CHOICES)}.")
@reading.TESTED
@options.THREADS
@options.JSON
def quantize(
    model: Path,
    data: str | None,
    out: Path | None,
    count: int,
    calibration_seed: int,
    ranges: str,
    tested: Tested,
    threads: int | None,
    json: bool,
) -> None:
    """Make a saved model one in whole numbers, for small devices.

    Weights and activations become bytes (int8), by some training images of DATA; the test images
    say what that costs.  evaluate, predict and show take the new model, too.
    """
    as_count(count, "count")
    seed = as_seed(calibration_seed, "calibration_seed")
    as_ranges(ranges)
    as_threads(threads)
    tested.check()
    default = f"{model.stem}-int8.safetensors"
    output = Output(out, default, "a network in whole numbers", _is_quantized)
    network = load_model(model)
    data = named_data(network, data, model)
    dataset = data_for(network, data, model, json, datasets.load, **tested.arguments())
    call(images="DATA (images to train with)")
    small = network.quantize(dataset.train.images, count, seed, ranges)
    found = compare(network, small, dataset.test.images, dataset.test.labels, threads)
    place = output.write(small.save)
    if json:
        say_json({"model": str(output.path), **_record(small, found, dataset)})
        return
    header, align = (*BYTES_HEADER, NOISE), "<<>>>>>"
    print_table(header, noise_rows(small.parts, found.signal_to_noise), align, BYTES_LESS)
    say()
    say(of_calibration(small.calibration))
    for line in (*dataset.said, *lines.of_drawn(dataset)):
        say(line)
    for line in _results(found, dataset):
        say(line)
    say(f"model saved in {place}")


def _results(found: Comparison, dataset: Dataset) -> list[str]:
    """What it costs, on the test images."""
    before, after = found.original.accuracy, found.quantized.accuracy
    said = [
        f"{dataset.name}: {counted(len(found.original.labels), 'test image')},"
        f" accuracy {percent(before)} in floats, {percent(after)} in whole numbers",
        f"{counted(len(found.changed), 'image')} of another class than before:"
        f" {found.lost:,} right only in floats, {found.won:,} right only in whole numbers",
    ]
    more = [one for one in _confused(found, dataset) if one["more"]]
    if more:
        words = [f"{one['class']} as {one['as']} {one['more']:+,}" for one in more[:MOST_CONFUSED]]
        said.append(f"taken more often, or less: {', '.join(words)}")
    return said


def _confused(found: Comparison, dataset: Dataset) -> list[dict[str, object]]:
    """Pairs of classes that are confused more often than before, or less; most first."""
    difference = found.confusion_difference
    pairs = [
        (int(difference[i, j]), i, j)
        for i in range(len(difference))
        for j in range(len(difference))
        if i != j and difference[i, j]
    ]
    pairs.sort(key=lambda one: (-abs(one[0]), one))
    names = dataset.classes
    return [{"class": names[i], "as": names[j], "more": more} for more, i, j in pairs]


def _record(small: QuantizedNetwork, found: Comparison, dataset: Dataset) -> dict[str, object]:
    """The same as JSON."""
    *rows, _ = stage_rows(small.parts)
    stages = [
        {
            "layers": row.layers,
            "weight_bytes": row.weights,
            "other_bytes": row.others,
            "multiply_adds": row.multiply_adds,
            "largest_sum": row.largest_sum,
            "signal_to_noise": decibels,
        }
        for row, decibels in zip(rows, found.signal_to_noise, strict=True)
    ]
    return {
        "stages": stages,
        "calibration": small.calibration.record(),
        "images": len(found.original.labels),
        "float_accuracy": found.original.accuracy,
        "accuracy": found.quantized.accuracy,
        "float_loss": found.original.loss,
        "loss": found.quantized.loss,
        "changed": len(found.changed),
        "lost": found.lost,
        "won": found.won,
        "confusion_difference": _confused(found, dataset),
        "said": [*dataset.said, *lines.of_drawn(dataset)],
    }


def _is_quantized(path: Path) -> bool:
    try:
        read(path)
    except ModelFileError:
        return False
    return True
