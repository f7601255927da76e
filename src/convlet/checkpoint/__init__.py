"""Checkpoints: a run on disk, from which it goes on bit for bit.  docs/checkpoints.md tells all.

`network.fit(checkpoint=folder)` uses `Folder`; `load` gives the network of one checkpoint.
"""

from convlet.checkpoint.folder import Folder
from convlet.checkpoint.names import newest
from convlet.checkpoint.parse import place_of
from convlet.checkpoint.state import load

__all__ = ["Folder", "load", "newest", "place_of"]
