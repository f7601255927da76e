"""Optimisers: how a step changes the parameters, in the symbols of the papers.

An optimiser is a frozen description; what it remembers, its slots, are flat vectors like the
parameters, kept by the training loop and stored in checkpoints.  `update` is the reference in
NumPy; native/update.h has the same lines.  g is the gradient of (13), eta the learning rate of the
step, t the number of the step from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import is_number

LEAST_EPSILON = 1e-30
"""Of Adam.  Without it the step of a weight that never had a gradient is 0 / 0."""


@dataclass(frozen=True)
class SGD:
    """Gradient descent: w <- w - eta g, exactly (21); with momentum mu > 0

        m <- mu m + g,    w <- w - eta m              (nesterov=True: w <- w - eta (g + mu m))

    weight_decay lambda is decoupled from the gradient: w <- (1 - eta lambda) w before the step.

    Sources: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in
    deep learning", ICML 2013; Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR
    2019.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        _in_range(self, "momentum", 0, 1)
        _in_range(self, "weight_decay", 0, 1e6)
        if not isinstance(self.nesterov, bool | np.bool_):
            raise InputError(f"SGD: nesterov is {self.nesterov!r}, expected True or False")
        object.__setattr__(self, "nesterov", bool(self.nesterov))
        if self.nesterov and not self.momentum:
            raise InputError("SGD: nesterov is True, but momentum is 0: give a momentum above 0")

    @property
    def slots(self) -> int:
        return 1 if self.momentum else 0

    @property
    def usual_rate(self) -> float:
        """0.1, or with momentum what moves as far: the sum of mu^n is 1 / (1 - mu)."""
        return round(0.1 * (1 - self.momentum), 12)

    def update(self, w: Array, g: Array, slots: Sequence[Array], eta: float, t: int) -> None:
        """One step, in place.  w, g and each slot (n,)."""
        w -= w.dtype.type(eta * self.weight_decay) * w
        if not self.momentum:
            w -= w.dtype.type(eta) * g  # (21): w <- w - eta (1/B) sum_b dJ^b/dw
            return
        (m,) = slots
        mu = w.dtype.type(self.momentum)
        m *= mu
        m += g
        w -= w.dtype.type(eta) * (g + mu * m if self.nesterov else m)


@dataclass(frozen=True)
class Adam:
    """m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2,

        w <- w - eta m^ / (sqrt(v^) + epsilon),    m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t).

    weight_decay lambda is decoupled from the gradient, which makes it AdamW.

    Sources: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015; Loshchilov,
    Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    name: ClassVar[str] = "adam"
    slots: ClassVar[int] = 2
    usual_rate: ClassVar[float] = 0.001  # of the paper

    def __post_init__(self) -> None:
        _in_range(self, "beta1", 0, 1)
        _in_range(self, "beta2", 0, 1)
        _in_range(self, "epsilon", LEAST_EPSILON, 1)
        _in_range(self, "weight_decay", 0, 1e6)

    def update(self, w: Array, g: Array, slots: Sequence[Array], eta: float, t: int) -> None:
        """One step, in place.  w, g and each slot (n,)."""
        m, v = slots
        number = w.dtype.type
        m *= number(self.beta1)
        m += number(1 - self.beta1) * g
        v *= number(self.beta2)
        v += number(1 - self.beta2) * g * g
        m_hat = m * number(1 / (1 - self.beta1**t))
        v_hat = v * number(1 / (1 - self.beta2**t))
        w -= number(eta * self.weight_decay) * w
        w -= number(eta) * (m_hat / (v_hat**0.5 + number(self.epsilon)))


def AdamW(
    beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, weight_decay: float = 0.01
) -> Adam:
    """`Adam` with the weight decay of the paper on it, 0.01."""
    return Adam(beta1, beta2, epsilon, weight_decay)


Optimizer = SGD | Adam

NAMES = ("sgd", "momentum", "nesterov", "adam", "adamw")


def as_optimizer(value: Optimizer | str) -> Optimizer:
    """An optimiser, or the one of that name with its usual numbers (momentum 0.9)."""
    match value:
        case SGD() | Adam():
            return value
        case "sgd":
            return SGD()
        case "momentum":
            return SGD(0.9)
        case "nesterov":
            return SGD(0.9, nesterov=True)
        case "adam":
            return Adam()
        case "adamw":
            return AdamW()
    raise InputError(
        f"optimizer is {value!r}, expected SGD(...), Adam(...), AdamW(...) or one of: "
        + ", ".join(NAMES)
    )


def _in_range(owner: object, name: str, least: float, below: float) -> None:
    value = getattr(owner, name)
    if not is_number(value) or not least <= value < below:
        kind = type(owner).__name__
        raise InputError(
            f"{kind}: {name} is {value!r}, expected a number from {least:g}, below {below:g}"
        )
    object.__setattr__(owner, name, float(value))
