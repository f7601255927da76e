"""The process of one contender: answers requests, one JSON object a line, until its input ends.

Started by `team.Worker`.  It confines itself to as many CPUs as there are threads before it loads
the library, so that a library without such a setting uses no more either.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np

from contender import Contender, Data, each, repeat
from layout import Net

MODULES = {
    "convlet": ("convlet_side", "Convlet"),
    "torch": ("torch_side", "Torch"),
    "jax": ("jax_side", "Jax"),
    "onnxruntime": ("onnx_side", "OnnxRuntime"),
}


def contender_of(name: str, threads: int) -> Contender:
    """The contender of that name, as "torch-eager": library, then mode."""
    library, _, mode = name.partition("-")
    module, kind = MODULES[library]
    return getattr(__import__(module), kind)(mode, threads)


def read_data(folder: Path) -> Data:
    """What `team.write_data` wrote."""
    names = ("images", "labels", "test_images")
    return Data(*(np.load(folder / f"{name}.npy") for name in names))


class Session:
    """The requests, each a method: arguments from JSON, an answer for JSON."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender

    def load(self, folder: str) -> None:
        self.contender.load(read_data(Path(folder)))

    def build(self, net: dict, weights: str, batch_size: int) -> None:
        """Take a network; weights: an .npz file."""
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in net.items()}
        with np.load(weights) as arrays:
            self.contender.build(Net(**fields), dict(arrays), batch_size)

    def probabilities(self, count: int, dtype: str | None) -> list[list[float]]:
        """Of the first test images; dtype: None is what the library takes best."""
        predict = self.contender.predictor(0, count, dtype or self.contender.dtype)
        return np.asarray(predict()).tolist()

    def losses(self, chosen: list[list[int]]) -> list[float]:
        return self.contender.losses(np.array(chosen, np.int64))

    def settle(self, seconds: float) -> str | None:
        return self.contender.settle(seconds)

    def train(self, seconds: float) -> list[float]:
        """Seconds an image, and the share of the CPUs that others used meanwhile."""
        before = others_seconds()
        images, elapsed = self.contender.train(seconds)
        return [elapsed / images, self._share(before, elapsed)]

    def _share(self, before: float, elapsed: float) -> float:
        return max(0.0, others_seconds() - before) / (elapsed * len(cpus()))

    def choose(self, count: int, dtype: str | None, seconds: float) -> int:
        """Warm up, and settle into how many images at a time predictions of count are cut."""
        sizes = [size for size in self.contender.chunks if size < count and count % size == 0]
        timed = {}
        for size in [*sizes, count] if count > 64 else [count]:
            calls = self._cut(count, size, dtype or self.contender.dtype)
            calls()  # compiles, where there is something to compile
            number, elapsed = repeat(calls, seconds)
            timed[size] = elapsed / number, calls
        best = min(timed, key=lambda size: timed[size][0])
        self.call, self.count = timed[best][1], count
        return best

    def _cut(self, count: int, size: int, dtype: str):
        starts = range(0, count, size)
        calls = [self.contender.predictor(start, start + size, dtype) for start in starts]
        if len(calls) == 1:
            return calls[0]
        return lambda: [call() for call in calls]

    def predict(self, seconds: float) -> list[float]:
        """Seconds an image, and the share of the CPUs that others used meanwhile."""
        before = others_seconds()
        calls, elapsed = repeat(self.call, seconds)
        return [elapsed / (calls * self.count), self._share(before, elapsed)]

    def latency(self, seconds: float) -> list[float]:
        """Median seconds of a call, the share that others used, the 99th percentile."""
        before = others_seconds()
        times = each(self.call, seconds)
        share = self._share(before, times.sum())
        return [float(np.median(times)), share, float(np.percentile(times, 99))]

    def reset_peak(self) -> int:
        """Forget the peak of memory so far -> bytes resident now."""
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            print("the peak of memory includes the loading of the data", file=sys.stderr)
        return _status("VmRSS")

    def peak(self) -> int:
        """The most bytes that were resident."""
        return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    raise KeyError(field)


def cpus() -> list[int]:
    """The CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def others_seconds() -> float:
    """Seconds that these CPUs spent on anything but this process; 0 where nobody tells (no Linux).

    Also what the host of a virtual machine took.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    mine = {f"cpu{number}" for number in cpus()}
    busy = 0
    for line in stat.read_text().splitlines():
        name, *ticks = line.split()
        if name in mine:
            user, nice, system, _, _, irq, softirq, steal = map(int, ticks[:8])
            busy += user + nice + system + irq + softirq + steal
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return busy / os.sysconf("SC_CLK_TCK") - usage.ru_utime - usage.ru_stime


def confine(threads: int) -> None:
    """Use the first CPUs only, as many as there are threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus()[:threads])


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the script, whose end ends this
    name, threads = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    confine(threads)

    def answer(result: object) -> None:
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    try:
        contender = contender_of(name, threads)
    except ImportError as error:
        answer({"missing": str(error)})
        return
    session = Session(contender)
    answer({"version": contender.version(), "trains": contender.trains})
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(session, request.pop("call"))
        try:
            answer({"result": method(**request)})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
