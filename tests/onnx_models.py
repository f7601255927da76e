"""ONNX models of chains, and what onnx's own reference evaluator makes of them."""

from itertools import count

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from convlet.interchange import chain


def model_of(found: chain.Chain, dtype=np.float32, opset: int = 17) -> onnx.ModelProto:
    """A chain as the nodes that an exporter with channels first writes."""
    rows, columns, channels = found.input_shape
    graph = Graph()
    x = "input"
    for step in found.steps:
        x = graph.step(step, x)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = (
        helper.make_tensor_value_info("input", kind, ["n", channels, rows, columns]),
        helper.make_tensor_value_info(x, kind, ["n", "classes"]),
    )
    made = helper.make_graph(graph.nodes, "chain", ends[:1], ends[1:], graph.constants)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=9)
    if dtype == np.float64:
        return model
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Its first output for x, in whatever layout the model takes."""
    evaluator = ReferenceEvaluator(model)
    with np.errstate(all="ignore"):
        return evaluator.run(None, {evaluator.input_names[0]: x})[0]


class Graph:
    """Nodes and constants, float32."""

    def __init__(self) -> None:
        self.nodes, self.constants, self.names = [], [], count()

    def constant(self, values, dtype=np.float32) -> str:
        name = f"c{next(self.names)}"
        self.constants.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes) -> str:
        output = f"x{next(self.names)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def step(self, step: chain.Step, x: str) -> str:
        match step:
            case chain.Conv(_, w, bias, stride, margins, dilation, groups):
                more = [] if bias is None else [self.constant(bias)]
                window = {"strides": stride, "pads": pads(margins), "dilations": dilation}
                return self.node("Conv", x, self.constant(w), *more, group=groups, **window)
            case chain.Dense(_, w, bias):
                z = self.node("MatMul", x, self.constant(w))
                return z if bias is None else self.node("Add", z, self.constant(bias))
            case chain.Affine(_, scale, shift):
                x = x if scale is None else self.node("Mul", x, self.constant(first(scale)))
                return x if shift is None else self.node("Add", x, self.constant(first(shift)))
            case chain.Pad(_, margins, value):
                (above, below), (left, right) = margins
                ends = self.constant([0, 0, above, left, 0, 0, below, right], np.int64)
                return self.node("Pad", x, ends, self.constant(value))
            case chain.AveragePool(_, size, stride, margins, counts):
                window = {"kernel_shape": size, "strides": stride, "pads": pads(margins)}
                return self.node("AveragePool", x, count_include_pad=int(counts), **window)
            case chain.MaxPool(_, size, stride, margins):
                window = {"kernel_shape": size, "strides": stride, "pads": pads(margins)}
                return self.node("MaxPool", x, **window)
            case chain.GlobalAveragePool():
                return self.node("GlobalAveragePool", x)
            case chain.ReLU():
                return self.node("Relu", x)
            case chain.Dropout(_, rate):
                return self.node("Dropout", x, self.constant(rate))
            case chain.Flatten(_, "hwc"):
                return self.node("Flatten", self.node("Transpose", x, perm=[0, 2, 3, 1]))
            case chain.Flatten():
                return self.node("Flatten", x)
            case chain.Sigmoid():
                return self.node("Sigmoid", x)
            case chain.Softmax(_, log):
                return self.node("LogSoftmax" if log else "Softmax", x, axis=-1)


def pads(margins) -> list[int]:
    (above, below), (left, right) = margins
    return [above, left, below, right]


def first(values) -> np.ndarray:
    """Numbers of an image with its channels first."""
    values = np.asarray(values)
    if values.ndim == 3:
        return values.transpose(2, 0, 1)
    return values
