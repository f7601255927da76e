"""Every kernel of the native core on every target of this CPU, against convlet.equations.

Data are small integers wherever a sum is tested: every order of adding gives the same bits, so
results must be equal.  Arrays stand at odd offsets between guards that must not change.
"""

import platform
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import convlet._native as _native
import winograd
from convlet import equations as eq

BUILT = dict(_native.targets())
TARGETS = [name for name, supported in BUILT.items() if supported]
CHANNELS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 66, 130)
"""1, W-1, W, W+1, 3W, 8W+2 for vectors of 8 and 16."""
LENGTHS = (0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 48, 66, 130)

WINNER_BITS = 26
GUARD = 37  # elements before and after: odd, so that nothing is aligned
Pair = tuple[int, int]


@pytest.fixture(params=TARGETS)
def k(request):
    return _native.testing.Kernels(request.param)


class Memory:
    """Arrays between guards: a pattern of NaN that no kernel computes."""

    def __init__(self) -> None:
        self.guards: list[np.ndarray] = []

    def array(self, content, dtype=np.float32) -> np.ndarray:
        """A copy of `content`, one contiguous view into a larger guarded buffer."""
        content = np.asarray(content, dtype)
        buffer = np.full((content.size + 2 * GUARD) * content.itemsize, 0xFB, np.uint8).view(dtype)
        self.guards += [buffer[:GUARD], buffer[GUARD + content.size :]]
        view = buffer[GUARD : GUARD + content.size].reshape(content.shape)
        view[...] = content
        return view

    def numbers(self, content) -> np.ndarray:
        return self.array(content, np.int32)

    def empty(self, *shape: int, dtype=np.float32) -> np.ndarray:
        """An output: every byte is the pattern, so that what a kernel leaves out shows."""
        view = self.array(np.zeros(shape), dtype)
        view.view(np.uint8)[...] = 0xFB
        return view

    def assert_guards_whole(self) -> None:
        for guard in self.guards:
            assert (guard.view(np.uint8) == 0xFB).all(), "a kernel wrote outside its output"


def untouched(array: np.ndarray) -> np.ndarray:
    """Where the elements of an `empty` array still hold the pattern."""
    return (np.ascontiguousarray(array).view(np.uint32) == 0xFBFBFBFB).reshape(array.shape)


def integers(rng, *shape: int, most: int = 3) -> np.ndarray:
    return rng.integers(-most, most + 1, shape).astype(np.float32)


def round_up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def assert_same(actual, expected, what="") -> None:
    """Equal numbers; -0 is 0."""
    np.testing.assert_array_equal(actual, np.asarray(expected, np.float32), err_msg=str(what))


# -------------------------------------------------------------------------------------- the targets


def test_no_target_of_this_cpu_is_left_out():
    if platform.machine() in ("aarch64", "arm64"):
        assert TARGETS == ["neon"]
        return
    assert list(BUILT) == ["avx512", "avx2"], "the best comes first"
    flags = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        flags = set(next(line for line in lines if line.startswith("flags")).split())
    if flags:
        assert BUILT["avx2"] == ({"avx2", "fma"} <= flags)
        v4 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma"}
        assert BUILT["avx512"] == (v4 <= flags)


@pytest.mark.parametrize("name", ["", "sse2", "AVX2", "neon2"])
def test_kernels_of_an_unknown_target_are_refused(name):
    with pytest.raises(ValueError, match="no such target"):
        _native.testing.Kernels(name)


# ------------------------------------------------------------------------------ shapes of all kinds


@dataclass(frozen=True)
class Case:
    """One convolution: x (H, W, R) with its padding inside, x_pixel floats a pixel."""

    kernel: Pair
    stride: Pair
    z: Pair  # I, J
    rest: Pair  # rows and columns that no window reaches
    R: int
    K: int
    x_pixel: int
    bias: str
    ordered: bool = True  # survivors in the order of their places
    tile: int = 0  # of Winograd's form

    @property
    def x_shape(self) -> tuple[int, int, int]:
        sides = [
            (n - 1) * s + taps + rest
            for n, s, taps, rest in zip(self.z, self.stride, self.kernel, self.rest, strict=True)
        ]
        return sides[0], sides[1], self.R

    @property
    def x_row(self) -> int:
        return self.x_shape[1] * self.x_pixel

    @property
    def lanes(self) -> int:
        return round_up(self.K, 8)

    @property
    def shape(self):
        return _native.testing.ConvShape(
            *(*self.kernel, self.R, self.K, *self.stride, *self.z, self.x_row, self.x_pixel),
            ordered=self.ordered,
            tile=self.tile,
        )

    def frame(self, x: np.ndarray) -> np.ndarray:
        """x (H, W, R) -> (H, W, x_pixel), zeros behind the channels."""
        return np.pad(x, ((0, 0), (0, 0), (0, self.x_pixel - self.R)))

    def packed(self, w: np.ndarray) -> np.ndarray:
        """w (P+1, Q+1, R, K) -> (K, P+1, run): place (p, q) of a window meets tap (P-p, Q-q)."""
        rows, columns = self.kernel
        flat = np.zeros((self.K, rows, self.shape.run), np.float32)
        inside = flat[..., : columns * self.x_pixel].reshape(self.K, rows, columns, self.x_pixel)
        inside[..., : self.R] = w[::-1, ::-1].transpose(3, 0, 1, 2)
        return flat

    def unpacked(self, flat: np.ndarray) -> np.ndarray:
        """The inverse: (K, P+1, run) -> (P+1, Q+1, R, K)."""
        rows, columns = self.kernel
        inside = flat[..., : columns * self.x_pixel].reshape(self.K, rows, columns, self.x_pixel)
        return inside[..., : self.R].transpose(1, 2, 3, 0)[::-1, ::-1]


