"""A preparation of image files as nodes of ONNX, as Pillow does it.

Images come decoded, RGB, of any size.  They are turned grey, if the network sees grey, then
resampled by Lanczos' window along columns and along rows, each time to whole levels.  As in Pillow
weights are whole numbers of 2^-22; in float64 all sums are exact.  Pillow 13 goes along rows first
where that is less work: then levels may differ where one of the two passes rounds or clips.
"""

from math import pi
from typing import NamedTuple, assert_never

import numpy as np

from convlet.errors import InputError
from convlet.interchange.onnx_arithmetic import Value, number
from convlet.interchange.onnx_graph import Graph
from convlet.preparation import BACKGROUND, Preparation

LUMA = (19595, 38470, 7471)
"""Of ITU-R 601, in 65536ths."""
LOBES = 3  # of the window
UNIT = 1 << 22  # of the weights
NEAR = 1e-9  # pixels, where sinc is 1


def check_preparable(preparation: Preparation | None, dtype: str) -> Preparation:
    """Raise `InputError` where no graph does what was done with the images of training."""
    hint = "leave it out, and give prepared images"
    if preparation is None:
        but = "the network was trained on arrays, and does not say what is done with image files"
        raise InputError("prepare", True, but=but, hint=hint)
    if preparation.fit == "figure":
        but = "the network was trained on figures, put bright on black and moved to the centre"
        raise InputError("prepare", True, but=but, hint=hint)
    if dtype != "uint8":
        raise InputError("dtype", dtype, "uint8, as image files are decoded to")
    return preparation


def prepared(graph: Graph, images: str, preparation: Preparation) -> str:
    """uint8 (n, rows, columns, 3) -> levels, float (n, channels, rows, columns) of its size."""
    x = Value(graph, graph.cast(images, "double"))
    if preparation.colour == "grey":
        x = (x @ number(graph, np.reshape(LUMA, (3, 1))) / (1 << 16)).rounded()
    x = x.transposed(0, 3, 1, 2)
    rows, columns = _axes(graph, images, preparation)
    x = _whole(x @ _weights(columns).transposed(1, 0))
    x = _whole(_weights(rows) @ x)
    if preparation.fit == "pad":
        shown = _is_inside(rows).of("Unsqueeze", axes=[1]) & _is_inside(columns)
        x = shown.where(x, BACKGROUND)
    return graph.cast(x.name, "float")


class _Axis(NamedTuple):
    """How the pixels along one axis come about.

    given: pixels of the image.  start, stop: what of them is taken, and resampled to `resized`
    pixels.  The result has `size` pixels, of which the one at `first` is the first of these.
    """

    given: Value
    start: Value
    stop: Value
    resized: Value
    first: Value
    size: int


def _axes(graph: Graph, images: str, preparation: Preparation) -> tuple[_Axis, _Axis]:
    """Of rows and columns."""
    shape = Value(graph, graph.cast(graph.add("Shape", images), "double"))
    height, width = (
        Value(graph, graph.add("Gather", shape.name, graph.constant(axis, np.int64)))
        for axis in (1, 2)
    )
    rows, columns = number(graph, preparation.rows), number(graph, preparation.columns)
    match preparation.fit:
        case "stretch":
            return (
                _taken(height, height, rows, preparation.rows),
                _taken(width, width, columns, preparation.columns),
            )
        case "crop":
            ratio = columns / rows
            return (
                _taken(height, height.of("Min", width / ratio), rows, preparation.rows),
                _taken(width, width.of("Min", ratio * height), columns, preparation.columns),
            )
        case "pad":
            return (
                _padded(height, (height / width * columns), rows, preparation.rows),
                _padded(width, (width / height * rows), columns, preparation.columns),
            )
        case "figure":
            raise AssertionError  # `check_preparable` refuses it
        case _:
            assert_never(preparation.fit)


def _taken(given: Value, taken: Value, resized: Value, size: int) -> _Axis:
    """What is not taken is cut off at both ends alike."""
    start = (given - taken) * 0.5
    first = number(given.graph, 0)
    return _Axis(given, start.in_float32(), (start + taken).in_float32(), resized, first, size)


def _padded(given: Value, wanted: Value, most: Value, size: int) -> _Axis:
    """wanted: the pixels that keep the proportions, where they are not too many."""
    resized = most.of("Min", wanted.of("Round").of("Max", 1))
    first = ((most - resized) * 0.5).of("Round")
    return _Axis(given, number(given.graph, 0), given, resized, first, size)


def _weights(axis: _Axis) -> Value:
    """(size, given): what each pixel of the image counts in each of the result, times `UNIT`."""
    graph = axis.given.graph
    scale = (axis.stop - axis.start) / axis.resized
    place = number(graph, np.arange(axis.size)[:, None] + 0.5) - axis.first
    inside = place.of("Max", 0.5).of("Min", axis.resized - 0.5)  # beside it is the frame
    centre = axis.start + inside * scale
    count = graph.cast(axis.given.name, "int64")
    ends = graph.constant(0, np.int64), count, graph.constant(1, np.int64)
    pixels = Value(graph, graph.cast(graph.add("Range", *ends), "double"))
    far = (pixels + 0.5 - centre) / scale.of("Max", 1)
    w = (far.of("Abs") < LOBES).where(_lanczos(far), 0)
    return (w / w.of("ReduceSum", axes=[1], keepdims=1) * UNIT).rounded()


def _lanczos(x: Value) -> Value:
    """sinc(x) sinc(x / 3), without its end."""
    is_middle = x.of("Abs") < NEAR
    a = is_middle.where(number(x.graph, 1), x * pi)
    return is_middle.where(
        number(x.graph, 1), a.of("Sin") / a * ((a / LOBES).of("Sin") / (a / LOBES))
    )


def _whole(sums: Value) -> Value:
    """Sums of weighted levels as levels."""
    return (sums / UNIT).rounded().of("Max", 0).of("Min", 255)


def _is_inside(axis: _Axis) -> Value:
    """(size,): where the result shows pixels of the image."""
    place = number(axis.given.graph, np.arange(axis.size)) - axis.first
    return (number(axis.given.graph, -1) < place) & (place < axis.resized)
