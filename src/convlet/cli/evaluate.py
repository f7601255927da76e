"""`convlet evaluate`."""

import numpy as np

from convlet.cli import options
from convlet.cli.console import print_table, say, say_json
from convlet.cli.models import load_with_data
from convlet.cli.progress import decimals, percent

EXAMPLE = "Example: convlet evaluate mnist.safetensors mnist"


def evaluate(
    model: options.Model,
    data: options.ModelData = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Measure a saved model on test images.

    Loss, accuracy, and the share of each class that is recognised (recall).
    """
    options.check_threads(threads)
    network, dataset = load_with_data(model, data)
    images, labels = dataset.test.images, dataset.test.labels
    names = network.classes or dataset.classes

    loss, accuracy = network.evaluate(images, labels, threads=threads)
    right = network.predict(images, threads=threads) == labels
    counts = np.bincount(labels, minlength=len(names))
    hits = np.bincount(labels[right], minlength=len(names))
    # no image of a class, no accuracy
    shares = [hit / count if count else None for hit, count in zip(hits, counts, strict=True)]
    if json:
        by_class = [
            {
                "class": name,
                "images": int(count),
                "accuracy": None if share is None else float(share),
            }
            for name, count, share in zip(names, counts, shares, strict=True)
        ]
        say_json({"loss": loss, "accuracy": accuracy, "classes": by_class})
        return
    say(
        f"{dataset.name}: {len(images):,} test images, loss {decimals(loss)},"
        f" accuracy {percent(accuracy)}"
    )
    say()
    rows = [
        (name, f"{count:,}", f"{hit:,}", "-" if share is None else percent(share))
        for name, count, hit, share in zip(names, counts, hits, shares, strict=True)
    ]
    print_table(("class", "images", "right", "accuracy"), rows, "<>>>")