def cases(seed: int, count: int, least: int = 1, pixels=("raw", "round", "wide")):
    """Convolutions of every kernel from 1x1 to 7x7 and beyond what one vector or tile holds."""
    rng = np.random.default_rng(seed)
    kernels = list(product(range(1, 8), repeat=2))
    for n in range(count):
        wide = n % 3 == 0  # many channels, or many columns
        K = int(rng.choice(CHANNELS if wide else CHANNELS[:9]))
        R = int(rng.choice((1, 1, 2, 3, 7, 8, 9, 16, 17, 33) if n % 2 else (1, 2, 8, 9)))
        J = int(rng.integers(least, 8 if wide else 36))
        pixel = str(rng.choice(pixels))
        x_pixel = {"raw": R, "round": round_up(R, 8), "wide": round_up(R, 8) + 8}[pixel]
        yield Case(
            kernels[(n + seed) % len(kernels)],
            (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
            (int(rng.integers(least, 6)), J),
            (int(rng.integers(0, 2)), int(rng.integers(0, 2))),
            R,
            K,
            x_pixel,
            ("channel", "position", "none")[int(rng.integers(3))],
        )


def rows_of_taps(seed: int, least: int = 1):
    """Those that keep a kernel row in registers: 1 or 3 channels in, stride 1, no gaps."""
    rng = np.random.default_rng(seed)
    for (R, columns), K in product(((1, 3), (1, 5), (1, 7), (3, 3), (3, 5)), (3, 8, 13, 16, 25)):
        for J in rng.integers(least, 36, 4):
            bias = ("channel", "position", "none")[int(rng.integers(3))]
            kernel, stride = (int(rng.integers(1, 8)), columns), (int(rng.integers(1, 3)), 1)
            z, rest = (int(rng.integers(least, 6)), int(J)), (0, int(rng.integers(0, 2)))
            yield Case(kernel, stride, z, rest, R, K, R, bias)


def test_cases_cover_what_they_promise():
    every = [*cases(0, 400)]
    assert {case.kernel for case in every} == set(product(range(1, 8), repeat=2))
    assert {case.K for case in every} >= set(CHANNELS)
    assert {case.z[1] for case in every} >= set(range(1, 33))
    assert {case.stride for case in every} == set(product((1, 2, 3), repeat=2))
    assert sum(case.x_pixel == case.R for case in every if case.R % 8) > 50
    assert sum(case.R == 1 and case.x_pixel == 1 for case in every) > 20


def bias_of(case: Case, memory: Memory, rng) -> tuple[np.ndarray, np.ndarray, int, int]:
    """A bias in memory, as it meets z, and its steps (row, pixel)."""
    if case.bias == "position":
        b = memory.array(integers(rng, *case.z, case.K))
        return b, b, case.z[1] * case.K, case.K
    if case.bias == "channel":
        b = memory.array(integers(rng, case.K))
        return b, b, 0, 0
    zeros = np.zeros(round_up(case.K, 16) + 16, np.float32)
    return zeros, zeros[: case.K], 0, 0


# ------------------------------------------------------------------------------- convolution (1)


@pytest.mark.equation(1)
def test_conv_is_equation_1(k):
    rng = np.random.default_rng(1)
    for case in [*cases(0, 400), *rows_of_taps(2)]:
        memory = Memory()
        x, w = (
            integers(rng, *case.x_shape),
            memory.array(integers(rng, *case.kernel, case.R, case.K)),
        )
        b, added, *steps = bias_of(case, memory, rng)
        z_pixel = case.K + int(rng.integers(0, 3))
        z = memory.empty(case.z[0], case.z[1] + int(rng.integers(0, 3)), z_pixel)
        frame = memory.array(case.frame(x))
        row = z.shape[1] * z_pixel
        none = _native.testing.Fused.none
        k.conv(case.shape, none, frame, w, b, *steps, z, row, z_pixel, None)
        inside = z[:, : case.z[1], : case.K]
        expected = eq.conv2d(x, w, case.stride)[: case.z[0], : case.z[1]] + added
        assert_same(inside, expected, case)
        inside.view(np.uint32)[...] = 0xFBFBFBFB
        assert untouched(z).all(), f"{case}: written between the channels of z"
        memory.assert_guards_whole()


POOLS = ("relu_pool", "pool_relu", "pool")
FUSED = ("none", "relu", *POOLS)


def fused_by_equations(order: str, z: np.ndarray, error: np.ndarray | None):
    """sigma(z), or error . dsigma/dz, for z (I, J, K); pools are 2x2."""
    if order == "none":
        return z if error is None else error
    if order == "relu":
        return eq.relu(z) if error is None else error * eq.relu_derivative(z)
    if order == "relu_pool":
        x = eq.relu(z)
        if error is None:
            return eq.max_pool(x)
        return eq.unpool(error, x) * eq.relu_derivative(z)
    x = eq.max_pool(z)
    if order == "pool":
        return x if error is None else eq.unpool(error, z)
    if error is None:
        return eq.relu(x)
    return eq.unpool(error * eq.relu_derivative(x), z)


def decoded(case: Case, winner: np.ndarray, error: np.ndarray) -> np.ndarray:
    """delta (I, J, K) from winners and errors (I', J', K): what kernels.h says of a Winner."""
    delta = np.zeros((*case.z, case.K))
    at = winner[..., : case.K]
    i, j, channel = np.nonzero(at >= 0)
    alive = at[i, j, channel]
    place = alive & ((1 << WINNER_BITS) - 1)
    row, column = place // case.x_shape[1], place % case.x_shape[1]
    assert (row % case.stride[0] == 0).all()
    assert (column % case.stride[1] == 0).all()
    z_index = row // case.stride[0], column // case.stride[1], channel
    np.add.at(delta, z_index, error[i, j, channel] * 0.5 ** (alive >> WINNER_BITS))
    return delta


@pytest.mark.equation(1, 4, 9, 10)
@pytest.mark.parametrize("order", FUSED)
def test_fused_stage_is_the_separate_equations(k, order):
    rng = np.random.default_rng(2)
    fused = getattr(_native.testing.Fused, order)
    zeros = ties = dead = 0
    window = 2 if order in POOLS else 1
    for case in [*cases(3, 300, least=window), *rows_of_taps(4, least=window)]:
        memory = Memory()
        x, w = (
            integers(rng, *case.x_shape, most=1),
            integers(rng, *case.kernel, case.R, case.K, most=1),
        )
        w *= rng.random(w.shape) < 4 / w[..., 0].size  # few terms: many zeros and equal maxima
        b, added, *steps = bias_of(case, memory, rng)
        frame, w = memory.array(case.frame(x)), memory.array(w)
        rows, columns = case.z[0] // window, case.z[1] // window
        out_pixel = case.K + int(rng.integers(0, 3))
        out = memory.empty(rows, columns + 1, out_pixel)
        winner = memory.numbers(np.full((rows, columns, case.lanes), -7))
        arguments = case.shape, fused, frame, w, b, *steps
        k.conv(*arguments, out, out.shape[1] * out_pixel, out_pixel, winner)

        z = eq.conv2d(x, w, case.stride)[: case.z[0], : case.z[1]] + added
        assert_same(out[:, :columns, : case.K], fused_by_equations(order, z, None), case)
        error = integers(rng, rows, columns, case.K, most=9) * 2 + 1  # never 0
        expected = fused_by_equations(order, z, error)
        assert_same(decoded(case, winner, error), expected, case)
        # exactly the windows that equation (10) kills are dead
        alive = fused_by_equations(order, z, np.ones_like(error)).sum() > 0
        assert alive == (winner[..., : case.K] >= 0).any()

        twin = memory.empty(*out.shape)
        k.conv(*arguments, twin, out.shape[1] * out_pixel, out_pixel, None)
        assert out.tobytes() == twin.tobytes(), f"{case}: another result without winners"
        out[:, :columns, : case.K].view(np.uint32)[...] = 0xFBFBFBFB
        assert untouched(out).all(), f"{case}: written between the channels of the output"
        memory.assert_guards_whole()
        windows = eq.patches(z, (window, window), (window, window))
        most = windows.max(axis=(2, 3))
        zeros += (most == 0).sum()
        dead += (most < 0).sum()
        ties += ((windows == most[:, :, None, None]).sum(axis=(2, 3)) > 1).sum()
    kinks = (zeros, ties, dead) if order in POOLS else (zeros, dead)
    assert min(kinks) > 2500, "the data have no kinks to test"


def winograd_cases(seed: int, count: int):
    """Kernels of all forms, stride 1; tiles and groups of them that are whole, and that are not."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        R, (T, M) = int(rng.choice((3, 8, 9, 16, 17, 24, 32, 33))), winograd.FORMS[n % 3]
        yield Case(
            (T, T),
            (1, 1),
            (int(rng.integers(1, 14)), int(rng.choice((1, 2, 3, 4, 5, 7, 8, 9, 13, 18, 35, 67)))),
            (int(rng.integers(0, 2)), int(rng.integers(0, 2))),
            R,
            int(rng.choice((1, 8, 9, 15, 16, 17, 31, 32, 33, 48, 66))),
            round_up(R, 8) + 8 * int(rng.integers(0, 2)),
            ("channel", "position", "none")[int(rng.integers(3))],
            tile=M,
        )


def points_of(case: Case) -> int:
    return (case.kernel[0] + case.tile - 1) ** 2


def winograd_room(case: Case, w, k, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
    """Turned taps, made in two parts, and scratch."""
    taps = memory.empty(case.shape.winograd_taps_size)
    half = case.R // 2
    k.winograd_taps(case.shape, w, 0, half, taps)
    k.winograd_taps(case.shape, w, half, case.R, taps)
    assert untouched(taps).sum() == 16 * points_of(case)  # between the points
    return taps, memory.empty(case.shape.winograd_scratch)


def sparse(rng, *shape: int, terms: float) -> np.ndarray:
    """-1 and 1, about so many for each of the last axis, the rest 0."""
    return integers(rng, *shape, most=1) * (rng.random(shape) < terms * shape[-1] / np.prod(shape))


@pytest.mark.equation(1, 4, 9, 10)
@pytest.mark.parametrize("order", FUSED)
def test_winograd_is_the_separate_equations(k, order):
    """Integers so small that every number of the transforms is exact."""
    rng = np.random.default_rng(20)
    fused = getattr(_native.testing.Fused, order)
    zeros = ties = blank = 0
    window = 2 if order in POOLS else 1
    for case in winograd_cases(21, 120):
        memory = Memory()
        x = integers(rng, *case.x_shape, most=1 if case.tile == 4 else 2)
        w = sparse(rng, *case.kernel, case.R, case.K, terms=4)
        x *= rng.random(case.x_shape[:2])[..., None] < rng.choice((0.1, 0.5, 1))
        b, added, *steps = bias_of(case, memory, rng)
        frame, w = memory.array(case.frame(x)), memory.array(w)
        rows, columns = case.z[0] // window, case.z[1] // window
        out_pixel = case.K + int(rng.integers(0, 3))
        out = memory.empty(rows, columns + 1, out_pixel)
        winner = memory.numbers(np.full((rows, columns, case.lanes), -7))
        taps, scratch = winograd_room(case, w, k, memory)
        arguments = case.shape, fused, frame, taps, b, *steps
        row = out.shape[1] * out_pixel
        k.winograd(*arguments, out, row, out_pixel, winner, scratch)
        twin = memory.empty(*out.shape)
        k.winograd(*arguments, twin, row, out_pixel, None, scratch)
        assert out.tobytes() == twin.tobytes(), f"{case}: another result without winners"
        memory.assert_guards_whole()
        inside = out[:, :columns, : case.K]
        if rows and columns:
            z = eq.conv2d(x, w, case.stride)[: case.z[0], : case.z[1]] + added
            assert_same(inside, fused_by_equations(order, z, None), case)
            error = integers(rng, rows, columns, case.K, most=9) * 2 + 1  # never 0
            expected = fused_by_equations(order, z, error)
            assert_same(decoded(case, winner, error), expected, case)
            windows = eq.patches(z, (window, window), (window, window))
            most = windows.max(axis=(2, 3))
            zeros += (most == 0).sum()
            ties += ((windows == most[:, :, None, None]).sum(axis=(2, 3)) > 1).sum()
            blank += (~eq.patches(x, case.kernel, (1, 1)).any(axis=(2, 3, 4))).sum()
        inside.view(np.uint32)[...] = 0xFBFBFBFB
        assert untouched(out).all(), f"{case}: written between the channels of the output"
    kinks = (zeros, ties, blank) if order in POOLS else (zeros, blank)
    assert min(kinks) > 1000, "the data have no kinks to test"


@pytest.mark.parametrize(
    ("kernel", "stride", "z", "R", "K", "tile", "sums"),
    [
        ((3, 3), (1, 1), (8, 8), 16, 8, 4, True),
        ((3, 3), (1, 1), (7, 8), 16, 8, 4, True),
        ((3, 3), (1, 1), (6, 6), 31, 8, 0, False),  # a tile of 4 hangs over by half
        ((3, 3), (1, 1), (6, 6), 32, 8, 2, False),
        ((3, 3), (1, 1), (8, 8), 15, 8, 0, False),
        ((3, 3), (1, 1), (8, 8), 16, 7, 0, False),
        ((5, 5), (1, 1), (8, 8), 32, 16, 2, True),
        ((5, 5), (1, 1), (8, 8), 31, 16, 2, False),
        ((5, 5), (1, 1), (8, 8), 8, 16, 2, False),
        ((5, 5), (1, 1), (8, 8), 8, 15, 0, False),
        ((3, 5), (1, 1), (8, 8), 32, 32, 0, False),
        ((3, 3), (1, 2), (8, 8), 32, 32, 0, False),
        ((7, 7), (1, 1), (8, 8), 32, 32, 0, False),
    ],
)
def test_winograd_is_taken_where_it_serves(kernel, stride, z, R, K, tile, sums):
    case = Case(kernel, stride, z, (0, 0), R, K, round_up(R, 8), "none")
    assert case.shape.winograd_tile == tile
    assert replace(case, tile=tile).shape.winograd_sums == sums


@pytest.mark.equation(1, 3)
@pytest.mark.parametrize(("taps", "outputs"), [*winograd.FORMS, (2, 3), (4, 3), (2, 5)])
def test_winograd_matrices_filter(taps, outputs):
    """A^T [(G g) . (B^T d)] is the sum over taps, in fractions: for every unit pixel and tap."""
    N = taps + outputs - 1
    for pixel, tap in product(range(N), range(taps)):
        v = [row[pixel] for row in winograd.PIXELS[N]]
        u = [row[tap] for row in winograd.taps(N, taps)]
        z = [
            sum(a * b * c for a, b, c in zip(row, u, v, strict=True))
            for row in winograd.outputs(N, outputs)
        ]
        assert z == [pixel == tap + i for i in range(outputs)]


@pytest.mark.equation(1, 10)
@pytest.mark.parametrize(("T", "M"), winograd.FORMS)
@pytest.mark.parametrize("order", ["relu_pool", "relu"])
def test_winograd_is_exactly_the_bias_where_every_pixel_is_zero(k, T, M, order):
    """Whatever stands beside a blank window, and whatever the weights: R'(0) = 1/2 asks for it."""
    rng = np.random.default_rng(22)
    fused, step = getattr(_native.testing.Fused, order), 2 if order in POOLS else 1
    exact = 0
    for _ in range(40):
        case = Case((T, T), (1, 1), (10, 13), (0, 0), 8, 16, 8, "none", tile=M)
        memory = Memory()
        x = rng.standard_normal(case.x_shape).astype(np.float32) * 1e-20  # their squares are 0
        x *= (rng.random(case.x_shape[:2]) < 0.05)[..., None]
        w = rng.standard_normal((*case.kernel, case.R, case.K)).astype(np.float32)
        zeros, size = np.zeros(32, np.float32), (10 // step, 13 // step, 16)
        out, winner = memory.empty(*size), memory.numbers(np.zeros(size))
        taps, scratch = winograd_room(case, memory.array(w), k, memory)
        steps = zeros, 0, 0, out, size[1] * 16, 16, winner, scratch
        k.winograd(case.shape, fused, memory.array(case.frame(x)), taps, *steps)
        lit = eq.patches(x, case.kernel, (1, 1)).any(axis=(2, 3, 4))
        blank = ~eq.patches(lit[..., None], (step, step), (step, step)).any(axis=(2, 3))[..., 0]
        i, j = np.indices(blank.shape) * step
        half = (i * case.x_shape[1] + j)[..., None] + (1 << WINNER_BITS)
        assert (out[blank] == 0).all()
        np.testing.assert_array_equal(
            winner[blank], np.broadcast_to(half, winner.shape)[blank], str(case)
        )
        exact += blank.sum()
    assert exact > 150


@pytest.mark.equation(1, 10)
@pytest.mark.parametrize(("T", "M"), winograd.FORMS)
def test_one_blank_window_is_found_wherever_it_is(k, T, M):
    """All other pixels are lit, by large numbers, which leave a rounding there."""
    rng = np.random.default_rng(26)
    case = Case((T, T), (1, 1), (9, 14), (0, 0), 16, 8, 16, "channel", tile=M)
    w = rng.standard_normal((*case.kernel, case.R, case.K)).astype(np.float32)
    b = rng.standard_normal(case.K).astype(np.float32)
    lit = rng.standard_normal(case.x_shape).astype(np.float32) * 1e3
    relu = _native.testing.Fused.relu
    for i, j in np.ndindex(9, 14):
        memory = Memory()
        x = lit.copy()
        x[i : i + T, j : j + T] = 0
        out, winner = memory.empty(9, 14, 8), memory.numbers(np.zeros((9, 14, 8)))
        taps, scratch = winograd_room(case, memory.array(w), k, memory)
        steps = memory.array(b), 0, 0, out, 14 * 8, 8, winner, scratch
        k.winograd(case.shape, relu, memory.array(case.frame(x)), taps, *steps)
        assert_same(out[i, j], np.maximum(b, 0), f"({i}, {j})")
        assert ((winner[i, j] >= 0) == (b > 0)).all()


@pytest.mark.equation(1, 10)
@pytest.mark.parametrize(("T", "M"), winograd.FORMS)
@pytest.mark.parametrize("nothing", [0.0, -0.0])
def test_winograd_is_exactly_the_bias_beside_other_pixels(k, T, M, nothing):
    """One tile has blank outputs and others: a blank one that wins is the bias, also of -0."""
    rng = np.random.default_rng(24)
    exact = 0
    for _ in range(40):
        case = Case((T, T), (1, 1), (10, 13), (0, 0), 24, 17, 24, "channel", tile=M)
        memory = Memory()
        lit = rng.random(case.x_shape[:2]) < 0.05
        x = np.where(lit[..., None], rng.standard_normal(case.x_shape), nothing)
        x = x.astype(np.float32)
        w = rng.standard_normal((*case.kernel, case.R, case.K)).astype(np.float32)
        b = rng.standard_normal(case.K).astype(np.float32)
        out, winner = memory.empty(5, 6, 17), memory.numbers(np.zeros((5, 6, 24)))
        taps, scratch = winograd_room(case, memory.array(w), k, memory)
        pool = _native.testing.Fused.pool
        frame, bias = memory.array(case.frame(x)), memory.array(b)
        k.winograd(case.shape, pool, frame, taps, bias, 0, 0, out, 6 * 17, 17, winner, scratch)
        z = eq.conv2d(x.astype(np.float64), w.astype(np.float64))[:, :12]
        blank = ~eq.patches(lit[..., None], case.kernel, (1, 1)).any(axis=(2, 3, 4))[:, :12]
        z = np.where(blank[..., None], 0, z)
        others = eq.max_pool(np.where(blank[..., None], -np.inf, z))
        some = np.stack([blank[i::2, j::2] for i in (0, 1) for j in (0, 1)]).sum(axis=0)
        wins = ((some > 0) & (some < 4))[..., None] & (others < -1e-3)
        assert (out == b)[wins].all()
        first = eq.patches(blank[..., None], (2, 2), (2, 2)).reshape(5, 6, 4).argmax(axis=-1)
        i, j = np.indices((5, 6))
        place = (2 * i + first // 2) * case.x_shape[1] + 2 * j + first % 2
        at = np.broadcast_to(place[..., None], wins.shape)
        np.testing.assert_array_equal(winner[..., :17][wins], at[wins])
        exact += wins.sum()
        memory.assert_guards_whole()
    assert exact > 500


@pytest.mark.equation(1)
@pytest.mark.parametrize(("T", "M", "growth"), [(3, 4, 15), (3, 2, 1.5), (5, 2, 8)])
def test_winograd_is_near_the_sum(k, T, M, growth):
    """The error is a few times that of the direct sum, and within its bound by far.

    The greatest of twelve draws: 12, 0.7 and 5.3 times, as root mean square 4.8, 0.8 and 3.4.
    """
    rng = np.random.default_rng(23)
    case = Case((T, T), (1, 1), (12, 12), (0, 0), 32, 32, 32, "none", tile=M)
    x = np.maximum(rng.standard_normal(case.x_shape), 0).astype(np.float32)
    w = (rng.standard_normal((*case.kernel, 32, 32)) / (T * 32**0.5)).astype(np.float32)
    memory = Memory()
    zeros, none = np.zeros(64, np.float32), _native.testing.Fused.none
    direct, fast = memory.empty(12, 12, 32), memory.empty(12, 12, 32)
    frame = memory.array(x)
    k.conv(case.shape, none, frame, memory.array(w), zeros, 0, 0, direct, 12 * 32, 32, None)
    taps, scratch = winograd_room(case, memory.array(w), k, memory)
    k.winograd(case.shape, none, frame, taps, zeros, 0, 0, fast, 12 * 32, 32, None, scratch)
    z = eq.conv2d(x.astype(np.float64), w.astype(np.float64))
    assert np.abs(fast - z).max() < growth * np.abs(direct - z).max()
    bound = (32 + winograd.ROUNDINGS) * 2.0**-24 * winograd.terms(x[None], np.abs(w), M)[0]
    assert (np.abs(fast - z) < bound / 50).all()


WINDOWS = {  # a 2x2 window (first row, second row), then (winner, factor) for each order
    "greatest last": ((1, 2, 3, 4), (3, 1), (3, 1), (3, 1)),
    "equal maxima: the first": ((1, 5, 5, 5), (1, 1), (1, 1), (1, 1)),
    "all zero": ((0, 0, 0, 0), (0, 0.5), (0, 0.5), (0, 1)),
    "all negative": ((-2, -1, -3, -1), None, None, (1, 1)),
    # R(z) is 0 everywhere: the first wins, and there z < 0
    "zero behind a negative": ((-2, 0, -3, 0), None, (1, 0.5), (1, 1)),
    "zero before a negative": ((0, -1, -1, -1), (0, 0.5), (0, 0.5), (0, 1)),
    "minus zero": ((-0.0, -1, 0, -1), (0, 0.5), (0, 0.5), (0, 1)),
    "positive behind zeros": ((0, 0, 0, 1), (3, 1), (3, 1), (3, 1)),
}


@pytest.mark.equation(4, 10)
@pytest.mark.parametrize("K", [1, 8, 9, 16, 40])
@pytest.mark.parametrize(
    ("window", "relu_pool", "pool_relu", "pool"), WINDOWS.values(), ids=WINDOWS
)
def test_winner_of_one_window_by_hand(k, K, window, relu_pool, pool_relu, pool):
    x = np.array(window, np.float32).reshape(2, 2, 1)
    shape = _native.testing.ConvShape(1, 1, 1, K, 1, 1, 2, 2, 2, 1)
    one, zero = np.ones(K, np.float32), np.zeros(K, np.float32)
    for order, expected in (("relu_pool", relu_pool), ("pool_relu", pool_relu), ("pool", pool)):
        out = np.empty(K, np.float32)
        winner = np.full(round_up(K, 8), -7, np.int32)
        fused = getattr(_native.testing.Fused, order)
        k.conv(shape, fused, x, one, zero, 0, 0, out, K, K, winner)
        value = max(window) if order == "pool" else max(0, *window)
        place = -1
        if expected is not None:
            place = expected[0] + ({1: 0, 0.5: 1}[expected[1]] << WINNER_BITS)
        assert out.tolist() == [value] * K
        assert winner[:K].tolist() == [place] * K, order


@pytest.mark.equation(9, 10)
@pytest.mark.parametrize("K", [1, 8, 9, 16, 40])
@pytest.mark.parametrize("places", [1, 3, 8, 31])
def test_own_winner_of_one_output_by_hand(k, K, places):
    """Dead where z < 0, half where it is 0; no output of R is -0, and NaN stays and lives."""
    z = np.resize(np.array([1, -2, 0, -0.0, np.nan], np.float32), places)
    shape = _native.testing.ConvShape(1, 1, 1, K, 2, 2, 1, places, 2 * places, 1)
    one, minus_zero = np.ones(K, np.float32), np.full(K, -0.0, np.float32)
    frame = np.repeat(z, 2)
    half = 1 << WINNER_BITS
    by_hand = {
        "relu": ((1, 0, 0, 0, np.nan), (0, -1, half, half, 0)),
        "none": ((1, -2, 0, -0.0, np.nan), (0, 0, 0, 0, 0)),
    }
    for order, (values, marks) in by_hand.items():
        out = np.empty((places, K), np.float32)
        winner = np.full((places, round_up(K, 8)), -7, np.int32)
        fused = getattr(_native.testing.Fused, order)
        k.conv(shape, fused, frame, one, minus_zero, 0, 0, out, places * K, K, winner)
        expected = np.resize(np.array(values, np.float32), places)
        mark = np.resize(np.array(marks), places)
        place = np.where(mark < 0, -1, mark + 2 * np.arange(places))
        for channel in range(K):
            np.testing.assert_array_equal(out[:, channel], expected)
            np.testing.assert_array_equal(np.signbit(out[:, channel]), np.signbit(expected))
            np.testing.assert_array_equal(winner[:, channel], place)


# -------------------------------------------------------------------------- sigma layer by layer


@pytest.mark.equation(4, 9, 10)
def test_sigma_layer_by_layer_is_the_equations(k):
    rng = np.random.default_rng(4)
    for case in cases(5, 150):
        rows, columns = case.z
        K = case.lanes
        z = integers(rng, rows, columns, K, most=2)
        memory = Memory()
        x, winner = memory.array(z), memory.numbers(np.full((rows, columns, K), -7))
        place = (
            np.arange(rows)[:, None] * case.stride[0] * case.x_shape[1]
            + np.arange(columns) * case.stride[1]
        )
        winner[...] = place[..., None]
        inputs, layers = [], []
        for _ in range(int(rng.integers(1, 5))):
            inputs.append(x.copy())
            if rng.random() < 0.5:
                layers.append(None)
                alone, steps = memory.array(x), (x.shape[1] * K, K, *x.shape)
                k.relu_winners(x, *steps, winner)
                k.relu_winners(alone, *steps, None)
                assert_same(x, eq.relu(inputs[-1]), case)
                assert x.tobytes() == alone.tobytes()
                continue
            size = tuple(int(rng.integers(1, min(n, 3) + 1)) for n in x.shape[:2])
            stride = int(rng.integers(1, 4)), int(rng.integers(1, 4))
            layers.append((size, stride))
            expected = eq.max_pool(inputs[-1], size, stride)
            out, twin = memory.empty(*expected.shape), memory.empty(*expected.shape)
            out_winner = memory.numbers(np.zeros(expected.shape))
            columns, out_steps = x.shape[1], (out.shape[1] * K, K)
            windows = *size, *stride, *out.shape
            before = x, columns * K, K, columns
            k.pool_winners(*before, winner, *windows, out, *out_steps, out_winner)
            k.pool_winners(*before, None, *windows, twin, *out_steps, None)
            assert_same(out, expected, case)
            assert out.tobytes() == twin.tobytes()
            wide = memory.empty(*out.shape[:2], case.K + 3)  # only the channels that exist
            to = wide.shape[1] * (case.K + 3), case.K + 3
            k.pool_winners(*before, None, *windows[:-1], case.K, wide, *to, None)
            assert_same(wide[..., : case.K], expected[..., : case.K], case)
            assert untouched(wide[..., case.K :]).all()
            x, winner = out, out_winner
        error = integers(rng, *x.shape, most=9) * 2 + 1
        delta = error
        for layer, value in zip(reversed(layers), reversed(inputs), strict=True):
            if layer is None:
                delta = delta * eq.relu_derivative(value)
            else:
                delta = eq.unpool(delta, value, *layer)
        k_lanes = Case(**{**case.__dict__, "K": K})
        assert_same(decoded(k_lanes, winner, error), delta, (case, layers))
        memory.assert_guards_whole()


def test_relu_after_relu_counts_a_half_each_time(k):
    x, winner = np.array([0, 1, -1, -0.0], np.float32), np.arange(5, 13, dtype=np.int32)
    for _ in range(3):
        k.relu_winners(x, 4, 4, 1, 1, 4, winner)
    assert winner[:4].tolist() == [5 + (3 << WINNER_BITS), 6, -1, 8 + (3 << WINNER_BITS)]
    assert x.tolist() == [0, 1, 0, 0]
    assert not np.signbit(x).any()


# ---------------------------------------------------------------------- derivatives (2), (3), (18)


def listed(case: Case, memory: Memory, rng, k):
    """Random survivors, listed by the kernel -> delta and who is alive (I, J, K), lists, db."""
    rows, columns = case.z
    place = (
        np.arange(rows)[:, None] * case.stride[0] * case.x_shape[1]
        + np.arange(columns) * case.stride[1]
    )
    halves = rng.integers(0, 3, (rows, columns, case.lanes))
    alive = rng.random((rows, columns, case.lanes)) < rng.choice((0.0, 0.2, 0.6, 1.0))
    winner = np.where(alive, place[..., None] + (halves << WINNER_BITS), -1)
    error = memory.array(
        integers(rng, rows, columns + 1, case.K + 2) * 4
    )  # a multiple of every factor
    stride = round_up(rows * columns, 8) + 8  # whole vectors of 8 are written
    lists = (
        memory.numbers(np.zeros((case.K, stride))),
        memory.array(np.zeros((case.K, stride))),
        memory.numbers(np.full(case.K, -7)),
    )
    db = memory.array(integers(rng, case.K))
    before = db.copy()
    steps = (columns + 1) * (case.K + 2), case.K + 2  # of error
    at = memory.numbers(winner)
    k.survivors(case.shape, at, error, *steps, rows, columns, *lists, db)
    inside = error[:, :columns, : case.K]
    delta = np.where(alive, 0.5**halves, 0)[..., : case.K] * inside
    return delta.astype(np.float32), alive[..., : case.K], lists, db - before


@pytest.mark.equation(18)
def test_survivors_are_listed_channel_by_channel(k):
    rng = np.random.default_rng(6)
    for case in cases(7, 200):
        memory = Memory()
        delta, alive, (offset, value, count), db = listed(case, memory, rng, k)
        assert_same(db, delta.sum(axis=(0, 1)), case)
        np.testing.assert_array_equal(count, alive.sum(axis=(0, 1)))
        for channel, n in enumerate(count):
            i, j = np.nonzero(alive[..., channel])  # row by row
            pixels = i * case.stride[0] * case.x_shape[1] + j * case.stride[1]
            np.testing.assert_array_equal(offset[channel, :n], pixels * case.x_pixel)
            assert_same(value[channel, :n], delta[i, j, channel], case)
        memory.assert_guards_whole()


@pytest.mark.equation(3)
def test_conv_dw_is_equation_3(k):
    rng = np.random.default_rng(8)
    for case in cases(9, 300):
        memory = Memory()
        delta, _, lists, _ = listed(case, memory, rng, k)
        x = integers(rng, *case.x_shape)
        used = x[: (case.z[0] - 1) * case.stride[0] + case.kernel[0]]
        used = used[:, : (case.z[1] - 1) * case.stride[1] + case.kernel[1]]
        # behind the frame the last run may read up to 7 floats, which must not matter
        frame = memory.array(np.append(case.frame(x).ravel(), np.full(8, np.nan)))
        expected = eq.conv2d_dw(delta[None], used[None], case.kernel, case.stride)
        dw = memory.empty(case.K, case.kernel[0], case.shape.run)
        k.conv_dw(case.shape, frame, *lists, True, dw)
        assert_same(case.unpacked(dw), expected, case)
        start = integers(rng, *dw.shape)
        dw[...] = start
        k.conv_dw(case.shape, frame, *lists, False, dw)
        assert_same(case.unpacked(dw - start), expected, case)
        memory.assert_guards_whole()


@pytest.mark.equation(2, 3)
@pytest.mark.parametrize("ordered", [True, False])
def test_conv_dw_dx_is_equations_3_and_2(k, ordered):
    rng = np.random.default_rng(10)
    for case in cases(11, 300):
        memory = Memory()
        case = replace(case, ordered=ordered)
        delta, _, lists, _ = listed(case, memory, rng, k)
        w = integers(rng, *case.kernel, case.R, case.K)
        x, start = integers(rng, *case.x_shape), integers(rng, *case.x_shape)
        tail = np.arange(8)  # the last run may add zeros to up to 7 floats behind the frame
        dx = memory.array(np.append(case.frame(start).ravel(), tail))
        frame = memory.array(np.append(case.frame(x).ravel(), np.zeros(8)))
        dw, alone = (memory.empty(case.K, case.kernel[0], case.shape.run) for _ in range(2))
        k.conv_dw_dx(case.shape, frame, memory.array(case.packed(w)), *lists, True, dw, dx)
        k.conv_dw(case.shape, frame, *lists, True, alone)
        assert_same(dw, alone, case)
        assert_same(dx[-8:], tail, case)
        after = dx[:-8].reshape(*case.x_shape[:2], case.x_pixel)
        expected = eq.conv2d_dx(delta, w, case.x_shape, case.stride)
        assert_same(after[..., : case.R] - start, expected, case)
        assert not after[..., case.R :].any(), f"{case}: errors behind the channels"
        memory.assert_guards_whole()


@pytest.mark.parametrize("x_pixel", [8, 16, 24, 32, 48, 64])
@pytest.mark.parametrize("ordered", [True, False])
def test_conv_dw_dx_has_the_same_bits_on_every_target(ordered, x_pixel):
    """Of survivors in the order of their places, and of others if the shape says so."""
    rng = np.random.default_rng(x_pixel)
    for size in range(1, 10):
        case = Case((2, size), (1, 1), (5, 12), (0, 0), x_pixel, 3, x_pixel, "none", ordered)
        K, count = case.K, 40
        place = np.stack([rng.choice(5 * 12, count, replace=False) for _ in range(K)])
        if ordered:
            place.sort(axis=1)
        offset = (place // 12 * case.x_row + place % 12 * x_pixel).astype(np.int32)
        delta = rng.standard_normal((K, count)).astype(np.float32)
        x = rng.standard_normal(case.x_shape).astype(np.float32)
        packed = case.packed(rng.standard_normal((2, size, x_pixel, K)).astype(np.float32))
        results = set()
        for name in TARGETS:
            dx, dw = np.zeros_like(x), np.zeros_like(packed)
            lists = offset, delta, np.full(K, count, np.int32)
            kernels = _native.testing.Kernels(name)
            kernels.conv_dw_dx(case.shape, x, packed, *lists, True, dw, dx)
            assert dx.any()
            results.add((dw.tobytes(), dx.tobytes()))
        assert len(results) == 1, f"{size} columns of {x_pixel} floats"


# --------------------------------------------------------- errors of stages without a pool (2), (3)


@pytest.mark.equation(10, 18)
def test_errors_are_the_factor_of_each_place_and_their_sums(k):
    rng = np.random.default_rng(30)
    for n, case in enumerate(cases(31, 200)):
        memory = Memory()
        rows, columns = case.z
        halves = rng.integers(0, 4, (rows, columns, case.lanes))
        alive = rng.random(halves.shape) < rng.choice((0.0, 0.4, 1.0))
        place = rng.integers(0, 1000, halves.shape)
        winner = memory.numbers(np.where(alive, place + (halves << WINNER_BITS), -1))
        above = memory.array(integers(rng, rows, columns + 1, case.K + 2) * 8)
        scale = float(rng.choice((1, 2)))
        delta = memory.empty(rows, columns + 2, case.lanes + 3)
        db = memory.array(integers(rng, case.K))
        before = db.copy()
        steps = above, (columns + 1) * (case.K + 2), case.K + 2, scale
        to = delta.shape[1] * delta.shape[2], delta.shape[2]
        k.errors(case.shape, winner, *steps, delta, *to, db)
        inside = delta[:, :columns, : case.lanes]
        expected = np.zeros(halves.shape)
        expected[..., : case.K] = above[:, :columns, : case.K]
        expected *= scale * np.where(alive, 0.5**halves, 0)
        assert_same(inside, expected, case)
        assert_same(db - before, expected.sum(axis=(0, 1))[: case.K], case)
        if n % 4 == 0:
            twin = memory.empty(*delta.shape)
            k.errors(case.shape, winner, *steps, twin, *to, None)
            assert twin.tobytes() == delta.tobytes(), f"{case}: other errors without db"
        inside.view(np.uint32)[...] = 0xFBFBFBFB
        assert untouched(delta).all(), f"{case}: written between the errors"
        memory.assert_guards_whole()


def errors_of(case: Case, memory: Memory, delta: np.ndarray) -> tuple[np.ndarray, int, int]:
    """delta (I, J, K) as a kernel meets it, among NaN, and its steps."""
    over = ((0, 0), (0, 1), (0, case.lanes - case.K))
    array = memory.array(np.pad(delta, over, constant_values=np.nan))
    return array, array.shape[1] * case.lanes, case.lanes


def dw_by_equation_3(case: Case, delta, x) -> np.ndarray:
    """(3) of samples delta (n, I, J, K) and x (n, H, W, R), by the places in a window."""
    used = x[:, : (case.z[0] - 1) * case.stride[0] + case.kernel[0]]
    used = used[:, :, : (case.z[1] - 1) * case.stride[1] + case.kernel[1]]
    return eq.conv2d_dw(delta, used, case.kernel, case.stride)[::-1, ::-1]


@pytest.mark.equation(3)
def test_conv_dw_of_errors_is_equation_3(k):
    rng = np.random.default_rng(32)
    for n, case in enumerate(cases(33, 250)):
        if n % 25 == 0:  # more rows than the cache holds at a time
            case = replace(case, z=(40, 35))
        memory = Memory()
        x = integers(rng, 2, *case.x_shape)
        delta = integers(rng, 2, *case.z, case.K) * (rng.random((2, *case.z, case.K)) < 0.5)
        dw = memory.empty(*case.kernel, case.R, case.K)
        for sample in range(2):
            frame = memory.array(case.frame(x[sample]))
            errors = errors_of(case, memory, delta[sample])
            k.conv_dw_of_errors(case.shape, frame, *errors, sample == 0, dw)
            so_far = slice(sample + 1)
            assert_same(dw, dw_by_equation_3(case, delta[so_far], x[so_far]), case)
        memory.assert_guards_whole()


@pytest.mark.equation(3)
def test_winograd_dw_is_equation_3(k):
    """Integers so small, and so few, that every sum is exact; of one sample, two, and three."""
    rng = np.random.default_rng(34)
    tested = 0
    for case in winograd_cases(35, 120):
        memory = Memory()
        x = sparse(rng, 3, *case.x_shape, terms=20)
        delta = sparse(rng, 3, *case.z, case.K, terms=8)
        sums, scratch = (
            memory.empty(size)
            for size in (case.shape.winograd_sums_size, case.shape.winograd_scratch)
        )
        dw = memory.empty(*case.kernel, case.R, case.K)
        for sample in range(3):
            frame = memory.array(case.frame(x[sample]))
            errors = errors_of(case, memory, delta[sample])
            k.winograd_dw(case.shape, frame, *errors, sample == 0, sums, scratch)
            k.winograd_dw_sum(case.shape, sums, dw)
            so_far = slice(sample + 1)
            assert_same(dw, dw_by_equation_3(case, delta[so_far], x[so_far]), case)
        assert untouched(sums).sum() == 16 * points_of(case)  # between the points
        memory.assert_guards_whole()
        tested += np.count_nonzero(dw)
    assert tested > 10_000


def random_errors(case: Case, rng, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """x of a ReLU and errors through one, of some samples."""
    x = np.maximum(rng.standard_normal((samples, *case.x_shape)), 0)
    delta = rng.standard_normal((samples, *case.z, case.K))
    delta *= rng.random(delta.shape) < 0.5
    return x.astype(np.float32), delta.astype(np.float32)


@pytest.mark.equation(3)
@pytest.mark.parametrize("R", [3, 8, 16])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_dw_of_errors_is_a_chain_over_places(k, R, stride):
    """Within the bound of such a chain, and with its very bits where it can be written down."""
    rng = np.random.default_rng(36)
    case = Case((3, 2), (stride, stride), (25, 31), (0, 0), R, 19, round_up(R, 8), "none")
    x, delta = random_errors(case, rng, 2)
    memory = Memory()
    dw = memory.empty(*case.kernel, R, case.K)
    for sample in range(2):
        frame, errors = memory.array(case.frame(x[sample])), errors_of(case, memory, delta[sample])
        k.conv_dw_of_errors(case.shape, frame, *errors, sample == 0, dw)
    right = dw_by_equation_3(case, delta.astype(np.float64), x.astype(np.float64))
    terms = dw_by_equation_3(case, np.abs(delta).astype(np.float64), np.abs(x).astype(np.float64))
    assert (np.abs(dw - right) <= 2 * 25 * 31 * 2.0**-24 * terms).all()
    chain = np.zeros(dw.shape, np.float32)
    for sample, i, j in product(range(2), range(25), range(31)):
        rows = slice(stride * i, stride * i + 3)
        pixels = x[sample, rows, stride * j : stride * j + 2].astype(np.float64)
        # float64 holds the product exactly; its sum, rounded twice, is that of one fma but for ties
        term = pixels[..., None] * delta[sample, i, j].astype(np.float64)
        chain = (chain + term).astype(np.float32)
    assert (dw == chain).mean() > 0.999


@pytest.mark.equation(3)
@pytest.mark.parametrize(("T", "M", "growth"), [(3, 4, 12), (3, 2, 2), (5, 2, 25)])
def test_winograd_dw_is_near_the_sum(k, T, M, growth):
    """The error is a few times that of the direct sum over a block, and within its bound by far.

    The greatest of twelve draws: 7.9, 1.4 and 20 times, as root mean square 4.7, 1.4 and 8.9.
    """
    rng = np.random.default_rng(37)
    case = Case((T, T), (1, 1), (13, 13), (0, 0), 16, 17, 16, "none", tile=M)
    x, delta = random_errors(case, rng, 8)
    memory = Memory()
    sums, scratch = (
        memory.empty(size) for size in (case.shape.winograd_sums_size, case.shape.winograd_scratch)
    )
    direct, fast = (memory.empty(T, T, 16, 17) for _ in range(2))
    for sample in range(8):
        frame, errors = memory.array(case.frame(x[sample])), errors_of(case, memory, delta[sample])
        k.conv_dw_of_errors(case.shape, frame, *errors, sample == 0, direct)
        k.winograd_dw(case.shape, frame, *errors, sample == 0, sums, scratch)
    k.winograd_dw_sum(case.shape, sums, fast)
    right = dw_by_equation_3(case, delta.astype(np.float64), x.astype(np.float64))
    assert np.abs(fast - right).max() < growth * np.abs(direct - right).max()
    chain = 8 * (-(-13 // M)) ** 2 + winograd.ROUNDINGS
    bound = chain * 2.0**-24 * winograd.dw_terms(x, np.abs(delta), M)[::-1, ::-1]
    assert (np.abs(fast - right) < bound / 50).all()


def test_the_way_back_without_a_pool_has_the_same_bits_on_every_target():
    """Of random numbers: dJ/dz and its sums, (3), and Winograd's form of (1), (2) and (3)."""
    rng = np.random.default_rng(38)
    for n, case in enumerate([*cases(39, 40), *winograd_cases(40, 40)]):
        x, delta = (a[0] for a in random_errors(case, rng, 1))
        frame, errors = case.frame(x), np.pad(delta, ((0, 0), (0, 0), (0, case.lanes - case.K)))
        winner = rng.integers(-1, 2, errors.shape).astype(np.int32) << WINNER_BITS
        w = rng.standard_normal((*case.kernel, case.R, case.K)).astype(np.float32)
        b = rng.standard_normal(round_up(case.K, 16)).astype(np.float32)
        order = FUSED[n % len(FUSED)]
        window = 2 if order in POOLS else 1
        results = set()
        for name in TARGETS:
            kernels, s = _native.testing.Kernels(name), case.shape
            above, dz, db = np.ascontiguousarray(delta), np.zeros_like(errors), b[: case.K].copy()
            row, pixel = case.z[1] * case.lanes, case.lanes
            steps = case.z[1] * case.K, case.K
            kernels.errors(s, winner, above, *steps, 1.25, dz, row, pixel, db)
            dw = np.zeros_like(w)
            kernels.conv_dw_of_errors(s, frame, errors, row, pixel, True, dw)
            kernels.conv_dw_of_errors(s, frame, dz, row, pixel, False, dw)
            made = [dz, db, dw]
            if case.tile:
                taps, scratch, sums = (
                    np.zeros(size, np.float32)
                    for size in (s.winograd_taps_size, s.winograd_scratch, s.winograd_sums_size)
                )
                kernels.winograd_taps(s, w, 0, case.R, taps)
                out = np.zeros((case.z[0] // window, case.z[1] // window, case.K), np.float32)
                at = np.zeros((*out.shape[:2], case.lanes), np.int32)
                fused, to = getattr(_native.testing.Fused, order), (out.shape[1] * case.K, case.K)
                kernels.winograd(s, fused, frame, taps, b, 0, 0, out, *to, at, scratch)
                kernels.winograd_dw(s, frame, errors, row, pixel, True, sums, scratch)
                kernels.winograd_dw(s, frame, dz, row, pixel, False, sums, scratch)
                fast = np.zeros_like(w)
                kernels.winograd_dw_sum(s, sums, fast)
                made += [out, at[..., : case.K], fast]
            results.add(b"".join(a.tobytes() for a in made))
        assert len(results) == 1, str(case)


# --------------------------------------------------------------------------------- products (6)-(8)


def product_of(k, memory, a, a_steps, rows, depth, b, init, columns, rng) -> np.ndarray:
    """The kernel into a guarded output wider than its columns -> (rows, columns)."""
    out_row = columns + int(rng.integers(0, 4))
    out = memory.empty(rows, out_row)
    k.product(a, *a_steps, rows, depth, b, b.shape[1], columns, init, out, out_row)
    assert untouched(out[:, columns:]).all(), "written behind the columns"
    memory.assert_guards_whole()
    return out[:, :columns]


@pytest.mark.equation(6)
@pytest.mark.parametrize("zeros", [0, 0.6, 1], ids=lambda share: f"{share:.0%} zeros")
def test_product_of_one_row_and_a_large_matrix(k, zeros):
    """Rows of w whose factor is 0 are left out; the bits are those of a row among others."""
    rng = np.random.default_rng(29)
    wide = [(M, 1 << 17) for M in (1, 7, 8, 9, 31, 33, 64, 71, 128, 200, 1000)]
    for M, large in (*wide, (130, 1 << 19), (441, 1 << 19)):
        N = -(-large // M) + int(rng.integers(0, 9))
        memory = Memory()
        w = memory.array(rng.normal(size=(N, M + 2)))
        w[:, M:] = np.nan
        x = memory.array(rng.normal(size=(2, N)) * (rng.random((2, N)) >= zeros))
        x[1] = x[0]
        for init in (None, *(memory.array(rng.normal(size=M) * f) for f in (0.0, -0.0, 1.0))):
            one = product_of(k, memory, x[0], (N, 1), 1, N, w, init, M, rng)
            two = product_of(k, memory, x, (N, 1), 2, N, w, init, M, rng)
            assert one.tobytes() == two[:1].tobytes(), f"{N} to {M}"
            chain = np.zeros(M, np.float64) if init is None else init.astype(np.float64)
            np.testing.assert_allclose(
                one[0], chain + x[0].astype(np.float64) @ w[:, :M], atol=0.01
            )


@pytest.mark.equation(6, 7, 8)
def test_product_in_its_three_uses(k):
    rng = np.random.default_rng(12)
    for n, M in enumerate(CHANNELS * 12):
        B, N = int(rng.integers(1, 35)), int(rng.integers(1, 40))
        x, w, delta = integers(rng, B, N), integers(rng, N, M), integers(rng, B, M)
        b = integers(rng, M)
        memory = Memory()
        wide_x = memory.array(np.pad(x, ((0, 0), (0, 3)), constant_values=np.nan))
        wide_w = memory.array(np.pad(w, ((0, 0), (0, n % 3)), constant_values=np.nan))
        init = None if n % 2 else memory.array(b)
        z = product_of(k, memory, wide_x, (N + 3, 1), B, N, wide_w, init, M, rng)
        assert_same(z, eq.dense(x, w) + (0 if init is None else b), "(6)")

        turned = memory.array(np.ascontiguousarray(delta.T))  # (M, B): samples are lanes
        flat_w = memory.array(w)
        dx = product_of(k, memory, flat_w, (M, 1), N, M, turned, None, B, rng)
        assert_same(dx.T, eq.dense_dx(delta, w), "(7)")

        rows = memory.array(np.pad(delta, ((0, 0), (0, 5)), constant_values=np.nan))
        dw = product_of(k, memory, wide_x, (1, N + 3), N, B, rows, None, M, rng)
        assert_same(dw, eq.dense_dw(delta, x), "(8)")


def test_packed_product_is_the_same_chains_and_equation_6(k):
    """Rows of b far from each other, blocks of depth: the bits of one row, which packs none."""
    rng = np.random.default_rng(22)
    for n, (B, N, M) in enumerate(
        (
            *((13, 65, 257), (16, 256, 272), (17, 257, 289), (32, 511, 260), (33, 520, 321)),
            *((3, 512, 257), (4, 512, 257), (7, 129, 1031), (12, 520, 321)),
        )
    ):
        memory = Memory()
        whole, w = integers(rng, B, N), integers(rng, N, M)
        b = memory.array(integers(rng, M)) if n % 2 else None
        arrays = memory.array(whole), (N, 1), B, N, memory.array(w)
        z = product_of(k, memory, *arrays, b, M, rng)
        assert_same(z, eq.dense(whole, w) + (0 if b is None else b), "integers")
        x, w = rng.normal(size=(B, N)), memory.array(rng.normal(size=(N, M)))
        z = product_of(k, memory, memory.array(x), (N, 1), B, N, w, b, M, rng)
        for sample in range(B):
            one = product_of(k, memory, memory.array(x[sample]), (N, 1), 1, N, w, b, M, rng)
            assert one.tobytes() == z[sample].tobytes(), f"{B} x {N} x {M}, row {sample}"


RULES = {
    "sgd": (0, 0, 0),
    "momentum": (0.9, 0, 0),
    "nesterov": (0.8, 0, 0),
    "adam": (0.9, 0.99, 1e-6),
}


def tree_sum(parts: list[np.ndarray]) -> np.ndarray:
    """Neighbours added until one is left; who has none waits."""
    while len(parts) > 1:
        parts = [sum(parts[n : n + 2][1:], parts[n]) for n in range(0, len(parts), 2)]
    return parts[0]


@pytest.mark.equation(8, 21)
@pytest.mark.parametrize("kind", RULES)
def test_fused_update_is_the_product_and_then_the_update(k, kind):
    rng = np.random.default_rng(23)
    optimizer = _native.Optimizer(getattr(_native.UpdateKind, kind), *RULES[kind], 0.01)
    rule = _native.testing.update_rule(optimizer, 3, 0.1, 0.7)
    for n, M in enumerate(CHANNELS * 4):
        B, N = int(rng.integers(1, 40)), int(rng.integers(1, 40))
        if n == 0:
            B, N = 70, 17
        memory = Memory()
        x, delta = memory.array(rng.normal(size=(B, N + 3))), memory.array(rng.normal(size=(B, M)))
        w, m, v = (memory.array(np.abs(rng.normal(size=(N, M)))) for _ in range(3))
        apart = [memory.array(array) for array in (w, m, v)]
        shards = int(rng.integers(1, 12)) if n // len(CHANNELS) % 2 else 1
        parts = []
        for shard in range(shards):
            a, b = shard * B // shards, (shard + 1) * B // shards
            parts.append(memory.array(np.zeros((N, M))))
            if b > a:
                k.product(x[a:], 1, N + 3, N, b - a, delta[a:], M, M, None, parts[-1], M)
        k.update(rule, apart[0], memory.array(tree_sum(parts)), *apart[1:])
        k.product_update(rule, x, 1, N + 3, N, B, shards, delta, M, M, w, M, m, v)
        for one, other in zip((w, m, v), apart, strict=True):
            assert one.tobytes() == other.tobytes(), f"{B} samples, {N} to {M}"
        memory.assert_guards_whole()


@pytest.mark.equation(8, 21)
@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("zeros", [0, 0.6], ids=lambda share: f"{share:.0%} zeros")
def test_fused_update_of_some_units(k, kind, zeros):
    """Columns of w between others, which stay: the bits of all of them at once."""
    rng = np.random.default_rng(31)
    optimizer = _native.Optimizer(getattr(_native.UpdateKind, kind), *RULES[kind], 0.01)
    rule = _native.testing.update_rule(optimizer, 3, 0.1, 0.7)
    B, N, M = 64, 70, 330
    memory = Memory()
    x = memory.array(rng.normal(size=(B, N)) * (rng.random((B, N)) >= zeros))
    delta = memory.array(rng.normal(size=(B, M)))
    whole = [memory.array(np.abs(rng.normal(size=(N, M)))) for _ in range(3)]
    parts = [memory.array(array) for array in whole]
    k.product_update(rule, x, 1, N, N, B, 1, delta, M, M, whole[0], M, *whole[1:])
    for first, last in ((0, 16), (16, 160), (160, 330)):
        w, *slots = (array.reshape(-1)[first:] for array in parts)
        some = delta.reshape(-1)[first:]
        k.product_update(rule, x, 1, N, N, B, 1, some, M, last - first, w, M, *slots)
    for one, other in zip(parts, whole, strict=True):
        assert one.tobytes() == other.tobytes()
    memory.assert_guards_whole()


def test_product_of_nothing_is_the_bias(k):
    b = np.arange(19, dtype=np.float32)
    out = np.full((3, 19), np.nan, np.float32)
    k.product(np.zeros(1, np.float32), 1, 1, 3, 0, np.zeros(1, np.float32), 19, 19, b, out, 19)
    assert_same(out, np.tile(b, (3, 1)))


# ------------------------------------------------------------------------------- softmax (11)-(15)

U = 2.0**-24  # half an ulp of float32, relative


def columns_of(k, memory, z: np.ndarray) -> np.ndarray:
    """S(z) of z (lanes, M) by the kernel, whose columns are samples."""
    p = memory.array(np.ascontiguousarray(z.T))
    k.softmax(p, z.shape[1], z.shape[0])
    memory.assert_guards_whole()
    return p.T


def softmax_rounding(z: np.ndarray) -> np.ndarray:
    """Bound of the relative error of S(z), z (n, M) exact float32.

    z - max is rounded once, which exp turns into a relative error of U |z - max|; exp itself is
    good to 3 ulp = 6 U; a sum of M terms adds M U at most, the division U.  Numerator and sum each
    have the first two.
    """
    depth = np.minimum(z.max(axis=-1, keepdims=True) - z, 88)
    return 1.01 * U * (depth + depth.max(axis=-1, keepdims=True) + 12 + z.shape[-1] + 1)


EXTREME = {
    "one class": [[3.0]],
    "equal": [[7.5] * 10],
    "ten thousand": [[1e4, -1e4, 0, 1e4], [-1e4] * 4, [1e4] * 4, [-1e4, -1e4, -1e4, 9999]],
    "one huge": [[3e38, 0, -5, 1], [0, 1e30, 0, 0], [0, -3e38, 0, 0]],
    "just gone": [[0, -87.33654, -87.34, -104, -150]],
    "tiny": [[1e-38, -1e-38, 1e-45, 0]],
}


@pytest.mark.equation(11)
@pytest.mark.parametrize("z", EXTREME.values(), ids=EXTREME)
def test_softmax_of_extremes(k, z):
    z = np.resize(np.array(z, np.float32), (8, len(z[0])))
    p = columns_of(k, Memory(), z)
    exact = eq.softmax(z.astype(np.float64))
    assert np.isfinite(p).all()
    assert (p >= 0).all()
    # below the least normal number (1.2e-38) there is nothing left
    assert (np.abs(p - exact) <= softmax_rounding(z) * exact + 1.2e-38).all()
    np.testing.assert_allclose(p.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=4 * z.shape[1] * U)


@pytest.mark.equation(11)
@pytest.mark.parametrize("M", [1, 2, 3, 7, 8, 9, 10, 17, 100])
def test_softmax_is_equation_11(k, M):
    rng = np.random.default_rng(13)
    for lanes, scale in product((8, 16, 24, 72), (0.1, 3, 30)):
        z = (rng.standard_normal((lanes, M)) * scale).astype(np.float32)
        p = columns_of(k, Memory(), z)
        exact = eq.softmax(z.astype(np.float64))
        error = np.abs(p - exact) / exact
        assert (error <= softmax_rounding(z))[exact > 1.2e-38].all()
        assert (np.abs(p.sum(axis=1, dtype=np.float64) - 1) <= 4 * M * U).all()


def test_exponential_is_good_to_three_ulps(k):
    """Against the largest of three, 0, with a partner that leaves the sum at 1."""
    x = -np.geomspace(1e-7, 87.3, 60_000).astype(np.float32)
    z = np.zeros((len(x), 2), np.float32)
    z[:, 1] = x
    p = columns_of(k, Memory(), z).astype(np.float64)
    exact = np.exp(x.astype(np.float64))
    ratio = p[:, 1] / p[:, 0]  # e^x / 1 but for two divisions, an ulp together
    normal = exact > 1.3e-38
    assert normal.sum() > 59_000
    assert (np.abs(ratio / exact - 1) / (2 * U))[normal].max() < 4


@pytest.mark.equation(14)
def test_logarithm_is_good_to_two_ulps(k):
    """M equal values: the sum of exp is M exactly, so the cost is log M."""
    counts = [*range(2, 100), 127, 128, 129, 255, 256, 1000, 4095, 4096, 5793, 5794, 10007]
    for M in counts:
        z, y = np.full((M, 8), 3.5, np.float32), np.zeros((M, 8), np.float32)
        y[0] = 1
        cost = np.empty(8, np.float32)
        k.cross_entropy(z, y, np.ones(8, np.float32), M, 8, cost)
        assert np.abs(cost / np.log(M) - 1).max() / (2 * U) < 2.5, M


@pytest.mark.equation(14)
def test_logarithm_of_sums_between_1_and_2(k):
    """Two classes: 1 / S_0 is the sum of exp, rounded to what it was up to the root of 2.

    There the last coefficient of the series changes the mean error and no single number.
    """
    wanted = np.linspace(1, 2, 80_001)[1:]
    z = np.zeros((2, len(wanted)), np.float32)
    z[1] = np.log(wanted - 1 + 1e-12)
    p, cost, y = z.copy(), np.empty(len(wanted), np.float32), np.zeros_like(z)
    y[0] = 1
    k.softmax(p, 2, len(wanted))
    k.cross_entropy(z, y, np.ones_like(cost), 2, len(wanted), cost)
    total = (1 / p[0].astype(np.float64)).astype(np.float32).astype(np.float64)
    ulps = (cost / np.log(total) - 1) / (2 * U)
    sure = total < np.sqrt(2)
    assert sure.sum() > 33_000
    assert np.abs(ulps[sure]).max() < 2
    assert np.abs(ulps).max() < 3
    assert abs(ulps[sure & (total > 1.35)].mean()) < 0.02


@pytest.mark.equation(14)
def test_cross_entropy_has_no_term_where_y_is_0(k):
    """Logits further apart than floats reach; the values are those of test_equations.py."""
    most = np.finfo(np.float32).max
    inf, nan = np.inf, np.nan
    cases = [
        # z, y, cost (14), S(z) - y (15)
        ([most, -most, 0], [1, 0, 0], 0, [0, 0, 0]),
        ([-most, most, 0], [0, 1, 0], 0, [0, 0, 0]),
        ([-most, -most, -most], [0, 0, 1], np.log(3), [1 / 3, 1 / 3, -2 / 3]),
        ([-most, most, most], [0, 0.5, 0.5], np.log(2), [0, 0, 0]),
        ([most, -most, 0], [0, 1, 0], inf, [1, -1, 0]),  # twice `most` is no float
        ([-inf, 3, 3], [0, 1, 0], np.log(2), [0, -0.5, 0.5]),
        ([2, nan, 1], [1, 0, 0], nan, [nan, nan, nan]),  # what is no number stays none
        ([0, inf, 0], [0, 0, 1], nan, [nan, nan, nan]),
    ]
    z, y, costs, deltas = (np.array(column, np.float32).T for column in zip(*cases, strict=True))
    delta, cost = np.ascontiguousarray(z), np.empty(8, np.float32)
    k.cross_entropy(delta, np.ascontiguousarray(y), np.ones(8, np.float32), 3, 8, cost)
    np.testing.assert_allclose(cost, costs, rtol=4 * U)
    np.testing.assert_allclose(delta, deltas, rtol=4 * U)


@pytest.mark.equation(14, 15)
@pytest.mark.parametrize("M", [1, 2, 3, 7, 10, 17, 100])
def test_cross_entropy_is_equations_14_and_15(k, M):
    rng = np.random.default_rng(14)
    for lanes, scale in product((8, 16, 40), (0.1, 3, 30, 1e4)):
        z = (rng.standard_normal((lanes, M)) * scale).astype(np.float32)
        y = np.eye(M, dtype=np.float32)[rng.integers(0, M, lanes)]
        if lanes == 16:
            y = rng.dirichlet(np.ones(M), lanes).astype(np.float32)
        factor = rng.random(lanes).astype(np.float32)
        memory = Memory()
        delta, cost = memory.array(np.ascontiguousarray(z.T)), memory.empty(lanes)
        truth = memory.array(np.ascontiguousarray(y.T))
        k.cross_entropy(delta, truth, memory.array(factor), M, lanes, cost)
        memory.assert_guards_whole()
        wide, wide_y = z.astype(np.float64), y.astype(np.float64)
        p = eq.softmax(wide)
        expected = (p - wide_y) * factor[:, None]
        # S(z) within its bound, then a difference and a product, each rounded once
        bound = factor[:, None] * (softmax_rounding(z) * p + 2.1 * U * np.abs(p - wide_y)) + 1e-37
        assert (np.abs(delta.T - expected) <= bound).all()
        depth = (z.max(axis=1, keepdims=True) - z).astype(np.float64)
        terms = wide_y * (depth + np.log(M) + 1)  # of (14), as large as they can be
        bound = (M + 8) * U * terms.sum(axis=1) + (M + 8) * U
        assert (np.abs(cost - eq.cross_entropy(wide, wide_y)) <= bound).all()
        assert np.isfinite(cost).all()


def test_lanes_do_not_know_of_each_other(k):
    """A sample has the same bits alone, beside others, and in any lane."""
    rng = np.random.default_rng(15)
    z = rng.standard_normal((40, 11)).astype(np.float32) * 4
    p = columns_of(k, Memory(), z)
    turned = columns_of(k, Memory(), z[::-1])[::-1]
    single = columns_of(k, Memory(), np.repeat(z[17:18], 8, axis=0))
    assert p.tobytes() == np.ascontiguousarray(turned).tobytes()
    assert (single == p[17]).all()


# ---------------------------------------------------------------------------- once over the array


def test_scale_bytes_is_a_correctly_rounded_quotient(k):
    levels = np.arange(256, dtype=np.uint8)
    expected = levels.astype(np.float32) / np.float32(255)
    for start, count in product(range(9), LENGTHS):
        memory = Memory()
        u = memory.array(levels[start : start + count], np.uint8)
        x = memory.empty(count)
        k.scale_bytes(u, x)
        assert x.tobytes() == expected[start : start + count].tobytes()
        memory.assert_guards_whole()
    x = np.empty(256, np.float32)
    k.scale_bytes(levels, x)
    assert x.tobytes() == expected.tobytes()


@pytest.mark.equation(9, 10)
@pytest.mark.parametrize("n", LENGTHS)
def test_relu_and_its_derivative(k, n):
    rng = np.random.default_rng(n)
    memory = Memory()
    z = memory.array(np.where(rng.random(n) < 0.3, -0.0, integers(rng, n)))
    x = memory.empty(n)
    k.relu(z, x)
    assert_same(x, eq.relu(z))
    assert not np.signbit(x).any(), "-0 becomes 0"
    for at_zero in (0.5, 0.25):
        start = integers(rng, n) * 8 + 8
        error = memory.array(start)
        k.relu_backward(z, at_zero, error)
        assert_same(error, start * np.heaviside(z, np.float32(at_zero)))
    memory.assert_guards_whole()


def test_relu_keeps_nan(k):
    z = np.full(11, np.nan, np.float32)
    x = np.zeros(11, np.float32)
    k.relu(z, x)
    assert np.isnan(x).all()


@pytest.mark.parametrize("n", LENGTHS)
def test_add(k, n):
    rng = np.random.default_rng(n)
    memory = Memory()
    a, b = rng.standard_normal((2, n)).astype(np.float32)
    total = memory.array(a)
    k.add(total, memory.array(b))
    assert total.tobytes() == (a + b).tobytes()
    memory.assert_guards_whole()


@pytest.mark.equation(21)
@pytest.mark.parametrize("n", LENGTHS)
def test_descend_is_one_fused_step_of_21(k, n):
    """w - rate g with one rounding: the product is exact in float64."""
    rng = np.random.default_rng(n)
    memory = Memory()
    w, g = rng.standard_normal((2, n)).astype(np.float32)
    rate = np.float32(0.1)
    moved = memory.array(w)
    k.descend(moved, memory.array(g), float(rate))
    exact = w.astype(np.float64) - np.float64(rate) * g.astype(np.float64)
    assert moved.tobytes() == exact.astype(np.float32).tobytes()
    memory.assert_guards_whole()


@pytest.mark.equation(18)
@pytest.mark.parametrize("columns", LENGTHS)
def test_add_rows(k, columns):
    rng = np.random.default_rng(columns)
    for rows in (0, 1, 2, 7, 33):
        memory = Memory()
        a = np.pad(integers(rng, rows, columns), ((0, 0), (0, 5)), constant_values=np.nan)
        total = memory.empty(columns)
        k.add_rows(memory.array(a), columns + 5, rows, columns, total)
        assert_same(total, a[:, :columns].sum(axis=0))
        memory.assert_guards_whole()


def test_transpose_of_any_size_between_guards(k):
    rng = np.random.default_rng(16)
    for rows, columns in product((1, 2, 7, 8, 9, 15, 16, 17, 25, 66), repeat=2):
        memory = Memory()
        a = integers(rng, rows, columns + 3, most=1000)
        turned = memory.empty(columns, rows + 2)
        k.transpose(memory.array(a), columns + 3, rows, columns, turned, rows + 2)
        assert_same(turned[:, :rows], a[:, :columns].T)
        assert untouched(turned[:, rows:]).all()
        memory.assert_guards_whole()
