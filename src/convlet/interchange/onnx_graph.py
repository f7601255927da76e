"""A graph of ONNX, written node after node.

OPSET is the lowest that has all that is written: a Gemm without a bias came with it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet._version import __version__
from convlet.equations import Array
from convlet.libraries import library

OPSET = 11
IR_VERSION = 6  # of the file, which came with that opset
PRODUCER = "convlet"
START = bytes([8, IR_VERSION, 18, len(PRODUCER)]) + PRODUCER.encode()
"""Of every file that is written here: the first two fields."""


class Graph:
    """Nodes and constants.  A value is known by its name, which the methods that make one give.

    Raises `MissingDependencyError` without the library onnx.
    """

    def __init__(self) -> None:
        self.onnx: Any = library("onnx", "an ONNX file needs", '"convlet[onnx]"')
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node, which is called like its output."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float32, name: str = "") -> str:
        """Numbers that the graph holds."""
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def parameters(self, stage: int, w: Array, bias: Array | None) -> list[str]:
        """Those of a stage that has them, called as in convlet."""
        found = [self.constant(w, name=f"w{stage}")]
        return found if bias is None else [*found, self.constant(bias, name=f"b{stage}")]

    def words(self, values: Sequence[str]) -> str:
        """Texts that the graph holds."""
        name, kind = f"constant_{len(self.constants)}", self.dtype("string")
        encoded = [value.encode() for value in values]
        self.constants.append(self.onnx.helper.make_tensor(name, kind, [len(values)], encoded))
        return name

    def cast(self, value: str, dtype: str) -> str:
        return self.add("Cast", value, to=self.dtype(dtype))

    def unit(self, levels: str) -> str:
        """Levels 0 to 255 as 0 to 1."""
        return self.add("Div", levels, self.constant(255))

    def dtype(self, name: str) -> int:
        """ONNX's number of "uint8", "float", "double", "int64" or "string"."""
        number: int = getattr(self.onnx.TensorProto, name.upper())
        return number

    def value(self, name: str, dtype: str, shape: Sequence[int | str], about: str) -> Any:
        """What goes in or out of the graph.  shape: a text for a free size.  about: for people."""
        return self.onnx.helper.make_tensor_value_info(name, self.dtype(dtype), shape, about)

    def model(
        self, inputs: Sequence[Any], outputs: Sequence[Any], metadata: dict[str, str]
    ) -> bytes:
        """The whole file, after ONNX's full check."""
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, PRODUCER, inputs, outputs, self.constants)
        made = helper.make_model(
            graph,
            producer_name=PRODUCER,
            producer_version=__version__,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(made, metadata)
        self.onnx.checker.check_model(made, full_check=True)
        content: bytes = made.SerializeToString(deterministic=True)
        return content
