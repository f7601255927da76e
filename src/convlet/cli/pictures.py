"""The file of a picture."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from convlet import plots
from convlet.cli.places import Output, begins_with
from convlet.plots.style import check_suffix, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


class PictureFile(Output):
    """Where a picture goes: as `Output`.

    Raises `MissingDependencyError` without matplotlib, too: before any work.
    """

    def __init__(self, given: Path | None, default: str = "", name: str = "out") -> None:
        kind = check_suffix(given or default, name)
        require_matplotlib()
        super().__init__(given, default, f"a {kind} picture", begins_with(_STARTS[kind]), name)

    def save(self, drawing: "Figure") -> str:
        """Write it -> a line that says where."""
        return f"picture saved in {self.write(partial(plots.save, drawing))}"
