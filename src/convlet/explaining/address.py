"""Addresses: which number of a network is meant, as a record and as a short text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from convlet.errors import InputError
from convlet.shapes import Shape
from convlet.stages import Stage
from convlet.tracing import below_softmax
from convlet.wording import size

MOST_DIGITS = 9


class Form(NamedTuple):
    """How the text of a kind is made, and an example."""

    parts: tuple[str, ...]  # of "stage", "layer", "place"
    example: str


FORMS: Mapping[str, tuple[Form, ...]] = {
    "x": (Form(("stage", "place"), "x/0/3,4,0"),),
    "z": (Form(("stage", "place"), "z/0/3,4,2"),),
    "out": (Form(("stage", "layer", "place"), "out/0/1/3,4,2"),),
    "cost": (Form((), "cost"),),
    "error": (
        Form(("stage", "place"), "error/3/7"),
        Form(("stage", "layer", "place"), "error/0/1/3,4,2"),
    ),
    "delta": (Form(("stage", "place"), "delta/0/3,4,2"),),
    "dx": (Form(("stage", "place"), "dx/1/3,4,2"),),
    "w": (Form(("stage", "place"), "w/0/1,2,0,5"),),
    "b": (Form(("stage", "place"), "b/0/5"),),
}
DERIVATIVES = ("error", "delta", "dx", "w", "b")
"""Kinds that are derivatives of the cost."""
LABELLED = ("cost", *DERIVATIVES)
"""Kinds that need a label."""
SAYS = "one of: " + ", ".join(form.example for forms in FORMS.values() for form in forms)


@dataclass(frozen=True)
class Address:
    """Which number: str(address) is its text, `Address.of` reads it.

    kind: "x" x^l, "z" z^l, "out" the output of a layer of sigma^l, "cost" E, "error" dE by that
    output or, without a layer, by what enters the softmax, "delta" dE/dz^l, "dx" dE/dx^l, "w" and
    "b" dE by a weight and a bias.  stage: l.  layer: its number in sigma^l, from 0.  place: the
    indices, from 0, as (row, column, channel) or (unit,), of a kernel (row, column, input channel,
    output channel), of a dense weight (input, output).
    """

    kind: str
    stage: int | None = None
    layer: int | None = None
    place: tuple[int, ...] = ()

    @classmethod
    def of(cls, value: object) -> "Address":
        """An address, or its text.  Raises `InputError` for anything else."""
        if isinstance(value, Address):
            value = str(value)
        text = value if isinstance(value, str) else ""
        kind, *parts = text.split("/")
        for form in FORMS.get(kind, ()):
            if len(form.parts) == len(parts):
                found = dict(zip(form.parts, map(_numbers, parts), strict=True))
                if all(found.values()) and all(
                    len(found.get(name, (0,))) == 1 for name in ("stage", "layer")
                ):
                    stage, layer = (found.get(name, (None,))[0] for name in ("stage", "layer"))
                    return cls(kind, stage, layer, found.get("place", ()))
        raise InputError("what", value, SAYS)

    def __str__(self) -> str:
        place = ",".join(map(str, self.place))
        numbers = [str(one) for one in (self.stage, self.layer) if one is not None]
        return "/".join([self.kind, *numbers, *([place] if self.place else [])])

    def moved(self, *place: int) -> "Address":
        """The same of another place."""
        return Address(self.kind, self.stage, self.layer, place)


def _numbers(text: str) -> tuple[int, ...]:
    """One to four whole numbers with commas between them; none where a text is anything else."""
    well = re.fullmatch(rf"\d{{1,{MOST_DIGITS}}}(,\d{{1,{MOST_DIGITS}}}){{0,3}}", text, re.A)
    return tuple(map(int, text.split(","))) if well else ()


def located(address: Address, stages: Sequence[Stage], input_shape: Shape) -> Address:
    """An address that is in the network, in its normal form.

    A pixel of the image may be called by (row, column, channel) where x^0 is flat.  Raises
    `InputError` for what is not there.
    """
    if address.kind == "cost":
        return address
    text = str(address)
    index, last = address.stage, len(stages) - 1
    if index is None or not 0 <= index <= last:
        where = f"stage 0 to {last}" if last else "stage 0"
        raise InputError("what", text, where, "the network has no other stage")
    stage = stages[index]
    shape = _shape(address, stage, index == last)
    place = address.place
    if address.kind in ("x", "dx") and index == 0 and len(shape) == 1 and len(place) == 3:
        _refuse_outside(text, place, input_shape)
        row, column, channel = place
        place = ((row * input_shape[1] + column) * input_shape[2] + channel,)  # (5)
    _refuse_outside(text, place, shape)
    return Address(address.kind, index, address.layer, place)


def _shape(address: Address, stage: Stage, is_last: bool) -> Shape:
    """Of the array that an address is in.  Raises `InputError` where there is none."""
    text, n = str(address), address.layer
    match address.kind:
        case "x" | "dx":
            return stage.x_shape
        case "z" | "delta":
            return stage.z_shape
        case "w":
            return stage.w_shape
        case "b":
            if stage.b_shape is None:
                raise InputError("what", text, but=f"{stage.affine} has no bias")
            return stage.b_shape
        case "error" if n is None:
            if not is_last:
                hint = f"it is {f'error/{stage.index}/LAYER/PLACE'} in the others"
                raise InputError("what", text, "the last stage, whose softmax (15) is of", hint)
            return stage.output_shape
    layers = stage.sigma if address.kind == "out" else below_softmax(stage)
    if n is None or not 0 <= n < len(layers):
        names = ", ".join(f"{k} {layer}" for k, layer in enumerate(layers)) or "none"
        what = "with an error " if address.kind == "error" else ""
        raise InputError("what", text, f"a layer {what}of stage {stage.index}: {names}")
    return output_shapes(stage)[n]


def output_shapes(stage: Stage) -> list[Shape]:
    """Of each layer of sigma^l."""
    shapes, shape = [], stage.z_shape
    for layer in stage.sigma:
        shape = layer.output_shape(shape)
        shapes.append(shape)
    return shapes


def _refuse_outside(text: str, place: Sequence[int], shape: Shape) -> None:
    if len(place) != len(shape) or any(
        not 0 <= n < most for n, most in zip(place, shape, strict=True)
    ):
        ends = ",".join(str(n - 1) for n in shape)
        zeros = ",".join("0" for _ in shape)
        found = f"is {text!r}, of an array of {size(shape)}"
        raise InputError("what", text, f"a place from {zeros} to {ends}", found=found)
