"""A network that stands still: a copy of the one that trains, between two of its steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from convlet.network import Network
from convlet.server.gate import Gate


class Snapshot:
    """Hands out a copy of a network with the newest parameters, to one short reader at a time."""

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
                self.copy = _copied(network)
            with self.gate.reading():
                if self.version != self.gate.version:
                    self.copy.flat[...] = network.flat
                    self.version = self.gate.version
                _describe(self.copy, network)
            yield self.copy

    def taken(self, network: Network) -> Network:
        """A copy of the caller's own, for work that is too long to keep others waiting."""
        with self.of_network(network) as still:
            return _copied(still)


def _copied(network: Network) -> Network:
    copy = Network(
        network.layers,
        network.input_shape,
        classes=network.classes,
        engine=network.engine.name,
        flat=network.flat,
    )
    _describe(copy, network)
    return copy


def _describe(copy: Network, network: Network) -> None:
    """What is known of a network beside its parameters; some of it without a step of training."""
    copy.scale, copy.epochs, copy.settings = network.scale, network.epochs, network.settings
    copy.data, copy.preparation = network.data, network.preparation
    copy.held_back = network.held_back
