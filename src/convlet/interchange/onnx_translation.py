"""What the operators of ONNX have in common: the chain that they add to, their constants."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isqrt

from convlet.equations import Array
from convlet.interchange import chain
from convlet.interchange.chain import Step, refused
from convlet.interchange.onnx_attributes import Inputs
from convlet.interchange.onnx_axes import Axes
from convlet.interchange.onnx_file import Node


@dataclass
class Translation:
    """The chain so far.

    layout: letters of an input, as "nchw".  batch: the number of images that the file fixes, 0
    where it is open.  image: (rows, columns, channels) of the input, once it is known.  is_sure:
    whether an operator showed that the layout is right.  is_whole: whether the numbers are those of
    uint8, whose arithmetic wraps and cuts.
    """

    version: int  # of the operators
    layout: str
    batch: int
    image: tuple[int, int, int] | None = None
    steps: list[Step] = field(default_factory=list)
    waiting: list[chain.Affine] = field(default_factory=list)  # before the image is known
    said: list[str] = field(default_factory=list)
    is_sure: bool = False
    is_whole: bool = False

    def settle(self, x: Axes) -> Axes:
        """Pixels that the caller lines up are an image of one channel, if nothing else is said."""
        if x.letters != "nr":
            return x
        if self.image is None:
            units, side = x.sizes[1], isqrt(x.sizes[1])
            self.image = (side, side, 1) if side * side == units else (1, units, 1)
        self.steps += [chain.Flatten("the input"), *self.waiting]
        self.waiting = []
        return Axes("nf", x.sizes)

    def step(self, kind: Callable[..., Step], node: Node, *parts: object) -> None:
        self.steps.append(kind(node.source, *parts))


def given(node: Node, inputs: Inputs, place: int) -> Array:
    """A constant that must be there."""
    found = optional(inputs, place)
    if found is None:
        raise refused(node.source, f"has no constant as input {place}", "one from the file")
    return found


def optional(inputs: Inputs, place: int) -> Array | None:
    return inputs[place] if place < len(inputs) else None


Operator = Callable[[Translation, Node, Axes, Inputs], Axes]
"""Node, the axes of the images that it meets and its constants (None where the images stand): adds
steps, and gives the axes of what comes out.  Raises `ArchitectureError`, `WrongLayoutError`."""
