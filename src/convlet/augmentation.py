"""Augmentation: each image of each epoch moved, turned and bent, keyed by (seed, epoch, sample).

The native core does this in its worker threads; `apply` is the reference in NumPy.
"""

from dataclasses import dataclass, fields
from math import ceil, cos, radians, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import is_number
from convlet.randomness import Purpose, words

Float64 = NDArray[np.float64]

_MOST = {"shift": 64, "rotation": 180, "scale": 0.9, "shear": 2, "elastic": 1000, "sigma": 100}


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the changes; each is drawn uniformly from plus or minus its range.

    shift: pixels, rows and columns alike.  rotation: degrees.  scale: of 1, so 0.1 is 0.9 to 1.1.
    shear: columns by row.  flip: left and right changed in half of the images.  elastic: alpha, the
    strength in pixels of a random field smoothed by a Gaussian of `sigma` pixels.  Pixels between
    pixels are interpolated, outside is 0.

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
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= most or (name == "sigma" and value < 0.5):
                least = 0.5 if name == "sigma" else 0
                raise InputError(
                    f"Augmentation: {name} is {value!r}, expected a number from {least} to {most}"
                )
            object.__setattr__(self, name, float(value))
        if not isinstance(self.flip, bool | np.bool_):
            raise InputError(f"Augmentation: flip is {self.flip!r}, expected True or False")
        object.__setattr__(self, "flip", bool(self.flip))

    def __str__(self) -> str:
        """The text form, as in "shift 2, rotation 15"; `parse_augmentation` reads it."""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "flip":
                words += ["flip"] * value
            elif field.name == "sigma":
                words += [f"sigma {_short(value)}"] if self.elastic and value != 4 else []
            elif value:
                words.append(f"{field.name} {_short(value)}")
        return ", ".join(words) or "none"


def _short(value: float) -> str:
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
            if name in options or name not in {*_MOST, "flip"} or (name == "flip") != (not value):
                raise ValueError
            options[name] = True if name == "flip" else float(value)
        except ValueError:
            known = ", ".join(f"{name} X" for name in _MOST)
            raise InputError(
                f"augmentation has {part.strip()!r}, expected each once, separated by commas:"
                f" {known}, flip; or none"
            ) from None
    if "sigma" in options and not options.get("elastic"):
        raise InputError(
            "augmentation has sigma without elastic, whose field it is of: add elastic X"
        )
    return Augmentation(**options)


def as_augmentation(value: Augmentation | str | None) -> Augmentation | None:
    """An augmentation, or the one of a text form, or None.  Raises `InputError`."""
    if value is None or isinstance(value, Augmentation):
        return value
    if isinstance(value, str):
        return parse_augmentation(value)
    raise InputError(
        f"augmentation is {value!r}, expected Augmentation(...), its text form or None"
    )


def apply(images: Array, plan: Augmentation, samples: Array, seed: int, epoch: int) -> Float64:
    """Images (n, H, W, R), float, with their samples' numbers (n,) -> as training sees them."""
    each = [
        _warp(image, plan, seed, epoch, int(sample))
        for image, sample in zip(images.astype(np.float64), samples, strict=True)
    ]
    return np.stack(each)


def _warp(image: Float64, plan: Augmentation, seed: int, epoch: int, sample: int) -> Float64:
    h, w, _ = image.shape
    draws = (words(seed, Purpose.AUGMENT, epoch, 6, sample) >> np.uint64(11)) * 2.0**-52 - 1
    down, right = plan.shift * draws[:2]
    angle, zoom, slant = radians(plan.rotation) * draws[2], 1 + plan.scale * draws[3], draws[4]
    mirror = -1 if draws[5] < 0 and plan.flip else 1
    c, s, slant = cos(angle) / zoom, sin(angle) / zoom, plan.shear * slant
    y, x = np.indices((h, w)) - np.reshape([(h - 1) / 2, (w - 1) / 2], (2, 1, 1))
    rows = c * y - s * mirror * x + down + (h - 1) / 2
    columns = (s + slant * c) * y + (c - slant * s) * mirror * x + right + (w - 1) / 2
    if plan.elastic:
        noise = words(seed, Purpose.AUGMENT, epoch, h * w, sample, 1)
        for coordinates, half in ((rows, noise), (columns, noise >> np.uint64(32))):
            bits = half.astype(np.uint32).view(np.int32)
            field = bits.reshape(h, w).astype(np.float64) * 2.0**-31
            coordinates += plan.elastic * _smooth(field, plan.sigma)
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
