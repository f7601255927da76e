"""What all layers have in common: a text form, errors, the normal form of their numbers."""

from dataclasses import fields
from typing import Any, ClassVar

from convlet.errors import ArchitectureError
from convlet.forms import Form

Shape = tuple[int, ...]
Pair = tuple[int, int]

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

    def set_field(self, name: str, value: Any) -> None:
        """The only writes to a frozen description: its own normal form."""
        object.__setattr__(self, name, value)

    def wrong(self, name: str, expected: str) -> ArchitectureError:
        value, owner = getattr(self, name), type(self).__name__
        return ArchitectureError(name, value, expected, owner=owner)

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


def is_one_of(value: object, *words: str) -> bool:
    return isinstance(value, str) and value in words


def is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= LIMIT


def normalise_count(layer: LayerBase, name: str) -> None:
    layer.set_field(name, plain(getattr(layer, name)))
    if not is_count(getattr(layer, name), 1):
        raise layer.wrong(name, f"a whole number from 1 to {LIMIT}")


def normalise_pair(layer: LayerBase, name: str) -> None:
    value = plain(getattr(layer, name))
    pair = tuple(map(plain, value)) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(is_count(n, 1) for n in pair):
        raise layer.wrong(name, f"a whole number from 1 to {LIMIT}, or two of them")
    layer.set_field(name, pair)


def plain(value: Any) -> Any:
    """Numbers and truth values of NumPy as those of Python; everything else as it is."""
    if hasattr(value, "dtype") and value.dtype.kind in "buif" and value.ndim == 0:
        return value.item()
    return value
