"""Training from the image cache beside training from memory, and with less memory than images.

    python benchmarks/large_data.py FOLDER
    python benchmarks/large_data.py FOLDER --images 20000 --rounds 3 --memory 200

Fills FOLDER, which must be new, with JPEG files of 64x64 pixels in colour in ten classes, and 1,000
more to test with, loads them twice, and trains one epoch from the cache and one from the same
images in memory, in turns.  Then one more epoch from the cache in a process that may have --memory
MB, the pages of files included, none of which is in memory before: that needs the right to make a
memory control group (version 1); with --plain once more, not read ahead.  The weights must be the
same each time.  The figures of docs/data.md are of the first command, as root.
"""

import argparse
import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from PIL import Image

import convlet
from convlet import ahead, datasets, training

SIDE, CLASSES, DISTINCT = 64, 10, 1000
LAYERS = "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 10, softmax"
GROUPS = Path("/sys/fs/cgroup/memory")


def fill(folder: Path, count: int) -> None:
    """JPEG files with waves of a direction for each class, under noise; few are distinct."""
    rng = np.random.default_rng(0)
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    encoded = folder / "one.jpg"
    for k in range(CLASSES):
        (folder / str(k)).mkdir(parents=True)
    for n in range(DISTINCT):
        angle = np.pi * (n % CLASSES) / CLASSES
        wave = np.sin((across * np.cos(angle) + down * np.sin(angle)) / 3 + rng.uniform(0, 6))
        noise = rng.normal(0, 40, (SIDE, SIDE, 3))
        levels = np.clip(128 + 60 * wave[..., None] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(encoded, quality=75)
        data = encoded.read_bytes()
        for copy in range(n, count, DISTINCT):
            (folder / str(n % CLASSES) / f"{copy}.jpg").write_bytes(data)
    encoded.unlink()


def epoch(images: object, labels: object) -> tuple[float, bytes]:
    """Seconds of one epoch, and the weights after it."""
    network = convlet.Network(LAYERS, (SIDE, SIDE, 3), seed=0)
    start = perf_counter()
    network.fit(images, labels, epochs=1, batch_size=128, progress=False)
    return perf_counter() - start, network.flat.tobytes()


@contextmanager
def group(megabytes: int):
    """A control group for processes that have so much memory together."""
    place = GROUPS / f"convlet-{os.getpid()}"
    place.mkdir()
    try:
        (place / "memory.limit_in_bytes").write_text(str(megabytes << 20))
        yield place
    finally:
        place.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=600, metavar="MB")
    parser.add_argument("--plain", action="store_true", help="the last epoch also not read ahead")
    parser.add_argument("--child", choices=("ahead", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()

    if not options.child:
        start = perf_counter()
        fill(options.folder / "train", options.images)
        fill(options.folder / "test", DISTINCT)
        print(f"{options.images:,} files written, {perf_counter() - start:.1f} s", flush=True)
        for what in ("first", "second"):
            start = perf_counter()
            data = datasets.load(options.folder)
            print(f"{what} load: {perf_counter() - start:.1f} s", flush=True)
        size = data.train.images.nbytes / 2**20
        print(f"{data.train!r}, {size:,.0f} MB, {type(data.train.images).__name__}", flush=True)
    else:
        data = datasets.load(options.folder)
    if options.child:
        if options.child == "plain":
            training.ahead_of = lambda images: nullcontext(ahead.Nothing())
        seconds, weights = epoch(data.train.images, data.train.labels)
        print(f"{seconds:.1f} s, weights {hash_of(weights)}")
        return
    memory = np.array(data.train.images)
    times: dict[str, list[float]] = {"cache": [], "memory": []}
    found = set()
    for _ in range(options.rounds):
        for name, images in (("cache", data.train.images), ("memory", memory)):
            seconds, weights = epoch(images, data.train.labels)
            times[name].append(seconds)
            found.add(hash_of(weights))
    for name, seconds in times.items():
        spread = f"{min(seconds):.2f}, {median(seconds):.2f}, {max(seconds):.2f} s"
        print(f"an epoch from {name}: {spread} (least, median, greatest)")
    ratios = [a / b for a, b in zip(times["cache"], times["memory"], strict=True)]
    print(f"cache / memory: {min(ratios):.3f}, {median(ratios):.3f}, {max(ratios):.3f}")
    del memory
    for how in ("ahead", "plain")[: 1 + options.plain]:
        found.add(in_group(options, how))
    print("same weights" if len(found) == 1 else f"OTHER WEIGHTS: {found}")
    sys.exit(len(found) != 1)


def in_group(options: argparse.Namespace, how: str) -> str:
    """Train an epoch from the cache, none of which is in memory, and say it -> the weights."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1")  # else the pages are not the group's own
    with group(options.memory) as place:
        command = [sys.executable, __file__, str(options.folder), "--child", how]
        enter = f'echo $$ > {place}/cgroup.procs; exec "$@"'
        answer = subprocess.run(
            ["sh", "-c", enter, "sh", *command], capture_output=True, text=True, check=True
        )
        most = int((place / "memory.max_usage_in_bytes").read_text()) / 2**20
        used = f"at most {most:,.0f} of {options.memory} MB used"
        print(f"an epoch from cache, {how}, {used}: {answer.stdout.strip()}", flush=True)
        return answer.stdout.split()[-1]


def hash_of(weights: bytes) -> str:
    from hashlib import sha256

    return sha256(weights).hexdigest()[:16]


if __name__ == "__main__":
    main()
