"""The step of a dense stage fused with (8), against the two apart.

A limit on the norm of the gradient makes the core sum the whole gradient before it changes a
weight; a limit that is never reached changes nothing else.  So both ways must agree in every bit,
also on whether a step is finite and may be applied.
"""

import numpy as np
import pytest

from convlet import SGD, Adam, Network, Settings
from convlet.engine import Samples, Steps
from targets import TARGETS, engine_for

NETWORKS = {
    "dense": ("flatten, dense 257, relu, dense 33 bias none, relu, dense 10, softmax", (6, 7, 1)),
    "a row of a kilobyte": (
        "flatten, dense 256, relu, dense 256, relu, dense 3, softmax",
        (16, 16, 1),
    ),
    "behind a convolution": ("conv 8 3, relu, pool 2, flatten, dense 70, softmax", (10, 11, 1)),
}
OPTIMIZERS = {
    "plain": SGD(),
    "momentum": SGD(0.9, weight_decay=0.01),
    "nesterov": SGD(0.9, nesterov=True),
    "adam": Adam(weight_decay=0.1),
}
NEVER = 1e9  # the limit of a norm


def after(name, target, x, batch, optimizer, threads, clip_norm, weight=None, omega=None):
    """-> what a call of `train` leaves: steps done, whether it diverged, weights, slots, costs."""
    layers, shape = NETWORKS[name]
    net = Network(layers, shape, seed=3)
    if weight is not None:
        net.flat[net.flat.size // 2] = weight
    engine = engine_for(net, target)
    y = (np.arange(len(x)) % net.class_count).astype(np.int32)
    slots = tuple(np.zeros_like(net.flat) for _ in range(optimizer.slots))
    count = -(-len(x) // batch)
    steps = Steps(np.arange(len(x)), np.full(count, 0.01, np.float32), 0, 0)
    settings = Settings(batch_size=batch, optimizer=optimizer, clip_norm=clip_norm)
    result = engine.train(net.flat, slots, Samples(x, y, omega), steps, settings, threads)
    arrays = (net.flat, *slots, result.costs)
    return result.done, result.diverged, [array.tobytes() for array in arrays]


def images(name: str, count: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((count, *NETWORKS[name][1])).astype(np.float32)
    return np.maximum(x, 0)


@pytest.mark.equation(8, 21)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_both_ways_give_the_same_bits(name, target, optimizer):
    for batch, count in ((1, 5), (7, 30), (32, 70), (128, 300), (257, 257)):
        x = images(name, count)
        rest = batch, OPTIMIZERS[optimizer]
        apart = after(name, target, x, *rest, 1, NEVER)
        assert apart[:2] == (-(-count // batch), False)
        for threads in (1, 2, 3):
            assert after(name, target, x, *rest, threads, None) == apart, f"batches of {batch}"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("pixel", "omega", "weight", "diverges"),
    [
        (1e5, 1, 1e-5, False),
        (1e18, 0, 1, False),  # beyond the bound of the fused step, and yet finite
        (1e25, 1, 1e-25, True),  # squares of the gradient are no float
        (3e38, 1, 1e-38, True),
        (np.nan, 1, 1, True),
        (np.inf, 1, 1, True),
        (1, 1, np.nan, True),
        (1, 1, np.inf, True),
    ],
)
def test_a_step_that_is_not_finite_is_not_applied(target, pixel, omega, weight, diverges):
    x, omegas = images("dense", 40), np.ones(40, np.float32)
    x[37, 2, 3], omegas[37] = pixel, omega  # in the second step, or the last chunk of one
    for batch in (20, 40):
        rest = batch, SGD(0.9)
        fused = after("dense", target, x, *rest, 2, None, weight, omegas)
        assert fused == after("dense", target, x, *rest, 1, NEVER, weight, omegas)
        steps = 40 // batch
        assert fused[:2] == ((steps - 1) * np.isfinite(weight) if diverges else steps, diverges)
