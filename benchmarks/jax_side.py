"""JAX: one jitted step that gathers its minibatch, with donated parameters."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from contender import LEARNING_RATE, Data, repeat
from layout import correlation, pairs

AHEAD = 8
"""Steps that may be under way before the loop waits for one."""


def logits(parameters, x, paddings):
    """x (n, 28, 28, 1) -> (n, classes)."""
    convs, denses = parameters[: len(paddings)], parameters[len(paddings) :]
    for (w, b), n in zip(convs, paddings, strict=True):
        margins = ((n, n), (n, n))
        axes = ("NHWC", "HWIO", "NHWC")
        x = jax.nn.relu(lax.conv_general_dilated(x, w, (1, 1), margins, dimension_numbers=axes) + b)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    for w, b in denses[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = denses[-1]
    return x @ w + b


def cost(parameters, x, y, paddings):
    z = jax.nn.log_softmax(logits(parameters, x, paddings))
    return -jnp.take_along_axis(z, y[:, None], axis=1).mean()


@partial(jax.jit, static_argnames="paddings", donate_argnums=0)
def step(parameters, images, labels, chosen, paddings):
    """One step of gradient descent -> (parameters, loss before it)."""
    value = jax.value_and_grad(cost)(parameters, images[chosen], labels[chosen], paddings)
    loss, gradient = value
    descend = lambda w, dw: w - LEARNING_RATE * dw  # noqa: E731
    return jax.tree.map(descend, parameters, gradient), loss


@partial(jax.jit, static_argnames="paddings")
def probabilities(parameters, x, paddings):
    return jax.nn.softmax(logits(parameters, x, paddings))


class Jax:
    """Threads are as many as the CPUs that this process may use: JAX has no setting for them."""

    trains = True
    chunks = (250, 1000, 10_000)

    def __init__(self, mode: str, data: Data, threads: int) -> None:
        self.images = jnp.asarray(data.floats())
        self.labels = jnp.asarray(data.labels)
        self.test = jnp.asarray(data.test_floats())

    def version(self) -> str:
        return jax.__version__

    def build(self, net, weights, batch_size):
        self.batch_size, self.paddings = batch_size, net.paddings
        self.parameters = [
            (jnp.array(correlation(w) if w.ndim == 4 else w), jnp.array(b))
            for w, b in pairs(net, weights)
        ]
        self.start = len(self.images)
        self.count = 0

    def _step(self, chosen):
        self.parameters, loss = step(
            self.parameters, self.images, self.labels, chosen, self.paddings
        )
        return loss

    def losses(self, chosen):
        return [float(self._step(row.astype(np.int32))) for row in chosen]

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

    def predictor(self, start, stop):
        images = self.test[start:stop]
        return lambda: np.asarray(probabilities(self.parameters, images, self.paddings))
