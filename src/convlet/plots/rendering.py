"""A figure as bytes, and as a notebook shows it."""

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 160  # pixels an inch of a PNG
CSS_DOTS = 96  # of a browser's length unit px


def render(figure: "Figure", kind: str, transparent: bool = False) -> bytes:
    """A figure as the bytes of a "png", "svg" or "pdf" file."""
    import matplotlib

    stream = io.BytesIO()
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "convlet", "pdf.fonttype": 42}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # rare scripts
        figure.savefig(
            stream, format=kind, dpi=DOTS, metadata=dates.get(kind), transparent=transparent
        )
    return stream.getvalue()


def notebook_png(figure: "Figure") -> tuple[bytes, dict[str, int]]:
    """A PNG and how wide a notebook shows it: in its inches, with more dots than the page has."""
    return render(figure, "png"), {"width": round(CSS_DOTS * figure.get_figwidth())}
