"""`convlet evaluate`."""

from pathlib import Path

import click

from convlet import measures
from convlet.cli import lines, options, reading
from convlet.cli.console import print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.models import data_for, load_either, named_data
from convlet.cli.reading import Tested
from convlet.inputs import as_threads
from convlet.wording import decimals, percent


@click.command(cls=Command, epilog="Example: convlet evaluate mnist.safetensors mnist")
@options.MODEL
@options.MODEL_DATA
@reading.TESTED
@options.THREADS
@options.JSON
def evaluate(
    model: Path,
    data: str | None,
    tested: Tested,
    threads: int | None,
    json: bool,
) -> None:
    """Measure a saved model on test images.

    Loss, accuracy, and the share of each class that is recognised (recall).  Images of a folder
    are prepared as in training; without a test part all of them are test images.
    """
    as_threads(threads)
    tested.check()
    network = load_either(model)
    data = named_data(network, data, model)
    dataset = data_for(network, data, model, json, **tested.arguments())
    names = network.classes or dataset.classes
    found = measures.predict(network, dataset.test.images, dataset.test.labels, threads)
    counts = measures.confusion_counts(found.labels, found.predicted, len(names))
    scores = list(zip(names, counts.diagonal(), measures.class_scores(counts), strict=True))
    if json:
        by_class = [
            {"class": name, "images": score.support, "accuracy": score.recall}
            for name, _, score in scores
        ]
        said = [*dataset.said, *lines.of_drawn(dataset)]
        result = {"loss": found.loss, "accuracy": found.accuracy, "classes": by_class}
        say_json({**result, "said": said})
        return
    say(
        f"{dataset.name}: {len(found.labels):,} test images, loss {decimals(found.loss)},"
        f" accuracy {percent(found.accuracy)}"
    )
    for line in (*dataset.said, *lines.of_drawn(dataset)):
        say(line)
    say()
    rows = [
        # no image of a class, no accuracy
        (
            name,
            f"{score.support:,}",
            f"{right:,}",
            "-" if score.recall is None else percent(score.recall),
        )
        for name, right, score in scores
    ]
    print_table(("class", "images", "right", "accuracy"), rows, "<>>>", ("right",))
