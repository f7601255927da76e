"""The makers of a `Network`: of files, and of networks of other libraries."""

import os

from convlet.checkpoint import read, settings_in
from convlet.equations import Float32
from convlet.formats.model import Description, read_network
from convlet.interchange.chain import Chain
from convlet.interchange.folding import fold
from convlet.network import Network


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
    network.epochs, network.data, network.settings = found.epochs, found.data, found.settings
    network.scale = found.scale
    network.preparation, network.held_back = found.preparation, found.held_back
    return network


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


def network_of_chain(of: Chain) -> Network:
    """A chain as a network that gives the same probabilities; `said` of it tells what was folded.

    Raises `ArchitectureError` as `fold` does.
    """
    found = fold(of)
    network = Network(found.layers, found.input_shape, classes=found.classes, flat=found.flat)
    network.said = found.said
    return network
