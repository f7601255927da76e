"""The short text form of a network: "conv 8 5, relu, pool 2, flatten, dense 10, softmax".

    conv CHANNELS KERNEL [stride S] [padding same|N] [bias channel|position|none]
    pool SIZE [stride S]      dense UNITS [bias none]      dropout RATE
    relu      flatten      softmax

KERNEL, SIZE and S are one number or two, as in 5x3.  `format_layers` prints what `parse_layers`
reads.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from convlet.errors import ArchitectureError
from convlet.layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Softmax
from convlet.stages import default_layers

FORMS = {
    "conv": "conv CHANNELS KERNEL [stride S] [padding same|N] [bias channel|position|none]",
    "pool": "pool SIZE [stride S]",
    "relu": "relu",
    "dropout": "dropout RATE",
    "flatten": "flatten",
    "dense": "dense UNITS [bias none]",
    "softmax": "softmax",
}
MAX_LAYERS = 1000


def format_layers(layers: Sequence[Layer]) -> str:
    """The text form of layers."""
    return ", ".join(map(str, layers))


def as_layers(layers: Sequence[Layer] | str | None, classes: int) -> tuple[Layer, ...]:
    """Layers as objects, from their text form, or for None those of (23)."""
    if layers is None:
        return default_layers(classes)
    if not isinstance(layers, Sequence):
        raise ArchitectureError(
            f"layers is {layers!r}, expected a sequence of layers or their text form"
        )
    return parse_layers(layers) if isinstance(layers, str) else tuple(layers)


def parse_layers(text: str) -> tuple[Layer, ...]:
    """The layers of a text form.

    Raises `ArchitectureError` that names the wrong layer and word.
    """
    if not isinstance(text, str):
        raise ArchitectureError(f'layers is {text!r}, expected a text, as in "conv 8 5, relu, ..."')
    parts = text.split(",")
    if len(parts) > MAX_LAYERS:
        raise ArchitectureError(f"layers: {len(parts)} layers, expected at most {MAX_LAYERS}")
    return tuple(_layer(part.split(), position) for position, part in enumerate(parts))


def _layer(words: list[str], position: int) -> Layer:
    if not words:
        raise ArchitectureError(
            f"layers[{position}] is empty: separate layers by one comma, as in conv 8 5, relu"
        )
    kind, *rest = (word.lower() for word in words)
    where = f"layers[{position}] is {' '.join(words)!r}"
    if kind not in FORMS:
        raise ArchitectureError(f"{where}, expected one of: {', '.join(FORMS)}")
    where += f", expected {FORMS[kind]}"
    match kind:
        case "conv":
            sizes, options = _split(rest, 2, where)
            return Conv2D(
                _whole(sizes[0], where), _pair(sizes[1], where), **_options(options, _CONV, where)
            )
        case "pool":
            sizes, options = _split(rest, 1, where)
            return MaxPool2D(_pair(sizes[0], where), **_options(options, {"stride": _pair}, where))
        case "dropout":
            sizes, options = _split(rest, 1, where)
            return Dropout(_rate(sizes[0], where), **_options(options, {}, where))
        case "dense":
            sizes, options = _split(rest, 1, where)
            return Dense(_whole(sizes[0], where), **_options(options, {"bias": _dense_bias}, where))
    if rest:
        raise ArchitectureError(where)
    plain: dict[str, Layer] = {"relu": ReLU(), "flatten": Flatten(), "softmax": Softmax()}
    return plain[kind]


def _split(words: list[str], sizes: int, where: str) -> tuple[list[str], list[str]]:
    if len(words) < sizes or (len(words) - sizes) % 2:
        raise ArchitectureError(where)
    return words[:sizes], words[sizes:]


def _options(
    words: list[str], known: dict[str, Callable[[str, str], Any]], where: str
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name not in known:
            raise ArchitectureError(f"{where}; {name!r} is not one of its options")
        if name in options:
            raise ArchitectureError(f"{where}; {name!r} is given twice")
        options[name] = known[name](value, where)
    return options


def _whole(word: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", word):
        raise ArchitectureError(f"{where}; {word!r} is not a whole number")
    return int(word)


def _rate(word: str, where: str) -> float:
    if not re.fullmatch(r"[0-9]*\.?[0-9]+(e-?[0-9]{1,3})?", word):
        raise ArchitectureError(f"{where}; {word!r} is not a number such as 0.5")
    return float(word)


def _pair(word: str, where: str) -> tuple[int, int]:
    if not re.fullmatch(r"[0-9]{1,9}(x[0-9]{1,9})?", word):
        raise ArchitectureError(f"{where}; {word!r} is not a size such as 5 or 5x3")
    sides = [int(side) for side in word.split("x")]
    return sides[0], sides[-1]


def _padding(word: str, where: str) -> int | str:
    return word if word in ("same", "valid") else _whole(word, where)


def _conv_bias(word: str, where: str) -> str | None:
    if word not in ("channel", "position", "none"):
        raise ArchitectureError(f"{where}; bias {word!r} is none of channel, position, none")
    return None if word == "none" else word


def _dense_bias(word: str, where: str) -> bool:
    if word != "none":
        raise ArchitectureError(f"{where}; bias {word!r} is not none")
    return False


_CONV: dict[str, Callable[[str, str], Any]] = {
    "stride": _pair,
    "padding": _padding,
    "bias": _conv_bias,
}
