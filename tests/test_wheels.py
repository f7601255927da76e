"""What a wheel says of itself, and the targets that its module finds on this CPU."""

import platform
import sys
import tomllib
from pathlib import Path

from convlet._native import _core

ROOT = Path(__file__).parent.parent


def test_the_module_has_the_stable_abi_from_3_12_on():
    with open(ROOT / "pyproject.toml", "rb") as file:
        built = tomllib.load(file)["tool"]["scikit-build"]
    assert built["wheel"]["py-api"] == "cp312"
    abi = "cpython-311-" if sys.version_info < (3, 12) else "abi3."
    assert Path(_core.__file__).name.startswith(f"_core.{abi}")


def test_targets_are_what_the_kernel_says_of_this_cpu():
    has = dict(_core.targets())
    if platform.machine() == "aarch64":
        assert has == {"neon": True}
        return
    (flags, *_) = (
        set(line.split(":")[1].split())
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("flags")
    )
    v3 = {"avx", "avx2", "fma"} <= flags
    v4 = {"bmi1", "bmi2", *(f"avx512{part}" for part in ("f", "bw", "cd", "dq", "vl"))} <= flags
    assert has == {"avx2": v3, "avx512": v3 and v4}
