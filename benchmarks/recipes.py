"""The accuracy of a recipe on the test images, over seeds.

    python benchmarks/recipes.py default mnist --seeds 30
    python benchmarks/recipes.py best fashion-mnist --seeds 3
    python benchmarks/recipes.py best mnist --seeds 3 --hold-out 10000
    python benchmarks/recipes.py best mnist --seeds 5 --images 300
    python benchmarks/recipes.py best shared/data/sign-digits --size 64 --folds 5

Prints a line a seed and their mean, standard deviation, least and greatest; --json adds one object.
With --hold-out it is the accuracy on so many training images, others for each seed, after training
on the rest: the recipes were chosen so (docs/recipes.md), never on the test images.  With --images
training has only so many images, others for each seed.  With --folds the lines are of folds, as
`Dataset.folds` draws them: each tests the network that was trained on the others.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean, median, pstdev

import convlet
from convlet.datasets import Dataset


def accuracy(name: str, data: Dataset, seed: int, threads: int | None) -> tuple[float, float]:
    """Train once on all training images -> (test accuracy, seconds of training)."""
    recipe = convlet.recipes.recipe(name, data)
    network = convlet.Network(
        recipe.layers(len(data.classes)), data.train.images.shape[1:], seed, classes=data.classes
    )
    history = network.fit(
        data.train.images, data.train.labels, seed=seed, threads=threads, **recipe.settings()
    )
    result = network.evaluate(data.test.images, data.test.labels, threads=threads)
    return result.accuracy, sum(row.seconds for row in history)


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
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    data = convlet.datasets.load(options.data, options.size, options.colour)
    results = []
    what = "seed" if options.folds is None else "fold"
    for seed, part in enumerate(parts(data, options)):
        results.append(accuracy(options.recipe, part, seed, options.threads))
        share, seconds = results[-1]
        print(f"{what} {seed}: {100 * share:.2f} %, {seconds:.1f} s", flush=True)
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
    if options.json:
        print(json.dumps({"recipe": options.recipe, "data": options.data, **spread}))


if __name__ == "__main__":
    main()
