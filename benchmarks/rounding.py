"""The rounding error of Winograd's form beside that of the direct sum, on random data.

    python benchmarks/rounding.py

32 to 32 channels, 16 x 16 outputs, 20 draws: errors against float64 as root mean square and
greatest of a draw, for (1) of the outputs of a ReLU, (2) of errors of which half are 0, and (3) of
both over 8 samples.
"""

from statistics import median

import numpy as np

from convlet import _native
from convlet import equations as eq
from convlet.native import TARGET

CHANNELS, SIDE, DRAWS, SAMPLES = 32, 16, 20, 8  # SIDE: rows and columns of z
FORMS = ((3, 2), (3, 4), (5, 2))  # taps, outputs of a tile
SUMS = ("(1)", "(2)", "(3)")

Draw = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The direct sum, Winograd's form, and the sum in float64."""


def random_draw(rng: np.random.Generator, taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x of a ReLU, errors, and a kernel that keeps their size."""
    side = SIDE + taps - 1
    x = np.maximum(rng.standard_normal((SAMPLES, side, side, CHANNELS)), 0)
    delta = rng.standard_normal((SAMPLES, SIDE, SIDE, CHANNELS))
    delta *= rng.random(delta.shape) < 0.5
    spread = (2 / (taps * taps * CHANNELS)) ** 0.5
    w = spread * rng.standard_normal((taps, taps, CHANNELS, CHANNELS))
    return x.astype(np.float32), delta.astype(np.float32), w.astype(np.float32)


class Form:
    """The kernels of one form."""

    def __init__(self, taps: int, tile: int) -> None:
        self.taps = taps
        self.kernels = _native.testing.Kernels(TARGET.name)
        self.none = _native.testing.Fused.none
        sizes = taps, taps, CHANNELS, CHANNELS, 1, 1, SIDE, SIDE
        row = (SIDE + taps - 1) * CHANNELS
        self.shape = _native.testing.ConvShape(*sizes, row, CHANNELS, tile=tile)
        self.scratch = np.zeros(self.shape.winograd_scratch, np.float32)

    def convolution(self, x: np.ndarray, w: np.ndarray) -> Draw:
        """(1) of x (H, W, R)."""
        shape, b = self.shape, np.zeros(CHANNELS, np.float32)
        direct, fast = np.empty((2, SIDE, SIDE, CHANNELS), np.float32)
        steps = SIDE * CHANNELS, CHANNELS, None
        self.kernels.conv(shape, self.none, x, w, b, 0, 0, direct, *steps)
        turned = np.zeros(shape.winograd_taps_size, np.float32)
        self.kernels.winograd_taps(shape, w, 0, CHANNELS, turned)
        self.kernels.winograd(shape, self.none, x, turned, b, 0, 0, fast, *steps, self.scratch)
        return direct, fast, eq.conv2d(x.astype(np.float64), w.astype(np.float64))

    def derivative(self, x: np.ndarray, delta: np.ndarray) -> Draw:
        """(3) of samples x (n, H, W, R) and delta (n, I, J, K)."""
        shape, taps = self.shape, self.taps
        direct, fast = np.empty((2, taps, taps, CHANNELS, CHANNELS), np.float32)
        sums = np.zeros(shape.winograd_sums_size, np.float32)
        for n in range(len(x)):
            sample = shape, x[n], delta[n], SIDE * CHANNELS, CHANNELS, n == 0
            self.kernels.conv_dw_of_errors(*sample, direct)
            self.kernels.winograd_dw(*sample, sums, self.scratch)
        self.kernels.winograd_dw_sum(shape, sums, fast)
        exact = eq.conv2d_dw(delta.astype(np.float64), x.astype(np.float64), (taps, taps))
        return direct, fast, exact[::-1, ::-1]  # by the places in a window

    def draw(self, what: str, seed: int) -> Draw:
        taps = self.taps
        x, delta, w = random_draw(np.random.default_rng(seed), taps)
        match what:
            case "(1)":
                return self.convolution(x[0], w)
            case "(2)":  # a convolution of the errors among zeros
                frame = np.zeros_like(x[0])
                inside = slice(taps // 2, taps // 2 + SIDE)
                frame[inside, inside] = delta[0]
                return self.convolution(frame, w)
            case _:
                return self.derivative(x, delta)


def main() -> None:
    columns = "form", "sum", "root mean square, times the direct sum's", "greatest, times"
    print(f"| {' | '.join(columns)} | of the value |")
    print("| --- | --- | ---: | ---: | ---: |")
    for taps, tile in FORMS:
        form = Form(taps, tile)
        for what in SUMS:
            draws = [form.draw(what, seed) for seed in range(DRAWS)]
            off = [(direct - right, fast - right) for direct, fast, right in draws]
            square = median(((f**2).mean() / (d**2).mean()) ** 0.5 for d, f in off)
            most = [np.abs(f).max() / np.abs(d).max() for d, f in off]
            values = [np.abs(right).max() for _, _, right in draws]
            share = max(np.abs(f).max() / value for (_, f), value in zip(off, values, strict=True))
            ratio = f"{median(most):.1f} ({min(most):.1f} to {max(most):.1f})"
            name = f"F({tile}x{tile}, {taps}x{taps})"
            print(f"| {name} | {what} | {square:.1f} | {ratio} | {share:.1e} |")


if __name__ == "__main__":
    main()
