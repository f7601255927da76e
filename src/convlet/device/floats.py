"""Steps in floats as C99: each output is the chain of convlet's core, the bias, then p, q, r."""

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from convlet.device.arithmetic import Part, pool
from convlet.device.float_text import PRELUDE, SOFTMAX
from convlet.device.plan import ConvStep, DenseStep, PoolStep, Step
from convlet.device.text import Table, constants, filled, joined, times
from convlet.formats.model import Saveable
from convlet.layers import Conv2D, Dropout, Flatten, MaxPool2D, ReLU
from convlet.wording import size

LIBRARY, STEP, STACK = 5632, 384, 256
"""Bytes up to which a library of floats, the code of a step and the stack go (docs/devices.md)."""


class Floats:
    """The arithmetic of a network as it was trained.

    uint8: an image is levels, of which 255 stands for 1, else numbers as in training.
    """

    element, bytes, answer = "float", 4, "probabilities"
    prelude, stack = PRELUDE, STACK
    differs = (  # so that NaN is different
        "!(answer[j] - CONVLET_FLOAT(expected) <= 1e-5f &&\n"
        "                         answer[j] - CONVLET_FLOAT(expected) >= -1e-5f)"
    )
    constants: Mapping[str, tuple[str, str]] = {}

    def __init__(self, network: Saveable, name: str, uint8: bool) -> None:
        self.parameters, self.name = network.parameters, name
        self.input_shape = network.input_shape
        self.pixel = "uint8_t" if uint8 else "float"

    def code(self, steps: Sequence[Step]) -> int:
        return LIBRARY + STEP * len(steps)

    def scratch(self, step: Step) -> int:
        """Elements that a step needs beside x and y: one place of z, where a pool follows."""
        return step.shape[2] if isinstance(step, ConvStep) and step.window != (1, 1) else 0

    def says(self, steps: Sequence[Step]) -> list[str]:
        numbers = "levels from 0 to 255, where 255 stands for 1"
        if self.pixel == "float":
            numbers = "numbers on the scale of the images in training"
        winograd = [str(step.stage.index) for step in steps if is_winograd(step)]
        fused = (
            "Where the processor has a fused multiply-add (__FP_FAST_FMAF, __FMA__,"
            " __ARM_FEATURE_FMA or __riscv_flen is defined) the probabilities have the bits of"
        )
        rounding = "by rounding, the more the larger the logits are"
        bits = f"{fused} predict_proba; elsewhere they differ {rounding}."
        if winograd:
            bits = (
                f"{fused} convlet's direct order of adding.  predict_proba takes Winograd's form in"
                f" stage {', '.join(winograd)}, so that probabilities differ from it {rounding},"
                " as they do on other processors."
            )
        return [
            f"image: {size(self.input_shape)} (rows, columns, channels), {numbers}."
            "  probabilities: one for each class.  Returns the most probable class, or -1 where"
            " a number is not finite, and then probabilities are none.",
            f"{bits}  A self-test tolerates 1e-5.  Not with -ffast-math.",
        ]

    def ending(self, classes: int) -> str:
        """What makes the output of the last step the answer: NAME_class."""
        return filled(SOFTMAX, NAME=self.name, CLASSES=classes)

    def part(self, step: Step, name: str, x: str) -> Part:
        """The tables and functions of a step; name: of its function, x: the type of its input."""
        match step:
            case ConvStep():
                return Part(self._tables(step), (self._z(step, x), self._conv(step, name, x)))
            case DenseStep():
                return Part(self._tables(step), (self._dense(step, name, x),))
            case PoolStep():
                value = "most <= 0.0f ? 0.0f : most" if step.relu else "most"
                above = "(4), (9)" if step.relu else "(4)"
                return Part((), (pool(step, name, "float", value, above),))
            case _:
                assert_never(step)

    def _tables(self, step: ConvStep | DenseStep) -> tuple[Table, ...]:
        stage = step.stage
        w = self.parameters[stage.w_name]
        if isinstance(step, ConvStep):
            w = w[::-1, ::-1]  # (1) meets pixel (p, q) with tap (P-p, Q-q)
        tables = [Table("float", f"{self.name}_w{stage.index}", np.ascontiguousarray(w))]
        if stage.b_shape is not None:
            b = self.parameters[stage.b_name]
            tables.append(Table("float", f"{self.name}_b{stage.index}", b))
        return tuple(tables)

    def _bias(self, step: ConvStep | DenseStep, place: str) -> str:
        """b (17) of the output at this place."""
        if step.stage.b_shape is None:
            return "0.0f"
        return f"CONVLET_FLOAT({self.name}_b{step.stage.index} + {place})"

    def _z(self, step: ConvStep, x: str) -> str:
        """The function that computes z at one place."""
        stage, (h, w, r), k = step.stage, step.x_shape, step.shape[2]
        assert isinstance(stage.affine, Conv2D)
        (rows, columns), (s1, s2) = stage.affine.kernel, stage.affine.stride
        pixel = "(float){} / 255.0f" if x == "uint8_t" else "{}"
        place = "k"
        if stage.affine.bias == "position":
            place = f"(i * {stage.z_shape[1]} + j) * K + k"
        above, left = step.above_left
        own = {"H": h, "ABOVE": above, "LEFT": left} if step.is_padded else {}
        inner = [
            f"const float pixel = {pixel.format('row[q]')};",
            "for (int k = 0; k < K; ++k, ++w)",
            "    z[k] = CONVLET_FMA(pixel, CONVLET_FLOAT(w), z[k]); /* (1) */",
        ]
        if step.is_padded:
            taps = [
                "    for (int p = 0; p < ROWS; ++p)",
                "        for (int q = 0; q < COLUMNS; ++q) {",
                "            const int u = S1 * i + p - ABOVE, v = S2 * j + q - LEFT;",
                "            if (u < 0 || u >= H || v < 0 || v >= W) {",
                "                w += R * K; /* a pixel of the padding is 0 */",
                "                continue;",
                "            }",
                "            for (int r = 0; r < R; ++r) {",
                *(" " * 16 + line.replace("row[q]", "x[(u * W + v) * R + r]") for line in inner),
                "            }",
                "        }",
            ]
        else:
            taps = [
                "    for (int p = 0; p < ROWS; ++p) {",
                f"        const {x} *row = x + ((S1 * i + p) * W + S2 * j) * R;",
                "        for (int q = 0; q < COLUMNS * R; ++q) { /* over q and r */",
                *(" " * 12 + line for line in inner),
                "        }",
                "    }",
            ]
        return joined(
            f"/* z^{stage.index} at (i, j). */",
            f"static void {self.name}_z{stage.index}(const {x} *x, int i, int j, float *z)",
            "{",
            constants(**own, W=w, R=r, K=k, ROWS=rows, COLUMNS=columns, S1=s1, S2=s2),
            f"    const float *w = {self.name}_w{stage.index}; /* taps (P-p, Q-q), r, k */",
            "    for (int k = 0; k < K; ++k)",
            f"        z[k] = {self._bias(step, place)}; /* (17) */",
            taps,
            "}",
        )

    def _conv(self, step: ConvStep, name: str, x: str) -> str:
        (i, j, k), z = step.shape, f"{self.name}_z{step.stage.index}"
        row, column = (times(stride, n) for stride, n in zip(step.stride, "ij", strict=True))
        if not self.scratch(step):
            head = f"static void {name}(const {x} *x, float *y)"
            computed = [f"            {z}(x, {row}, {column}, y);"]
        else:
            head = f"static void {name}(const {x} *x, float *y, float *z)"
            computed = [
                f"            for (int p = 0; p < {step.window[0]}; ++p)",
                f"                for (int q = 0; q < {step.window[1]}; ++q) {{",
                f"                    {z}(x, {row} + p, {column} + q, z);",
                "                    for (int k = 0; k < K; ++k)",
                "                        if (p + q == 0 || z[k] > y[k])",
                "                            y[k] = z[k]; /* (4) */",
                "                }",
            ]
        return joined(
            head,
            "{",
            constants(I=i, J=j, K=k),
            "    for (int i = 0; i < I; ++i)",
            "        for (int j = 0; j < J; ++j, y += K) {",
            computed,
            _relu("            ", "k", "K") if step.relu else (),
            "        }",
            "}",
        )

    def _dense(self, step: DenseStep, name: str, x: str) -> str:
        (n,), (m,) = step.x_shape, step.shape
        pixel = "(float)x[i] / 255.0f" if x == "uint8_t" else "x[i]"
        return joined(
            f"static void {name}(const {x} *x, float *y)",
            "{",
            constants(N=n, M=m),
            f"    const float *w = {self.name}_w{step.stage.index};",
            "    for (int j = 0; j < M; ++j)",
            f"        y[j] = {self._bias(step, 'j')}; /* (17) */",
            "    for (int i = 0; i < N; ++i) {",
            f"        const float pixel = {pixel};",
            "        for (int j = 0; j < M; ++j, ++w)",
            "            y[j] = CONVLET_FMA(pixel, CONVLET_FLOAT(w), y[j]); /* (6) */",
            "    }",
            _relu("    ", "j", "M") if step.relu else (),
            "}",
        )


def is_winograd(step: Step) -> bool:
    """Whether the native engine takes Winograd's form here, which adds in another order."""
    if not isinstance(step, ConvStep) or step.stage.index == 0:
        return False
    conv, layers = step.stage.affine, [n for n in step.stage.sigma if not isinstance(n, Flatten)]
    assert isinstance(conv, Conv2D)
    while layers and isinstance(layers[-1], Dropout):
        layers.pop()
    kinds = [type(layer) for layer in layers]
    return (
        kinds in ([ReLU, MaxPool2D], [MaxPool2D, ReLU], [MaxPool2D])
        and step.window == step.stride == (2, 2)
        and conv.kernel in ((3, 3), (5, 5))
        and conv.stride == (1, 1)
        and min(*step.stage.z_shape[:2]) >= 2
        and step.x_shape[2] >= 8
        and conv.channels >= 8
    )


def _relu(indent: str, index: str, count: str) -> list[str]:
    y = f"y[{index}]"
    return [
        f"{indent}for (int {index} = 0; {index} < {count}; ++{index})",
        f"{indent}    {y} = {y} <= 0.0f ? 0.0f : {y}; /* (9) */",
    ]
