"""The rates of convlet's own convolution kernels on one thread, against the peak of one thread.

Started as a script it prints a list of rows as JSON, for the networks named as arguments.
Rates are dense: the backward kernels visit surviving errors only, and skipped zeros count as done.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from contender import repeat
from worker import confine

SAMPLES = 16  # in turns, so that no list of survivors is learnt by heart
SECONDS, ROUNDS = 0.004, 60  # short windows: some of them pass undisturbed


def rows(name: str) -> Iterator[dict[str, Any]]:
    """The kernels of each convolution of a network: {"network", "stage", "kernel", "rate"}."""
    from convlet import Network
    from convlet.bench import NETWORKS

    for stage in Network(NETWORKS[name]).stages:
        if len(stage.w_shape) == 4:
            for kernel, rate in rates(stage).items():
                yield {"network": name, "stage": stage.index, "kernel": kernel, "rate": rate}


def rates(stage: Any) -> dict[str, float]:
    """FLOP/s, dense, of conv + ReLU + pool, and of (3) and (2) with the errors that survive it.

    Dense: as if every product of the equation were computed; the way back skips zeros, and
    Winograd's form needs fewer products.
    """
    from convlet import _native
    from convlet.native import TARGET

    kernels = _native.testing.Kernels(TARGET.name)
    fused = _native.testing.Fused.relu_pool
    height, width, R = stage.padded_shape
    x_pixel = R if stage.index == 0 else -(-R // 8) * 8
    (P, Q), (z_rows, z_columns, K) = stage.affine.kernel, stage.z_shape

    i, j = z_rows // 2, z_columns // 2  # of the pooled output

    def shape(rows: int, columns: int, tile: int = 0) -> Any:
        sizes = P, Q, R, K, *stage.affine.stride, rows, columns, width * x_pixel, x_pixel
        return _native.testing.ConvShape(*sizes, tile=tile)

    whole, nothing = shape(z_rows, z_columns), shape(0, 0)
    draws = np.random.default_rng(0)
    frame = np.zeros((height, width, x_pixel), np.float32)
    frame[..., :R] = np.maximum(draws.standard_normal((height, width, R)), 0)
    frame = np.append(frame, np.zeros(16, np.float32))  # runs may end behind the frame
    w = (draws.standard_normal(stage.w_shape) / np.sqrt(P * Q * R)).astype(np.float32)
    packed = draws.standard_normal((K, P, whole.run)).astype(np.float32)
    b, out = np.zeros(K, np.float32), np.empty((i, j, K), np.float32)
    winner = np.empty((i, j, -(-K // 8) * 8), np.int32)
    steps = 0, 0, out, j * K, K, winner
    lists, stride = [], -(-out[..., 0].size // 8) * 8 + 8
    for _ in range(SAMPLES):
        x = draws.permutation(frame[:-16].reshape(-1, x_pixel)).ravel()
        kernels.conv(whole, fused, np.append(x, frame[-16:]), w, b, *steps)
        error = draws.standard_normal(out.shape).astype(np.float32)
        listed = np.zeros((K, stride), np.int32), np.zeros((K, stride), np.float32)
        sample = *listed, np.zeros(K, np.int32)
        kernels.survivors(whole, winner, error, j * K, K, i, j, *sample, np.zeros(K, np.float32))
        lists.append(sample)
    empty = [(*sample[:2], np.zeros(K, np.int32)) for sample in lists]
    dw, dx = np.zeros((K, P, whole.run), np.float32), np.zeros_like(frame)
    turn = 0

    def each(call: Callable[..., object], samples: list[Any]) -> Callable[[], object]:
        def run() -> None:
            nonlocal turn
            turn = (turn + 1) % SAMPLES
            call(*samples[turn])

        return run

    flops = 2 * stage.multiply_adds
    work: dict[str, tuple[int, Callable[[], object], Callable[[], object]]] = {}
    if tile := whole.winograd_tile:
        tiled, none = shape(z_rows, z_columns, tile), shape(0, 0, tile)
        taps = np.zeros(tiled.winograd_taps_size, np.float32)
        scratch = np.zeros(tiled.winograd_scratch, np.float32)
        kernels.winograd_taps(tiled, w, 0, R, taps)
        work["conv, ReLU, pool (1), Winograd"] = (
            flops,
            lambda: kernels.winograd(tiled, fused, frame, taps, b, *steps, scratch),
            lambda: kernels.winograd(none, fused, frame, taps, b, *steps, scratch),
        )
    work["conv, ReLU, pool (1)"] = (
        flops,
        lambda: kernels.conv(whole, fused, frame, w, b, *steps),
        lambda: kernels.conv(nothing, fused, frame, w, b, *steps),
    )
    work["dw (3)"] = (
        flops,
        each(lambda *sample: kernels.conv_dw(whole, frame, *sample, False, dw), lists),
        each(lambda *sample: kernels.conv_dw(whole, frame, *sample, False, dw), empty),
    )
    if stage.index > 0:  # nobody asks for the error of an image

        def both(*sample: Any) -> None:
            kernels.conv_dw_dx(whole, frame, packed, *sample, False, dw, dx)

        work["dw (3) and dx (2) together"] = 2 * flops, each(both, lists), each(both, empty)
    return {name: n / (best(full) - best(idle)) for name, (n, full, idle) in work.items()}


def best(call: Callable[[], object]) -> float:
    """Seconds of a call, the least of some rounds."""
    windows = (repeat(call, SECONDS) for _ in range(ROUNDS))
    return min(elapsed / calls for calls, elapsed in windows)


def main() -> None:
    confine(1)
    print(json.dumps([row for name in sys.argv[1:] for row in rows(name)]))


if __name__ == "__main__":
    main()
