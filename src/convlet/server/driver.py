"""Who trains the network of a session, and what it refuses."""

from typing import Protocol

from convlet.equations import Array
from convlet.errors import ConvletError
from convlet.network import Network
from convlet.server.description import Json
from convlet.server.proposals import Plan


class ConflictError(ConvletError):
    """What was asked for makes no sense as things are."""


def words_of(error: BaseException) -> str:
    """Why training failed."""
    if isinstance(error, ConvletError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory: take a smaller batch size or network"
    return f"{type(error).__name__}: {error}"


class Driver(Protocol):
    """Who trains the network of a session: the session's own thread, or a program."""

    def can(self) -> list[str]:
        """What `do` takes now."""

    def do(self, what: str) -> None:
        """Raises `ConflictError`."""

    def configure(self, plan: Plan) -> None:
        """A new network by this plan, and a new run.  Raises `ConflictError`."""

    def adopt(self, network: Network) -> None:
        """A network from a file, and a new run.  Raises `ConflictError`, `InputError`."""

    def learn(self, images: Array, labels: Array, steps: int) -> Json:
        """A few steps on these images, beside others.  Raises `ConflictError`."""

    def close(self) -> None:
        """Training ends."""
