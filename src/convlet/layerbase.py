"""What all layers have in common: a text form, errors, the normal form of their fields."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

from convlet.errors import ArchitectureError
from convlet.forms import Form
from convlet.inputs import normalise
from convlet.shapes import Shape as Shape

LIMIT = 1 << 20
"""No size of a layer may exceed this: a typo should be refused, not allocated."""


class LayerBase:
    """What every kind of layer says of itself.

    A kind is final: whoever computes tells kinds apart by their class, and would take a layer that
    is derived from another for that one.

    form: its text form.  equations: the numbers of what it computes.  derivatives: by its input,
    and by its weights if it has some: the number of each and its name in the check.  smooth:
    whether it has a derivative everywhere.
    """

    form: ClassVar[Form]
    equations: ClassVar[str]
    derivatives: ClassVar[tuple[tuple[str, str], ...]]
    smooth: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        if cls.__bases__ != (LayerBase,):
            raise TypeError(f"{cls.__bases__[0].__name__} is final: derive a layer from LayerBase")

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of the output for an input of this one.  Raises `ArchitectureError`."""
        raise NotImplementedError

    def __str__(self) -> str:
        usual = {field.name: field.default for field in fields(self)}  # type: ignore[arg-type]
        return self.form.written(self, usual)

    def normalise(self, name: str, check: Callable[..., Any], *limits: Any) -> None:
        """Put a field in its normal form, as `check` gives it.  Raises `ArchitectureError`."""
        normalise(self, name, check, *limits, kind=ArchitectureError)

    def unfit(self, found: str, hint: str, part: str = "") -> ArchitectureError:
        subject = f"{self}: {part}" if part else str(self)
        return ArchitectureError("layers", self, subject=subject, found=found, hint=hint)

    def refuse_flat(self, shape: Shape) -> None:
        if len(shape) != 3:
            found = f"needs an input (rows, columns, channels), not {shape}"
            raise self.unfit(found, "put it before flatten")

    def refuse_images(self, shape: Shape) -> None:
        if len(shape) != 1:
            raise self.unfit(f"needs a flat input, not {shape}", "put flatten before it")
