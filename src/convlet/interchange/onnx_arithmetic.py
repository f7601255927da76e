"""Arithmetic of float64 values in a graph of ONNX, written as in Python."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from convlet.interchange.onnx_graph import Graph


@dataclass(frozen=True)
class Value:
    """A float64 value of a graph, by its name there; its operators add nodes."""

    graph: Graph
    name: str

    def of(self, kind: str, *terms: "Value | float", **attributes: Any) -> "Value":
        """A node of this value and others, or numbers."""
        names = [t.name if isinstance(t, Value) else number(self.graph, t).name for t in terms]
        return Value(self.graph, self.graph.add(kind, self.name, *names, **attributes))

    def __add__(self, other: "Value | float") -> "Value":
        return self.of("Add", other)

    def __sub__(self, other: "Value | float") -> "Value":
        return self.of("Sub", other)

    def __mul__(self, other: "Value | float") -> "Value":
        return self.of("Mul", other)

    def __truediv__(self, other: "Value | float") -> "Value":
        return self.of("Div", other)

    def __matmul__(self, other: "Value") -> "Value":
        return self.of("MatMul", other)

    def __lt__(self, other: "Value | float") -> "Value":
        return self.of("Less", other)

    def __and__(self, other: "Value") -> "Value":
        return self.of("And", other)

    def where(self, then: "Value", other: "Value | float") -> "Value":
        """`then` where this, a truth value, holds, else the other."""
        return self.of("Where", then, other)

    def rounded(self) -> "Value":
        """To whole numbers, halves up."""
        return (self + 0.5).of("Floor")

    def in_float32(self) -> "Value":
        """Rounded to float32."""
        single = self.graph.cast(self.name, "float")
        return Value(self.graph, self.graph.cast(single, "double"))

    def transposed(self, *axes: int) -> "Value":
        return self.of("Transpose", perm=axes)


def number(graph: Graph, values: object) -> Value:
    """Numbers that the graph holds."""
    return Value(graph, graph.constant(values, np.float64))
