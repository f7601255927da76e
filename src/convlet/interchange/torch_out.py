"""A network as a torch.nn.Sequential."""

from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from convlet.errors import InputError
from convlet.formats.model import Saveable, refuse_not_finite
from convlet.inputs import plain
from convlet.interchange import chain
from convlet.interchange.torch_names import TorchStep, state_of, torch_steps
from convlet.libraries import library

if TYPE_CHECKING:
    import torch.nn


def to_torch(network: Saveable, relu_at_zero: float = 0) -> "torch.nn.Sequential":
    """A network as modules, in eval mode; see `Inference.to_torch`.

    Raises `InputError`, `MissingDependencyError`.
    """
    if isinstance(relu_at_zero, bool) or plain(relu_at_zero) not in (0, 0.5):
        raise InputError("relu_at_zero", relu_at_zero, "0, as PyTorch has it, or 0.5, as convlet")
    refuse_not_finite(network.parameters)
    torch = library("torch", "to_torch needs", "torch")
    steps = torch_steps(network, network.parameters)
    made = torch.nn.Sequential(*(_module(torch, step, relu_at_zero) for step in steps))
    state = state_of(network, network.parameters)
    made.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    return made.eval()


def _module(torch: Any, step: TorchStep, relu_at_zero: float) -> Any:
    """The module of a step, its parameters not set yet."""
    from convlet.interchange import torch_modules as own

    nn = torch.nn
    match step:
        case chain.Pad(margins=((above, below), (left, right))):
            return nn.ZeroPad2d((left, right, above, below))
        case chain.Conv(w=w, bias=bias, stride=stride, margins=((above, _), (left, _))):
            size = {"kernel_size": w.shape[2:], "stride": stride, "padding": (above, left)}
            return nn.Conv2d(w.shape[1], w.shape[0], **size, bias=bias is not None)
        case chain.Dense(w=w, bias=bias):
            return nn.Linear(*w.shape, bias=bias is not None)
        case chain.Affine(shift=shift):
            rows, columns, channels = np.shape(shift)  # type: ignore[arg-type]
            return own.PositionBias(channels, rows, columns)
        case chain.MaxPool(size=window, stride=stride):
            return nn.MaxPool2d(window, stride)
        case chain.ReLU():
            return nn.ReLU() if relu_at_zero == 0 else own.HalfReLU()
        case chain.Dropout(rate=rate):
            return nn.Dropout(rate)
        case chain.Flatten(order=order):
            return nn.Flatten() if order == "chw" else own.FlattenRows()
        case chain.Softmax():
            raise AssertionError  # left out by `torch_steps`
        case _:
            assert_never(step)
