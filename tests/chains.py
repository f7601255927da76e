"""Random chains, small enough to be computed by hand-written loops of another library."""

from math import prod

import numpy as np
from hypothesis import strategies as st

from convlet.interchange import chain
from convlet.interchange.chain import Chain, windows

SEEDS = st.integers(0, 2**32 - 1)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
MARGINS = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)


@st.composite
def chains(draw, most_steps: int = 6) -> Chain:
    """A chain that ends with a softmax over two units or more."""
    made = Maker(draw)
    for _ in range(draw(st.integers(0, most_steps))):
        draw(st.sampled_from(made.possible()))()
    return made.end()


class Maker:
    """The steps so far, and the shape of what comes next."""

    def __init__(self, draw, input_shape=None) -> None:
        self.draw, self.steps = draw, []
        self.shape = self.input_shape = input_shape or draw(
            st.tuples(st.integers(3, 9), st.integers(3, 9), st.integers(1, 3))
        )
        self.random = np.random.default_rng(draw(SEEDS))

    def possible(self):
        always = [self.relu, self.dropout, self.dense, self.scale, self.shift]
        if len(self.shape) == 1:
            return always
        return [
            *(self.relu, self.dropout, self.flatten, self.scale, self.shift, self.norm),
            *(self.conv, self.grouped, self.pad, self.average, self.max_pool, self.mean),
        ]

    def numbers(self, *shape: int) -> np.ndarray:
        return self.random.normal(size=shape) / np.sqrt(max(1, prod(shape[1:])))

    def add(self, kind, *parts) -> None:
        self.steps.append(kind(f"step {len(self.steps)}", *parts))

    def relu(self) -> None:
        self.add(chain.ReLU)

    def dropout(self) -> None:
        self.add(chain.Dropout, 0.25)

    def flatten(self) -> None:
        self.add(chain.Flatten, self.draw(st.sampled_from(["hwc", "chw"])))
        self.shape = (prod(self.shape),)

    def dense(self, units: int | None = None) -> None:
        units = units or self.draw(st.integers(1, 5))
        bias = self.numbers(units) if self.draw(st.booleans()) else None
        w = self.random.normal(size=(self.shape[0], units)) / np.sqrt(self.shape[0])
        self.add(chain.Dense, w, bias)
        self.shape = (units,)

    def _alike(self) -> np.ndarray:
        """Numbers for all, for each channel, or for each unit."""
        if self.draw(st.booleans()):
            return self.numbers()
        return self.numbers(*([1, 1] * (len(self.shape) == 3)), self.shape[-1])

    def scale(self) -> None:
        self.add(chain.Affine, self._alike(), None)

    def shift(self) -> None:
        values = self._alike()
        if len(self.shape) == 3 and self.draw(st.booleans()):
            values = self.random.normal(size=self.shape)  # a mean image
        self.add(chain.Affine, None, values)

    def norm(self) -> None:
        self.add(chain.Affine, *(self.numbers(1, 1, self.shape[2]) for _ in range(2)))

    def _window(self, most: int = 3):
        """Size, stride and margins of windows that fit."""
        margins = self.draw(MARGINS)
        size = tuple(
            self.draw(st.integers(1, min(most, side + sum(margin))))
            for side, margin in zip(self.shape, margins, strict=False)
        )
        return size, self.draw(PAIRS), margins

    def _after(self, size, stride, margins, channels=None) -> None:
        axes = zip(self.shape, size, stride, margins, strict=False)
        self.shape = (*(windows(*axis) for axis in axes), channels or self.shape[2])

    def conv(self) -> None:
        self._conv(1, self.draw(st.integers(1, 4)))

    def grouped(self) -> None:
        """Depthwise where there is one channel a group; dilated where there is room."""
        fit = [n for n in range(1, self.shape[2] + 1) if self.shape[2] % n == 0]
        groups = self.draw(st.sampled_from(fit))
        self._conv(groups, groups * self.draw(st.integers(1, 2)), self.draw(PAIRS))

    def _conv(self, groups: int, outputs: int, dilation=(1, 1)) -> None:
        size, stride, margins = self._window()
        room = (n + sum(m) for n, m in zip(self.shape, margins, strict=False))
        dilation = tuple(
            d if (taps - 1) * d < n else 1 for taps, d, n in zip(size, dilation, room, strict=True)
        )
        w = self.numbers(outputs, self.shape[2] // groups, *size)
        bias = self.numbers(outputs) if self.draw(st.booleans()) else None
        self.add(chain.Conv, w, bias, stride, margins, dilation, groups)
        extents = [(n - 1) * d + 1 for n, d in zip(size, dilation, strict=True)]
        self._after(extents, stride, margins, outputs)

    def pad(self) -> None:
        margins = self.draw(MARGINS)
        self.add(chain.Pad, margins, self.draw(st.sampled_from([0.0, 1.0, -0.5])))
        self._after((1, 1), (1, 1), margins)

    def average(self) -> None:
        size, stride, margins = self._window()
        margins = tuple(
            tuple(min(n, taps - 1) for n in margin)
            for margin, taps in zip(margins, size, strict=True)
        )
        size = tuple(min(n, side) for n, side in zip(size, self.shape, strict=False))
        margins = margins if min(size) > max(map(max, margins)) else chain.NO_MARGINS
        self.add(chain.AveragePool, size, stride, margins, True)
        self._after(size, stride, margins)

    def max_pool(self) -> None:
        size = tuple(self.draw(st.integers(1, min(3, side))) for side in self.shape[:2])
        stride = self.draw(PAIRS)
        self.add(chain.MaxPool, size, stride)
        self._after(size, stride, chain.NO_MARGINS)

    def mean(self) -> None:
        self.add(chain.GlobalAveragePool)
        self.shape = (1, 1, self.shape[2])

    def end(self) -> Chain:
        if len(self.shape) == 3:
            self.flatten()
        if self.shape[0] < 2 or self.draw(st.booleans()):
            self.dense(self.draw(st.integers(2, 4)))
        self.add(chain.Softmax)
        return Chain(self.input_shape, self.steps)
