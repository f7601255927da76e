"""Time convlet against PyTorch, JAX and onnxruntime, on this machine, in one run.

    python benchmarks/run.py --threads 2 --out results
    python benchmarks/run.py --only training --networks 8,16,128 --batch 32 --peers torch

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
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import measure
import report
from convlet import Network, datasets
from convlet.bench import BATCH_SIZES, NETWORKS, PREDICTIONS
from layout import Net, as_net
from team import HERE, Failed, Missing, Worker, environment, write_data

PEERS = (
    "torch-eager",
    "torch-channels-last",
    "torch-compile",
    "torch-in-order",
    "jax",
    "onnxruntime",
)
WIDE = "32,64,1024"
PARTS = ("training", "prediction", "scaling", "kernels", "memory")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--threads", type=int, default=0, help="for everybody; default: all CPUs allowed here")
    add("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    add("--batch", nargs="+", type=int, default=BATCH_SIZES, metavar="N", help="images in a step")
    add("--images", nargs="+", type=int, default=PREDICTIONS, metavar="N", help="in a prediction")
    add("--peers", nargs="*", default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    add("--seconds", type=float, default=0.6, help="one window of one contender")
    add("--rounds", type=int, default=5, help="windows of each contender")
    add("--patience", type=float, default=60, help="seconds for repeating what others disturbed")
    add("--quick", action="store_true", help="short windows, 3 rounds, batch 32: rough numbers")
    add("--out", type=Path, default=Path("benchmark-results"), metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chosen.threads = chosen.threads or allowed
    if not 1 <= chosen.threads <= allowed:
        parser.error(
            f"--threads is {chosen.threads}, expected 1 to {allowed}: the CPUs allowed here"
        )
    for name in ("batch", "images"):
        if not all(1 <= count <= 10_000 for count in getattr(chosen, name)):
            parser.error(f"--{name} is {getattr(chosen, name)}, expected 1 to 10000")
    if not (chosen.seconds > 0 and chosen.rounds > 0):
        parser.error("--seconds and --rounds must be above 0")
    known = [name for name in PEERS if any(name.startswith(start) for start in chosen.peers)]
    for start in chosen.peers:
        if not any(name.startswith(start) for name in PEERS):
            parser.error(f"--peers is {start!r}, expected one of: {', '.join(PEERS)}")
    chosen.peers = known
    if chosen.quick:
        chosen.seconds, chosen.rounds, chosen.patience = 0.15, 3, 0
        chosen.batch = [32] if chosen.batch == BATCH_SIZES else chosen.batch
    return chosen


def start_workers(names: list[str], threads: int, folder: Path, note: measure.Note) -> list[Worker]:
    """convlet, and the peers that are installed."""
    workers = []
    for name in names:
        try:
            workers.append(Worker(name, threads, folder))
        except (Missing, Failed) as error:
            if name == "convlet":
                raise SystemExit(f"convlet does not start: {error}") from None
            note(f"{name}: {error}")
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


def main() -> int:
    chosen = options()
    about: dict[str, Any] = {
        "machine": machine(),
        "python": platform.python_version(),
        "threads": chosen.threads,
        "versions": {},
        "peak": measured_peak(chosen.threads),
        "seconds": chosen.seconds,
        "rounds": chosen.rounds,
        "left_out": [],
        "kernels": {},
    }

    def note(text: str) -> None:
        about["left_out"].append(text)
        measure.say(text)

    chosen.out.mkdir(parents=True, exist_ok=True)
    rows: list[list[measure.Row]] = []
    memory: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = datasets.load("mnist")
        write_data(folder, data)

        def weights(net: Net) -> Path:
            """Those after an epoch of training, from which most steps of a run start.

            What a step costs convlet depends on how many units are alive: more are at first.
            """
            file = folder / f"weights-{net.name}.npz"
            if not file.exists():
                network = Network(NETWORKS[net.name])
                network.fit(data.train.images, data.train.labels, epochs=1, learning_rate=0.05)
                np.savez(file, **network.parameters)
            return file

        plan = plan_of(chosen, len(data.train.images))
        workers = start_workers(["convlet", *chosen.peers], chosen.threads, folder, note)
        about["versions"] = {worker.name: worker.version for worker in workers}
        for case in measure.cases(plan, workers, weights, note):
            rows.append(case)
            measure.say(_progress(case))
            write(chosen.out, rows, memory, about)  # a run that is cut off keeps what it has
        for worker in workers[1:]:
            worker.close()
        if "scaling" in chosen.only and chosen.threads > 1:
            single = Worker("convlet", 1, folder, "convlet, 1 thread")
            for case in measure.scaling(plan, [workers[0], single], weights, note):
                rows.append(case)
                measure.say(_progress(case))
            single.close()
        workers[0].close()
        if "kernels" in chosen.only:
            about["kernels"] = kernel_rates(chosen.networks)
        if "memory" in chosen.only:
            net = network(WIDE)
            trainers = [worker.name for worker in workers if worker.trains]
            for record in measure.memory(trainers, chosen.threads, folder, net, weights(net)):
                memory.append(record)
    again = measured_peak(chosen.threads)
    about["peak"] = max(about["peak"], again, key=lambda peak: peak["rate"])
    print(write(chosen.out, rows, memory, about))
    picture(chosen.out)
    return 0


def network(name: str) -> Net:
    return as_net(name, Network(NETWORKS[name]).stages)


def plan_of(chosen: argparse.Namespace, count: int) -> measure.Plan:
    return measure.Plan(
        [network(name) for name in chosen.networks],
        chosen.batch if "training" in chosen.only else (),
        chosen.images if "prediction" in chosen.only else (),
        count,
        chosen.seconds,
        chosen.rounds,
        chosen.patience,
    )


def write(
    folder: Path,
    rows: list[list[measure.Row]],
    memory: list[dict[str, Any]],
    about: dict[str, Any],
) -> str:
    """results.json and results.md -> the text of the latter."""
    rate = about["peak"]["rate"]
    records = [report.record(row, case[0], rate) for case in rows for row in case]
    whole = {"about": about, "records": records, "memory": memory}
    (folder / "results.json").write_text(json.dumps(whole, indent=1) + "\n")
    text = report.markdown(records, memory, about)
    (folder / "results.md").write_text(text)
    return text


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
    head = rows[0]
    numbers = (f"{row.contender} {1e6 * median(row.seconds):.2f}" for row in rows)
    others = max(max(row.others) for row in rows)
    return (
        f"{head.what}, {head.network}, {head.size}: us an image: {', '.join(numbers)};"
        f" others used {others:.0%} of the CPUs"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"stopped, the numbers so far are kept: {error}")
