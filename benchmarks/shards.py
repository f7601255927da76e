#!/usr/bin/env python3
"""What a minibatch in shards costs one process: a step with `--shards` against one without.

    python benchmarks/shards.py                      # 8 shards, minibatches of 128, 1 and 2 threads
    python benchmarks/shards.py --shards 32 --batch 512 --rounds 21

Both take the same steps in turns; ratios are times with shards over times without: median (least to
most).  Needs a machine on which nothing else runs.
"""

import argparse
from statistics import median
from time import perf_counter

import numpy as np

from convlet import Network, Settings
from convlet.engine import Samples, Steps

LAYERS = {
    "8,16,128": "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu, "
    "dense 10",
    "32,64,128": "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten, dense 128, relu, "
    "dense 10",
    "conv-conv-pool": "conv 16 3 padding same, relu, conv 16 3 padding same, relu, pool 2, "
    "conv 32 3 padding same, relu, conv 32 3 padding same, relu, pool 2, flatten, dense 10",
    "dense 256,128": "flatten, dense 256, relu, dense 128, relu, dense 10",
    "dense 1024,1024": "flatten, dense 1024, relu, dense 1024, relu, dense 10",
}
SECONDS = 0.15  # of a window


def window(network: Network, data: Samples, size: int, shards: int, threads: int, n: int) -> float:
    """Seconds of n steps."""
    settings = Settings(batch_size=size, shards=shards)
    order = np.arange(n * size) % len(data)
    begun = perf_counter()
    steps = Steps(order, np.full(n, 1e-4, np.float32))
    network.engine.train(network.flat, (), data, steps, settings, threads)
    return perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4096, 28, 28, 1), dtype=np.uint8)
    data = Samples(images, rng.integers(0, 10, 4096).astype(np.int32))
    print(f"| network | threads | a step, ms | {given.shards} shards over 1 |")
    print("| --- | ---: | ---: | ---: |")
    for name, layers in LAYERS.items():
        network = Network(f"{layers}, softmax", (28, 28, 1), seed=1)
        for threads in given.threads:
            once = window(network, data, given.batch, 1, threads, 3) / 3
            n = max(2, int(SECONDS / once))
            pairs = [
                [window(network, data, given.batch, s, threads, n) for s in (1, given.shards)]
                for _ in range(given.rounds)
            ]
            ratios = sorted(b / a for a, b in pairs)
            step = median(a for a, _ in pairs) / n * 1e3
            spread = f"{median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
            print(f"| {name} | {threads} | {step:.3g} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
