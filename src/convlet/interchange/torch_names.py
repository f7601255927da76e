"""A network in PyTorch's modules, names and layout, without PyTorch.

The module k of the `torch.nn.Sequential` that `torch_out` makes is the step k here; so is the
number in the names of its parameters, "0.weight", "0.bias".  A state_dict is a safetensors file of
these names.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from convlet.equations import Array, Float32
from convlet.errors import InputError
from convlet.files.atomic import write_atomic
from convlet.formats import header
from convlet.formats.model import Saveable, refuse_not_finite
from convlet.interchange import chain
from convlet.interchange.state_files import read_state
from convlet.interchange.unfolding import OwnStep, steps_with
from convlet.stages import views
from convlet.wording import listed

TorchStep = OwnStep | chain.Pad


def torch_steps(network: Saveable, parameters: Mapping[str, Array]) -> Iterator[TorchStep]:
    """One for each module.

    Margins that differ are a module before the convolution; the softmax is left out, as PyTorch's
    losses begin with it.
    """
    for step in steps_with(network, parameters, "chw"):
        match step:
            case chain.Conv(source=source, margins=((above, below), (left, right))) if (
                above != below or left != right
            ):
                yield chain.Pad(source, step.margins)
                yield replace(step, margins=chain.NO_MARGINS)
            case chain.Softmax():
                pass
            case _:
                yield step


def state_of(
    network: Saveable, parameters: Mapping[str, Array], modules: Sequence[str] | None = None
) -> dict[str, Array]:
    """The parameters of the modules by name; modules: of those that have some, or None.

    weight (K, R, P, Q) or (M, N), bias (K,), (M,), or (K, I, J) by position.  Raises `InputError`.
    """
    found: dict[str, dict[str, Array]] = {}
    for k, step in enumerate(torch_steps(network, parameters)):
        match step:
            case chain.Conv(w=w, bias=bias):
                found[str(k)] = {"weight": w}
            case chain.Dense(w=w, bias=bias):
                found[str(k)] = {"weight": np.ascontiguousarray(w.T)}
            case chain.Affine(shift=shift):
                assert shift is not None
                bias, found[str(k)] = np.ascontiguousarray(np.transpose(shift, (2, 0, 1))), {}
            case _:
                continue
        if bias is not None:
            found[str(k)]["bias"] = bias
    names = _as_modules(modules, list(found))
    return {
        f"{name}.{kind}": array
        for name, arrays in zip(names, found.values(), strict=True)
        for kind, array in arrays.items()
    }


def save_state_dict(network: Saveable, path: str | os.PathLike[str]) -> None:
    """Write the parameters as a state_dict; see `Inference.save_state_dict`."""
    refuse_not_finite(network.parameters)
    arrays = state_of(network, network.parameters)
    specs: dict[str, header.Spec] = {name: ("F32", array.shape) for name, array in arrays.items()}
    data = (array.astype("<f4", copy=False).tobytes() for array in arrays.values())
    write_atomic(path, [header.encode({"format": "pt"}, specs), *data])


def read_state_dict(
    network: Saveable, path: str | os.PathLike[str], modules: Sequence[str] | None
) -> Float32:
    """The flat vector of a network with the parameters of a state_dict.

    Where each number goes is found by moving their places as exports move them.  Raises
    `InputError`, `FileError`, `ModelFileError`.
    """
    shapes = {name: array.shape for name, array in network.parameters.items()}
    count = sum(array.size for array in network.parameters.values())
    places = state_of(network, views(np.arange(count), shapes), modules)
    flat = np.empty(count, np.float32)
    for name, array in read_state(path, {n: one.shape for n, one in places.items()}).items():
        flat[places[name]] = array
    return flat


def _as_modules(names: Sequence[str] | None, own: Sequence[str]) -> Sequence[str]:
    """One name for each module that has parameters."""
    if names is None:
        return own
    given = [] if isinstance(names, str) or not isinstance(names, Sequence) else list(names)
    if not all(isinstance(name, str) for name in given) or len({*given}) != len(own):
        expected = f"{len(own)} different names, in the order of the layers"
        raise InputError("modules", names, expected, f"to_torch() calls them {listed(own, 20)}")
    return given
