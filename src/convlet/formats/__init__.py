"""Files that convlet writes and reads."""

from convlet.formats.model import load, load_checkpoint

__all__ = ["load", "load_checkpoint"]
