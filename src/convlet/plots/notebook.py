"""The figure that every function of plots returns.  Imports matplotlib, so import it late."""

from matplotlib.figure import Figure

from convlet.plots.rendering import notebook_png


class NotebookFigure(Figure):
    """A figure that a notebook shows, also where nobody asked for pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return notebook_png(self)
