"""Arrays at the border: what a caller hands over is checked once, and becomes what engines take.

Every refusal names the parameter, its value, what was expected and the shapes in play.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet import values
from convlet.equations import Array
from convlet.errors import InputError
from convlet.shapes import Shape


class Elsewhere:
    """Images that are checked and not here, as on a cluster; rows of them come as of an array."""

    def fingerprint(self) -> str:
        """Of dtype, shape and every byte."""
        raise NotImplementedError


def as_images(x: Any, input_shape: Shape, name: str = "x") -> Array:
    """x as C-ordered uint8 or float32 (n, rows, columns, channels).

    Takes (n, rows, columns, channels), or (n, rows, columns) for one channel; uint8 (0..255 stands
    for 0..1) or finite floats.
    """
    if isinstance(x, Elsewhere):
        return x  # type: ignore[return-value]  # it stands for an array wherever one may be large
    kept = type(x) is np.ndarray and (x.dtype == np.uint8 or x.dtype == np.float32)
    if kept and x.shape[1:] == input_shape and len(x):
        images: Array = np.ascontiguousarray(x)  # a single image is predicted in microseconds
    else:
        images = arranged(x, input_shape, name)
    _check_levels(images, name)
    return images


def as_image(image: Any, input_shape: Shape, name: str = "image") -> Array:
    """One image (rows, columns, channels), as in x[0], as a minibatch (1, rows, columns, channels).

    Takes (rows, columns) for one channel; otherwise as `as_images`.
    """
    image = values.as_array(image, name, str(input_shape))
    if image.shape != input_shape and not (input_shape[2] == 1 and image.shape == input_shape[:2]):
        found, hint = f"has shape {image.shape}", "one image, as in x[0]"
        raise InputError(name, image.shape, str(input_shape), hint, found=found)
    return as_images(image[None], input_shape, name)


def arranged(x: Any, input_shape: Shape, name: str) -> Array:
    """x as C-ordered uint8 or float32 (n, rows, columns, channels), whatever its numbers."""
    x = shaped(values.as_array(x, name, f"(n, {_commas(input_shape)})"), input_shape, name)
    if x.dtype not in (np.uint8, np.float32):
        with np.errstate(over="ignore", invalid="ignore"):
            x = x.astype(np.float32)
    return np.ascontiguousarray(x)


def shaped(x: Any, input_shape: Shape, name: str) -> Any:
    """An array as (n, rows, columns, channels), whose dtype is that of images.

    x: of NumPy, or of Dask, whose numbers nobody looks at here.  Raises `InputError`.
    """
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        known = isinstance(x, np.ndarray) and x.dtype.kind in "bui"
        hint = values.conversion(x, values.in_code(name)) if known else ""
        expected = "uint8 (0 to 255) or a float"
        raise InputError(name, x.dtype, expected, hint, found=f"has dtype {x.dtype}")
    if x.ndim == 3 and input_shape[2] == 1 and x.shape[1:] == input_shape[:2]:
        x = x[..., None]
    if x.ndim != 4 or x.shape[1:] != input_shape:
        hint = _shape_hint(x.shape, input_shape, values.in_code(name))
        expected = f"(n, {_commas(input_shape)}), images as (rows, columns, channels)"
        raise InputError(name, x.shape, expected, hint, found=f"has shape {x.shape}")
    if x.shape[0] == 0:
        raise InputError(name, x.shape, "at least one image", found=f"has shape {x.shape}")
    return x


def _commas(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def _check_levels(images: Array, name: str) -> None:
    """Refuse numbers that images do not hold."""
    wrong = values.wrong_levels(images, name)
    if wrong is None:
        return
    if images.dtype != np.uint8 and not np.isfinite(images).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(images))[0]))
        raise InputError(
            name,
            float(images[where]),
            "finite float32 numbers",
            f"clean the data first, as in numpy.nan_to_num({values.in_code(name)})",
            subject=f"{name}{list(where)}",
        )
    raise InputError(name, None, wrong.expected, wrong.mend, found=f"holds {wrong.found}")


def _shape_hint(found: tuple[int, ...], wanted: Shape, name: str) -> str:
    """How to make images of the wanted shape of an array of another one; "" if nobody knows."""
    rows, columns, channels = wanted
    if found in (wanted, wanted[:2]):
        return f"one image is {name}[None]"
    if found[1:] == (channels, rows, columns):
        return f"channels come last, as in {name}.transpose(0, 2, 3, 1)"
    if len(found) == 2 and found[1] == rows * columns * channels:
        return f"{name}.reshape(-1, {rows}, {columns}, {channels})"
    return ""


def as_labels(
    y: Any, count: int, classes: int, name: str = "y", names: Sequence[str] | None = None
) -> Array:
    """y as int32 classes (n,) or float32 distributions (n, classes).

    names: of the classes, for the line that makes numbers of labels that are names.
    """
    y = values.as_array(y, name, f"(n,) classes or (n, {classes}) distributions")
    if y.dtype.kind not in "buif":
        expected = f"whole numbers 0 to {classes - 1} or distributions (n, {classes})"
        one = values.in_code(name)
        hint = ""
        if y.dtype.kind in "SUO" and names is not None:
            hint = f"{one} = [network.classes.index(name) for name in {one}]"
        elif y.dtype.kind in "SU":
            hint = f"classes, {one} = numpy.unique(..., return_inverse=True), the same for all data"
        raise InputError(name, y.dtype, expected, hint, found=f"has dtype {y.dtype}")
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[1] != classes):
        expected = f"(n,) classes or (n, {classes}) distributions"
        hint = f"{values.in_code(name)}[:, 0]" if y.shape[1:] == (1,) else ""
        raise InputError(name, y.shape, expected, hint, found=f"has shape {y.shape}")
    if len(y) != count:
        found = f"has {len(y)} labels for {count} images"
        raise InputError(name, len(y), "one label for each image", found=found)
    if y.ndim == 2:
        return _distributions(y, name)
    if y.dtype.kind == "f":
        bad = np.flatnonzero(~(np.isfinite(y) & (y == np.floor(y))))
        if len(bad):
            hint = f"classes are 0 to {classes - 1}"
            raise _wrong_label(name, bad[0], y, "a whole number", hint)
    bad = np.flatnonzero((y < 0) | (y >= classes))
    if len(bad):
        hint = f"the network has {classes} classes"
        if y.min() == 1 and y.max() == classes:
            hint += f", counted from 0, as {values.in_code(name)} - 1 is"
        raise _wrong_label(name, bad[0], y, f"0 to {classes - 1}", hint)
    return np.ascontiguousarray(y, np.int32)


def as_label(y: Any, classes: int, name: str = "y", names: Sequence[str] | None = None) -> Array:
    """The label of one image, a class or a distribution (classes,), as of a minibatch of one."""
    expected = f"a class, 0 to {classes - 1}, or a distribution ({classes},)"
    y = values.as_array(y, name, expected)
    if y.shape not in ((), (classes,)):
        raise InputError(name, y.shape, expected, found=f"has shape {y.shape}")
    try:
        return as_labels(y[None], 1, classes, name, names)
    except InputError as error:
        raise error.remade(subject="") from None


def _wrong_label(name: str, place: int, y: Array, expected: str, hint: str = "") -> InputError:
    return InputError(name, y[place].item(), expected, hint, subject=f"{name}[{place}]")


def _distributions(y: Array, name: str) -> Array:
    y = y.astype(np.float64)
    bad = np.argwhere(~(np.isfinite(y) & (y >= 0)))
    if len(bad):
        row, column = bad[0]
        where = f"{name}[{row}, {column}]"
        expected = "a probability of 0 or more"
        raise InputError(name, float(y[row, column]), expected, subject=where)
    sums = y.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > 1e-5)
    if len(wrong):
        found = f"adds up to {sums[wrong[0]]:.6g}"
        where, hint = f"{name}[{wrong[0]}]", "(15) needs distributions"
        raise InputError(name, float(sums[wrong[0]]), "1", hint, subject=where, found=found)
    return np.ascontiguousarray(y, np.float32)


def as_sample_weight(weight: Any, count: int, name: str = "sample_weight") -> Array | None:
    """omega of (13) as float32 (n,), or None."""
    if weight is None:
        return None
    weight = values.as_array(weight, name, f"({count},) numbers")
    if weight.dtype.kind not in "buif" or weight.shape != (count,):
        found = f"has shape {weight.shape} and dtype {weight.dtype}"
        expected = f"({count},) numbers, one for each image"
        raise InputError(name, weight.shape, expected, found=found)
    with np.errstate(over="ignore"):
        omega: Array = np.ascontiguousarray(weight, np.float32)
    bad = np.flatnonzero(~(np.isfinite(omega) & (omega >= 0)))
    if len(bad):
        raise _wrong_label(name, bad[0], omega, "a finite number of 0 or more")
    if not omega.any():
        if weight.any():
            found = f"is at most {weight.max():g}, which float32 rounds to 0"
            raise InputError(name, float(weight.max()), hint="scale it up", found=found)
        raise InputError(name, 0, "at least one positive weight", found="is zero everywhere")
    return omega


def as_vector(value: Any, size: int, name: str) -> Array:
    """A copy as float32 (size,)."""
    vector = values.as_array(value, name, f"({size},) numbers")
    if vector.dtype.kind not in "buif" or vector.shape != (size,):
        found = f"has shape {vector.shape} and dtype {vector.dtype}"
        expected = f"({size},) numbers, one for each parameter"
        raise InputError(name, vector.shape, expected, found=found)
    numbers = np.array(vector, np.float32)
    if not np.isfinite(numbers).all():
        raise InputError(name, None, "finite numbers", found="has a number that is not finite")
    return numbers


def as_image_names(names: Any, count: int) -> tuple[str, ...] | None:
    """A name for each of that many images, as of its file, or None."""
    if names is None:
        return None
    found = names.tolist() if isinstance(names, np.ndarray) else names
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise InputError("names", names, "a sequence of one name (str) for each image")
    for n, name in enumerate(found):
        if not isinstance(name, str):
            where, hint = f"names[{n}]", "str(path) is the name of a file"
            raise InputError("names", name, "a str", hint, subject=where)
    if len(found) != count:
        words = f"has {len(found)} names for {count} images"
        raise InputError("names", names, "one name for each image", found=words)
    return tuple(found)


def as_validation(value: Any) -> tuple[Any, Any] | None:
    """The pair (x, y) of `fit(validation=...)`, whose parts are not checked yet, or None."""
    if value is None:
        return None
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0], value[1]
    found = f"is a {type(value).__name__}"
    if isinstance(value, tuple | list):
        found += f" with {len(value)} in it"
    raise InputError("validation", value, "a pair (x, y) or None", found=found)
