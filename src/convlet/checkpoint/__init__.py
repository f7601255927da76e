"""Checkpoints: a run on disk, from which it goes on bit for bit.  docs/checkpoints.md tells all.

`network.fit(checkpoint=folder)` uses `Folder`; `read` reads one checkpoint.
"""

from convlet.checkpoint.folder import Folder
from convlet.checkpoint.identity import as_settings
from convlet.checkpoint.names import newest
from convlet.checkpoint.parse import position_of
from convlet.checkpoint.state import read

__all__ = ["Folder", "as_settings", "newest", "position_of", "read"]
