"""The accuracy of a recipe on the test images, over seeds.

    python benchmarks/recipes.py default mnist --seeds 30
    python benchmarks/recipes.py best fashion-mnist --seeds 3
    python benchmarks/recipes.py best mnist --seeds 3 --hold-out 10000
    python benchmarks/recipes.py best mnist --seeds 5 --images 300
    python benchmarks/recipes.py tiny-4k mnist --seeds 3 --int8 maximum
    python benchmarks/recipes.py best shared/data/sign-digits --size 64 --folds 5

Prints a line a seed and their mean, standard deviation, least and greatest; --json adds one object.
With --hold-out it is the accuracy on so many training images, others for each seed, after training
on the rest: the recipes were chosen so (docs/recipes.md), never on the test images.  With --images
training has only so many images, others for each seed.  With --folds the lines are of folds, as
`Dataset.folds` draws them: each tests the network that was trained on the others.  With --int8 the
network is quantised, too, by these choices of ranges, and the lines say with which accuracy and how
many images changed class.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean, median, pstdev

import convlet
from convlet.datasets import Dataset
from convlet.quantised.ranges import CHOICES


def trained(
    name: str, data: Dataset, seed: int, threads: int | None
) -> tuple[convlet.Network, float]:
    """Train once on all training images -> the network, seconds of training."""
    recipe = convlet.recipes.recipe(name, data)
    network = convlet.Network(
        recipe.layers(len(data.classes)), data.train.images.shape[1:], seed, classes=data.classes
    )
    history = network.fit(
        data.train.images, data.train.labels, seed=seed, threads=threads, **recipe.settings()
    )
    return network, sum(row.seconds for row in history)


def in_whole_numbers(
    network: convlet.Network, data: Dataset, choices: list[str]
) -> Iterator[tuple[str, float, int]]:
    """For each choice of ranges: its name, the test accuracy, images that changed class."""
    before = network.predict(data.test.images)
    for choice in choices:
        after = network.quantize(data.train.images, ranges=choice).predict(data.test.images)
        right = float((after == data.test.labels).mean())
        yield choice, right, int((after != before).sum())


def parts(data: Dataset, options: argparse.Namespace) -> Iterator[Dataset]:
    """What each training has."""
    if options.folds is not None:
        yield from data.folds(options.folds)
        return
    for seed in range(options.seeds):
        part = data if options.hold_out is None else data.hold_out(options.hold_out, seed)
        if options.images is not None:
            few = part.hold_out(len(part.train) - options.images, seed).train
            part = replace(part, train=few)
        yield part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", choices=convlet.recipes.NAMES)
    parser.add_argument("data", nargs="?", default="mnist")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--size", type=int, help="of the images of a folder")
    parser.add_argument("--colour", help="of the images of a folder")
    parser.add_argument("--hold-out", type=int, metavar="N")
    parser.add_argument("--images", type=int, metavar="N")
    parser.add_argument("--folds", type=int, metavar="N")
    parser.add_argument("--int8", nargs="+", choices=CHOICES, default=[], metavar="RANGES")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    data = convlet.datasets.load(options.data, options.size, options.colour)
    results, whole = [], {choice: [] for choice in options.int8}
    what = "seed" if options.folds is None else "fold"
    for seed, part in enumerate(parts(data, options)):
        network, seconds = trained(options.recipe, part, seed, options.threads)
        x, y = part.test.images, part.test.labels
        share = network.evaluate(x, y, threads=options.threads).accuracy
        results.append((share, seconds))
        print(f"{what} {seed}: {100 * share:.2f} %, {seconds:.1f} s", flush=True)
        for choice, right, changed in in_whole_numbers(network, part, options.int8):
            whole[choice].append(100 * right)
            print(f"    int8, {choice}: {100 * right:.2f} %, {changed} changed", flush=True)
    shares = [100 * share for share, _ in results]
    spread = {
        "mean": mean(shares),
        "sd": pstdev(shares),
        "min": min(shares),
        "max": max(shares),
        "seconds": median(seconds for _, seconds in results),
    }
    print(
        f"{options.recipe} on {options.data}, {len(shares)} {what}s: mean {spread['mean']:.3f} %,"
        f" sd {spread['sd']:.3f}, {spread['min']:.2f} to {spread['max']:.2f} %,"
        f" median {spread['seconds']:.1f} s"
    )
    for choice, found in whole.items():
        print(f"int8, {choice}: mean {mean(found):.3f} %, {min(found):.2f} to {max(found):.2f} %")
    if options.json:
        print(json.dumps({"recipe": options.recipe, "data": options.data, **spread}))


if __name__ == "__main__":
    main()
