"""Attributes of ONNX nodes, and constants that name axes, of the kind that an operator expects."""

from collections.abc import Sequence

from convlet.equations import Array
from convlet.interchange.chain import refused
from convlet.interchange.onnx_file import Node

MOST_WHOLES = 64  # of a shape, or of axes
Inputs = Sequence[Array | None]
"""Constants of a node; None where one is left out, or the images stand."""


def axes_of(node: Node, inputs: Inputs, place: int = 1) -> list[int] | None:
    """The axes that a node names, by its attribute or, later, by an input; None for none."""
    if len(inputs) > place and (given := inputs[place]) is not None:
        return wholes(node, given)
    return list(ints(node, "axes")) if "axes" in node.attributes else None


def wholes(node: Node, given: Array) -> list[int]:
    """The numbers of a constant that is a shape, or names axes.  Raises `ArchitectureError`."""
    if given.dtype.kind not in "iu" or given.size > MOST_WHOLES:
        raise refused(node.source, "has no whole numbers as shape or axes", "export it again")
    return [int(n) for n in given.ravel()]


def ints(node: Node, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """An attribute of whole numbers.  Raises `ArchitectureError`."""
    value = node.attributes.get(name, default)
    if not isinstance(value, tuple) or not all(isinstance(n, int) for n in value):
        raise refused(node.source, f"has no whole numbers as {name}", "export it again")
    return value


def whole(node: Node, name: str, default: int) -> int:
    """An attribute that is a whole number.  Raises `ArchitectureError`."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int):
        raise refused(node.source, f"has no whole number as {name}", "export it again")
    return value


def real(node: Node, name: str, default: float) -> float:
    """An attribute that is a number.  Raises `ArchitectureError`."""
    value = node.attributes.get(name, default)
    if not isinstance(value, float):
        raise refused(node.source, f"has no number as {name}", "export it again")
    return value


def text(node: Node, name: str, default: str) -> str:
    """An attribute that is a text.  Raises `ArchitectureError`."""
    value = node.attributes.get(name, default)
    if not isinstance(value, str):
        raise refused(node.source, f"has no text as {name}", "export it again")
    return value
