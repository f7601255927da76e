"""What the command line of run.py says."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from convlet.bench import BATCH_SIZES, NETWORKS, PREDICTIONS
from families import BATCHES, FAMILIES, IMAGES

PEERS = (
    "torch-eager",
    "torch-channels-last",
    "torch-compile",
    "torch-in-order",
    "jax",
    "onnxruntime",
)
FAMILY_PEERS = ("torch-eager", "torch-channels-last", "onnxruntime")
"""Where --peers is not given: what was fastest somewhere; compiling takes minutes a family."""
PARTS = ("training", "prediction", "scaling", "kernels", "memory", "families")
MNIST_PARTS = PARTS[:-1]
LIMITED = ", or fewer where a family has large images"


def options(description: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """batch, images, seconds and peers are None where each part has its own."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--threads", type=int, default=0, help="for everybody; default: all CPUs allowed here")
    add("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    names = list(FAMILIES)
    add("--families", nargs="+", choices=names, default=names, metavar="NAME", help=_listed(names))
    step = f"images in a step; default: {_listed(BATCH_SIZES)}; of families {_listed(BATCHES)}"
    add("--batch", nargs="+", type=int, metavar="N", help=step + LIMITED)
    call = f"in a prediction; default: {_listed(PREDICTIONS)}; of families {_listed(IMAGES)}"
    add("--images", nargs="+", type=int, metavar="N", help=call + LIMITED)
    usual = f"; default: all, of families {_listed(FAMILY_PEERS)}"
    add("--peers", nargs="*", metavar="NAME", help=_listed(PEERS) + usual)
    add("--seconds", type=float, help="one window of one contender; default: 0.6, of families 0.2")
    add("--rounds", type=int, default=5, help="windows of each contender")
    add("--patience", type=float, default=60, help="seconds for repeating what others disturbed")
    quick = "short windows, 3 rounds, batch 32, of families 1 and 1,000 images: rough numbers"
    add("--quick", action="store_true", help=quick)
    add("--out", type=Path, default=Path("benchmark-results"), metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chosen.threads = chosen.threads or allowed
    if not 1 <= chosen.threads <= allowed:
        parser.error(
            f"--threads is {chosen.threads}, expected 1 to {allowed}: the CPUs allowed here"
        )
    for name in ("batch", "images"):
        if not all(1 <= count <= 10_000 for count in getattr(chosen, name) or ()):
            parser.error(f"--{name} is {getattr(chosen, name)}, expected 1 to 10000")
    if not ((chosen.seconds is None or chosen.seconds > 0) and chosen.rounds > 0):
        parser.error("--seconds and --rounds must be above 0")
    for start in chosen.peers or ():
        if not any(name.startswith(start) for name in PEERS):
            parser.error(f"--peers is {start!r}, expected one of: {', '.join(PEERS)}")
    if chosen.peers is not None:
        starts = tuple(chosen.peers)
        chosen.peers = [name for name in PEERS if name.startswith(starts)] if starts else []
    if chosen.quick:
        chosen.rounds, chosen.patience = 3, 0
        chosen.batch = chosen.batch or [32]
    return chosen


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
