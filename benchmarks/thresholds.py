"""What the numbers of the core that nobody can derive are worth: each one measured beside others.

    python benchmarks/thresholds.py --rounds 15

Compiles the core with another number in its place, and trains with both, on two threads, a window
of each in turns.  Prints the time with the other number over the time with the one in the sources:
median, least and greatest of the rounds.  Then, for threads.py, work of growing size on one thread
and on two: steps, and single images, one call after the other.  Takes twenty minutes; needs cmake,
ninja, nanobind and a C++20 compiler.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu, dense 10, softmax"
)
LARGE = (
    "conv 32 5, relu, pool 2, conv 64 5, relu, pool 2, flatten, dense 128, relu, dense 10, softmax"
)
DENSE = "flatten, dense 800, relu, dense 800, relu, dense 10, softmax"
VARIANTS = [  # file, text, what takes its place, networks
    ("network.cpp", "kernel_row <= 4096 ?", "kernel_row <= 0 ?", (SMALL, LARGE)),
    ("network.cpp", "kernel_row <= 4096 ?", "kernel_row <= 1 << 30 ?", (SMALL, LARGE)),
    ("network.cpp", "512 / shape.K", "64 / shape.K", (LARGE,)),
    ("network.cpp", "512 / shape.K", "4096 / shape.K", (LARGE,)),
    ("network.cpp", "8192 / s.K", "1024 / s.K", (SMALL, DENSE)),
    ("network.cpp", "8192 / s.K", "65536 / s.K", (SMALL, DENSE)),
    ("sparse.h", "8 * terms <= 5 * of", "terms < 0", (DENSE,)),
    ("sparse.h", "8 * terms <= 5 * of", "8 * terms <= 6 * of", (DENSE,)),
]
WORKER = """
import sys, time
import numpy as np
import convlet
import convlet.threads
convlet.threads.TRAINING = convlet.threads.PREDICTION = 1  # two threads, however little there is
layers, threads, batch, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(0)
side = int(sys.argv[5])
x = rng.integers(0, 256, (count, side, side, 1), dtype=np.uint8)
y = rng.integers(0, 10, count)
network = convlet.Network(layers, (side, side, 1))
def predict():
    start = time.perf_counter()
    for _ in range(count):
        network.engine.predict(network.flat, x[:1], threads)
    return time.perf_counter() - start
def train():
    start = time.perf_counter()
    network.fit(x, y, epochs=1, batch_size=batch, learning_rate=1e-4, threads=threads)
    return time.perf_counter() - start
once = train if batch else predict
once()
print("ready", flush=True)
for line in sys.stdin:
    print(once(), flush=True)
"""


class Trainer:
    """A process that trains one epoch when asked; with a batch of 0 it predicts single images."""

    def __init__(self, package: Path, layers: str, threads: int, batch: int, count: int, side=28):
        arguments = [layers, str(threads), str(batch), str(count), str(side)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments],
            env={"PYTHONPATH": str(package), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def seconds(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def ratios(base: Trainer, other: Trainer, rounds: int) -> list[float]:
    """Seconds of the other over those of the base, a window of each in turns."""
    found = []
    for n in range(rounds):
        first, second = (base, other) if n % 2 else (other, base)
        a, b = first.seconds(), second.seconds()
        found.append(b / a if first is base else a / b)
    return found


def said(found: list[float]) -> str:
    return f"{median(found):.3f} ({min(found):.3f} to {max(found):.3f})"


def build(source: Path, folder: Path) -> Path:
    """Compile what has changed in this copy -> the folder of a package with it."""
    cmake = ["cmake", "--build", "build", "--target", "_core"]
    subprocess.run(cmake, cwd=source, check=True, capture_output=True)
    shutil.copytree(source / "src" / "convlet", folder / "convlet")
    (module,) = (source / "build").glob("_core*.so")
    shutil.copy(module, folder / "convlet" / "_native")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        for part in ("native", "src"):
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("*.so"))
        shutil.copy(ROOT / "CMakeLists.txt", source)
        dirs = subprocess.run(
            [sys.executable, "-m", "nanobind", "--cmake_dir"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        configure = ["cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"]
        configure += [f"-DPython_EXECUTABLE={sys.executable}", f"-Dnanobind_DIR={dirs}"]
        subprocess.run(configure, cwd=source, check=True, capture_output=True)
        base = build(source, Path(name) / "base")
        for n, (file, old, new, networks) in enumerate(VARIANTS):
            path = source / "native" / file
            text = path.read_text()
            assert text.count(old) == 1, old
            path.write_text(text.replace(old, new))
            other = build(source, Path(name) / f"variant{n}")
            path.write_text(text)
            for layers in networks:
                with (
                    Trainer(base, layers, 2, 32, 2048) as a,
                    Trainer(other, layers, 2, 32, 2048) as b,
                ):
                    print(
                        f"{file}: {new!r} for {old!r}, {layers[:18]}...: "
                        f"{said(ratios(a, b, options.rounds))}",
                        flush=True,
                    )
        print("\ntwo threads over one, a step of 8 blocks of 8 samples, by multiply-adds:")
        for units in (4, 8, 16, 32, 64, 128, 256):
            layers = f"flatten, dense {units}, relu, dense 10, softmax"
            work = 64 * 3 * (16 * 16 * units + 10 * units)
            with (
                Trainer(base, layers, 1, 64, 16384, 16) as a,
                Trainer(base, layers, 2, 64, 16384, 16) as b,
            ):
                print(f"{work:>12,}  {said(ratios(a, b, options.rounds))}", flush=True)

        print("\ntwo threads over one, one image, by multiply-adds:")
        for channels in (4, 8, 16, 32, 64, 128):
            layers = f"conv {channels} 3 padding same, relu, pool 2, conv {channels} 3, relu, "
            layers += "pool 2, flatten, dense 10, softmax"
            work = 400 * 9 * channels + 64 * 9 * channels**2 + 160 * channels
            with (
                Trainer(base, layers, 1, 0, 2000, 20) as a,
                Trainer(base, layers, 2, 0, 2000, 20) as b,
            ):
                print(f"{work:>12,}  {said(ratios(a, b, options.rounds))}", flush=True)


if __name__ == "__main__":
    main()
