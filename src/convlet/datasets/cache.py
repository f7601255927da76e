"""Where downloaded data stays."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder in the environment variable CONVLET_CACHE, or this platform's place for caches.

    That is $XDG_CACHE_HOME/convlet or ~/.cache/convlet, on macOS ~/Library/Caches/convlet, on
    Windows %LOCALAPPDATA%\\convlet\\Cache.  The folder need not exist.
    """
    if chosen := os.environ.get("CONVLET_CACHE"):
        return Path(chosen)
    home = Path(os.path.expanduser("~"))  # unlike Path.home it never raises
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "convlet"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "convlet" / "Cache"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # the standard of that variable: a relative path counts as not set
    return (Path(xdg) if os.path.isabs(xdg) else home / ".cache") / "convlet"
