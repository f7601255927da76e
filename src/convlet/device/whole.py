"""Steps in whole numbers as C99: bytes, sums of int32, (30), (34)-(36) of docs/quantisation.md."""

from collections.abc import Mapping, Sequence
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from convlet.device.arithmetic import Part, pool
from convlet.device.plan import ConvStep, DenseStep, PoolStep, Step
from convlet.device.text import Table, constants, filled, joined, times
from convlet.layers import Conv2D
from convlet.shapes import Shape
from convlet.stages import Stage
from convlet.wording import size

ENDING = """\
/* The class of the bytes of logits, of equal ones the first. */
static int @NAME@_class(const int8_t *y)
{
    int most = 0;
    for (int j = 1; j < @CLASSES@; ++j)
        if (y[j] > y[most])
            most = j; /* (36) */
    return most;
}"""

BYTE = """\
/* A sum as a byte of the next stage: one product of 64 bits, one rounding, halves upward.  Where z
 * is below 0 the shift must be arithmetic, as it is with gcc and clang. */
static int8_t @NAME@_byte(int32_t z, int32_t multiplier, int shift, int zero)
{
    const int64_t half = (int64_t)1 << (shift - 1);
    const int32_t y = (int32_t)(((int64_t)multiplier * z + half) >> shift) + zero; /* (34) */
    return (int8_t)(y < -128 ? -128 : y > 127 ? 127 : y); /* (34), and (9) where zero is -128 */
}"""

LIBRARY, STEP, STACK = 512, 640, 192
"""Bytes up to which products of 64 bits, the code of a step and the stack go (docs/devices.md)."""


class WholeGrid(Protocol):
    """What a byte means, (26)."""

    @property
    def scale(self) -> float: ...
    @property
    def zero(self) -> int: ...


class WholeStage(Protocol):
    """See `QuantizedStage`."""

    @property
    def stage(self) -> Stage: ...
    @property
    def w(self) -> NDArray[np.int8]: ...
    @property
    def b(self) -> NDArray[np.int32]: ...
    @property
    def multiplier(self) -> NDArray[np.int32]: ...
    @property
    def shift(self) -> NDArray[np.int32]: ...
    @property
    def x(self) -> WholeGrid: ...
    @property
    def y(self) -> WholeGrid: ...


