"""`convlet evaluate`."""

from pathlib import Path

import click

from convlet import measures
from convlet.cli import options
from convlet.cli.console import print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.models import load_with_data
from convlet.inputs import as_threads
from convlet.wording import decimals, percent


@click.command(cls=Command, epilog="Example: convlet evaluate mnist.safetensors mnist")
@options.MODEL
@options.MODEL_DATA
@options.THREADS
@options.JSON
def evaluate(model: Path, data: str | None, threads: int | None, json: bool) -> None:
    """Measure a saved model on test images.

    Loss, accuracy, and the share of each class that is recognised (recall).
    """
    as_threads(threads)
    network, dataset = load_with_data(model, data)
    names = network.classes or dataset.classes
    found = measures.predict(network, dataset.test.images, dataset.test.labels, threads)
    counts = measures.confusion_counts(found.labels, found.predicted, len(names))
    scores = list(zip(names, counts.diagonal(), measures.class_scores(counts), strict=True))
    if json:
        by_class = [
            {"class": name, "images": score.support, "accuracy": score.recall}
            for name, _, score in scores
        ]
        say_json({"loss": found.loss, "accuracy": found.accuracy, "classes": by_class})
        return
    say(
        f"{dataset.name}: {len(found.labels):,} test images, loss {decimals(found.loss)},"
        f" accuracy {percent(found.accuracy)}"
    )
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
