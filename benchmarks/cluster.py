#!/usr/bin/env python3
"""Worker processes of one thread each against one process with as many threads, in turns.

    python benchmarks/cluster.py                     # two workers, 7 rounds
    python benchmarks/cluster.py --workers 3 --rounds 11

Both train to the same bits, which is checked first; an epoch of each is timed in turns, the first
one of every run, in which calls grow, left out.  The ratio is time of the one process over time of
the workers.  Overhead is what a step of a network that is hardly any work takes longer.  Needs
convlet with its extra "cluster", and a machine on which nothing else runs.
"""

import argparse
from logging import CRITICAL
from statistics import median

import numpy as np
from distributed import Client, LocalCluster

import convlet

# layers, images of a minibatch, images of an epoch
CASES = {
    "wide": (
        "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten, dense 128, relu, dense 10,"
        " softmax",
        256,
        30_720,
    ),
    "narrow": (
        "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu, dense 10,"
        " softmax",
        256,
        61_440,
    ),
    "dense": ("flatten, dense 256, relu, dense 10, softmax", 256, 51_200),
    "overhead": ("flatten, dense 10, softmax", 8, 16_000),
}
EPOCHS = 3


def seconds_of(case: str, cluster: Client | None, threads: int) -> tuple[float, bytes]:
    """Of a step, the median of the epochs after the first; the weights."""
    layers, size, count = CASES[case]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
    y = rng.integers(0, 10, count)
    network = convlet.Network(layers, seed=1)
    rows = network.fit(
        x, y, None, EPOCHS, size, 0.01, shards=8, threads=threads, cluster=cluster, progress=False
    )
    return median(row.seconds for row in rows[1:]) / (count / size), network.flat.tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    given = parser.parse_args()
    with (
        LocalCluster(
            n_workers=given.workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        print(f"{given.workers} workers, {given.rounds} rounds; milliseconds a step, median")
        for case in given.only:
            threads = 1 if case == "overhead" else given.workers
            alone, there = [], []
            for _ in range(given.rounds):
                here, weights = seconds_of(case, None, threads)
                apart, others = seconds_of(case, client, 1)
                assert weights == others, "the weights differ"
                alone.append(here)
                there.append(apart)
            pair = f"{1e3 * median(alone):.3f} alone, {1e3 * median(there):.3f} on workers"
            if case == "overhead":
                extra = [1e3 * (b - a) for a, b in zip(alone, there, strict=True)]
                print(f"{case}: {pair}; {_spread(extra)} ms more")
            else:
                ratios = [a / b for a, b in zip(alone, there, strict=True)]
                print(f"{case}: {pair}; ratio {_spread(ratios)}", flush=True)


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
