"""Time convlet against PyTorch, JAX and onnxruntime, on this machine, in one run.

    python benchmarks/run.py --threads 2 --out results
    python benchmarks/run.py --only training --networks 8,16,128 --batch 32 --peers torch
    python benchmarks/run.py --only families --families lenet-colour-32 --batch 32 --images 1

Each contender has a process of its own, on the same CPUs.  A case is verified (same weights, same
minibatches: equal probabilities, equal loss curve), then timed in turns.  What is not installed
is left out.  Writes results.json, results.md and, with matplotlib, results.svg.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import family_report
import measure
import mnist
import report
from families import FAMILIES
from family_run import timed_family
from options import FAMILY_PEERS, MNIST_PARTS, PEERS, options
from team import HERE, Failed, Missing, Worker, environment


@dataclass
class Found:
    """What a run has so far.  write: results.json and results.md in the folder."""

    folder: Path
    about: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)
    families: list[dict[str, Any]] = field(default_factory=list)
    family_rows: list[dict[str, Any]] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something that is left out, and why."""
        self.about["left_out"].append(text)
        measure.say(text)

    def add(self, part: str, rows: list[measure.Row]) -> None:
        rate = self.about["peak"]["rate"]
        self.records += [report.record(part, row, rows[0], rate) for row in rows]
        measure.say(_progress(rows))
        self.write()

    def add_family(self, rows: list[measure.Row]) -> None:
        self.families += family_report.comparisons(rows)
        self.family_rows += map(family_report.rounds, rows)
        measure.say(_progress(rows))
        self.write()

    def write(self) -> str:
        """-> the text of results.md.  A run that is cut off keeps what it has."""
        whole = {
            "about": self.about,
            "records": self.records,
            "memory": self.memory,
            "families": self.families,
            "family_rows": self.family_rows,
        }
        (self.folder / "results.json").write_text(json.dumps(whole, indent=1) + "\n")
        text = report.markdown(self.records, self.memory, self.families, self.about)
        (self.folder / "results.md").write_text(text)
        return text


def start_workers(names: list[str], threads: int, found: Found) -> list[Worker]:
    """convlet, and those of the peers that are installed."""
    workers = []
    for name in ["convlet", *names]:
        try:
            workers.append(Worker(name, threads))
        except (Missing, Failed) as error:
            if name == "convlet":
                raise SystemExit(f"convlet does not start: {error}") from None
            found.note(f"{name}: {error}")
    found.about["versions"] |= {worker.name: worker.version for worker in workers}
    return workers


def measured_peak(threads: int) -> dict[str, Any]:
    command = [sys.executable, HERE / "peak.py", str(threads)]
    return json.loads(subprocess.check_output(command, env=environment(threads)))


def kernel_rates(networks: list[str]) -> dict[str, Any]:
    """The rows of kernels.py, and the peak of one thread."""
    command = [sys.executable, HERE / "kernels.py", *networks]
    try:
        rows = json.loads(subprocess.check_output(command, env=environment(1)))
    except subprocess.CalledProcessError as error:  # no native target here
        measure.say(f"no rates of kernels: status {error.returncode}")
        return {}
    return {"peak": measured_peak(1)["rate"], "rows": rows}


def machine() -> str:
    """The features of this machine that matter: instruction sets, CPUs, memory."""
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text() if cpu.exists() else ""
    sets = [name for name in ("avx2", "fma", "avx512f", "asimd") if f" {name} " in f"{text} "]
    return f"{platform.machine()}, {' '.join(sets)}, {os.cpu_count()} CPUs, {platform.system()}"


def run_mnist(chosen: argparse.Namespace, found: Found, folder: Path) -> None:
    """The parts on MNIST."""
    pace = measure.Pace(found.about["seconds"], chosen.rounds, chosen.patience)
    data = mnist.Mnist(folder)
    peers = PEERS if chosen.peers is None else chosen.peers
    workers = start_workers(list(peers), chosen.threads, found)
    for worker in workers:
        worker.load(folder)
    for part, rows in mnist.cases(chosen, data, workers, pace, found.note):
        found.add(part, rows)
    for worker in workers[1:]:
        worker.close()
    if "scaling" in chosen.only and chosen.threads > 1:
        single = Worker("convlet", 1)
        single.load(folder)
        for rows in mnist.scaling(chosen, data, [workers[0], single], pace, found.note):
            found.add("scaling", rows)
        single.close()
    workers[0].close()
    if "kernels" in chosen.only:
        found.about["kernels"] = kernel_rates(chosen.networks)
    if "memory" in chosen.only:
        trainers = [worker.name for worker in workers if worker.trains]
        found.memory += mnist.memory(trainers, chosen.threads, data)
    found.write()


def run_families(chosen: argparse.Namespace, found: Found, folder: Path) -> None:
    """The families, each with the batch sizes and images that it has."""
    pace = measure.Pace(found.about["family_seconds"], chosen.rounds, chosen.patience)
    peers = list(FAMILY_PEERS if chosen.peers is None else chosen.peers)
    workers = start_workers(peers, chosen.threads, found)
    if chosen.threads > 1:
        workers += start_workers([one for one in peers if one == "onnxruntime"], 1, found)
    usual = [1, 1000] if chosen.quick else None
    for name in chosen.families:
        family = FAMILIES[name]
        batches = within(chosen.batch, family.batches)
        images = within(chosen.images or usual, family.images)
        cases = timed_family(family, batches, images, workers, folder / name, pace, found.note)
        for rows in cases:
            found.add_family(rows)
    for worker in workers:
        worker.close()


def within(wanted: list[int] | None, usual: tuple[int, ...]) -> list[int]:
    """What is wanted, but no more than the most that is usual."""
    return [count for count in wanted or usual if count <= max(usual)]


def main() -> int:
    chosen = options(__doc__)
    found = Found(
        chosen.out,
        {
            "machine": machine(),
            "python": platform.python_version(),
            "threads": chosen.threads,
            "versions": {},
            "peak": measured_peak(chosen.threads),
            "seconds": chosen.seconds or (0.15 if chosen.quick else 0.6),
            "family_seconds": chosen.seconds or (0.05 if chosen.quick else 0.2),
            "rounds": chosen.rounds,
            "left_out": [],
            "kernels": {},
        },
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        if any(part in chosen.only for part in MNIST_PARTS):
            run_mnist(chosen, found, Path(name))
        if "families" in chosen.only:
            run_families(chosen, found, Path(name))
    again = measured_peak(chosen.threads)
    found.about["peak"] = max(found.about["peak"], again, key=lambda peak: peak["rate"])
    print(found.write())
    picture(chosen.out)
    return 0


def picture(folder: Path) -> None:
    """results.svg from results.json, where there is matplotlib and something to draw."""
    records = json.loads((folder / "results.json").read_text())["records"]
    compared = [row for row in records if row["what"] != "scaling"]
    try:
        from plot import draw

        if any(row["contender"] != "convlet" for row in compared):
            draw(compared, folder / "results.svg")
    except ImportError as error:
        measure.say(f"no picture: {error}")


def _progress(rows: list[measure.Row]) -> str:
    case = rows[0].case
    numbers = (f"{row.contender}/{row.threads} {1e6 * median(row.seconds):.2f}" for row in rows)
    others = max(max(row.others) for row in rows)
    return (
        f"{case.what}, {case.net.name}, {case.size} {case.dtype or ''}: us an image: "
        f"{', '.join(numbers)}; others used {others:.0%} of the CPUs"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"stopped, the numbers so far are kept: {error}")
