"""Images without labels, for a prediction."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import as_float32
from convlet.datasets.npy import read_npy
from convlet.datasets.pictures import open_picture, pillow
from convlet.errors import DataError
from convlet.files.paths import file_name
from convlet.inputs import as_input_shape
from convlet.layerbase import Shape

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8] | NDArray[np.float32]
MODES = {1: "L", 3: "RGB"}
# 16 and 32 bits would be cut to 8, not scaled
CONVERTIBLE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


def read_image(
    path: str | os.PathLike[str], input_shape: Sequence[int], resize: bool = False
) -> Images:
    """One image (rows, columns, channels), as `read_images` reads it.

    Raises the same, and `DataError` for a file with several images.
    """
    images = read_images(path, input_shape, resize)
    if len(images) != 1:
        raise DataError(f"{file_name(path)}: expected one image, found {len(images)}")
    first: Images = images[0]
    return first


def read_images(
    path: str | os.PathLike[str], input_shape: Sequence[int], resize: bool = False
) -> Images:
    """The images of a file as (n, rows, columns, channels), for a network of this input_shape.

    A PNG, JPEG or BMP file holds one; it becomes grey or RGB after the number of channels, and
    with resize is stretched to the size.  An .npy file holds (rows, columns, channels) or a stack
    (n, rows, columns, channels), without channels if there is one, of uint8 or of finite floats,
    which become float32 and keep their values; resize leaves it alone.

    Raises `DataError`, `FileError`, `MissingDependencyError`, `InputError` for input_shape.
    """
    shape = as_input_shape(input_shape)
    name = file_name(path)
    if name.lower().endswith(".npy"):
        return _stack(read_npy(path), shape, name)
    return _picture(name, shape, resize)[None]


def _stack(array: NDArray[Any], shape: Shape, name: str) -> Images:
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise DataError(
            f"{name}: expected uint8 (0 to 255) or a float, found {array.dtype}: save it again as"
            " one of them"
        )
    one = (shape, shape[:2]) if shape[2] == 1 else (shape,)
    if array.shape in one:
        array = array[None]
    elif array.shape[1:] not in one or len(array) == 0:
        raise DataError(
            f"{name}: expected an image of shape {shape} or a stack (n, {shape[0]}, {shape[1]},"
            f" {shape[2]}), found shape {array.shape}: change the array, --resize does not"
        )
    stack = np.ascontiguousarray(array.reshape(-1, *shape))
    return stack if stack.dtype == np.uint8 else as_float32(stack, name)


def _picture(name: str, shape: Shape, resize: bool) -> NDArray[np.uint8]:
    rows, columns, channels = shape
    if channels not in MODES:
        raise DataError(
            f"{name}: expected an .npy file, as the network takes {channels} channels, found"
            " an image file, which has 1 or 3"
        )
    resampling = pillow().Resampling
    with open_picture(name) as picture:
        if (picture.height, picture.width) != (rows, columns) and not resize:
            raise DataError(
                f"{name}: expected {rows} x {columns} pixels (rows x columns), found"
                f" {picture.height} x {picture.width}: scale it, or give resize=True (--resize)"
            )
        _refuse_unclear(picture, name)
        converted = picture.convert(MODES[channels])
        if converted.size != (columns, rows):
            converted = converted.resize((columns, rows), resampling.LANCZOS)
        return np.array(converted, np.uint8).reshape(shape)


def _refuse_unclear(picture: "Image", name: str) -> None:
    """Refuse an image that has no single reading as 8-bit grey or colour."""
    if picture.mode not in CONVERTIBLE:
        raise DataError(
            f"{name}: expected 8-bit grey or RGB, found mode {picture.mode}: save it as such"
        )
    has_alpha = "A" in picture.mode or "transparency" in picture.info
    if has_alpha and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
        raise DataError(
            f"{name}: expected an opaque image, found transparent pixels: put it on a background"
            " of the colour that the training images have"
        )
