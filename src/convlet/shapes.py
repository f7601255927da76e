"""The types of sizes, without NumPy."""

Shape = tuple[int, ...]
"""(rows, columns, channels) or (units,), without the sample axis."""
Pair = tuple[int, int]
"""Of rows and of columns."""
Margins = tuple[Pair, Pair]
"""Rows (above, below) and columns (left, right)."""
