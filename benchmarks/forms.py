"""Where Winograd's form serves: its time over that of the direct kernel, on one thread.

    python benchmarks/forms.py

For shapes of 3x3 and 5x5 kernels: (1) with ReLU and winners, (1) alone (what (2) takes), and (3),
each as the least of many calls, both forms in turns; and the direct kernel's share of the peak.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from convlet import _native
from convlet.native import TARGET
from run import measured_peak

SHAPES = [  # taps, R, K, places
    *((3, R, K, 32) for R, K in ((8, 8), (8, 16), (16, 8), (16, 16), (64, 64))),
    *((3, R, K, 16) for R, K in ((16, 32), (32, 32), (32, 64))),
    *((3, 32, 32, places) for places in (14, 10, 7, 5)),
    *((5, R, K, 14) for R, K in ((8, 16), (16, 16), (32, 32), (32, 64))),
]
ROUNDS = 60


def least(*calls: Callable[[], object]) -> list[float]:
    """The least seconds of each, in turns."""
    best = [np.inf] * len(calls)
    for _ in range(ROUNDS):
        for n, call in enumerate(calls):
            start = perf_counter()
            call()
            best[n] = min(best[n], perf_counter() - start)
    return best


def forms(taps: int, R: int, K: int, places: int) -> tuple[int, list[list[float]]]:
    """The tile that is taken, and (direct, Winograd) seconds of (1) with ReLU, (1), (3)."""
    rng = np.random.default_rng(0)
    kernels, fused = _native.testing.Kernels(TARGET.name), _native.testing.Fused
    side = places + taps - 1
    sizes = taps, taps, R, K, 1, 1, places, places, side * R, R
    direct = _native.testing.ConvShape(*sizes)
    tile = direct.winograd_tile
    shape = _native.testing.ConvShape(*sizes, tile=tile or (2 if taps == 5 else 4))
    x = np.maximum(rng.standard_normal((side, side, R)), 0).astype(np.float32)
    w = rng.standard_normal((taps, taps, R, K)).astype(np.float32) / taps
    delta = rng.standard_normal((places, places, K)).astype(np.float32)
    b = np.zeros(K, np.float32)
    out = np.empty((places, places, K), np.float32)
    winner = np.empty((places, places, K), np.int32)
    dw = np.empty((taps, taps, R, K), np.float32)
    turned = np.zeros(shape.winograd_taps_size, np.float32)
    scratch = np.zeros(shape.winograd_scratch, np.float32)
    sums = np.zeros(shape.winograd_sums_size, np.float32)
    kernels.winograd_taps(shape, w, 0, R, turned)
    to = out, places * K, K
    steps = places * K, K
    return tile, [
        least(
            lambda: kernels.conv(direct, fused.relu, x, w, b, 0, 0, *to, winner),
            lambda: kernels.winograd(shape, fused.relu, x, turned, b, 0, 0, *to, winner, scratch),
        ),
        least(
            lambda: kernels.conv(direct, fused.none, x, w, b, 0, 0, *to, None),
            lambda: kernels.winograd(shape, fused.none, x, turned, b, 0, 0, *to, None, scratch),
        ),
        least(
            lambda: kernels.conv_dw_of_errors(direct, x, delta, *steps, False, dw),
            lambda: kernels.winograd_dw(shape, x, delta, *steps, False, sums, scratch),
        ),
    ]


def main() -> None:
    peak = measured_peak(1)["rate"]
    print(
        "| taps | channels | places | tile | (1), ReLU | (1), (2) | (3) | direct (1) | direct (3) |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for taps, R, K, places in SHAPES:
        tile, times = forms(taps, R, K, places)
        flops = 2 * taps * taps * R * K * places * places
        ratios = " | ".join(f"{fast / plain:.2f}" for plain, fast in times)
        shares = " | ".join(f"{flops / times[n][0] / peak:.0%}" for n in (1, 2))
        print(f"| {taps} | {R} to {K} | {places}x{places} | {tile or '-'} | {ratios} | {shares} |")


if __name__ == "__main__":
    main()
