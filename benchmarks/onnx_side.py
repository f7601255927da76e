"""onnxruntime: prediction with the network as an ONNX graph."""

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from contender import Data
from layout import Net, Weights, channels_first


def graph(net: Net, weights: Weights) -> onnx.ModelProto:
    """x (n, 1, 28, 28) -> probabilities (n, classes); n is free."""
    nodes, tensors, name = [], [], "x"

    def add(kind: str, *inputs: str, **attributes: object) -> None:
        nonlocal name
        output = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, [name, *inputs], [output], **attributes))
        name = output

    for stage, (w, b) in enumerate(channels_first(net, weights)):
        tensors += [
            numpy_helper.from_array(w, f"w{stage}"),
            numpy_helper.from_array(b, f"b{stage}"),
        ]
        if stage < len(net.channels):
            add("Conv", f"w{stage}", f"b{stage}", pads=[net.paddings[stage]] * 4)
            add("Relu")
            add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            continue
        if stage == len(net.channels):
            add("Flatten")
        add("Gemm", f"w{stage}", f"b{stage}", transB=1)
        add("Relu" if stage < len(net.channels) + len(net.units) - 1 else "Softmax")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])
    y = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", net.units[-1]])
    opsets = [helper.make_opsetid("", 17)]
    whole = helper.make_graph(nodes, net.name, [x], [y], tensors)
    model = helper.make_model(whole, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return model


class OnnxRuntime:
    trains = False
    chunks = (50, 250, 1000, 10_000)

    def __init__(self, mode: str, data: Data, threads: int) -> None:
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1
        floats = data.test_floats()
        self.test = floats.reshape(len(floats), 1, 28, 28)

    def version(self) -> str:
        return onnxruntime.__version__

    def build(self, net, weights, batch_size):
        model = graph(net, weights).SerializeToString()
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(model, self.options, providers=providers)

    def predictor(self, start, stop):
        images = self.test[start:stop]
        return lambda: self.session.run(None, {"x": images})[0]
