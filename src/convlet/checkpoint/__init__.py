"""Checkpoints: a run on disk, from which it goes on bit for bit.  docs/checkpoints.md tells all.

`network.fit(checkpoint=folder)` uses `Folder`; `read` reads one checkpoint.
"""

from convlet.checkpoint.folder import Folder
from convlet.checkpoint.identity import settings_in
from convlet.checkpoint.names import newest
from convlet.checkpoint.parse import position_of
from convlet.checkpoint.state import read

__all__ = ["Folder", "newest", "position_of", "read", "settings_in"]
