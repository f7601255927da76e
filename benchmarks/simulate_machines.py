"""Training on several hosts of this machine (hosts.py), beside the model of machines.py.

    python benchmarks/simulate_machines.py              # the table of docs/machines.md; minutes
    python benchmarks/simulate_machines.py --delay 1ms --rate 1Gbit --workers 2 --batch 256

A Dask scheduler and the caller have a host, every worker has one.  First two workers of one host
train, by the loopback: what is left of a step beside the computing is the software's, o, u and k
of the model.  Then, for each network between the hosts: what bare sockets find there, and a step of
training, measured and by the model, which is given what the sockets found.  Prints Markdown.

Workers compute at the same time, each with one thread; more workers than CPUs share them, in c of
the model, too.  The relay between the hosts and the caller also need some.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import numpy as np

from convlet import Callback, Network
from convlet.run import Row, Run
from hosts import Hosts, inside
from machines import DOCS, NETS, SHARDS, Link, Software, delay, rate, seconds, step
from tables import digits

DELAYS, RATES = (1e-4, 1e-3, 1e-2), (1e8, 1e9, 1e10)
PORT = 8786
SECONDS, STEPS = 2.0, 16
"""Of computing that are measured, after an epoch of so many steps that is not: the least of calls
of the same number of steps counts."""

Case = tuple[str, int, int]
"""Network, batch and epochs; 0 of them are as many as it takes."""


@dataclass(frozen=True)
class Found:
    """Of one training.  message: bytes; compute, step, call: seconds; steps: of a call."""

    network: str
    batch: int
    epochs: int
    message: int
    compute: float
    step: float
    steps: int
    call: float
    sha256: str


# ------------------------------------------------------------------- in the host of the caller


class Clock(Callback):
    """The seconds of calls after the first epoch, by their number of steps."""

    def on_begin(self, run: Run) -> None:
        self.calls: dict[int, list[float]] = {}
        self.steps, self.at = 0, time.perf_counter()

    def on_progress(self, run: Run) -> None:
        now = time.perf_counter()
        self.calls.setdefault(run.updates - self.steps, []).append(now - self.at)
        self.steps, self.at = run.updates, now

    def on_epoch(self, run: Run, row: Row) -> None:
        if len(run.history) == 1:
            self.calls.clear()
        self.at = time.perf_counter()

    def found(self) -> tuple[float, int, float]:
        """Seconds of a step in the largest calls, their steps, seconds of a call without steps.

        The last is not a number where all calls have as many steps.
        """
        least = {n: min(times) for n, times in self.calls.items()}
        most, call = max(least), math.nan
        if len(least) > 1:
            rows = np.array([[1.0, n] for n in least])
            (call, _), *_ = np.linalg.lstsq(rows, list(least.values()), rcond=None)
        return least[most] / most, most, float(call)


def drive(address: str, count: int, cases: list[Case]) -> None:
    """Train each case on the cluster and print what a step took, in JSON."""
    from distributed import Client

    with Client(address, timeout=60) as client:
        client.wait_for_workers(count, timeout=60)
        workers = list(client.nthreads())
        for name, batch, epochs in cases:
            network = Network(NETS[name].layers, NETS[name].shape, seed=0)
            cuts = [SHARDS * n // len(workers) for n in range(len(workers) + 1)]
            computing = client.gather(
                [
                    client.submit(
                        seconds,
                        network,
                        batch,
                        SHARDS,
                        cuts[n],
                        cuts[n + 1],
                        1,
                        workers=[worker],
                        pure=False,
                    )
                    for n, worker in enumerate(workers)
                ]
            )
            shape = STEPS * batch, *network.input_shape
            images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            labels = np.arange(len(images)) % NETS[name].classes
            epochs = epochs or 2 + math.ceil(SECONDS / (STEPS * max(computing)))
            clock = Clock()
            network.fit(
                images,
                labels,
                None,
                epochs,
                batch,
                1e-3,
                callbacks=[clock],
                shards=SHARDS,
                cluster=client,
                threads=1,
                progress=False,
            )
            found = Found(
                name,
                batch,
                epochs,
                network.flat.nbytes,
                max(computing),
                *clock.found(),
                sha256(network.flat.tobytes()).hexdigest(),
            )
            print(json.dumps(asdict(found)), flush=True)


# ---------------------------------------------------------------------- between two of the hosts

ECHO = """
import socket
with socket.create_server(("", 5000)) as server:
    other, _ = server.accept()
    other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while size := int.from_bytes(other.recv(8, socket.MSG_WAITALL), "big"):
        other.recv(size, socket.MSG_WAITALL)
        other.sendall(b"!")
