"""Random networks of every kind of layer, for whoever takes them to other libraries."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from convlet import ArchitectureError, Network
from convlet.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Softmax

_SIDES = st.integers(1, 3)
_PAIRS = st.tuples(_SIDES, _SIDES)
_CONVS = st.builds(
    Conv2D,
    st.integers(1, 4),
    _PAIRS,
    _PAIRS,
    st.sampled_from(["valid", "same", 1, 2]),
    st.sampled_from(["channel", "position", None]),
)
_POOLS = st.builds(MaxPool2D, _PAIRS, _PAIRS)
_POINTS = st.sampled_from([ReLU(), Dropout(0.25)])
_DENSES = st.builds(Dense, st.integers(2, 5), st.booleans())
_SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 3]))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Odd sizes, strides and paddings, both biases, overlapping pools, dropout; none of it is 0."""
    shape = draw(_SHAPES)
    layers: list[Layer] = []
    for _ in range(draw(st.integers(0, 2))):
        layers += [draw(_CONVS), *draw(st.lists(_POINTS | _POOLS, max_size=3))]
    layers.append(Flatten())
    for _ in range(draw(st.integers(0, 2))):  # without any, what was flattened are the classes
        layers += [*draw(st.lists(_POINTS, max_size=2)), draw(_DENSES)]
    try:
        network = Network([*layers, Softmax()], shape, seed=draw(st.integers(0, 9)))
    except ArchitectureError:  # a kernel or pool that does not fit, no map, one class
        assume(False)
    return with_biases(network)


def with_biases(network: Network) -> Network:
    """The network, its biases as after training."""
    rng = np.random.default_rng(7)
    for name, values in network.parameters.items():
        if name.startswith("b"):
            values[...] = rng.normal(scale=0.3, size=values.shape)
    return network


def some_levels(network: Network, count: int = 5) -> np.ndarray:
    """Random images for it, uint8."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, *network.input_shape)).astype(np.uint8)
