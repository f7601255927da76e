"""What was learned by a run without checkpoints that is interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from convlet.cli.places import write_new
from convlet.errors import ConvletError
from convlet.network import Network


@contextmanager
def rescued(network: Network, out: Path) -> Iterator[None]:
    """Inside, an interruption saves a network that has learned, beside where it would go.

    The name says what it is, and replaces nothing.
    """
    before = network.flat.copy()
    try:
        yield
    except KeyboardInterrupt as stop:
        if np.array_equal(network.flat, before):  # no step was taken
            raise
        try:
            path = write_new(out.with_stem(f"{out.stem}-interrupted"), network.save)
        except ConvletError as error:
            raise type(stop)(f"what was learned could not be saved: {error}") from None
        raise type(stop)(f"what was learned is saved in {path}") from None
