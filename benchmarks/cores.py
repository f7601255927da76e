"""What a step of training leaves to share among more cores than there are here: counted, not timed.

    python benchmarks/cores.py

For each network, minibatch and number of cores: items of phase A (chunks of samples), megabytes of
partial gradients that one core writes and another reads, items of phase B and the multiples of the
mean that its longest one takes, and the speed-up that these leave beside one core.  The time of an
item is taken as its share of the counted work: images in phase A; in phase B floats read from
another core's cache at BYTES a second.
"""

from convlet import Network

NETWORKS = {
    "8,16,128": (
        "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu,"
        " dense 10, softmax",
        (28, 28, 1),
    ),
    "32,64,128": (
        "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten, dense 128, relu,"
        " dense 10, softmax",
        (28, 28, 1),
    ),
    "conv-conv-pool": (
        "conv 16 3 padding same, relu, conv 16 3 padding same, relu, pool 2,"
        " conv 32 3 padding same, relu, conv 32 3 padding same, relu, pool 2,"
        " flatten, dense 64, relu, dense 10, softmax",
        (32, 32, 3),
    ),
}
RATE = 60e9
"""Multiply-adds a second of one core in phase A."""
BYTES = 10e9
"""Bytes a second that one core reads from the cache of another."""
PHASE = 3e-6
"""Seconds that the start and the end of a phase take."""


def main() -> None:
    print(f"{RATE / 1e9:.0f} billion multiply-adds a second, {BYTES / 1e9:.0f} GB/s between cores,")
    print(f"{1e6 * PHASE:.0f} microseconds a phase.")
    print()
    print(
        "| network | batch | cores | items of A | images an item | partials, MB |"
        " items of B | longest, times the mean | limit |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (layers, shape) in NETWORKS.items():
        network = Network(layers, shape, engine="native")
        work = 3 * sum(stage.multiply_adds for stage in network.stages)
        for batch in (128, 512):
            for cores in (2, 8, 64):
                print(row(name, network.engine.core, work, batch, cores))


def row(name: str, core, work: int, batch: int, cores: int) -> str:
    """A line of the table."""
    threads = min(cores, -(-batch // 8))
    shares = core.shares(threads, batch)
    chunk, items = shares["chunk"], shares["items"]
    chunks = -(-batch // chunk)
    rounds = -(-chunks // threads)
    partials = 4 * shares["partial"] * chunks
    mean = sum(items) / len(items)
    a = rounds * chunk * work / RATE
    # an item of B reads its range of all partials; those of dense stages are products instead
    b = max(max(items) / sum(items), 1 / threads) * partials / BYTES
    alone = batch * work / RATE
    limit = alone / (a + b + 4 * PHASE)
    return (
        f"| {name} | {batch} | {cores} | {chunks} | {chunk} | {partials / 1e6:.1f} |"
        f" {len(items)} | {max(items) / mean:.1f} | {limit:.0f} |"
    )


if __name__ == "__main__":
    main()
