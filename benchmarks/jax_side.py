"""JAX: one jitted step that gathers its minibatch, with donated parameters."""

from functools import partial
from typing import assert_never

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import layout
from contender import LEARNING_RATE, repeat
from convlet.interchange import chain

AHEAD = 8
"""Steps that may be under way before the loop waits for one."""
RANDOM = "unsafe_rbg"
"""The cheapest of JAX's generators, for dropout."""


def forward(plan, parameters, x, key=None):
    """x (n, rows, columns, channels) -> logits (n, classes); key: draws dropout, None leaves it."""
    at = iter(parameters)
    for kind, *numbers in plan:
        if kind is chain.Conv:
            (stride, margins), (w, b) = numbers, next(at)
            axes = ("NHWC", "HWIO", "NHWC")
            x = lax.conv_general_dilated(x, w, stride, margins, dimension_numbers=axes) + b
        elif kind is chain.Dense:
            w, b = next(at)
            x = x @ w + b
        elif kind is chain.MaxPool:
            size, stride = numbers
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, *size, 1), (1, *stride, 1), "VALID")
        elif kind is chain.ReLU:
            x = jax.nn.relu(x)
        elif kind is chain.Flatten:
            x = x.reshape(len(x), -1)
        elif kind is chain.Dropout and key is not None:
            key, draw = jax.random.split(key)
            (rate,) = numbers
            x = jnp.where(jax.random.bernoulli(draw, 1 - rate, x.shape), x / (1 - rate), 0)
    return x


def planned(steps):
    """The steps without their weights, as jit can hash them -> (plan, parameters)."""
    plan, parameters = [], []
    for step in steps:
        match step:
            case chain.Conv(w=w, bias=bias, stride=stride, margins=margins):
                plan.append((chain.Conv, stride, margins))
                parameters.append((jnp.array(w.transpose(2, 3, 1, 0)), jnp.array(bias)))
            case chain.Dense(w=w, bias=bias):
                plan.append((chain.Dense,))
                parameters.append((jnp.array(w), jnp.array(bias)))
            case chain.MaxPool(size=size, stride=stride):
                plan.append((chain.MaxPool, size, stride))
            case chain.Dropout(rate=rate):
                plan.append((chain.Dropout, rate))
            case chain.ReLU() | chain.Flatten():
                plan.append((type(step),))
            case chain.Softmax():
                pass  # part of the cost
            case chain.Affine():
                raise ValueError(f"{step.source}: a bias by position is in no family")
            case _:
                assert_never(step)
    return tuple(plan), parameters


def cost(parameters, x, y, plan, key):
    z = jax.nn.log_softmax(forward(plan, parameters, x, key))
    return -jnp.take_along_axis(z, y[:, None], axis=1).mean()


@partial(jax.jit, static_argnames="plan", donate_argnums=0)
def step(parameters, images, labels, chosen, plan, key):
    """One step of gradient descent -> (parameters, loss before it, next key)."""
    key, draw = jax.random.split(key)
    value = jax.value_and_grad(cost)(parameters, images[chosen], labels[chosen], plan, draw)
    loss, gradient = value
    descend = lambda w, dw: w - LEARNING_RATE * dw  # noqa: E731
    return jax.tree.map(descend, parameters, gradient), loss, key


@partial(jax.jit, static_argnames="plan")
def probabilities(parameters, x, plan):
    if x.dtype == jnp.uint8:
        x = x.astype(jnp.float32) / 255
    return jax.nn.softmax(forward(plan, parameters, x))


class Jax:
    """Threads are as many as the CPUs that this process may use: JAX has no setting for them."""

    trains = True
    dtype = "float32"
    chunks = (250, 1000, 10_000)

    def __init__(self, mode: str, threads: int) -> None:
        self.key = jax.random.key(0, impl=RANDOM)

    def version(self) -> str:
        return jax.__version__

    def load(self, data):
        self.images = jnp.asarray(data.floats())
        self.labels = jnp.asarray(data.labels)
        self.test = {
            "float32": jnp.asarray(data.test_floats()),
            "uint8": jnp.asarray(data.test_images),
        }

    def build(self, net, weights, batch_size):
        self.batch_size = batch_size
        self.plan, self.parameters = planned(layout.steps(net, weights, "hwc"))
        self.start = len(self.images)
        self.count = 0

    def _step(self, chosen):
        self.parameters, loss, self.key = step(
            self.parameters, self.images, self.labels, chosen, self.plan, self.key
        )
        return loss

    def losses(self, chosen):
        return [float(self._step(row.astype(np.int32))) for row in chosen]

    def settle(self, seconds):
        self.train(seconds)

    def train(self, seconds):
        finish = lambda: jax.block_until_ready(self.parameters)  # noqa: E731
        steps, elapsed = repeat(self._next_step, seconds, finish)
        return steps * self.batch_size, elapsed

    def _next_step(self):
        end = self.start + self.batch_size
        if end > len(self.images):
            order = np.random.default_rng().permutation(len(self.images))
            self.order = order.astype(np.int32)
            self.start, end = 0, self.batch_size
        loss = self._step(self.order[self.start : end])
        self.start = end
        self.count += 1
        if self.count % AHEAD == 0:
            loss.block_until_ready()

    def predictor(self, start, stop, dtype):
        images = self.test[dtype][start:stop]
        return lambda: np.asarray(probabilities(self.parameters, images, self.plan))
