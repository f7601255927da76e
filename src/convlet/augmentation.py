"""Augmentation: each image of each epoch moved, turned and bent, keyed by (seed, epoch, sample).

The native core does this in its worker threads; `apply` is the reference in NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import ceil, cos, radians, sin
from typing import Any

import numpy as np

from convlet.equations import Array, Float64
from convlet.errors import InputError
from convlet.inputs import MOST_ROWS, as_bool, as_number, normalise
from convlet.randomness import Purpose, raw_words

_LIMITS = {
    "shift": (0, MOST_ROWS),
    "rotation": (0, 180),
    "scale": (0, 0.9),
    "shear": (0, 2),
    "elastic": (0, MOST_ROWS**2),
    "sigma": (0.5, MOST_ROWS),
}
"""Lengths may be as long as the largest image: a recipe scales its own with the images."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the changes; each is drawn uniformly from plus or minus its range.

    shift: pixels, rows and columns alike, at most the shorter side of the images.  rotation:
    degrees.  scale: of 1, so 0.1 is 0.9 to 1.1.  shear: columns by row.  flip: left and right
    changed in half of the images.  elastic: alpha, the strength in pixels of a random field
    smoothed by a Gaussian of `sigma` pixels.  Pixels between pixels are interpolated, outside is 0.

    Source of the elastic field: Simard, Steinkraus, Platt, "Best practices for convolutional neural
    networks applied to visual document analysis", ICDAR 2003.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    flip: bool = False
    elastic: float = 0.0
    sigma: float = 4.0

    def __post_init__(self) -> None:
        for name, limits in _LIMITS.items():
            normalise(self, name, as_number, *limits)
        normalise(self, "flip", as_bool)

    def __str__(self) -> str:
        """The text form, as in "shift 2, rotation 15"; `parse_augmentation` reads it."""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "flip":
                words += ["flip"] * value
            elif field.name == "sigma":
                words += [f"sigma {_digits(value)}"] if self.elastic and value != 4 else []
            elif value:
                words.append(f"{field.name} {_digits(value)}")
        return ", ".join(words) or "none"


def _digits(value: float) -> str:
    """All digits that the number needs, and no more."""
    return repr(value).removesuffix(".0")


def parse_augmentation(text: str) -> Augmentation | None:
    """The augmentation of a text form; None for "none"."""
    if text.strip().lower() == "none":
        return None
    options: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().lower().partition(" ")
        try:
            if name in options or name not in {*_LIMITS, "flip"} or (name == "flip") != (not value):
                raise ValueError
            options[name] = True if name == "flip" else float(value)
        except ValueError:
            known = ", ".join(f"{name} X" for name in _LIMITS)
            expected = f"each once, separated by commas: {known}, flip; or none"
            found = f"has {part.strip()!r}"
            raise InputError("augmentation", text, expected, found=found) from None
    if "sigma" in options and not options.get("elastic"):
        found = "has sigma without elastic, whose field it is of"
        raise InputError("augmentation", text, hint="add elastic X", found=found)
    return Augmentation(**options)


def as_augmentation(value: Any) -> Augmentation | None:
    """An augmentation, or the one of a text form, or None.  Raises `InputError`."""
    if value is None or isinstance(value, Augmentation):
        return value
    if isinstance(value, str):
        return parse_augmentation(value)
    raise InputError("augmentation", value, "Augmentation(...), its text form or None")


def as_changes(value: Any) -> Augmentation:
    """An augmentation, or the one of a text form, but not none.  Raises `InputError`."""
    changes = as_augmentation(value)
    if changes is None:
        raise InputError("augmentation", value, "one that changes images")
    return changes


def check_shift(changes: Augmentation | None, shape: Sequence[int]) -> None:
    """Raise `InputError` for a shift that moves whole images (rows, columns, ...) out of sight."""
    side = min(shape[:2])
    if changes is not None and changes.shift > side:
        expected = f"at most {side}, the shorter side of the images"
        hint = "a longer one moves whole images out of sight"
        raise InputError("shift", changes.shift, expected, hint, owner="Augmentation")


def apply(images: Array, ranges: Augmentation, samples: Array, seed: int, epoch: int) -> Float64:
    """Images (n, H, W, R), float, with their samples' numbers (n,) -> as training sees them."""
    each = [
        _warp(image, ranges, seed, epoch, int(sample))
        for image, sample in zip(images.astype(np.float64), samples, strict=True)
    ]
    return np.stack(each)


def _warp(image: Float64, ranges: Augmentation, seed: int, epoch: int, sample: int) -> Float64:
    h, w, _ = image.shape
    draws = (raw_words(seed, Purpose.AUGMENT, epoch, 6, sample) >> np.uint64(11)) * 2.0**-52 - 1
    down, right = ranges.shift * draws[:2]
    angle, zoom, slant = radians(ranges.rotation) * draws[2], 1 + ranges.scale * draws[3], draws[4]
    mirror = -1 if draws[5] < 0 and ranges.flip else 1
    c, s, slant = cos(angle) / zoom, sin(angle) / zoom, ranges.shear * slant
    y, x = np.indices((h, w)) - np.reshape([(h - 1) / 2, (w - 1) / 2], (2, 1, 1))
    rows = c * y - s * mirror * x + down + (h - 1) / 2
    columns = (s + slant * c) * y + (c - slant * s) * mirror * x + right + (w - 1) / 2
    if ranges.elastic:
        noise = raw_words(seed, Purpose.AUGMENT, epoch, h * w, sample, 1)
        for coordinates, half in ((rows, noise), (columns, noise >> np.uint64(32))):
            bits = half.astype(np.uint32).view(np.int32)
            field = bits.reshape(h, w).astype(np.float64) * 2.0**-31
            coordinates += ranges.elastic * _smooth(field, ranges.sigma)
    return _interpolate(image, rows, columns)


def _smooth(field: Float64, sigma: float) -> Float64:
    """A field (H, W) convolved with a Gaussian to three sigma, zeros outside."""
    radius = ceil(3 * sigma)
    taps = np.exp(-((np.arange(-radius, radius + 1) / sigma) ** 2) / 2)
    taps /= taps.sum()
    for axis in (0, 1):
        padded = np.pad(field, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis)
        field = windows @ taps
    return field


def _interpolate(image: Float64, rows: Float64, columns: Float64) -> Float64:
    """Bilinear: image (H, W, R) at (rows, columns) (H, W) -> (H, W, R); outside is 0."""
    h, w, _ = image.shape
    bordered = np.pad(image, [(1, 2), (1, 2), (0, 0)])
    rows, columns = np.clip(rows, -1, h) + 1, np.clip(columns, -1, w) + 1
    top, left = rows.astype(int), columns.astype(int)
    v, u = (rows - top)[..., None], (columns - left)[..., None]
    above = (1 - u) * bordered[top, left] + u * bordered[top, left + 1]
    below = (1 - u) * bordered[top + 1, left] + u * bordered[top + 1, left + 1]
    return np.asarray((1 - v) * above + v * below)
