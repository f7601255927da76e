"""What several machines give one training: a model of the time of a step, and where it ends.

    python benchmarks/machines.py --network 32,64,128 --batch 256 --delay 0.1ms --rate 1Gbit
    python benchmarks/machines.py --docs            # the tables of docs/machines.md

A step of W workers, each of which sums its part of a minibatch of b images, takes

    t(W) = c(b / W) + ceil(log2 W) (o + d + m (u + 8 / r)) + 8 f / r
    T(W) = t(W) + (k + 4 d + 8 v / r) / n

c: seconds that a worker computes, its own update included; these are measured here, now.  o and u:
seconds that a message, and each of its bytes, take the two workers; d: the delay of one way; m:
bytes of a message, 4 a parameter; r: bits a second; f: bytes of images that a worker fetches from
others for a step.  The last term is a call of the caller, which has n steps: k seconds, two ways
through the scheduler, and v bytes, the parameters and what the optimiser keeps.  o, u, k are
SOFTWARE, which simulate_machines.py measures.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from convlet import Network, Settings
from convlet.cluster import SHORTEST_CALL
from convlet.cluster.caller import LONG, TIMES
from convlet.engine import Samples, Share, Steps, shard_start
from cores import NETWORKS
from families import FAMILIES
from layout import Net
from tables import digits

NETS = {
    **{name: Net(name, *NETWORKS[name]) for name in ("8,16,128", "32,64,128")},
    **{name: family.net for name, family in FAMILIES.items()},
}
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SHARDS = 8
"""The usual number, unless there are more workers."""
WORTH = 1.5
"""Times as fast as one machine: what a second one should bring at least."""
GAIN = 1.05
"""Times as fast as half as many machines: less than that, and it ends there."""
WINDOW, WINDOWS = 0.05, 4
"""Seconds of a measurement, and of how many the least counts."""


@dataclass(frozen=True)
class Link:
    """delay: seconds of one way; rate: bits a second that a machine sends."""

    delay: float
    rate: float

    def __str__(self) -> str:
        bits = (
            f"{self.rate / 1e9:.3g} Gbit/s" if self.rate >= 1e9 else f"{self.rate / 1e6:.3g} Mbit/s"
        )
        return f"{1e3 * self.delay:.3g} ms, {bits}"


@dataclass(frozen=True)
class Software:
    """Seconds of a message, of each of its bytes, of a call of the caller: o, u, k."""

    message: float
    byte: float
    call: float


SOFTWARE = Software(message=0.2e-3, byte=0.5e-9, call=10e-3)


@dataclass(frozen=True)
class Parts:
    """Seconds of a step."""

    compute: float
    exchange: float = 0
    images: float = 0
    caller: float = 0

    @property
    def total(self) -> float:
        return self.compute + self.exchange + self.images + self.caller


def step(
    compute: float,
    workers: int,
    message: float,
    link: Link,
    software: Software = SOFTWARE,
    *,
    fetched: float = 0,
    slots: int = 0,
    steps: float | None = None,
) -> Parts:
    """The model.

    compute: c(b / W); message, fetched: m and f in bytes; slots: arrays like the parameters that
    the optimiser keeps; steps: n, None for as many as the loop takes.
    """
    if workers == 1:
        return Parts(compute)
    each = software.message + link.delay + message * (software.byte + 8 / link.rate)
    exchange, images = math.ceil(math.log2(workers)) * each, 8 * fetched / link.rate
    call = software.call + 4 * link.delay + 8 * message * (1 + slots) / link.rate
    if steps is None:
        aim = min(max(SHORTEST_CALL, TIMES * call), LONG)  # as the loop does
        steps = max(1, (aim - call) / (compute + exchange + images))
    return Parts(compute, exchange, images, call / steps)


def seconds(
    network: Network,
    batch: int,
    shards: int,
    first: int,
    last: int,
    threads: int | None = 1,
    settings: Settings | None = None,
) -> float:
    """c: of a step in which one worker sums the shards first..last-1, and waits for nobody."""
    arguments = Settings().arguments() if settings is None else settings.arguments()
    chosen = Settings(**{**arguments, "batch_size": batch, "shards": shards})
    start, end = (shard_start(n, shards, batch) for n in (first, last))
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (end - start, *network.input_shape), np.uint8)
    labels = draws.integers(0, network.stages[-1].output_shape[0], end - start)
    data = Samples(images, labels.astype(np.int32))
    flat = network.flat.copy()
    slots = tuple(np.zeros_like(flat) for _ in range(chosen.optimizer.slots))
    rows = np.clip(np.arange(batch) - start, 0, end - start - 1)

    def exchange(sums: np.ndarray, costs: np.ndarray, gradient: np.ndarray) -> None:
        gradient[:] = sums[0]

    def take(count: int) -> float:
        order, totals = np.tile(np.arange(batch), count), np.full(count, float(batch))
        share = Share(first, last, np.tile(rows, count), totals, exchange)
        steps = Steps(order, np.full(count, 1e-6, np.float32))
        begun = perf_counter()
        network.engine.train(
            flat, slots, data, steps, chosen, threads, share if last - first < shards else None
        )
        return (perf_counter() - begun) / count

    count = max(1, int(WINDOW / take(2)))
    return min(take(count) for _ in range(WINDOWS))


def computing(
    network: Network, threads: int | None, settings: Settings | None = None
) -> Callable[[int, int], float]:
    """c as a function of batch and workers; each is measured once."""
    known: dict[tuple[int, int], float] = {}

    def compute(batch: int, workers: int) -> float:
        if (batch, workers) not in known:
            shards = min(batch, max(SHARDS, workers))
            known[batch, workers] = seconds(
                network, batch, shards, 0, shards // workers, threads, settings
            )
        return known[batch, workers]

    return compute


def best(time: Callable[[int], float], most: int) -> int:
    """The greatest number of workers whose last doubling still gave GAIN."""
    found = 1
    while 2 * found <= most and time(found) > GAIN * time(2 * found):
        found *= 2
    return found


def least_batch(time: Callable[[int, int], float], most: int = 4096) -> int | None:
    """The least power of two, of minibatches, at which two machines are WORTH one."""
    batch = 2 * SHARDS
    while batch <= most:
        if time(batch, 1) >= WORTH * time(batch, 2):
            return batch
        batch *= 2
    return None


# ---------------------------------------------------------------------------------- the tables

DOCS = ("8,16,128", "32,64,128", "thousand-classes")
DOCS_LINKS = [Link(d, r) for d, r in ((1e-4, 1e10), (1e-4, 1e9), (1e-3, 1e9), (1e-2, 1e8))]


def one_network(net: Net, batch: int, link: Link, threads: int | None, spread: bool) -> None:
    """Print a row for each number of workers."""
    network = Network(net.layers, net.shape, engine="native")
    compute, message = computing(network, threads), network.flat.nbytes
    print(f"{net.name}: {len(network.flat):,} parameters, minibatches of {batch}, {link}\n")
    print("| workers | images each | compute, ms | exchange | images | caller | step, ms | times |")
    print("|" + " ---: |" * 8)
    for workers in (one for one in WORKERS if one <= batch):
        fetched = batch / workers * (1 - 1 / workers) * math.prod(net.shape) if spread else 0
        parts = step(compute(batch, workers), workers, message, link, fetched=fetched)
        cells = (parts.compute, parts.exchange, parts.images, parts.caller, parts.total)
        times = digits(compute(batch, 1) / parts.total)
        numbers = " | ".join(digits(1e3 * cell) for cell in cells)
        print(f"| {workers} | {batch / workers:g} | {numbers} | {times} |")
    print(f"\nA second machine is {WORTH} times one: {pays(network, compute, link)}.")


def pays(network: Network, compute: Callable[[int, int], float], link: Link) -> str:
    found = least_batch(
        lambda batch, workers: (
            step(compute(batch, workers), workers, network.flat.nbytes, link).total
        )
    )
    return "never, up to 4096" if found is None else f"from {found}"


def docs(threads: int | None) -> None:
    """Print the tables of docs/machines.md."""
    networks = {name: Network(NETS[name].layers, NETS[name].shape) for name in DOCS}
    computes = {name: computing(network, threads) for name, network in networks.items()}
    print(f"Minibatches from which a second machine is {WORTH} times one:\n")
    print(f"| network | parameters | {' | '.join(map(str, DOCS_LINKS))} |")
    print("| --- | ---: |" + " ---: |" * len(DOCS_LINKS))
    for name, network in networks.items():
        cells = " | ".join(pays(network, computes[name], link) for link in DOCS_LINKS)
        print(f"| {name} | {len(network.flat):,} | {cells} |")
    for link in DOCS_LINKS[:2]:
        print(f"\nTimes as fast as one machine, {link}:\n")
        print("| network | batch | one, ms | 2 | 8 | 64 | 512 | it ends at |")
        print("| --- |" + " ---: |" * 7)
        for name, network in networks.items():
            for batch in (128, 256, 1024):
                print(scaling(name, network, computes[name], batch, link))


def scaling(
    name: str, network: Network, compute: Callable[[int, int], float], batch: int, link: Link
) -> str:
    """A row: what 2, 8, 64 and 512 workers give, and how many still gain."""

    def time(workers: int) -> float:
        return step(compute(batch, workers), workers, network.flat.nbytes, link).total

    cells = [digits(time(1) / time(n)) if n <= batch else "" for n in (2, 8, 64, 512)]
    most = best(time, min(batch, 512))
    end = f"{most}: {digits(time(1) / time(most))}"
    return f"| {name} | {batch} | {digits(1e3 * time(1))} | {' | '.join(cells)} | {end} |"


UNITS = {"ms": 1e-3, "us": 1e-6, "s": 1, "Gbit": 1e9, "Mbit": 1e6}


def quantity(text: str, units: Sequence[str]) -> float:
    """ "0.1ms" -> 0.0001."""
    found = re.fullmatch(rf"([0-9.]+) ?({'|'.join(units)})(/s)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: a number and one of {', '.join(units)}")
    return float(found[1]) * UNITS[found[2]]


delay = partial(quantity, units=("ms", "us", "s"))
rate = partial(quantity, units=("Gbit", "Mbit"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETS, default="32,64,128", metavar="NAME")
    parser.add_argument("--layers", help="a network of your own, as text")
    parser.add_argument("--shape", type=int, nargs=3, default=(28, 28, 1), help="of its images")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--delay", type=delay, default=1e-4, help="one way, as in 0.1ms")
    parser.add_argument("--rate", type=rate, default=1e9, help="of a machine, as in 1Gbit")
    parser.add_argument("--threads", type=int, default=1, help="of a worker")
    parser.add_argument("--spread", action="store_true", help="each image is on one worker only")
    parser.add_argument("--docs", action="store_true", help="the tables of docs/machines.md")
    given = parser.parse_args()
    if given.docs:
        docs(given.threads)
        return
    net = NETS[given.network]
    if given.layers:
        net = Net("yours", given.layers, tuple(given.shape))
    one_network(net, given.batch, Link(given.delay, given.rate), given.threads, given.spread)


if __name__ == "__main__":
    main()
