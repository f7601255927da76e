"""The rounding error of Winograd's form beside that of the direct sum (1), on random data.

    python benchmarks/rounding.py

32 to 32 channels, 20 draws: errors against float64, as root mean square and greatest of each draw.
"""

from statistics import median

import numpy as np

from convlet import _native
from convlet import equations as eq
from convlet.native import TARGET

CHANNELS, SIDE, DRAWS = 32, 8, 20  # SIDE: rows and columns of z


def errors(taps: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Errors of the direct sum and of Winograd's form, and the largest output of a draw."""
    rng = np.random.default_rng(seed)
    shape = SIDE + taps - 1, SIDE + taps - 1, CHANNELS
    x = np.maximum(rng.standard_normal(shape), 0).astype(np.float32)
    spread = (2 / (taps * taps * CHANNELS)) ** 0.5
    w = (spread * rng.standard_normal((taps, taps, CHANNELS, CHANNELS))).astype(np.float32)
    kernels, pool = _native.testing.Kernels(TARGET.name), _native.testing.Fused.pool
    sizes = taps, taps, CHANNELS, CHANNELS, 1, 1, SIDE, SIDE, shape[1] * CHANNELS, CHANNELS
    s = _native.testing.ConvShape(*sizes)
    b = np.zeros(CHANNELS, np.float32)
    direct, fast = np.empty((2, SIDE // 2, SIDE // 2, CHANNELS), np.float32)
    step = 0, 0
    kernels.conv_pool(s, pool, x, w, b, *step, direct, SIDE // 2 * CHANNELS, CHANNELS, None)
    turned = np.zeros(s.winograd_taps_size, np.float32)
    kernels.winograd_taps(s, w, 0, CHANNELS, turned)
    scratch = np.zeros(s.winograd_scratch, np.float32)
    steps = *step, fast, SIDE // 2 * CHANNELS, CHANNELS, None, scratch
    kernels.winograd(s, pool, x, turned, b, *steps)
    z = eq.max_pool(eq.conv2d(x.astype(np.float64), w.astype(np.float64)))
    return direct - z, fast - z, float(np.abs(z).max())


def main() -> None:
    print("| kernel | root mean square, times the direct sum's | greatest, times | of the output |")
    print("| --- | ---: | ---: | ---: |")
    for taps in (3, 5):
        draws = [errors(taps, seed) for seed in range(DRAWS)]
        square = median((fast**2).mean() ** 0.5 / (d**2).mean() ** 0.5 for d, fast, _ in draws)
        most = [np.abs(fast).max() / np.abs(d).max() for d, fast, _ in draws]
        share = max(np.abs(fast).max() / z for _, fast, z in draws)
        ratio = f"{median(most):.1f} ({min(most):.1f} to {max(most):.1f})"
        print(f"| {taps}x{taps} | {square:.1f} | {ratio} | {share:.1e} |")


if __name__ == "__main__":
    main()
