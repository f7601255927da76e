"""Where downloaded data and decoded images stay."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from convlet.files.paths import file_name


def cache_folder() -> Path:
    """The folder in the environment variable CONVLET_CACHE, or this platform's place for caches.

    That is $XDG_CACHE_HOME/convlet or ~/.cache/convlet, on macOS ~/Library/Caches/convlet, on
    Windows %LOCALAPPDATA%\\convlet\\Cache.  The folder need not exist.
    """
    if chosen := os.environ.get("CONVLET_CACHE"):
        return Path(file_name(chosen, "CONVLET_CACHE", "folder")).absolute()
    home = Path(os.path.expanduser("~"))  # unlike Path.home it never raises
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "convlet"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "convlet" / "Cache"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # the standard of that variable: a relative path counts as not set
    return (Path(xdg) if os.path.isabs(xdg) else home / ".cache") / "convlet"


def earlier(place: Path) -> Iterator[Path]:
    """What lies beside a file or folder KEY-STATE... of the same key and of another state."""
    key, state = place.name.split("-", 1)
    state = state.partition(".")[0]
    for other in place.parent.glob(f"{key}-*"):
        if other.name.split("-", 1)[1].partition(".")[0] != state:
            yield other