class Whole:
    """The arithmetic of a quantised network.  parts: its stages."""

    pixel, element, bytes, answer = "uint8_t", "int8_t", 1, "logits"
    stack = STACK
    differs = "answer[j] != CONVLET_INT8(expected)"

    def __init__(self, parts: Sequence[WholeStage], input_shape: Shape, name: str) -> None:
        self.parts, self.input_shape, self.name = parts, input_shape, name
        self.prelude = filled(BYTE, NAME=name)

    @property
    def constants(self) -> Mapping[str, tuple[str, str]]:
        logits = self.parts[-1].y
        scale = f"{np.float32(logits.scale)!s}f"
        return {
            "SCALE": (scale, "of a logit: SCALE * (byte - ZERO)"),
            "ZERO": (f"({logits.zero})", ""),
        }

    def says(self, steps: Sequence[Step]) -> list[str]:
        upper = self.name.upper()
        return [
            "In whole numbers: weights and activations are bytes, sums have 32 bits.  The numbers"
            " in parentheses from (26) on are those of docs/quantisation.md.",
            f"image: {size(self.input_shape)} (rows, columns, channels), levels from 0 to 255."
            "  logits: a byte for each class; probabilities, where they are wanted, are the softmax"
            f" of {upper}_SCALE * (logit - {upper}_ZERO).  Returns the class of the greatest"
            " logit, of equal ones the first.",
            "Every compiler and processor gives the same bytes, those of predict_bytes.",
        ]

    def code(self, steps: Sequence[Step]) -> int:
        return LIBRARY + STEP * len(steps)

    def scratch(self, step: Step) -> int:
        return 0

    def ending(self, classes: int) -> str:
        return filled(ENDING, NAME=self.name, CLASSES=classes)

    def part(self, step: Step, name: str, x: str) -> Part:
        """The tables and functions of a step; name: of its function, x: the type of its input."""
        match step:
            case ConvStep():
                return Part(self._tables(step), (self._z(step, x), self._conv(step, name, x)))
            case DenseStep():
                return Part(self._tables(step), (self._dense(step, name, x),))
            case PoolStep():
                return Part((), (pool(step, name, "int8_t", "most", "(4)"),))
            case _:
                assert_never(step)

    def _tables(self, step: ConvStep | DenseStep) -> tuple[Table, ...]:
        """Weights with the channel of the output first, so that a sum reads them in order."""
        part, n = self.parts[step.stage.index], step.stage.index
        w = part.w
        if isinstance(step, ConvStep):
            w = w[::-1, ::-1]  # (1) meets pixel (p, q) with tap (P-p, Q-q)
        w = np.ascontiguousarray(np.moveaxis(w, -1, 0))
        tables = [Table("int8_t", f"{self.name}_w{n}", w)]
        if step.stage.b_shape is not None:
            tables.append(Table("int32_t", f"{self.name}_b{n}", part.b))
        tables.append(Table("int32_t", f"{self.name}_m{n}", part.multiplier))
        tables.append(Table("uint8_t", f"{self.name}_s{n}", part.shift.astype(np.uint8)))
        return tuple(tables)

    def _bias(self, step: ConvStep | DenseStep, place: str) -> str:
        """b (29) of the output at this place."""
        if step.stage.b_shape is None:
            return "0"
        return f"CONVLET_INT32({self.name}_b{step.stage.index} + {place})"

    def _difference(self, step: Step, pixel: str, x: str) -> str:
        """x - o (30), in C: levels are it already (27)."""
        if x == "uint8_t":
            return pixel
        zero = self.parts[step.stage.index].x.zero
        return f"({pixel} {'-' if zero > 0 else '+'} {abs(zero)})" if zero else pixel

    def _byte(self, step: Step, y: str, z: str, k: str) -> list[str]:
        """What makes a byte of a sum (34)."""
        n, zero = step.stage.index, self.parts[step.stage.index].y.zero
        return [
            f"const int32_t m = CONVLET_INT32({self.name}_m{n} + {k});",
            f"const int shift = CONVLET_UINT8({self.name}_s{n} + {k});",
            f"{y} = {self.name}_byte({z}, m, shift, {zero});",
        ]

    def _z(self, step: ConvStep, x: str) -> str:
        """The function that computes a sum."""
        stage, (h, w, r) = step.stage, step.x_shape
        assert isinstance(stage.affine, Conv2D)
        (rows, columns), (s1, s2) = stage.affine.kernel, stage.affine.stride
        k, place = step.shape[2], "k"
        own = {}
        if stage.affine.bias == "position":
            own["K"], place = k, f"(i * {stage.z_shape[1]} + j) * K + k"
        if step.is_padded:
            above, left = step.above_left
            own |= {"H": h, "ABOVE": above, "LEFT": left}
            x_hat = self._difference(step, "x[(u * W + v) * R + r]", x)
            taps = [
                "    for (int p = 0; p < ROWS; ++p)",
                "        for (int q = 0; q < COLUMNS; ++q) {",
                "            const int u = S1 * i + p - ABOVE, v = S2 * j + q - LEFT;",
                "            if (u < 0 || u >= H || v < 0 || v >= W) {",
                "                w += R; /* a pixel of the padding is 0 */",
                "                continue;",
                "            }",
                "            for (int r = 0; r < R; ++r, ++w)",
                f"                z += {x_hat} * CONVLET_INT8(w); /* (30) */",
                "        }",
            ]
        else:
            taps = [
                "    for (int p = 0; p < ROWS; ++p) {",
                f"        const {x} *row = x + ((S1 * i + p) * W + S2 * j) * R;",
                "        for (int q = 0; q < COLUMNS * R; ++q, ++w) /* over q and r */",
                f"            z += {self._difference(step, 'row[q]', x)} * CONVLET_INT8(w);"
                " /* (30) */",
                "    }",
            ]
        return joined(
            f"/* z^{stage.index} at (i, j, k). */",
            f"static int32_t {self.name}_z{stage.index}(const {x} *x, int i, int j, int k)",
            "{",
            constants(**own, W=w, R=r, ROWS=rows, COLUMNS=columns, S1=s1, S2=s2),
            f"    const int8_t *w = {self.name}_w{stage.index} + k * (ROWS * COLUMNS * R);",
            f"    int32_t z = {self._bias(step, place)};",
            taps,
            "    return z;",
            "}",
        )

    def _conv(self, step: ConvStep, name: str, x: str) -> str:
        (i, j, k), z = step.shape, f"{self.name}_z{step.stage.index}"
        row, column = (times(stride, n) for stride, n in zip(step.stride, "ij", strict=True))
        if step.window == (1, 1):
            most = [f"                const int32_t most = {z}(x, {row}, {column}, k);"]
        else:
            most = [
                f"                int32_t most = {z}(x, {row}, {column}, k);",
                f"                for (int p = 0; p < {step.window[0]}; ++p)",
                f"                    for (int q = p == 0; q < {step.window[1]}; ++q) {{",
                f"                        const int32_t z = {z}(x, {row} + p, {column} + q, k);",
                "                        if (z > most)",
                "                            most = z; /* (4): the byte of the maximum */",
                "                    }",
            ]
        return joined(
            f"static void {name}(const {x} *x, int8_t *y)",
            "{",
            constants(I=i, J=j, K=k),
            "    for (int i = 0; i < I; ++i)",
            "        for (int j = 0; j < J; ++j)",
            "            for (int k = 0; k < K; ++k, ++y) {",
            most,
            [" " * 16 + line for line in self._byte(step, "*y", "most", "k")],
            "            }",
            "}",
        )

    def _dense(self, step: DenseStep, name: str, x: str) -> str:
        (n,), (m,) = step.x_shape, step.shape
        return joined(
            f"static void {name}(const {x} *x, int8_t *y)",
            "{",
            constants(N=n, M=m),
            f"    const int8_t *w = {self.name}_w{step.stage.index};",
            "    for (int j = 0; j < M; ++j) {",
            f"        int32_t z = {self._bias(step, 'j')};",
            "        for (int i = 0; i < N; ++i, ++w)",
            f"            z += {self._difference(step, 'x[i]', x)} * CONVLET_INT8(w); /* (30) */",
            [" " * 8 + line for line in self._byte(step, "y[j]", "z", "j")],
            "    }",
            "}",
        )
