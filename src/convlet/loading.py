"""The makers of a `Network`: of files, and of networks of other libraries.

What reads those is loaded when it is asked for, as it is much and rarely needed.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlet.checkpoint import read, settings_in
from convlet.equations import Float32
from convlet.errors import ArchitectureError, InputError, ModelFileError
from convlet.files.paths import file_name
from convlet.formats.model import Description, describe, read_network
from convlet.inputs import as_input_shape
from convlet.network import Network

if TYPE_CHECKING:
    from convlet.interchange.chain import Chain

OWN = "convlet_version"
"""In the notes of an ONNX file that convlet wrote; the others are those of a model file."""


def load(path: str | os.PathLike[str], engine: str = "auto") -> Network:
    """The network in a file: it predicts bit for bit what the saved one did.

    engine: as for `Network`.  Raises `FileError` if the file cannot be read, `ModelFileError` if it
    is damaged or describes no network that this version knows.  Nothing in a file is ever run.
    """
    found, flat, _ = read_network(path)
    return network_of(found, flat, engine)


def network_of(found: Description, flat: Float32, engine: str = "auto") -> Network:
    """The network that a model file describes, with these parameters."""
    network = Network(
        found.layers, found.input_shape, classes=found.classes, engine=engine, flat=flat
    )
    _remember(network, found)
    return network


def _remember(network: Network, found: Description) -> None:
    """What a file says of the training of a network."""
    network.epochs, network.data, network.settings = found.epochs, found.data, found.settings
    network.scale = found.scale
    network.preparation, network.held_back = found.preparation, found.held_back


def load_checkpoint(path: str | os.PathLike[str], engine: str = "auto") -> Network:
    """The network in a checkpoint of `fit(checkpoint=...)`, as it was then.

    engine: as for `Network`.  Raises as `load` does.
    """
    saved = read(path)
    network = Network(
        saved.identity["layers"],
        saved.identity["input_shape"],
        classes=saved.identity["classes"],
        engine=engine,
        flat=saved.arrays["weights"],
    )
    network.epochs, network.data = saved.position.epochs, saved.identity["data"]
    network.settings = settings_in(saved.identity)
    network.preparation = saved.identity.get("preparation")  # none in older ones
    network.held_back = saved.identity.get("held_back")
    return network


def from_onnx(
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    *,
    white: float | None = None,
) -> Network:
    """The network in an ONNX file: it gives the same probabilities, up to rounding.

    Chains of layers, as PyTorch, tf2onnx, jax2onnx, skl2onnx and convlet write them; weights may
    lie in a file beside.  docs/interchange.md says what becomes of which operator, and what is
    refused.  `said` of the network tells what was folded; one that convlet wrote knows again what
    the network knew.

    input_shape: (rows, columns, channels), where the file leaves them open; (rows, columns) stands
    for one channel.  white: what the file's network takes for a white pixel, which for convlet is
    1.  None: 255 where the file takes uint8 or first divides by 16 or more, else 1.

    Nothing in the file is ever run.  Raises `FileError` if it cannot be read; `ModelFileError` if
    it is damaged, or holds what convlet has not: by node, operator and attribute; `InputError`.
    """
    from convlet.interchange.levels import as_white
    from convlet.interchange.onnx_in import chain_of_file

    name = file_name(path)
    shape = None if input_shape is None else as_input_shape(input_shape)
    white = as_white(white)
    try:
        found = chain_of_file(path, shape, white)
        network = network_of_chain(found.chain, said=found.said)
    except InputError as error:
        if error.parameter == "input_shape":  # which the caller may give
            raise
        raise ModelFileError(f"{name}: {error}") from None
    if OWN in found.metadata:
        notes = {key: text for key, text in found.metadata.items() if key != OWN}
        about = describe(name, notes)
        if about.classes is not None and len(about.classes) == network.class_count:
            network.classes = about.classes
        if (about.input_shape, about.shapes) == (network.input_shape, network.shapes):
            _remember(network, about)
    return network


def from_torch(module: Any, input_shape: Sequence[int], *, white: float | None = None) -> Network:
    """A module of PyTorch as a network that gives the same probabilities.

    module: a `torch.nn.Module` that takes (n, channels, rows, columns) and whose forward is a chain
    of layers, found by torch.export, as it predicts in eval mode.  input_shape: (rows, columns,
    channels).  white: what it takes for a white pixel, which for convlet is 1.  None: 255 where it
    first divides by 16 or more, else 1.

    What convlet has no layer for is folded into others, exactly, a softmax is added where none is;
    `said` of the network tells what.  Raises `InputError`, `ArchitectureError` that names the node
    which convlet has not, `MissingDependencyError`.
    """
    from convlet.interchange.levels import as_white
    from convlet.interchange.torch_in import chain_of_module

    found, said = chain_of_module(module, input_shape, as_white(white))
    return network_of_chain(found, "module", said)


def from_keras(model: Any, *, white: float | None = None) -> Network:
    """A model of Keras 3 as a network that gives the same probabilities.

    model: a `keras.Sequential`, or a functional model without branches, of any backend.  white: as
    for `from_torch`: a model that begins with Rescaling(1 / 255) takes 255.

    What is folded is told as by `from_torch`.  Raises `InputError`, `ArchitectureError` that names
    the layer which convlet has not, `MissingDependencyError`.
    """
    from convlet.interchange.keras_in import chain_of_model
    from convlet.interchange.levels import as_white

    found, said = chain_of_model(model, as_white(white))
    return network_of_chain(found, "model", said)


def network_of_chain(of: "Chain", parameter: str = "layers", said: Sequence[str] = ()) -> Network:
    """A chain as a network that gives the same probabilities; `said` of it tells what was folded.

    parameter: that gave the chain.  said: of making it.  Raises `ArchitectureError` as `fold` does.
    """
    from convlet.interchange.folding import fold

    try:
        found = fold(of)
    except ArchitectureError as error:
        raise error.remade(parameter=parameter) from None
    network = Network(found.layers, found.input_shape, classes=found.classes, flat=found.flat)
    network.said = (*said, *found.said)
    return network
