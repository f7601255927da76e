"""A network that stands still: a copy of the one that trains, between two of its steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from convlet.network import Network
from convlet.server.gate import Gate


class Snapshot:
    """Hands out a copy of a network with the newest parameters, to one reader at a time."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.lock = Lock()
        self.of: Network | None = None
        self.copy: Network | None = None
        self.version = -1

    @contextmanager
    def of_network(self, network: Network) -> Iterator[Network]:
        """The copy; its parameters are those of one moment, and stay while it is held."""
        with self.lock:
            if self.of is not network or self.copy is None:
                self.of, self.version = network, -1
                self.copy = Network(
                    network.layers,
                    network.input_shape,
                    classes=network.classes,
                    engine=network.engine.name,
                    flat=network.flat,
                )
            with self.gate.reading():
                if self.version != self.gate.version:
                    self.copy.flat[...] = network.flat
                    self.version = self.gate.version
                    self.copy.scale, self.copy.epochs = network.scale, network.epochs
                    self.copy.data, self.copy.settings = network.data, network.settings
            self.copy.preparation, self.copy.held_back = network.preparation, network.held_back
            yield self.copy
