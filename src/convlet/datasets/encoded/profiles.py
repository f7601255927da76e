"""Colours by a profile (ICC) become those of sRGB.

What a profile means is told by what it makes of colours, never by its name.  One that is made here
says in the same way what an image states by numbers: primaries, a white and a curve.
"""

import io
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from convlet.datasets.encoded.pictures import pillow

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

NEAR = 2
"""Levels by which sRGB as others write it differs at most from sRGB."""
KEPT, LARGE = 16, 1 << 21  # profiles that are remembered, and bytes of one that is not

D50 = (0.9642, 1.0, 0.8249)  # XYZ of the white of profiles
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1


def is_other(picture: "Image", profile: bytes) -> bool:
    """Whether a profile makes other colours of an image than sRGB does."""
    return picture.mode != "1" and _to_srgb(profile, picture.mode) is not None


def in_srgb(picture: "Image", profile: bytes) -> "Image":
    """By a profile; as it is where that is sRGB, damaged, or of other colours than the image's.

    picture: of mode L, RGB, RGBA, CMYK or LAB.
    """
    if picture.mode == "L":
        return in_srgb(picture.convert("RGB"), profile).convert("L")
    transform = _to_srgb(profile, picture.mode)
    if transform is None:
        return picture
    given = picture.convert("RGB") if picture.mode == "RGBA" else picture
    converted: Image = transform.apply(given)
    if picture.mode == "RGBA":
        converted.putalpha(picture.getchannel("A"))
    return converted


def _to_srgb(profile: bytes, mode: str) -> "ImageCmsTransform | None":
    """`_transform`, of an image that is RGB, or becomes it before that."""
    make = _transform if len(profile) < LARGE else _transform.__wrapped__
    return make(profile, mode if mode in ("CMYK", "LAB") else "RGB")


@lru_cache(KEPT)
def _transform(profile: bytes, mode: str) -> "ImageCmsTransform | None":
    """To sRGB; nothing where there is nothing to do, or nothing that can be done."""
    from PIL import ImageCms

    with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        found = ImageCms.ImageCmsTransform(given, usual, mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(found) else found
    return None


def _changes_nothing(transform: "ImageCmsTransform") -> bool:
    """Whether all greys and colours from everywhere stay within `NEAR`.

    But for the deepest colours, of which a rounded number of a profile moves the low levels far.
    """
    greys = np.repeat(np.arange(256)[:, None], 3, 1)
    colours = np.array([*product(range(51, 256, 17), repeat=3)])
    given = np.concatenate([greys, colours]).astype(np.uint8)[None]
    found = np.asarray(transform.apply(pillow().fromarray(given)))
    return bool(np.abs(found.astype(int) - given).max() <= NEAR)


def rgb_profile(corners: Sequence[float], curve: Sequence[float]) -> bytes:
    """A profile by numbers.

    corners: x and y of CIE 1931 of white, red, green, blue.  curve: the power by which a level
    becomes light, or the five numbers of a power with a straight foot.  Raises `ValueError` for
    corners that span no colours.
    """
    xy = np.asarray(corners, float).reshape(4, 2)
    if not (np.isfinite(xy).all() and (xy[:, 1] > 0).all()):
        raise ValueError("corners without light")
    white, *primaries = np.column_stack([xy[:, 0], xy[:, 1], 1 - xy.sum(axis=1)]) / xy[:, 1:]
    columns = np.stack(primaries, axis=1)
    if abs(np.linalg.det(columns)) < 1e-6:
        raise ValueError("corners in one line")
    columns = columns * np.linalg.solve(columns, white)
    cones = np.array(BRADFORD)
    with np.errstate(all="ignore"):  # what is no number is no profile
        scale = cones @ D50 / (cones @ white)
    adapted = np.linalg.solve(cones, scale[:, None] * (cones @ columns))
    shape = 3 if len(curve) == 5 else 0
    light = struct.pack(">4sIHH", b"para", 0, shape, 0) + _fixed(*curve)
    tags = {name: light for name in (b"rTRC", b"gTRC", b"bTRC")}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True):
        tags[name] = struct.pack(">4sI", b"XYZ ", 0) + _fixed(*column)
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    kinds = 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    head = struct.pack(">I4xI4s4s4s12x4s28x12s48x", at + len(body), *kinds, _fixed(*D50))
    return head + table + body


def _fixed(*numbers: float) -> bytes:
    """In 65536ths, as profiles have numbers."""
    try:
        return b"".join(struct.pack(">i", round(float(n) * 65536)) for n in numbers)
    except (struct.error, OverflowError) as error:
        raise ValueError("a number out of range") from error
