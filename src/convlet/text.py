"""The short text form of a network: "conv 8 5, relu, pool 2, flatten, dense 10, softmax".

    conv CHANNELS KERNEL [stride S] [padding same|N] [bias channel|position|none]
    pool SIZE [stride S]      dense UNITS [bias none]      dropout RATE
    relu      flatten      softmax

KERNEL, SIZE and S are one number or two, as in 5x3.  `format_layers` prints what `parse_layers`
reads; each layer's own `form` says how.
"""

from collections.abc import Sequence
from typing import Any

from convlet.errors import ArchitectureError
from convlet.layers import KINDS, Dropout, Layer
from convlet.stages import default_layers, refuse_no_layer

FORMS = {kind.form.name: kind for kind in KINDS}
MAX_LAYERS = 1000


def format_layers(layers: Sequence[Layer]) -> str:
    """The text form of layers.  Raises `ArchitectureError` for what is no sequence of layers."""
    if not isinstance(layers, Sequence):
        raise ArchitectureError("layers", layers, "a sequence of layers")
    for position, layer in enumerate(layers):
        refuse_no_layer(layer, position)
    return ", ".join(map(str, layers))


def format_dropout(layers: Sequence[Layer]) -> str:
    """The rates of the dropout layers, as 0.3, 0.5; empty without any."""
    return ", ".join(f"{layer.rate:g}" for layer in layers if isinstance(layer, Dropout))


def as_layers(layers: Sequence[Layer] | str | None, classes: int) -> tuple[Layer, ...]:
    """Layers as objects, from their text form, or for None those of (23)."""
    if layers is None:
        return default_layers(classes)
    if not isinstance(layers, Sequence):
        raise ArchitectureError("layers", layers, "a sequence of layers or their text form")
    return parse_layers(layers) if isinstance(layers, str) else tuple(layers)


def parse_layers(text: str) -> tuple[Layer, ...]:
    """The layers of a text form.

    Raises `ArchitectureError` that names the wrong layer and word.
    """
    if not isinstance(text, str):
        raise ArchitectureError("layers", text, 'a text, as in "conv 8 5, relu, ..."')
    parts = text.split(",")
    if len(parts) > MAX_LAYERS:
        raise ArchitectureError(
            "layers", text, f"at most {MAX_LAYERS}", found=f"has {len(parts)} layers"
        )
    return tuple(_layer(part.split(), position) for position, part in enumerate(parts))


def _layer(words: list[str], position: int) -> Layer:
    place = f"layers[{position}]"
    if not words:
        hint = "separate layers by one comma, as in conv 8 5, relu"
        raise ArchitectureError("layers", "", subject=place, found="is empty", hint=hint)
    text, (name, *rest) = " ".join(words), (word.lower() for word in words)
    if name not in FORMS:
        expected = f"one of: {', '.join(FORMS)}"
        raise ArchitectureError("layers", text, expected, subject=place)
    kind = FORMS[name]
    try:
        return kind(**_fields(kind, rest))
    except ValueError as error:
        if isinstance(error, ArchitectureError):  # a number that is read, but not right
            raise
        why = f"; {error}" if str(error) else ""
        expected = f"{kind.form.usage}{why}"
        raise ArchitectureError("layers", text, expected, subject=place) from None


def _fields(kind: type[Layer], words: list[str]) -> dict[str, Any]:
    """The fields of a layer from the words behind its name.  Raises `ValueError`: the reason."""
    form, count = kind.form, len(kind.form.sizes)
    sizes, names, values = words[:count], words[count::2], words[count + 1 :: 2]
    if len(sizes) < count or len(names) != len(values):
        raise ValueError
    found = {
        field: form.sizes[field].read(word) for field, word in zip(form.sizes, sizes, strict=True)
    }
    for name, word in zip(names, values, strict=True):
        if name not in form.options:
            raise ValueError(f"{name!r} is not one of its options")
        if name in found:
            raise ValueError(f"{name!r} is given twice")
        found[name] = form.options[name].read(word)
    return found
