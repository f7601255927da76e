"""Operators of ONNX that join pixels or units: convolutions, pools, frames, dense maps."""

import numpy as np

from convlet.equations import Array
from convlet.interchange import chain
from convlet.interchange.chain import refused
from convlet.interchange.onnx_attributes import Inputs, axes_of, ints, real, text, whole, wholes
from convlet.interchange.onnx_axes import Axes, WrongLayoutError, check_image, narrowed
from convlet.interchange.onnx_file import Node
from convlet.interchange.onnx_translation import Translation, given, optional
from convlet.interchange.onnx_windows import Window, window_of
from convlet.wording import size


def conv(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    w, bias = given(node, inputs, 1), optional(inputs, 2)
    if w.ndim != x.rank:
        raise refused(node.source, f"has weights {size(w.shape)} for {x.words}", "as many axes")
    window = window_of(node, x, w.shape[2:])
    named = ints(node, "kernel_shape", w.shape[2:])
    if named != w.shape[2:]:
        raise refused(node.source, f"says kernel {named}, and has {w.shape[2:]}", "one of them")
    groups = whole(node, "group", 1)
    if x.rank == 4:
        t.is_sure = True
    elif x.marks[:2] == "11" and w.shape[:2] == (1, 1) and groups == 1 and bias is None:
        groups = x.image[2]  # the channels are an axis of windows: each has the same kernel
        w = np.tile(w.reshape(1, 1, *window.size), (groups, 1, 1, 1))
    else:
        raise refused(node.source, f"is a convolution of {x.words}", "rows and columns only")
    parts = (window.stride, window.margins, window.dilation, groups)
    t.step(chain.Conv, node, w, None if bias is None else bias.ravel(), *parts)
    return window.after(x, w.shape[0])


def _pool_window(t: Translation, node: Node, x: Axes) -> Window:
    window = window_of(node, x, ints(node, "kernel_shape"))
    if window.dilation != (1, 1):
        raise refused(node.source, f"has dilations {window.dilation}", "dilations of 1")
    t.is_sure = t.is_sure or x.rank == 4
    return window


def max_pool(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    window = _pool_window(t, node, x)
    t.step(chain.MaxPool, node, window.size, window.stride, window.margins)
    return window.after(x, x.image[2])


def average_pool(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    window = _pool_window(t, node, x)
    counts = bool(whole(node, "count_include_pad", 0))
    t.step(chain.AveragePool, node, window.size, window.stride, window.margins, counts)
    return window.after(x, x.image[2])


def global_average(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    check_image(x, node.source)
    t.is_sure = True
    t.step(chain.GlobalAveragePool, node)
    return Axes("nchw", (0, x.image[2], 1, 1))


def global_max(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    check_image(x, node.source)
    t.is_sure = True
    t.step(chain.MaxPool, node, x.image[:2], (1, 1))
    return Axes("nchw", (0, x.image[2], 1, 1))


def reduced(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    """The mean, the sum or the maximum over rows and columns."""
    places = axes_of(node, inputs) or []
    at = {k + x.rank if k < 0 else k for k in places}
    gone = {x.marks[k] for k in at if 0 <= k < x.rank}
    left = {x.marks[k] for k in range(x.rank) if k not in at}
    if x.is_flat or not gone or gone - {"h", "w", "1"} or left & {"h", "w"}:
        if not x.is_flat and not t.is_sure:
            raise WrongLayoutError
        raise refused(node.source, f"goes over axes {tuple(places)} of {x.words}", "all pixels")
    rows, columns, _ = x.image
    if node.kind == "ReduceMax":
        t.step(chain.MaxPool, node, (rows, columns), (1, 1))
    else:
        t.step(chain.GlobalAveragePool, node)
        if node.kind == "ReduceSum":
            t.step(chain.Affine, node, float(rows * columns))
    sizes = [1 if letter in "hw" else n for letter, n in zip(x.letters, x.sizes, strict=True)]
    kept = Axes(x.letters, tuple(sizes))
    return kept if whole(node, "keepdims", 1) else narrowed(kept, node.source, sorted(at))


def pad(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    mode = text(node, "mode", "constant")
    if mode != "constant":
        raise refused(node.source, f"has mode {mode!r:.20}", "mode constant")
    if t.version < 11:
        pads, value = list(ints(node, "pads")), real(node, "value", 0.0)
    else:
        pads = wholes(node, given(node, inputs, 1))
        filling = optional(inputs, 2)
        value = 0.0 if filling is None or filling.size != 1 else float(filling.ravel()[0])
    named = optional(inputs, 3)
    places = range(x.rank) if named is None else [k % x.rank for k in wholes(node, named)]
    if len(pads) != 2 * len(places) or min(pads, default=0) < 0:
        raise refused(node.source, f"has pads {pads}", "0 or more for each side")
    found = {"h": (0, 0), "w": (0, 0)}
    for k, margin in zip(
        places, zip(pads[: len(places)], pads[len(places) :], strict=True), strict=True
    ):
        if margin == (0, 0):
            continue
        if x.letters[k] not in found:
            if x.is_flat or t.is_sure or x.letters[k] == "n":
                raise refused(node.source, f"pads axis {k} of {x.words}", "rows and columns only")
            raise WrongLayoutError
        found[x.letters[k]] = margin
    t.step(chain.Pad, node, (found["h"], found["w"]), value)
    sizes = [
        n + sum(found.get(letter, (0, 0))) for letter, n in zip(x.letters, x.sizes, strict=True)
    ]
    return Axes(x.letters, tuple(sizes))


def gemm(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    if inputs[0] is not None or whole(node, "transA", 0):
        raise refused(node.source, "has the image as B, or turned by transA", "the image as A")
    w = given(node, inputs, 1) * np.float64(real(node, "alpha", 1.0))
    bias = optional(inputs, 2)
    w = w.T if whole(node, "transB", 0) else w
    if w.ndim != 2:
        raise refused(node.source, f"has weights {size(w.shape)}", "a matrix")
    if bias is not None:
        try:
            bias = np.broadcast_to(bias, (1, w.shape[1])) * np.float64(real(node, "beta", 1.0))
        except ValueError:
            found = f"has C {size(bias.shape)} for {w.shape[1]} units"
            raise refused(node.source, found, "one number for each unit") from None
    return _dense(t, node, x, w, None if bias is None else bias[0])


def matmul(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    if inputs[0] is not None:
        raise refused(node.source, "multiplies a constant by the image", "the image first")
    w = given(node, inputs, 1)
    if w.ndim != 2:
        raise refused(node.source, f"has weights {size(w.shape)}", "a matrix")
    return _dense(t, node, x, w, None)


def _dense(t: Translation, node: Node, x: Axes, w: Array, bias: Array | None) -> Axes:
    """A dense map of flat x; along the channels of an image a convolution of single pixels."""
    x = t.settle(x)
    if w.shape[0] != x.sizes[-1]:
        found = f"has weights {size(w.shape)} for {x.words}"
        raise refused(node.source, found, f"{x.sizes[-1]} rows")
    if x.rank == 2:
        if x.marks not in ("nf", "nc", "n1"):
            raise refused(node.source, f"meets rows or columns, {x.words}", "to line them up first")
        if not x.is_flat:
            t.step(chain.Flatten, node)
        t.step(chain.Dense, node, w, bias)
        return Axes("nf", (0, w.shape[1]))
    if x.marks[-1] not in "c1" or (x.marks[-1] == "1" and "c" in x.marks):
        if not t.is_sure:
            raise WrongLayoutError
        raise refused(node.source, f"meets {x.words}", "channels last, or to line them up first")
    t.step(chain.Conv, node, w.T[:, :, None, None], bias)
    others = x.letters[:-1].replace("c", "1")
    return Axes(others + "c", (*x.sizes[:-1], w.shape[1]))
