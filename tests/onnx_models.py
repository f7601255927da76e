"""ONNX models of chains, and what onnx's own reference evaluator makes of them."""

from itertools import count

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from convlet.interchange import chain

FIRST, LAST = "nchw", "nhwc"
"""Where the channels are."""


def model_of(found: chain.Chain, layout: str = FIRST) -> onnx.ModelProto:
    """A chain as an exporter writes it: with channels first as PyTorch's, with them last as jax's.

    Then images are turned before and after each convolution and pool.
    """
    rows, columns, channels = found.input_shape
    graph, x = Graph(layout), "input"
    for step in found.steps:
        x = graph.step(step, x)
    shape = [channels, rows, columns] if layout == FIRST else [rows, columns, channels]
    return graph.model(["n", *shape], x)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Its first output for x, in whatever layout the model takes."""
    evaluator = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        return evaluator.run(None, {evaluator.input_names[0]: x})[0]


class Graph:
    """Nodes and constants, float32; images are called "input"."""

    def __init__(self, layout: str = FIRST) -> None:
        self.nodes, self.constants, self.names = [], [], count()
        self.layout = layout

    def constant(self, values, dtype=np.float32) -> str:
        name = f"c{next(self.names)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes) -> str:
        output = f"x{next(self.names)}"
        self.nodes.append(
            helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def model(
        self,
        shape,
        *outputs: str,
        opset: int = 17,
        kind: int = onnx.TensorProto.FLOAT,
        out_kind: int = onnx.TensorProto.FLOAT,
        out_shape=("n", "classes"),
        check: bool = True,
    ) -> onnx.ModelProto:
        """shape: of the images.  outputs: names, the first one first."""
        given = helper.make_tensor_value_info("input", kind, shape)
        made = [helper.make_tensor_value_info(name, out_kind, out_shape) for name in outputs]
        graph = helper.make_graph(self.nodes, "chain", [given], made, self.constants)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        if check:
            onnx.checker.check_model(model, full_check=True)
        return model

    def turned(self, kind: str, x: str, *inputs: str, **attributes) -> str:
        """A node that wants its channels first."""
        if self.layout == FIRST:
            return self.node(kind, x, *inputs, **attributes)
        x = self.node("Transpose", x, perm=[0, 3, 1, 2])
        return self.node("Transpose", self.node(kind, x, *inputs, **attributes), perm=[0, 2, 3, 1])

    def step(self, step: chain.Step, x: str) -> str:
        match step:
            case chain.Conv(_, w, bias, stride, margins, dilation, groups):
                more = [] if bias is None else [self.constant(bias)]
                window = {"strides": stride, "pads": pads(margins), "dilations": dilation}
                return self.turned("Conv", x, self.constant(w), *more, group=groups, **window)
            case chain.Dense(_, w, bias):
                z = self.node("MatMul", x, self.constant(w))
                return z if bias is None else self.node("Add", z, self.constant(bias))
            case chain.Affine(_, scale, shift):
                x = x if scale is None else self.node("Mul", x, self.constant(self.along(scale)))
                return x if shift is None else self.node("Add", x, self.constant(self.along(shift)))
            case chain.Pad(_, margins, value):
                (above, below), (left, right) = margins
                ends = {"n": (0, 0), "c": (0, 0), "h": (above, below), "w": (left, right)}
                every = [ends[axis][end] for end in range(2) for axis in self.layout]
                return self.node("Pad", x, self.constant(every, np.int64), self.constant(value))
            case chain.AveragePool(_, size, stride, margins, counts):
                window = {"kernel_shape": size, "strides": stride, "pads": pads(margins)}
                return self.turned("AveragePool", x, count_include_pad=int(counts), **window)
            case chain.MaxPool(_, size, stride, margins):
                window = {"kernel_shape": size, "strides": stride, "pads": pads(margins)}
                return self.turned("MaxPool", x, **window)
            case chain.GlobalAveragePool():
                return self.turned("GlobalAveragePool", x)
            case chain.ReLU():
                return self.node("Relu", x)
            case chain.Dropout(_, rate):
                return self.node("Dropout", x, self.constant(rate))
            case chain.Flatten(_, order):
                moves = {("hwc", FIRST): [0, 2, 3, 1], ("chw", LAST): [0, 3, 1, 2]}
                move = moves.get((order, self.layout))
                return self.node(
                    "Flatten", x if move is None else self.node("Transpose", x, perm=move)
                )
            case chain.Sigmoid():
                return self.node("Sigmoid", x)
            case chain.Softmax(_, log):
                return self.node("LogSoftmax" if log else "Softmax", x, axis=-1)

    def along(self, values) -> np.ndarray:
        """Numbers of an image in the layout of the graph."""
        values = np.asarray(values)
        is_turned = values.ndim == 3 and self.layout == FIRST
        return values.transpose(2, 0, 1) if is_turned else values


def pads(margins) -> list[int]:
    (above, below), (left, right) = margins
    return [above, left, below, right]
