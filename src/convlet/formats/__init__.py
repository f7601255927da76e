"""Files that convlet writes and reads."""

from convlet.formats.model import load

__all__ = ["load"]
