"""Arrays of files as images (n, rows, columns, channels), uint8, or float32 with white as 1.

Shapes: (n, rows, columns) is grey.  Rows of pixels (n, pixels) are grey squares unless a shape is
stated.  Channels come last where the last axis is 1 to 4 long, first where the second axis is; more
of them are told by the equal sides of the image.  What two rules fit, or none, is refused.

Levels: uint8 stays, unless none of many images exceeds 32; whole numbers 0 to 255 of another dtype
become uint8 if one of them is above MOST_DARK, else nothing says which is white; True and False,
or 0 and 1 of any whole dtype, are black and white; floats stay, and have to have white as 1 or be
standardised.

Parts have to have one scale: whole numbers of which one part ends FAR below another are refused.
"""

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet import values
from convlet.datasets.dataset import as_float32
from convlet.errors import DataError

FEW = 4  # channels: grey, with opacity, RGB, with opacity
FAR = 8
"""Parts are on different scales if the highest level of one is so many times that of another."""
MOST_DARK = 127
"""The highest of levels 0 to 255 is above it, that of 0 to 16, or of 0 to 100, is not."""


class Arrangement(NamedTuple):
    """Where the axes of images are: shape (n, rows, columns, channels), axes of the array."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    said: str = ""


def arrangement(
    found: tuple[int, ...], count: int, name: str, stated: tuple[int, ...] | None = None
) -> Arrangement:
    """How an array of this shape is images, by the rules above.

    count: of the labels.  stated: (rows, columns, channels), for rows of pixels.  Raises
    `DataError`: files tell the shape before their entries take memory.
    """
    if len(found) not in (2, 3, 4):
        raise DataError(
            f"{name}: expected images (n, rows, columns) or (n, rows, columns, channels),"
            f" found shape {found}"
        )
    if 0 in found:
        raise DataError(
            f"{name}: expected at least one image of at least one pixel, found shape {found}"
        )
    if found[0] != count and found[-1] == count and len(found) > 2:
        raise DataError(
            f"{name}: expected {count} images along the first axis, one for each label, found shape"
            f" {found}: save numpy.moveaxis(array, -1, 0)"
        )
    if len(found) == 2:
        return _rows_of_pixels(found, name, stated)
    if len(found) == 3:
        _refuse_planes(found, name)
        return Arrangement((*found, 1), (0, 1, 2))
    if _channels_first(found, name):
        said = f"channels first, {found}, are put last"
        return Arrangement((found[0], found[2], found[3], found[1]), (0, 2, 3, 1), said)
    return Arrangement(found, (0, 1, 2, 3))


def arranged(array: NDArray[Any], how: Arrangement) -> NDArray[Any]:
    """The images of an array: a view of it."""
    if array.ndim == 2:
        return array.reshape(how.shape)
    return array.transpose(how.axes).reshape(how.shape)


def _refuse_planes(found: tuple[int, ...], name: str) -> None:
    """Refuse (n, 3, 1024) and (n, 1024, 3): squares whose rows follow one another."""
    few, many = sorted(found[1:])
    side = isqrt(many)
    if few <= FEW and side > FEW and side * side == many:
        shape = f"n, {side}, {side}" if few == 1 else f"n, {side}, {side}, {few}"
        order = f".reshape(n, {few}, {side}, {side}).transpose(0, 2, 3, 1)"
        mend = f".reshape({shape})" if few == 1 or found[1] == many else order
        raise DataError(
            f"{name}: expected images (n, rows, columns), found shape {found}, as of {few} x"
            f" {side} x {side} in a row: save array{mend}"
        )


def _channels_first(found: tuple[int, ...], name: str) -> bool:
    _, second, third, last = found
    if last <= FEW < third and second <= FEW:
        raise _unclear(found, name)
    if last <= FEW or second <= FEW:
        return last > FEW
    if (second == third) == (third == last):
        raise _unclear(found, name)
    return third == last


def _unclear(found: tuple[int, ...], name: str) -> DataError:
    return DataError(
        f"{name}: expected images (n, rows, columns, channels), found shape {found}, in which the"
        " channels may be the second axis or the last: save array.transpose(0, 2, 3, 1) if they"
        " are the second; if they are the last, leave out an axis of 1, or pad images to squares"
    )


def _rows_of_pixels(
    found: tuple[int, ...], name: str, stated: tuple[int, ...] | None
) -> Arrangement:
    count, pixels = found
    if stated is not None:
        rows, columns, channels = stated
        if rows * columns * channels != pixels:
            raise DataError(
                f"{name}: expected {rows * columns * channels} numbers an image for"
                f" {rows} x {columns} x {channels}, as stated, found {pixels}"
            )
        return Arrangement((count, rows, columns, channels), (0, 1))
    side = isqrt(pixels)
    if side * side == pixels:
        said = f"rows of {pixels} numbers are images of {side} x {side}"
        return Arrangement((count, side, side, 1), (0, 1), said)
    side = isqrt(pixels // 3)
    colour = f" ({side} x {side} in RGB?)" if 3 * side * side == pixels else ""
    raise DataError(
        f"{name}: expected images (n, rows, columns) or (n, rows, columns, channels), found shape"
        f" {found}, and {pixels} numbers are no square{colour}: save array.reshape(n, rows,"
        " columns, channels), for channels first array.reshape(n, channels, rows, columns)"
    )


def levelled(parts: Mapping[str, NDArray[Any]]) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """The images of all parts on one scale, C-ordered uint8 or float32, and what is done to them.

    parts: (n, rows, columns, channels), the training part first, called as messages should call
    them.  Raises `DataError`.
    """
    for name, images in parts.items():
        if images.dtype.kind not in "buif":
            raise DataError(f"{name}: expected uint8 or a float, found {images.dtype}")
    dtypes = {images.dtype for images in parts.values()}
    floats = any(dtype.kind == "f" for dtype in dtypes)
    tops = [_highest_level(images) for images in parts.values()]
    known = [top for top in tops if top is not None]
    if len(known) == len(tops):
        top = max(known)
        _compare_tops(parts, known)
        many = sum(map(len, parts.values())) >= values.ENOUGH
        is_dark = top == 1 or (many and 1 < top <= values.DARK)
        if dtypes == {np.dtype(np.uint8)} and not is_dark:
            return [_ordered(images) for images in parts.values()], ()
        if top > MOST_DARK:
            said = f"levels 0 to {top} as {_list(dtypes)} are taken as uint8"
            return [_as_uint8(images, 1) for images in parts.values()], (said,)
        if top <= 1 and not floats:
            said = f"levels 0 and 1 as {_list(dtypes)} are taken as black and white"
            return [_as_uint8(images, 255) for images in parts.values()], (said,)
    if all(dtype.kind == "f" for dtype in dtypes):
        found = {name: as_float32(images, name) for name, images in parts.items()}
        _check_scales(found)
        return [_ordered(images) for images in found.values()], ()
    for name, images in parts.items():
        if images.dtype.kind == "f":
            as_float32(images, name)
    raise _mixed(parts)


def _compare_tops(parts: Mapping[str, NDArray[Any]], tops: Sequence[int]) -> None:
    """Refuse whole numbers of which one part ends far below another, as 0 and 1 beside 0 to 255.

    tops: highest level of each part; one that is black has any scale, and a few images may be dark.
    """
    top, bright = max(zip(tops, parts, strict=True))
    for (name, images), found in zip(parts.items(), tops, strict=True):
        tells = images.dtype != np.uint8 or found == 1 or len(images) >= values.ENOUGH
        if tells and 0 < found * FAR <= top:
            raise DataError(
                f"{name}: expected the scale of {bright}, found levels 0 to {found} beside 0 to"
                f" {int(parts[bright].max())}: if {found} is white, save"
                f" array.astype(numpy.uint8) * {255 // found}"
            )


def _mixed(parts: Mapping[str, NDArray[Any]]) -> DataError:
    kinds = sorted({str(images.dtype) for images in parts.values()})
    if len(kinds) > 1:
        found = ", ".join(f"{images.dtype} in {name}" for name, images in parts.items())
        return DataError(
            f"expected images of one dtype in all parts, found {found}: save all of them as uint8,"
            " or as floats with white as 1"
        )
    lowest = min(int(images.min()) for images in parts.values())
    highest = max(int(images.max()) for images in parts.values())
    if lowest >= 0 and highest <= MOST_DARK:
        return DataError(
            f"{', '.join(parts)}: expected whole numbers with one above {MOST_DARK}, found"
            f" {kinds[0]} from {lowest} to {highest}, of which nothing says which is white: save"
            f" array / numpy.float32(255) if it is 255, array / {highest} if it is {highest}"
        )
    return DataError(
        f"{', '.join(parts)}: expected levels 0 to 255, or floats with white as 1, found {kinds[0]}"
        f" from {lowest} to {highest}: save {values.division(lowest, highest, 'array')}"
    )


def _check_scales(parts: Mapping[str, NDArray[np.float32]]) -> None:
    """Refuse floats that are far above 1, and parts on different scales."""
    first, *others = parts
    for name, images in parts.items():
        if wrong := values.wrong_levels(images, "array"):
            raise DataError(
                f"{name}: expected {wrong.expected}, found {wrong.found}: save {wrong.mend}"
            )
    for name in others:
        if difference := values.scale_difference(parts[first], parts[name]):
            raise DataError(f"{name}: expected the scale of {first}, found it {difference}")


def _highest_level(images: NDArray[Any]) -> int | None:
    """The highest level, if all are whole numbers from 0 to 255; of uint8 one above MOST_DARK."""
    if images.dtype == np.uint8:
        return values.highest_level(images, MOST_DARK)
    highest = 0
    for piece in values.pieces(images):
        if piece.dtype == bool:
            return 1
        if not (piece.min() >= 0 and piece.max() <= 255):  # NaN neither
            return None
        if piece.dtype.kind == "f" and not (piece == np.floor(piece)).all():
            return None
        highest = max(highest, int(piece.max()))
    return highest


def _ordered(images: NDArray[Any]) -> NDArray[Any]:
    """C-ordered; a map of a file that is so stays one."""
    return images if images.flags.c_contiguous else np.ascontiguousarray(images)


def _as_uint8(images: NDArray[Any], factor: int) -> NDArray[np.uint8]:
    found = np.empty(images.shape, np.uint8)
    np.multiply(images, factor, out=found, casting="unsafe")  # no second array of wider numbers
    return found


def _list(dtypes: set[np.dtype[Any]]) -> str:
    return " and ".join(sorted(map(str, dtypes)))
