"""Operators of ONNX by their names.  docs/interchange.md lists them."""

from collections.abc import Mapping

from convlet.interchange import onnx_elementwise as elementwise
from convlet.interchange import onnx_layers as layers
from convlet.interchange import onnx_moves as moves
from convlet.interchange.onnx_translation import Operator

OPERATORS: Mapping[tuple[str, str], Operator] = {
    ("ai.onnx.ml", "Scaler"): elementwise.scaler,
    **{
        ("", kind): operator
        for kind, operator in {
            **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax"), layers.reduced),
            **dict.fromkeys(("Add", "Sum", "Sub", "Mul", "Div", "Max", "Min"), elementwise.binary),
            "Identity": elementwise.nothing,
            "Cast": elementwise.cast,
            "Conv": layers.conv,
            "MaxPool": layers.max_pool,
            "AveragePool": layers.average_pool,
            "GlobalAveragePool": layers.global_average,
            "GlobalMaxPool": layers.global_max,
            "BatchNormalization": elementwise.norm,
            "Neg": elementwise.negative,
            "Pad": layers.pad,
            "Relu": elementwise.relu,
            "Clip": elementwise.clip,
            "Dropout": elementwise.dropout,
            "Flatten": moves.flatten,
            "Reshape": moves.reshape,
            "Transpose": moves.transpose,
            "Unsqueeze": moves.unsqueeze,
            "Squeeze": moves.squeeze,
            "Gemm": layers.gemm,
            "MatMul": layers.matmul,
            "Softmax": elementwise.softmax,
            "LogSoftmax": elementwise.softmax,
            "Sigmoid": elementwise.sigmoid,
        }.items()
    },
}
"""By domain and operator."""
