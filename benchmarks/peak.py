"""The rate of multiply-adds that this machine reaches, to measure others against.

Of two measurements the faster counts: a compiled loop of multiply-adds in registers (where there
is a C++ compiler), and the product of two large matrices in NumPy.
Started as a script it prints {"rate", "how"} for its first argument, the number of threads.
"""

import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np

SOURCE = """
#if defined(__AVX512F__)
constexpr int bytes = 64, chains = 24;
#elif defined(__AVX__)
constexpr int bytes = 32, chains = 12;
#else
constexpr int bytes = 16, chains = 24;
#endif
typedef float vec __attribute__((vector_size(bytes)));

// n rounds over independent chains a = a * x + y -> the multiply-adds done
extern "C" double run(long n, float x_, float y_, float* out) {
    vec x = x_ - vec{}, y = y_ - vec{}, a[chains];
    for (int c = 0; c < chains; ++c) a[c] = y + float(c);
    for (long i = 0; i < n; ++i) {
#pragma GCC unroll 24
        for (int c = 0; c < chains; ++c) a[c] = a[c] * x + y;
    }
    vec sum = {};
    for (int c = 0; c < chains; ++c) sum += a[c];
    *out = sum[0];
    return double(n) * chains * (bytes / sizeof(float));
}
"""


def library(source: str, folder: Path) -> ctypes.CDLL | None:
    """C++ for this processor, in a folder that may go afterwards; None without a compiler."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        return None
    text, made = folder / "source.cpp", folder / "source.so"
    text.write_text(source)
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC"]
    if subprocess.run([compiler, *flags, text, "-o", made], capture_output=True).returncode:
        return None
    return ctypes.CDLL(str(made))


def compiled(threads: int, seconds: float = 1.5) -> float | None:
    """FLOP/s of the loop on so many threads, the best of some rounds; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        loops = library(SOURCE, Path(folder))
    if loops is None:
        return None
    run = loops.run
    run.restype = ctypes.c_double
    run.argtypes = [ctypes.c_long, ctypes.c_float, ctypes.c_float, ctypes.c_void_p]

    def work(n: int) -> float:  # ctypes gives up the lock while it runs
        return run(n, 0.999, 0.001, ctypes.byref(ctypes.c_float()))

    best, n, end = 0.0, 1 << 20, perf_counter() + seconds
    with ThreadPoolExecutor(threads) as pool:
        while perf_counter() < end:
            start = perf_counter()
            done = sum(pool.map(work, [n] * threads))
            best = max(best, 2 * done / (perf_counter() - start))
    return best


def matmul(seconds: float = 1.5, size: int = 2048) -> float:
    """FLOP/s of NumPy's float32 product, the best of some rounds."""
    a = np.ones((size, size), np.float32)
    best, end = 0.0, perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        a @ a
        best = max(best, 2 * size**3 / (perf_counter() - start))
    return best


def main() -> None:
    from worker import confine

    threads = int(sys.argv[1])
    confine(threads)
    rates = {"a compiled loop of multiply-adds": compiled(threads), "NumPy's matmul": matmul()}
    known = {how: rate for how, rate in rates.items() if rate}
    how = max(known, key=known.__getitem__)
    print(json.dumps({"rate": known[how], "how": how, "all": known}))


if __name__ == "__main__":
    main()
