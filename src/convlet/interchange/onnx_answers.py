"""What stands behind the softmax of an ONNX graph: labels, tables of probabilities, their names.

Nothing of it changes the probabilities; the names of the classes are taken from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convlet.equations import Array
from convlet.interchange.chain import refused
from convlet.interchange.onnx_file import Node

Kind = Literal["probabilities", "second", "first", "label", "part"]


@dataclass(frozen=True)
class Answer:
    """What a graph says in the end.

    kind: "second" and "first" are the probability of the second class, by a sigmoid, and of the
    first one, 1 less that; "part" is some of the probabilities.
    """

    kind: Kind


_SAME = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
_PARTS = {"Slice", "Gather", "Split", "Log", "ReduceMax", "TopK"}


class Answers:
    """The way from a softmax to the outputs.  classes: the names that it holds, or None."""

    def __init__(self) -> None:
        self.classes: tuple[str, ...] | None = None

    def of(self, node: Node, inputs: Sequence[Array | Answer | None]) -> Answer:
        """What a node makes of answers.  Raises `ArchitectureError`."""
        answers = [given for given in inputs if isinstance(given, Answer)]
        constants = [given for given in inputs if isinstance(given, np.ndarray)]
        kinds = [given.kind for given in answers]
        if node.domain == "ai.onnx.ml":
            if node.kind == "ZipMap":
                names = node.attributes.get("classlabels_strings") or node.attributes.get(
                    "classlabels_int64s"
                )
                self._name(names if isinstance(names, tuple) else ())
                return answers[0]
            if node.kind == "ArrayFeatureExtractor" and kinds == ["label"] and constants:
                self._name(tuple(constants[0].ravel()))
                return answers[0]
        elif node.domain == "":
            if node.kind in _SAME:
                return answers[0]
            if node.kind == "Gather" and kinds == ["label"] and constants:
                self._name(tuple(constants[0].ravel()))
                return answers[0]
            if node.kind == "Sub" and kinds == ["second"] and _is_one(inputs[0]):
                return Answer("first")
            if node.kind == "Concat" and kinds == ["first", "second"]:
                return Answer("probabilities")
            if node.kind == "ArgMax" and kinds == ["probabilities"]:
                return Answer("label")
            if node.kind in _PARTS and len(answers) == 1:
                return Answer("part")
        hint = "a network that ends with it, and inside of it ReLU"
        raise refused(node.source, "stands behind a softmax or sigmoid", hint)

    def _name(self, names: Sequence[object]) -> None:
        self.classes = tuple(str(name) for name in names) or self.classes


def _is_one(value: Array | Answer | None) -> bool:
    return isinstance(value, np.ndarray) and value.size == 1 and bool((value == 1).all())
