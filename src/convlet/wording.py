"""How numbers, sizes and names are said to people, in tables, lines, pictures and pages alike."""

import unicodedata
from collections.abc import Sequence


def size(shape: Sequence[int]) -> str:
    """A shape as 28x28x1."""
    return "x".join(map(str, shape))


def count(number: int, what: str) -> str:
    """1 epoch, 2 epochs, 1,000 epochs."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """a, b, c; of many the first ones and ..."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def percent(share: float, digits: int = 2) -> str:
    """0.9871 as 98.71 %."""
    return f"{100 * share:.{digits}f} %"


def decimals(loss: float) -> str:
    """A loss with four decimals, or short where training goes astray."""
    return f"{loss:.4f}" if loss < 1e4 else f"{loss:.1e}"


def clock(seconds: float) -> str:
    """Seconds as 0:01:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def composed(name: str) -> str:
    """A name in one of its two forms (NFC): some file systems write é as e and an accent."""
    return unicodedata.normalize("NFC", name)


def printable(text: object) -> str:
    """On one line, control characters escaped: names come from files, and may hold anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def label(name: object, limit: int = 18) -> str:
    """A name that fits: a long one is cut."""
    text = printable(name)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def file_label(name: object, limit: int = 18) -> str:
    """The name of a file that fits: of a long one the end stays, where a path has its file."""
    text = printable(name)
    return text if len(text) <= limit else "…" + text[1 - limit :]
