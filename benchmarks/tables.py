"""What the tables of the reports have in common."""

from typing import Any


def digits(number: float) -> str:
    """Three digits that count."""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def factors(ratio: dict[str, Any]) -> str:
    """Median (least to most)."""
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"
