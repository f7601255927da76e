"""`convlet bench`."""

from collections.abc import Sequence
from contextlib import nullcontext

import click

from convlet import bench as benchmark
from convlet.bench import BATCH_SIZES, EPOCH, NETWORKS, PREDICTIONS, Timing
from convlet.cli import options
from convlet.cli.console import console, fail, is_live, print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.models import load_data
from convlet.cli.names import call
from convlet.cli.options import whole, word
from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import as_count, as_threads
from convlet.native import TARGET
from convlet.network import Network
from convlet.threads import available

VERIFIED_IMAGES = 650  # some steps, and a last one that is smaller
LESS = ("most", "least")  # columns that a narrow terminal does without


@click.command(cls=Command, epilog="Example: convlet bench --network 8,16,128 --batch-size 32")
@word(
    "--network",
    of=NETWORKS,
    multiple=True,
    metavar="NAME",
    help=f"{' or '.join(NETWORKS)}; may be repeated.",
)
@whole("--batch-size", multiple=True, help="Images in one step; may be repeated.")
@options.THREADS
@click.option("--quick", is_flag=True, help="One network, short rounds: rough numbers.")
@options.JSON
def bench(
    network: Sequence[str], batch_size: Sequence[int], threads: int | None, quick: bool, json: bool
) -> int:
    """Time training and prediction on MNIST.

    First it compares the weights after training with one and with several threads, bit for bit:
    the exit status is 1 if they differ.  Times are the median, least and most of some rounds.
    """
    call(network="--network")
    as_threads(threads)
    names = list(network) or (list(NETWORKS)[:1] if quick else list(NETWORKS))
    for name in names:
        if name not in NETWORKS:
            raise InputError("network", name, f"one of: {'; '.join(NETWORKS)}")
    sizes = batch_size or ((32, 128) if quick else BATCH_SIZES)
    sizes = [as_count(size, "batch_size", 1, EPOCH) for size in sizes]
    seconds, rounds = (0.1, 3) if quick else (0.5, 5)

    data = load_data("mnist")
    train = data.train.images, data.train.labels
    team = threads or available()
    if not _verified(names, train, max(2, team), json):
        return 1
    rows = []
    with console().status("") if is_live() and not json else nullcontext() as status:
        for name in names:
            if status:
                status.update(f"timing {name}")
            arguments = sizes, PREDICTIONS, seconds, rounds, threads
            for timing in benchmark.timings(name, train, data.test.images, *arguments):
                if json:
                    say_json(_record(timing, team))
                rows.append(timing)
    if json:
        return 0
    say(f"{rounds} rounds of {seconds} s, at most {team} threads, target {TARGET.name or 'none'}")
    say()
    _print_training([timing for timing in rows if timing.what == "training"])
    say()
    _print_prediction([timing for timing in rows if timing.what == "prediction"])
    return 0


def _verified(names: list[str], train: tuple[Array, Array], team: int, json: bool) -> bool:
    """Whether the weights of these networks do not depend on the number of threads."""
    x, y = (part[:VERIFIED_IMAGES] for part in train)
    for name in names:
        same = benchmark.same_bits(Network(NETWORKS[name]), x, y, (1, team))
        if json:
            say_json({"what": "same bits", "network": name, "threads": [1, team], "same": same})
        if not same:
            fail(f"{name}: the weights differ between 1 and {team} threads: please report this")
            return False
    if not json:
        say(f"1 and {team} threads give the same bits: {'; '.join(names)}")
    return True


def _record(timing: Timing, team: int) -> dict[str, object]:
    """One line of --json; times in seconds."""
    unit = EPOCH if timing.what == "training" else timing.size
    size = "batch_size" if timing.what == "training" else "images"
    time = "seconds_per_epoch" if timing.what == "training" else "seconds_per_call"
    return {
        "what": timing.what,
        "network": timing.network,
        size: timing.size,
        "threads": team,
        time: unit * timing.typical,
        "least": unit * min(timing.seconds),
        "most": unit * max(timing.seconds),
        "images_per_second": 1 / timing.typical,
    }


def _print_training(rows: list[Timing]) -> None:
    header = "training", "batch size", "epoch", "least", "most", "images/s"
    cells = [
        (
            row.network,
            row.size,
            *(f"{EPOCH * t:.2f} s" for t in (row.typical, min(row.seconds), max(row.seconds))),
            f"{1 / row.typical:,.0f}",
        )
        for row in rows
    ]
    print_table(header, cells, "<>>>>>", LESS)
    say(f"an epoch is {EPOCH:,} images, reckoned from those seen in a round")


def _print_prediction(rows: list[Timing]) -> None:
    header = "prediction", "images", "call", "least", "most", "an image"
    cells = [
        (
            row.network,
            f"{row.size:,}",
            *(_time(row.size * t) for t in (row.typical, min(row.seconds), max(row.seconds))),
            _time(row.typical),
        )
        for row in rows
    ]
    print_table(header, cells, "<>>>>>", LESS)


def _time(seconds: float) -> str:
    """Microseconds, or milliseconds from a thousand of them."""
    return f"{1e6 * seconds:.1f} us" if seconds < 1e-3 else f"{1e3 * seconds:.1f} ms"
