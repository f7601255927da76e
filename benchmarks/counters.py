"""What bounds the steps of a family: instructions, cache lines and ports, counted.

    python benchmarks/counters.py --out counters
    python benchmarks/counters.py --out counters --families conv-conv-pool --core FOLDER

For each family one step of training on one thread, from the weights that the benchmark starts from:

- valgrind's callgrind counts the core's instructions and multiply-adds of AVX2 (it knows no
  AVX-512), and the lines that an L1 of 48 KB and an L2 of 2 MB do not have;
- perf samples the same step on the widest target, by the clock of the CPU: shares of the time of
  the core, which are taken of the fastest of many short windows;
- llvm-mca says how many cycles the loop in which a kernel was met most takes at least, by its ports
  and its chains, with all data in L1;
- compiled loops measure the peak, and how fast lines come from L2 and from beyond.

A kernel's bound is the largest share of its time that one of them accounts for, by itself.  Needs
valgrind, perf, llvm and binutils; the core is built with its symbols unless --core names a folder
that holds such a convlet.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from convlet import Network
from counted import KERNELS, Code, Count, Sampled, counts, functions, sampled
from counters_table import Machine, table
from families import FAMILIES, Family, prepare
from measure import say
from peak import compiled, library
from streams import measured

HERE = Path(__file__).parent
MISSED = (
    "dense-1024-1024",
    "dense-256-128",
    "strided-colour",
    "conv-conv-pool",
    "thousand-classes",
    "overlapping-pools",
    "5x5-wide-colour",
    "1x1-between",
)
"""The families that miss what is promised of their training."""
TOOLS = {"valgrind": "valgrind", "perf": "linux-perf", "llvm-mca": "llvm", "objdump": "binutils"}
"""Each with the package of Debian that has it."""
CALLGRIND = [
    "--tool=callgrind",
    "--instr-atstart=no",
    *("--cache-sim=yes", "--D1=49152,12,64", "--LL=2097152,16,64"),
    *("--dump-instr=yes", "--dump-line=no", "--compress-strings=no", "--compress-pos=no"),
]
REQUESTS = """
#include <valgrind/callgrind.h>
extern "C" {
void start() { CALLGRIND_START_INSTRUMENTATION; }
void zero() { CALLGRIND_ZERO_STATS; }
void dump() { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
}
"""
PERIOD = 250_000  # nanoseconds of CPU time from sample to sample


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, names = parser.add_argument, list(FAMILIES)
    add("--families", nargs="+", choices=names, default=MISSED, metavar="NAME")
    add("--batch", type=int, default=32, help="images of the step; default: 32")
    add("--seconds", type=float, default=3.0, help="of steps that perf samples; default: 3")
    add("--core", type=Path, metavar="FOLDER", help="holds convlet with the symbols of its core")
    add("--mcpu", default="sapphirerapids", help="for llvm-mca; default: sapphirerapids")
    add("--out", type=Path, default=Path("counters"), metavar="FOLDER")
    chosen = parser.parse_args()
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not installed: apt-get install {package}")
    if not Path("/usr/include/valgrind/callgrind.h").exists():
        parser.error("valgrind/callgrind.h is not installed: apt-get install valgrind")
    return chosen


def built(out: Path) -> Path:
    """convlet of this checkout, compiled as ever but not stripped -> the folder that holds it."""
    folder = out / "core"
    own = find_spec("scikit_build_core") and find_spec("nanobind")
    isolation = ["--no-build-isolation"] if own else []
    settings = [
        f"build-dir={out.resolve() / 'build'}",
        "cmake.build-type=RelWithDebInfo",
        "cmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O3 -DNDEBUG",
        "install.strip=false",
    ]
    flags = [word for setting in settings for word in ("-C", setting)]
    say("building the core with its symbols")
    _run("-m", "pip", "install", "-q", "--no-deps", "--upgrade", *isolation, *flags,
         "--target", folder, HERE.parent)  # fmt: skip
    return folder


def _run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True)


def weights_of(family: Family, out: Path) -> Path:
    folder = out / "weights" / family.net.name
    if not (folder / "weights.npz").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        prepare(family, folder, [1], say)
    return folder / "weights.npz"


def child(
    core: Path, before: Sequence[object], target: str | None, *words: object
) -> dict[str, object]:
    """What counters_child.py prints, started by the words before."""
    # without site: where convlet is installed as editable its finder would come before any path
    paths = [str(core.resolve()), *filter(None, sys.path)]
    kept = {name: value for name, value in os.environ.items() if name != "CONVLET_TARGET"}
    forced = {"CONVLET_TARGET": target} if target else {}
    done = subprocess.run(
        [*map(str, before), sys.executable, "-S", HERE / "counters_child.py", *map(str, words)],
        env=kept | forced | {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{before[0]} ended with status {done.returncode}:\n{done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    if Path(said["core"]).resolve() != binary(core).resolve():
        sys.exit(f"the core that ran is {said['core']}, expected {binary(core)}")
    return said


def count(
    name: str, weights: Path, core: Path, chosen: argparse.Namespace, code: Code
) -> dict[str, Count]:
    """Of one step, by kernel."""
    requests = chosen.out / "requests"
    requests.mkdir(exist_ok=True)
    if library(REQUESTS, requests) is None:
        sys.exit("a C++ compiler is not installed: apt-get install g++")
    file = chosen.out / f"{name}.callgrind"
    before = ["valgrind", *CALLGRIND, f"--callgrind-out-file={file}"]
    child(core, before, "avx2", name, weights, chosen.batch, requests / "source.so")
    with open(f"{file}.1") as lines:
        return counts(lines, binary(core).name, code)


def sample(
    name: str, weights: Path, core: Path, chosen: argparse.Namespace, code: Code
) -> tuple[dict[str, Sampled], dict[str, object]]:
    """What perf met of each kernel, and what the child says."""
    file = chosen.out / f"{name}.perf"
    before = ["perf", "record", "-q", "-e", "cpu-clock", "-c", PERIOD, "-o", file, "--"]
    said = child(core, before, None, name, weights, chosen.batch, chosen.seconds)
    listed = subprocess.run(
        ["perf", "script", "-i", file, "-F", "ip"], capture_output=True, text=True, check=True
    )
    addresses = (int(line, 16) - said["base"] for line in listed.stdout.split())
    return sampled(addresses, code), said


def binary(core: Path) -> Path:
    return next((core / "convlet" / "_native").glob("_core*.so"))


def disassembled(core: Path) -> Code:
    file = binary(core)
    done = subprocess.run(
        ["objdump", "-d", "-C", "--no-show-raw-insn", file],
        capture_output=True,
        text=True,
        check=True,
    )
    code = Code(functions(done.stdout.splitlines()))
    if not any(one.kernel in KERNELS for one in code.found):
        sys.exit(f"{file} has no symbols: leave --core out to have it built")
    return code


def dense(family: Family, batch: int) -> int:
    """Multiply-adds of the equations in a step: (1) or (6), (3) or (8), and (2) or (7) but for the
    first stage, whose error nobody asks for."""
    stages = Network(family.net.layers, family.net.shape).stages
    return batch * (3 * sum(one.multiply_adds for one in stages) - stages[0].multiply_adds)


def main() -> None:
    chosen = options()
    chosen.out.mkdir(parents=True, exist_ok=True)
    core = chosen.core or built(chosen.out)
    code = disassembled(core)
    rates, peak = measured(), compiled(1)
    if rates is None or peak is None:
        sys.exit("a C++ compiler is not installed: apt-get install g++")
    machine = Machine(peak / 2, rates)
    lines = [f"{machine.multiply_adds / 1e9:.0f} billion multiply-adds a second on one thread;"]
    for level, rate in rates.items():
        lines.append(f"{level}: loads {rate.load / 1e9:.0f}, updates {rate.update / 1e9:.0f} GB/s.")
    for name in chosen.families:
        say(name)
        family = FAMILIES[name]
        weights = weights_of(family, chosen.out)
        counted = count(name, weights, core, chosen, code)
        met, said = sample(name, weights, core, chosen, code)
        work = dense(family, chosen.batch)
        lines += [
            "",
            f"{name}, a step of {chosen.batch}, {work / 1e9:.3g} billion multiply-adds, on"
            f" {said['target']} {1e3 * said['seconds']:.3g} ms:",
            "",
            *table(work, counted, met, said["seconds"], machine, chosen.mcpu),
        ]
        (chosen.out / "counters.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
