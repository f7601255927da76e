"""Windows of ONNX's convolutions and pools: sizes, strides, margins along rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from convlet.interchange.chain import refused, same, windows
from convlet.interchange.onnx_attributes import ints, text, whole
from convlet.interchange.onnx_axes import Axes, check_image
from convlet.interchange.onnx_file import Node
from convlet.layerbase import LIMIT
from convlet.shapes import Margins, Pair


@dataclass(frozen=True)
class Window:
    """Along rows and columns: size in taps, the pixels from the first to the last, and the rest.

    at: which axes of the tensor they are.
    """

    size: Pair
    extent: Pair
    stride: Pair
    margins: Margins
    dilation: Pair
    at: Pair

    def after(self, x: Axes, channels: int) -> Axes:
        """The axes of what comes out, with so many channels."""
        letters, sizes = list(x.letters), list(x.sizes)
        letters = [letter if letter in "nc" else "1" for letter in letters]
        if x.rank == 4:
            letters[1], sizes[1] = "c", channels
        for k, place in enumerate(self.at):
            letters[place] = "hw"[k]
            sizes[place] = windows(x.sizes[place], self.extent[k], self.stride[k], self.margins[k])
        return Axes("".join(letters), tuple(sizes))


def window_of(node: Node, x: Axes, taps: Sequence[int]) -> Window:
    """The window of a node; taps: of all axes behind the first two.

    jax2onnx has images, rows, columns and channels there, and two axes of size 1 in front.
    Raises `ArchitectureError`, `WrongLayoutError`.
    """
    count = len(taps)
    if x.rank == 4:
        check_image(x, node.source)
    if x.is_flat or x.rank < 4 or count != x.rank - 2:
        hint = "an image of two axes: convlet has no windows along one or three"
        raise refused(node.source, f"meets {x.words} with {count} axes of windows", hint)
    stride = ints(node, "strides", (1,) * count)
    dilation = ints(node, "dilations", (1,) * count)
    pads = _pads(node, x.sizes[2:], taps, stride, dilation)
    if len(stride) != count or len(dilation) != count or len(pads) != count:
        raise refused(node.source, "has windows that do not fit one another", "export it again")
    every = list(zip(taps, stride, pads, dilation, strict=True))
    for n, step, margin, gap in every:
        if not (0 < n <= LIMIT and 0 < step <= LIMIT and 0 < gap <= LIMIT):
            raise refused(node.source, f"has windows of {n} taps, stride {step}", f"1 to {LIMIT}")
        if min(margin) < 0 or max(margin) > LIMIT:
            raise refused(node.source, f"has pads {margin}", f"0 to {LIMIT}")
    at = (0, 1) if x.rank == 4 else _rows_and_columns(x.marks[2:])
    if at is None:
        raise refused(node.source, f"has windows over {x.words}", "rows and columns")
    for k, part in enumerate(every):
        if k not in at and part != (1, 1, (0, 0), 1):
            raise refused(node.source, f"has windows over {x.words}", "rows and columns only")
    rows, columns = (every[k] for k in at)
    found = Window(
        (rows[0], columns[0]),
        ((rows[0] - 1) * rows[3] + 1, (columns[0] - 1) * columns[3] + 1),
        (rows[1], columns[1]),
        (rows[2], columns[2]),
        (rows[3], columns[3]),
        (at[0] + 2, at[1] + 2),
    )
    _refuse_unfit(node, x, found)
    return found


def _rows_and_columns(letters: str) -> Pair | None:
    """Which of these axes they are, where windows go over images and channels, too."""
    for order in ("nhwc", "nchw"):
        if len(letters) == 4 and all(a in (b, "1") for a, b in zip(letters, order, strict=True)):
            return order.index("h"), order.index("w")
    return None


def _pads(
    node: Node,
    sides: Sequence[int],
    taps: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[Pair]:
    """Margins of every axis."""
    rule = text(node, "auto_pad", "NOTSET")
    count = len(taps)
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        every = zip(sides, taps, stride, dilation, strict=True)
        pairs = [same(max(n, 1), (k - 1) * d + 1, max(s, 1)) for n, k, s, d in every]
        return pairs if rule == "SAME_UPPER" else [(after, before) for before, after in pairs]
    pads = ints(node, "pads", (0,) * 2 * count) if rule == "NOTSET" else (0,) * 2 * count
    if rule not in ("NOTSET", "VALID") or len(pads) != 2 * count:
        raise refused(node.source, f"has auto_pad {rule!r:.40}, pads {pads}", "pads for each side")
    return list(zip(pads[:count], pads[count:], strict=True))


def _refuse_unfit(node: Node, x: Axes, window: Window) -> None:
    for side, extent, stride, margin in zip(
        x.image, window.extent, window.stride, window.margins, strict=False
    ):
        if windows(side, extent, 1, margin) < 1:
            found = f"has a window of {extent} pixels along {side} with pads {margin}"
            raise refused(node.source, found, "a larger input")
        if whole(node, "ceil_mode", 0) and (side + sum(margin) - extent) % stride:
            found = f"has ceil_mode 1, and {side} pixels leave a rest"
            raise refused(node.source, found, "ceil_mode 0: convlet drops what fills no window")
