"""Networks in whole numbers, written again with Python's integers and loops: what a device does.

It shares no line with the package but the stages: shapes, strides, margins.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st

import convlet
from convlet import Network
from convlet.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Softmax
from convlet.quantised.network import QuantizedNetwork
from convlet.quantised.stages import QuantizedStage

Numbers = dict[tuple[int, ...], int]
"""An array: its entries by their indices."""


def bytes_of(network: QuantizedNetwork, image: np.ndarray) -> list[int]:
    """The bytes of the logits of one image (rows, columns, channels) of uint8."""
    x: Numbers = {place: int(u) - 128 for place, u in np.ndenumerate(image)}
    if len(network.stages[0].x_shape) == 1:
        x = flat(x)
    for part in network.parts:
        x = through(part, x)
    return [x[k,] for k in range(network.class_count)]


def through(part: QuantizedStage, x: Numbers) -> Numbers:
    """Bytes of x^l to bytes of x^{l+1}."""
    y: Numbers = {}
    for place in product(*map(range, part.stage.z_shape)):
        z = sum(pixel * weight for pixel, weight in terms(part, x, place))
        z += int(part.b[place] if part.b.ndim == len(place) else part.b[place[-1]])
        assert -(2**31) < z < 2**31
        m, nu = int(part.multiplier[place[-1]]), int(part.shift[place[-1]])
        product_of_64_bits = m * z + 2 ** (nu - 1)
        assert -(2**63) <= product_of_64_bits < 2**63
        y[place] = max(-128, min(127, part.y.zero + product_of_64_bits // 2**nu))
    for layer in part.stage.sigma:
        match layer:
            case ReLU():
                y = {place: max(value, part.y.zero) for place, value in y.items()}
            case MaxPool2D(size=size, stride=stride):
                y = pooled(y, size, stride)
            case Flatten():
                y = flat(y)
            case Dropout() | Softmax():
                pass
    return y


def terms(part: QuantizedStage, x: Numbers, place: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Each pixel less the zero point, 0 in the frame, with the weight that it meets."""
    match part.stage.affine:
        case Dense():
            for i in range(part.w.shape[0]):
                yield x[i,] - part.x.zero, int(part.w[i, place[0]])
        case Conv2D(kernel=kernel, stride=(s1, s2)) as conv:
            (above, _), (left, _) = conv.margins(part.stage.x_shape)
            i, j, k = place
            for p, q, r in product(*map(range, kernel), range(part.w.shape[2])):
                pixel = x.get((s1 * i + p - above, s2 * j + q - left, r), part.x.zero)
                yield pixel - part.x.zero, int(part.w[kernel[0] - 1 - p, kernel[1] - 1 - q, r, k])


def pooled(y: Numbers, size: tuple[int, int], stride: tuple[int, int]) -> Numbers:
    rows, columns, channels = (n + 1 for n in max(y))
    steps = [(n - m) // s + 1 for n, m, s in zip((rows, columns), size, stride, strict=True)]
    return {
        (i, j, k): max(
            y[stride[0] * i + p, stride[1] * j + q, k] for p, q in product(*map(range, size))
        )
        for i, j, k in product(*map(range, steps), range(channels))
    }


def flat(y: Numbers) -> Numbers:
    return {(n,): y[place] for n, place in enumerate(sorted(y))}


def images_of(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """Images of random levels, black and white among them."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), np.uint8)
    images[0].flat[:2] = 0, 255
    return images


def random_network(text: str, shape: tuple[int, int, int], seed: int) -> Network:
    """Of random weights and biases, the channels of each stage of different sizes."""
    network = Network(text, shape, seed=seed)
    rng = np.random.default_rng(seed)
    for array in network.parameters.values():
        size = 2.0 ** rng.integers(-4, 2, array.shape[-1])
        array[...] = rng.normal(size=array.shape) * size
    return network


@st.composite
def networks(draw: Any) -> Network:
    """Small ones of every kind that there is: strides, frames, biases, windows, channels."""
    shape = draw(st.tuples(st.integers(4, 7), st.integers(4, 7), st.sampled_from((1, 3))))
    parts, now = [], shape
    for _ in range(draw(st.integers(0, 2))):
        for text in draw(convolution()):
            after = shape_after(text, now)
            if after is not None:
                parts, now = [*parts, text], after
    parts = parts if parts and parts[0].startswith("conv") else []
    parts += ["flatten"]
    if draw(st.booleans()):
        parts += ["dense 3" + draw(st.sampled_from(("", " bias none"))), "relu", "dropout 0.5"]
    parts += [f"dense {draw(st.integers(2, 4))}", "softmax"]
    return random_network(", ".join(parts), shape, draw(st.integers(0, 1000)))


@st.composite
def convolution(draw: Any) -> list[str]:
    """A convolution and what follows it: nothing, ReLU, a pool, or both in either order."""
    kernel, stride = (
        "x".join(map(str, draw(st.tuples(st.integers(1, 3), st.integers(1, most)))))
        for most in (3, 2)
    )
    padding = draw(st.sampled_from(("", " padding same", " padding 2")))
    bias = draw(st.sampled_from(("", " bias position", " bias none")))
    pool = f"pool {draw(st.sampled_from(('2', '2 stride 1', '1x3 stride 2', '3 stride 2x1')))}"
    behind = draw(st.sampled_from(([], ["relu"], [pool], ["relu", pool], [pool, "relu"])))
    return [f"conv {draw(st.integers(1, 3))} {kernel} stride {stride}{padding}{bias}", *behind]


def shape_after(text: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """None where the layer does not fit."""
    try:
        return convlet.parse_layers(text)[0].output_shape(shape)
    except convlet.ArchitectureError:
        return None
