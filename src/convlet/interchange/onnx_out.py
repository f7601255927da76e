"""A network as one ONNX file.  docs/interchange.md says what is in it."""

import os
from typing import Any, assert_never

import numpy as np

from convlet._version import __version__
from convlet.errors import InputError
from convlet.files.atomic import write_atomic
from convlet.formats.levels import Dtype, as_dtype, check_dtype
from convlet.formats.model import Saveable, metadata_of
from convlet.inputs import as_bool
from convlet.interchange import chain
from convlet.interchange.onnx_graph import Graph
from convlet.interchange.onnx_preparation import check_preparable, prepared
from convlet.interchange.unfolding import OwnStep, steps_of
from convlet.preparation import Preparation


def save_onnx(
    network: Saveable,
    path: str | os.PathLike[str],
    dtype: Dtype = "uint8",
    prepare: bool = False,
    labels: bool = False,
) -> None:
    """Write a network as an ONNX file, atomically; see `Inference.to_onnx`.

    Equal networks give equal bytes.  Raises `InputError`, `MissingDependencyError`, `FileError`.
    """
    prepare, labels = as_bool(prepare, "prepare"), as_bool(labels, "labels")
    dtype = as_dtype(dtype)
    check_dtype(dtype, network.scale)
    preparation = check_preparable(network.preparation, dtype) if prepare else None
    if labels and network.classes is None:
        hint = "set network.classes, or leave it out"
        raise InputError("labels", labels, but="the classes have no names", hint=hint)
    steps, graph = [*steps_of(network, "chw")], Graph()
    given, x = _images(graph, network, dtype, preparation)
    z, stage = x, -1
    for step in steps:
        stage += isinstance(step, chain.Conv | chain.Dense)
        z, x = x, _added(graph, step, x, stage)  # in the end z enters the softmax
    outputs = [graph.value(x, "float", ["n", network.class_count], "of each class")]
    if labels:
        best = graph.add("ArgMax", z, axis=1, keepdims=0)
        names = graph.words(network.classes or ())
        label = graph.add("Gather", names, best, output="label")
        outputs.append(graph.value(label, "string", ["n"], "the most probable class"))
    metadata = {"convlet_version": __version__, **metadata_of(network)}
    write_atomic(path, graph.model([given], outputs, metadata))


def _images(
    graph: Graph, network: Saveable, dtype: Dtype, preparation: Preparation | None
) -> tuple[Any, str]:
    """What the graph is given, and the images in it: (n, channels, rows, columns), white is 1."""
    if preparation is not None:
        about = "of one size, RGB, 255 is white, as decoded and turned upright"
        given = graph.value("images", "uint8", ["n", "rows", "columns", 3], about)
        return given, graph.unit(prepared(graph, "images", preparation))
    shape: list[int | str] = ["n", *network.input_shape]
    if dtype == "uint8":
        given = graph.value("images", "uint8", shape, "255 is white")
        x = graph.unit(graph.cast("images", "float"))
    else:
        given = graph.value("images", "float", shape, "as in training; of levels: divided by 255")
        x = "images"
    return given, graph.add("Transpose", x, perm=[0, 3, 1, 2])


def _added(graph: Graph, step: OwnStep, x: str, stage: int) -> str:
    """A step after the value x.  stage: l of its parameters, which are called as in convlet."""
    match step:
        case chain.Conv(w=w, bias=bias, stride=stride, margins=((above, below), (left, right))):
            weights = graph.parameters(stage, w, bias)
            pads = [above, left, below, right]
            return graph.add("Conv", x, *weights, strides=stride, pads=pads)
        case chain.Dense(w=w, bias=bias):
            return graph.add("Gemm", x, *graph.parameters(stage, w, bias))
        case chain.Affine(shift=shift):
            assert shift is not None
            return graph.add(
                "Add", x, graph.constant(np.transpose(shift, (2, 0, 1)), name=f"b{stage}")
            )
        case chain.MaxPool(size=size, stride=stride):
            return graph.add("MaxPool", x, kernel_shape=size, strides=stride)
        case chain.ReLU():
            return graph.add("Relu", x)
        case chain.Dropout(rate=rate):
            return graph.add("Dropout", x, ratio=rate)
        case chain.Flatten(order=order):
            lined = x if order == "chw" else graph.add("Transpose", x, perm=[0, 2, 3, 1])
            return graph.add("Flatten", lined, axis=1)
        case chain.Softmax():
            return graph.add("Softmax", x, axis=1, output="probabilities")
        case _:
            assert_never(step)
