"""Trains one network on one thread, to be counted or sampled from outside.

    python benchmarks/counters_child.py FAMILY WEIGHTS BATCH WINDOW

WINDOW: the library that tells callgrind when a step begins and ends, for one step after another
that fills the caches; or seconds of steps, to be sampled.  Prints {"target", "core", "base",
"seconds"}: the core's file, where it lies in memory, and the least seconds of CPU time of a step.
"""

import ctypes
import json
import math
import sys
from time import process_time

import numpy as np

from convlet import Network, Settings, _native
from convlet.engine import Samples, Steps
from convlet.native import TARGET
from families import FAMILIES, make_images

RATE = 1e-4  # small: weights, and who is alive, stay what they are


def base(library: str) -> int:
    """Where a library begins in this process."""
    with open("/proc/self/maps") as maps:
        return min(int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith(library))


def main() -> None:
    name, weights, batch, window = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    net = FAMILIES[name].net
    x, y = make_images(4 * batch, net.shape, net.classes, seed=0)
    network = Network(net.layers, net.shape, engine="native")
    with np.load(weights) as known:
        for key, values in network.parameters.items():
            values[...] = known[key]
    data, settings, flat = Samples(x, y), Settings(batch_size=batch), network.flat.copy()

    def train(steps: int) -> None:
        order = np.arange(steps * batch) % len(x)
        taken = Steps(order, np.full(steps, RATE, np.float32))
        network.engine.train(flat, (), data, taken, settings, 1)

    least = math.inf
    if window.endswith(".so"):
        callgrind = ctypes.CDLL(window)
        callgrind.start()
        train(1)
        callgrind.zero()
        train(1)
        callgrind.dump()
    else:
        end = process_time() + float(window)
        while (start := process_time()) < end:
            train(2)
            least = min(least, (process_time() - start) / 2)
    core = _native._core.__file__
    where = {"target": TARGET.name, "core": core, "base": base(core)}
    print(json.dumps({**where, "seconds": least if math.isfinite(least) else None}))


if __name__ == "__main__":
    main()
