"""onnxruntime: prediction with the network as an ONNX graph."""

from dataclasses import replace
from typing import assert_never

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import layout
from convlet.interchange import chain
from layout import Net, Weights

TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def graph(net: Net, weights: Weights, dtype: str) -> onnx.ModelProto:
    """x (n, channels, rows, columns) -> probabilities (n, classes); n is free.

    dtype: of x; levels are cast in the graph, and the first weights divided by 255 beforehand.
    """
    nodes, tensors, name = [], [], "x"

    def add(kind: str, *arrays: np.ndarray, **attributes: object) -> None:
        nonlocal name
        output = f"{kind.lower()}{len(nodes)}"
        inputs = [f"{output}_{n}" for n in range(len(arrays))]
        tensors.extend(map(numpy_helper.from_array, arrays, inputs))
        nodes.append(helper.make_node(kind, [name, *inputs], [output], **attributes))
        name = output

    steps = layout.steps(net, weights, "chw")
    if dtype == "uint8":
        add("Cast", to=TensorProto.FLOAT)
        first = next(
            n for n, step in enumerate(steps) if isinstance(step, chain.Conv | chain.Dense)
        )
        steps[first] = replace(steps[first], w=steps[first].w / np.float32(255))
    for step in steps:
        match step:
            case chain.Conv(w=w, bias=b, stride=stride, margins=((above, below), (left, right))):
                pads = [above, left, below, right]
                add("Conv", w, *([] if b is None else [b]), strides=stride, pads=pads)
            case chain.Dense(w=w, bias=b):
                add("Gemm", np.ascontiguousarray(w.T), *([] if b is None else [b]), transB=1)
            case chain.MaxPool(size=size, stride=stride):
                add("MaxPool", kernel_shape=size, strides=stride)
            case chain.ReLU():
                add("Relu")
            case chain.Flatten():
                add("Flatten")
            case chain.Softmax():
                add("Softmax")
            case chain.Dropout():
                pass  # predictions draw nothing
            case chain.Affine():
                raise ValueError(f"{step.source}: a bias by position is in no family")
            case _:
                assert_never(step)
    rows, columns, channels = net.shape
    x = helper.make_tensor_value_info("x", TYPES[dtype], ["n", channels, rows, columns])
    y = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", net.classes])
    opsets = [helper.make_opsetid("", 17)]
    whole = helper.make_graph(nodes, net.name, [x], [y], tensors)
    model = helper.make_model(whole, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return model


class OnnxRuntime:
    trains = False
    dtype = "float32"
    chunks = (50, 250, 1000, 10_000)

    def __init__(self, mode: str, threads: int) -> None:
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1

    def version(self) -> str:
        return onnxruntime.__version__

    def load(self, data):
        self.test = {
            "float32": np.ascontiguousarray(data.test_floats().transpose(0, 3, 1, 2)),
            "uint8": np.ascontiguousarray(data.test_images.transpose(0, 3, 1, 2)),
        }

    def build(self, net, weights, batch_size):
        self.sessions = {
            dtype: onnxruntime.InferenceSession(
                graph(net, weights, dtype).SerializeToString(),
                self.options,
                providers=["CPUExecutionProvider"],
            )
            for dtype in TYPES
        }

    def predictor(self, start, stop, dtype):
        images, run = self.test[dtype][start:stop], self.sessions[dtype].run
        return lambda: run(None, {"x": images})[0]
