"""Operators of ONNX that move numbers and change none: flatten, reshape, transpose."""

from collections.abc import Sequence
from math import prod

import numpy as np

from convlet.interchange import chain
from convlet.interchange.chain import refused
from convlet.interchange.onnx_attributes import Inputs, axes_of, ints, whole, wholes
from convlet.interchange.onnx_axes import (
    Axes,
    WrongLayoutError,
    along,
    moved,
    narrowed,
    relabelled,
    target_of,
    widened,
)
from convlet.interchange.onnx_file import Node
from convlet.interchange.onnx_translation import Translation, given


def flatten(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    if whole(node, "axis", 1) not in (1, 1 - x.rank) or x.letters[:1] != "n":
        raise refused(node.source, f"has axis {whole(node, 'axis', 1)}", "axis 1")
    return _lined_up(t, node, x)


def _lined_up(t: Translation, node: Node, x: Axes) -> Axes:
    if x.is_flat:
        return x
    order = x.order
    if order is None:
        if not t.is_sure:
            raise WrongLayoutError
        hint = "channels first or last"
        raise refused(node.source, f"lines up axes {x.marks[1:]} of {x.words}", hint)
    t.step(chain.Flatten, node, order)
    return Axes("nf", (0, prod(x.sizes[1:])))


def reshape(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    shape = wholes(node, given(node, inputs, 1))
    zero_copies = not whole(node, "allowzero", 0)
    sizes = target_of(x, node.source, shape, zero_copies, t.batch)
    if len(sizes) == 1:
        return x if x.is_flat else _lined_up(t, node, x)
    if x.letters == "nr":
        letters = {2: "hw", 3: t.layout[1:]}.get(len(sizes))
        if letters is None:
            found = f"makes images of {len(sizes)} axes"
            raise refused(node.source, found, "rows, columns, channels")
        return _pictured(t, letters, sizes)
    same = None if x.is_flat else relabelled(x, sizes)
    if same is None:
        hint = "images to stay images until they are lined up"
        raise refused(node.source, f"makes {tuple(shape)} of {x.words}", hint)
    return same


def _pictured(t: Translation, letters: str, sizes: Sequence[int]) -> Axes:
    """Pixels that the caller lines up as an image with these axes behind n."""
    found = Axes(f"n{letters}", (0, *sizes))
    if t.image not in (None, found.image):
        raise WrongLayoutError
    t.image = found.image
    for step in t.waiting:
        scale, shift = (
            along(found, values.reshape(sizes), step.source)
            if isinstance(values, np.ndarray) and values.ndim
            else values
            for values in (step.scale, step.shift)
        )
        t.steps.append(chain.Affine(step.source, scale, shift))
    t.waiting = []
    return found


def transpose(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    found = moved(x, node.source, ints(node, "perm", tuple(range(x.rank))[::-1]))
    if x.is_flat and found != x:
        raise refused(node.source, f"turns {x.words}", "images first")
    return found


def unsqueeze(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    if x.is_flat and x.letters != "nr":
        raise refused(node.source, f"splits {x.words}", "flat numbers to stay flat")
    if x.letters == "nr":  # one row of pixels
        x = _pictured(t, "w", x.sizes[1:])
    return widened(x, node.source, axes_of(node, inputs) or [])


def squeeze(t: Translation, node: Node, x: Axes, inputs: Inputs) -> Axes:
    return narrowed(x, node.source, axes_of(node, inputs))
