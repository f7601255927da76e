"""One walk through the graph of an ONNX file, from its input to its outputs.

Nodes stand in the order in which they are computed, so that one pass needs no recursion, and a
cycle is a node that uses what nobody has made yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convlet.equations import Array
from convlet.errors import ConvletError
from convlet.interchange.chain import refused
from convlet.interchange.onnx_answers import Answer, Answers
from convlet.interchange.onnx_axes import Axes
from convlet.interchange.onnx_constants import Constants, has_batch, sliced_shape
from convlet.interchange.onnx_file import Model, Node, Unread
from convlet.interchange.onnx_operators import OPERATORS
from convlet.interchange.onnx_order import names_of, order_of
from convlet.interchange.onnx_translation import Translation
from convlet.wording import label


@dataclass(frozen=True)
class Image:
    """What the images have become after so many operators."""

    axes: Axes
    after: int


Thing = Image | Array | Answer


class Walk:
    """Steps of a graph for an input with these axes; see `go`."""

    def __init__(self, model: Model, translation: Translation, name: str, x: Axes) -> None:
        self.model, self.translation = model, translation
        self.constants = Constants(model.opsets[""])
        self.answers = Answers(self.constants, translation.batch)
        self.classes: tuple[str, ...] | None = None
        self.things: dict[str, Thing] = {name: Image(x, 0)}
        self.after = 0  # operators that the images went through
        self.labelled: list[tuple[Node, int]] = []  # ArgMax, and what it was taken of

    def go(self) -> None:
        """Make the steps.  Raises `ArchitectureError`, `ModelFileError`, `WrongLayoutError`."""
        for node in _needed(self.model):
            for name, value in node.attributes.items():
                if isinstance(value, Unread):
                    found = f"has the attribute {label(name, 40)}, {value.kind}"
                    raise refused(node.source, found, "a plain chain of operators")
            if any(name in self.things for name in node.outputs if name):
                raise refused(node.source, "makes what is there already", "export it again")
            inputs = [self._thing(node, name) if name else None for name in node.inputs]
            self._pass(node, inputs)
        self._end()

    def _thing(self, node: Node, name: str) -> Thing:
        if name not in self.things:
            if name not in self.model.constants:
                found = f"uses {label(name, 40)!r}, which nothing before it makes"
                raise refused(node.source, found, "nodes in the order in which they are computed")
            array = self.model.constants[name].array()
            self.constants.read(array.size)
            self.things[name] = array
        return self.things[name]

    def _pass(self, node: Node, inputs: list[Thing | None]) -> None:
        """What a node makes of its inputs."""
        made = node.outputs[0] if node.outputs else ""
        images = [thing for thing in inputs if isinstance(thing, Image)]
        if any(isinstance(thing, Answer) for thing in inputs):
            if images:
                raise refused(node.source, "joins two branches", "a chain")
            given = [thing for thing in inputs if not isinstance(thing, Image)]
            if node.kind == "Shape" and isinstance(given[0], Answer):
                self.things[made] = sliced_shape(node, given[0].about.shape)
            else:
                for name, answer in zip(node.outputs, self.answers.of(node, given), strict=False):
                    self.things[name] = answer
        elif not images:
            arrays = [thing for thing in inputs if not isinstance(thing, Answer | Image)]
            self.things[made] = self.constants.value(node, arrays)
        elif len(images) > 1:
            raise refused(node.source, "joins two branches", "a chain: each output for one node")
        elif node.kind == "Shape":
            self.things[made] = sliced_shape(node, images[0].axes.shape)
        elif node.kind == "ArgMax":
            self.labelled.append((node, images[0].after))
            (self.things[made],) = self.answers.of(node, [self.answers.table(images[0].axes)])
        else:
            self._operate(node, images[0], inputs)

    def _operate(self, node: Node, image: Image, inputs: list[Thing | None]) -> None:
        """Steps of an operator on the images."""
        operator = OPERATORS.get((node.domain, node.kind))
        if operator is None:
            raise refused(node.source, "is an operator that convlet has not", _needs(node.kind))
        if image.after != self.after:
            found = f"starts a second branch at {_first_image(node, self.things)!r}"
            raise refused(node.source, found, "a chain: each output for one node")
        if len([name for name in node.outputs if name]) > 1 and node.kind != "Dropout":
            raise refused(node.source, f"has {len(node.outputs)} outputs", "one")
        if self.translation.is_whole and node.kind not in _WHOLE:
            found = "computes in uint8, which wraps and cuts"
            raise refused(node.source, found, "a Cast to float before it")
        arrays = [thing if isinstance(thing, np.ndarray) else None for thing in inputs]
        if node.kind not in ("Reshape", "Slice") and any(map(has_batch, arrays)):
            raise refused(node.source, "computes with the number of images", "other numbers")
        self.constants.use(node.source, sum(x.size for x in arrays if x is not None))
        try:
            x = operator(self.translation, node, image.axes, arrays)
        except ConvletError:
            raise
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            misfit = f"does not fit its constants ({error!s:.80})"
            raise refused(node.source, misfit, "export it again") from None
        made = node.outputs[0]
        if node.kind in ("Sigmoid", "Softmax", "LogSoftmax"):
            is_log, is_sigmoid = node.kind == "LogSoftmax", node.kind == "Sigmoid"
            self.things[made] = self.answers.table(x, is_log, is_sigmoid)
        else:
            self.after += 1
            self.things[made] = Image(x, self.after)

    def _end(self) -> None:
        """The outputs are answers, or what would enter a softmax."""
        for node, after in self.labelled:
            if after != self.after:
                raise refused(node.source, "names a class in the midst of the graph", "at its end")
        things = [self.things.get(value.name) for value in self.model.outputs]
        if len(things) == 1 and isinstance(things[0], Image) and things[0].after > 0:
            return
        answers: list[Answer] = []
        for value, thing in zip(self.model.outputs, things, strict=True):
            if isinstance(thing, Answer):
                answers.append(thing)
            elif isinstance(thing, Image) and thing.after < self.after:
                name = label(value.name, 40)
                self.translation.said.append(f"the output {name!r}, from inside, is left out")
            elif isinstance(thing, Image) and thing.after > 0:
                is_one_unit = {*thing.axes.sizes} <= {0, 1}  # enters a sigmoid
                answers.append(self.answers.table(thing.axes, is_sigmoid=is_one_unit))
        if not answers:
            raise refused("the graph", "has no output that depends on its input", "one that does")
        taken = order_of(answers)
        self.translation.steps += [taken] if taken else []
        self.classes = names_of(self.answers, answers[0].classes, taken)


def _needed(model: Model) -> Iterator[Node]:
    """The nodes that outputs depend on, in their order."""
    wanted = {value.name for value in model.outputs}
    needed = []
    for node in reversed(model.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            needed.append(node)
    return reversed(needed)


def _first_image(node: Node, things: dict[str, Thing]) -> str:
    return next(label(name, 40) for name in node.inputs if isinstance(things.get(name), Image))


_WHOLE = {
    *("Cast", "Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"),
    *("MaxPool", "GlobalMaxPool", "ReduceMax", "Relu"),
}
"""Operators that are the same of uint8."""

_INSTEAD = {
    "ReLU between layers": "LeakyRelu PRelu Elu Selu Celu Gelu Mish Tanh HardSigmoid HardSwish"
    " Softplus Softsign ThresholdedRelu Swish",
    "batch normalisation, which has fixed numbers when it predicts": "InstanceNormalization"
    " GroupNormalization LayerNormalization RMSNormalization LRN LpNormalization"
    " MeanVarianceNormalization Normalizer",
    "weights in floats, before they are quantised": "QuantizeLinear DequantizeLinear QLinearConv"
    " QLinearMatMul ConvInteger MatMulInteger DynamicQuantizeLinear",
    "a convolution with a stride, or a pool": "Resize Upsample ConvTranspose MaxUnpool LpPool"
    " GlobalLpPool DepthToSpace SpaceToDepth MaxRoiPool RoiAlign GridSample",
    "a network that sees one image at once": "LSTM GRU RNN Attention MultiHeadAttention Einsum",
    "a chain without branches, loops or conditions": "If Loop Scan Concat Split SequenceAt"
    " SplitToSequence",
}


def _needs(kind: str) -> str:
    """What would be needed in its place."""
    for what, kinds in _INSTEAD.items():
        if kind in kinds.split():
            return what
    return "what docs/interchange.md lists"
