"""Optimisers: how a step changes the parameters, in the symbols of the papers.

An optimiser is a frozen description; what it remembers, its slots, are flat vectors like the
parameters, kept by the training loop and stored in checkpoints.  `update` is the reference in
NumPy; native/update.h has the same lines.  g is the gradient of (13), eta the learning rate of the
step, t the number of the step from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import as_bool, as_number_below, normalise

MOST_DECAY = 1e6
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
        normalise(self, "momentum", as_number_below, 0, 1)
        normalise(self, "weight_decay", as_number_below, 0, MOST_DECAY)
        normalise(self, "nesterov", as_bool)
        if self.nesterov and not self.momentum:
            expected = "a number above 0 for nesterov"
            raise InputError("momentum", self.momentum, expected, owner="SGD")

    def __str__(self) -> str:
        """As a user would say it: "nesterov, momentum 0.9, weight decay 0.01"."""
        return _said(self, "nesterov" if self.nesterov else "sgd")

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
            w -= w.dtype.type(eta) * g  # (21): w <- w - eta dE/dw
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

    weight_decay lambda is decoupled from the gradient: w <- (1 - eta lambda) w before the step.

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    name: ClassVar[str] = "adam"
    slots: ClassVar[int] = 2
    usual_rate: ClassVar[float] = 0.001  # of the paper

    def __post_init__(self) -> None:
        normalise(self, "beta1", as_number_below, 0, 1)
        normalise(self, "beta2", as_number_below, 0, 1)
        normalise(self, "epsilon", as_number_below, LEAST_EPSILON, 1)
        normalise(self, "weight_decay", as_number_below, 0, MOST_DECAY)

    def __str__(self) -> str:
        """As a user would say it: "adamw, weight decay 0.01"."""
        return _said(self, self.name)

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


@dataclass(frozen=True)
class AdamW(Adam):
    """`Adam` with the weight decay of its paper on it, 0.01.

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"


Optimizer = SGD | Adam

BY_NAME: dict[str, Optimizer] = {
    "sgd": SGD(),
    "momentum": SGD(0.9),
    "nesterov": SGD(0.9, nesterov=True),
    "adam": Adam(),
    "adamw": AdamW(),
}
"""With the usual numbers of each."""


def as_optimizer(value: Any) -> Optimizer:
    """An optimiser, or the one of that name with its usual numbers (momentum 0.9)."""
    if isinstance(value, Optimizer):
        return value
    if isinstance(value, str) and value in BY_NAME:
        return BY_NAME[value]
    names = f"one of: {', '.join(BY_NAME)}"
    expected = names if isinstance(value, str) else f"SGD(...), Adam(...), AdamW(...) or {names}"
    raise InputError("optimizer", value, expected)


def _said(optimizer: Optimizer, name: str) -> str:
    """The name, and each number that is not the usual one of Adam, or 0 of SGD; lambda always."""
    words = [name]
    for field in fields(optimizer):
        value = getattr(optimizer, field.name)
        if type(value) is float and (value != field.default or (value and "decay" in field.name)):
            words.append(f"{field.name.replace('_', ' ')} {value:g}")
    return ", ".join(words)


def with_numbers(
    optimizer: Optimizer, momentum: float | None = None, weight_decay: float | None = None
) -> Optimizer:
    """The optimiser with the numbers that were given.  Raises `InputError`."""
    if momentum is not None and not isinstance(optimizer, SGD):
        but = f"{optimizer.name} has its own averages"
        hint = "it is for sgd, momentum and nesterov"
        raise InputError("momentum", momentum, but=but, hint=hint)
    numbers = {"momentum": momentum, "weight_decay": weight_decay}
    given: dict[str, Any] = {n: value for n, value in numbers.items() if value is not None}
    return replace(optimizer, **given)
