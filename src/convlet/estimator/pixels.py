"""X as the images of a network: what scikit-learn calls X becomes a table, and the table images.

Numbers mean the same whatever their dtype.  `fit` finds one divisor for all of them, by which they
lie in -1 to 1, and predictions divide by the same: so levels 0 to 255, 0 to 16 or 0 to 1 train
alike, black stays 0, and uint8 levels of images are never copied.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from convlet.equations import Array
from convlet.errors import InputError
from convlet.estimator.architecture import ImageShape, shape_of
from convlet.values import ENOUGH, RATIO, Scale, as_array, scale_of

DTYPES = (np.float64, np.float32, np.uint8)
"""What a table is taken in; another dtype becomes the first."""
WHITES = (1, 255, 65535)
PIECE = 1 << 12  # rows that are divided in one go


def table_of(
    estimator: Any, X: Any, y: Any = "no_validation", *, begins: bool
) -> tuple[Array, Any, ImageShape | None]:
    """X as a table (n, features), y as it is checked with it, the shape of images in X or None.

    X: (n, features), or images (n, rows, columns) or (n, rows, columns, channels), of any kind that
    scikit-learn takes.  begins: whether the estimator learns the number and names of the features
    here; else they must be those.  Raises `ValueError`, and `TypeError` for another kind.
    """
    shape, X = _unfolded(unmasked(X, "X"))
    y = y if y is None or isinstance(y, str) else unmasked(y, "y")
    found = validate_data(estimator, X, y, reset=begins, dtype=list(DTYPES))
    table, labels = (found, None) if isinstance(y, str) else found
    return np.asarray(table), labels, shape


def unmasked(value: Any, name: str) -> Any:
    """What scikit-learn would take for plain numbers without a word, as an array that it is.

    Masked entries, images of Pillow and tensors without numbers are refused by `InputError`; all
    else stays as it is.
    """
    library = type(value).__module__.partition(".")[0]
    if isinstance(value, list | tuple | np.ma.MaskedArray) or library in ("PIL", "torch"):
        return as_array(value, name, "an array of numbers")
    return value


def _unfolded(X: Any) -> tuple[ImageShape | None, Any]:
    """The shape of the images of X and its rows, where it has three or four axes; else X itself."""
    axes = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if axes > 4:
        expected = "(n, features), (n, rows, columns) or (n, rows, columns, channels)"
        raise InputError("X", axes, expected, found=f"has {axes} axes")
    if axes not in (3, 4):
        return None, X
    images = np.asarray(X)
    rows, columns, channels = (*images.shape[1:], 1)[:3]
    return (rows, columns, channels), images.reshape(len(images), -1)


def shape_in(wanted: Any, features: int, found: ImageShape | None) -> ImageShape:
    """(rows, columns, channels) of the images of X.

    wanted: as `image_shape` is given.  found: the shape of images in X, None of a table.  Raises
    `InputError` where they contradict each other, and for images with the channels before the rows.
    """
    if found is None or wanted is not None:
        shape = shape_of(features, wanted)
        if found not in (None, shape):
            expected = f"{found}, as the images in X are, or None"
            raise InputError("image_shape", wanted, expected, _last(found))
        return shape
    if hint := _last(found):
        expected = "images as (rows, columns, channels)"
        hint += f"; image_shape={found} where it has {found[0]} rows"
        raise InputError("X", found, expected, hint, found=f"has images of shape {found}")
    return found


def _last(shape: ImageShape) -> str:
    """How to bring the channels behind the columns, where they seem to stand before the rows."""
    channels, rows, columns = shape
    if channels in (1, 3) and min(rows, columns) > 4:
        return "channels come last, as in X.transpose(0, 2, 3, 1)"
    return ""


def refuse_other_shape(found: ImageShape | None, shape: ImageShape) -> None:
    """Raise `InputError` for images of another shape than those of training."""
    if found is not None and found != shape:
        raise InputError("X", found, f"{shape}, as in fit", found=f"has images of shape {found}")


def divisor_of(table: Array) -> float:
    """By what numbers (n, features) are divided: their greatest absolute value, or white.

    White is 1, 255 or 65535 where that value is at most it and more than half of it.  1 for zeros.
    """
    highest = max(abs(float(table.max())), abs(float(table.min())))
    return next((float(w) for w in WHITES if w / 2 < highest <= w), highest) or 1.0


def images_of(table: Array, shape: ImageShape, divisor: float) -> Array:
    """A table as images (n, *shape): numbers / divisor in float32, or uint8 where that is 255.

    Raises `InputError` for numbers that float32 does not hold.
    """
    images = table.reshape(len(table), *shape)
    if (table.dtype == np.uint8 and divisor == 255) or (table.dtype == np.float32 and divisor == 1):
        return np.ascontiguousarray(images)
    out = np.empty(images.shape, np.float32)
    for start in range(0, len(images), PIECE):
        part = slice(start, start + PIECE)
        with np.errstate(over="ignore", under="ignore"):
            out[part] = images[part] / np.float64(divisor)
        if not np.isfinite(out[part]).all():
            raise InputError("X", None, "numbers as those of training", found="is beyond float32")
    return out


def warn_of_scale(images: Array, trained: Scale) -> None:
    """Say where images mean something else than those of training, by their size.

    Few images may be dark by themselves, so that these are judged only if they are too bright.
    """
    here = scale_of(images).size
    if min(here, trained.size) == 0:
        return
    ratio = here / trained.size
    if ratio >= RATIO or (ratio <= 1 / RATIO and len(images) >= ENOUGH):
        warnings.warn(
            f"X is on another scale than in training: its root mean square is {ratio:.3g} times"
            " that of the training data: give numbers of the same kind",
            UserWarning,
            stacklevel=4,
        )
