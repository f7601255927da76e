"""How long convlet takes to start: seconds of whole processes, beside Python and NumPy alone.

    python benchmarks/start.py

Each command runs once to warm the file cache, then --rounds times, all in turns; prints the median,
least and greatest wall time of each as a row of a Markdown table.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

CONVLET = str(Path(sys.executable).parent / "convlet")
COMMANDS = {
    "`python -c pass`": [sys.executable, "-c", "pass"],
    "`python -c 'import numpy'`": [sys.executable, "-c", "import numpy"],
    "`python -c 'import convlet'`": [sys.executable, "-c", "import convlet"],
    "`import convlet; convlet.Network`": [sys.executable, "-c", "import convlet; convlet.Network"],
    "`convlet --help`": [CONVLET, "--help"],
    "`convlet train --help`": [CONVLET, "train", "--help"],
    "`convlet show`": [CONVLET, "show"],
}


def seconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    found = {name: [seconds(command)] for name, command in COMMANDS.items()}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            found[name].append(seconds(command))
    print("| command | seconds | least | greatest |\n| --- | --- | --- | --- |")
    for name, times in found.items():
        kept = times[1:]
        print(f"| {name} | {median(kept):.3f} | {min(kept):.3f} | {max(kept):.3f} |")


if __name__ == "__main__":
    main()