"""


def probe(address: str, sizes: list[int]) -> None:
    """Send so many bytes to the host of ECHO and wait for a word -> the seconds of each size."""
    with socket.create_connection((address, 5000)) as other:
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found = []
        for size in sizes:
            times = []
            for _ in range(9):
                begun = time.perf_counter()
                other.sendall(size.to_bytes(8, "big") + bytes(size))
                other.recv(1)
                times.append(time.perf_counter() - begun)
            found.append(median(times[2:]))
        other.sendall(bytes(8))
    print(json.dumps(found))


def found_link(hosts: Hosts) -> Link:
    """What bare sockets find between hosts 1 and 2."""
    echo = hosts.start(2, sys.executable, "-c", ECHO)
    time.sleep(0.3)
    sizes = [1, 1_000_000]
    own = hosts.start(1, *_self("--probe", hosts.address(2), *sizes), stdout=subprocess.PIPE)
    short, long = json.loads(own.communicate(timeout=60)[0])
    echo.wait(5)
    return Link(short / 2, 8 * sizes[1] / (long - short))


# --------------------------------------------------------------------------------- the simulation


def _self(*arguments: object) -> list[str]:
    return [sys.executable, __file__, *map(str, arguments)]


@contextmanager
def cluster(hosts: Hosts, places: list[int], loopback: bool = False) -> Iterator[str]:
    """A scheduler in host 0 and workers in others -> its address."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    known = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    dask = [sys.executable, "-m", "dask"]

    def at(host: int) -> list[str]:
        return ["--host", "127.0.0.1" if loopback else hosts.address(host), "--no-dashboard"]

    address = f"tcp://{'127.0.0.1' if loopback else hosts.address(0)}:{PORT}"
    programs = [hosts.start(0, *dask, "scheduler", *at(0), "--port", str(PORT), **quiet, env=known)]
    options = ["--nthreads", "1", "--no-nanny", "--memory-limit", "4GB"]
    for place in places:
        worker = [*dask, "worker", address, *at(place), *options]
        programs.append(hosts.start(place, *worker, env=known, cwd="/tmp", **quiet))
    try:
        yield address
    finally:
        for program in reversed(programs):
            program.terminate()
            program.wait(10)


def trained(hosts: Hosts, address: str, workers: int, cases: list[Case]) -> list[Found]:
    """What the caller in host 0 found."""
    driver = hosts.start(
        0, *_self("--drive", address, workers, json.dumps(cases)), stdout=subprocess.PIPE
    )
    out, _ = driver.communicate(timeout=600)
    if driver.returncode:
        raise SystemExit("training failed")
    return [Found(**json.loads(line)) for line in out.splitlines()]


def software(found: list[Found]) -> Software:
    """o, u, k: what steps of two workers of one host took beside computing, by least squares."""
    calls = [one.call for one in found if not math.isnan(one.call)]
    call = max(median(calls), 0.0) if calls else 0.0
    rest = np.array([one.step - call / one.steps - one.compute for one in found])
    if len({one.message for one in found}) == 1:
        return Software(max(rest.mean(), 0.0), 0.0, call)
    columns = np.array([[1.0, one.message] for one in found])
    (message, byte), *_ = np.linalg.lstsq(columns, rest, rcond=None)
    return Software(max(message, 0.0), max(byte, 0.0), call)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--delay", type=delay, nargs="+", default=DELAYS, help="as in 0.1ms")
    parser.add_argument("--rate", type=rate, nargs="+", default=RATES, help="as in 1Gbit")
    parser.add_argument("--workers", type=int, nargs="+", default=(2, 4))
    parser.add_argument("--network", choices=NETS, nargs="+", default=DOCS, metavar="NAME")
    parser.add_argument("--batch", type=int, nargs="+", default=(256,))
    parser.add_argument("--drive", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--probe", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.drive[0], int(given.drive[1]), json.loads(given.drive[2]))
    elif given.probe:
        probe(given.probe[0], [int(size) for size in given.probe[1:]])
    else:
        inside()
        cases = [(name, batch, 0) for name in given.network for batch in given.batch]
        links = [Link(d, r) for d in given.delay for r in given.rate]
        simulate(max(given.workers), given.workers, cases, links)


def simulate(most: int, numbers: list[int], cases: list[Case], links: list[Link]) -> None:
    """Print the tables."""
    print(f"{os.cpu_count()} CPUs; load {os.getloadavg()[0]:.1f} at the start.\n")
    hosts = Hosts(1 + max(2, most))
    try:
        with cluster(hosts, [0, 0], loopback=True) as address:
            local = trained(hosts, address, 2, cases)
        own = software(local)
        print("| network | batch | a step, ms | computing | the rest | a call, ms | its steps |")
        print("| --- |" + " ---: |" * 6)
        for one in local:
            times = (one.step, one.compute, one.step - one.compute, one.call)
            cells = " | ".join(map(milliseconds, times))
            print(f"| {one.network} | {one.batch} | {cells} | {one.steps} |")
        print(f"\no = {1e3 * own.message:.2f} ms, u = {1e9 * own.byte:.2f} ns,", end=" ")
        print(f"k = {1e3 * own.call:.1f} ms.\n", flush=True)
        print(
            "| workers | network | batch | the network | found by sockets | measured, ms | model |"
        )
        print("| ---: | --- | ---: | --- | --- | ---: | ---: |")
        for workers in numbers:
            for link in links:
                rows(hosts, workers, link, local, own)
        print("\nThe weights of each training are those of two workers of one host, bit for bit.")
    finally:
        hosts.close()


def rows(hosts: Hosts, workers: int, link: Link, local: list[Found], own: Software) -> None:
    """Print the rows of one network between the hosts.  SystemExit where weights differ."""
    hosts.link(link.delay, link.rate)
    real = found_link(hosts)
    cases = [(one.network, one.batch, one.epochs) for one in local]
    with cluster(hosts, list(range(1, workers + 1))) as address:
        found = trained(hosts, address, workers, cases)
    for one, before in zip(found, local, strict=True):
        if one.sha256 != before.sha256:
            raise SystemExit(f"{one.network}, {one.batch}: other weights than on one host")
        model = step(one.compute, workers, one.message, real, own, steps=one.steps).total
        print(
            f"| {workers} | {one.network} | {one.batch} | {link} | {real} |"
            f" {milliseconds(one.step)} | {milliseconds(model)} |",
            flush=True,
        )


def milliseconds(seconds: float) -> str:
    return "" if math.isnan(seconds) else digits(1e3 * seconds)


if __name__ == "__main__":
    main()
