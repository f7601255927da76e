"""Images without labels, for a prediction."""

import os
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.builtin import FIGURE
from convlet.datasets.dataset import as_float32
from convlet.datasets.encoded.pictures import MAX_BYTES, opened
from convlet.datasets.encoded.pixels import prepared, read_picture
from convlet.datasets.figure import NONE, figure
from convlet.datasets.numeric.npy import parse_npy, read_npy
from convlet.errors import DataError
from convlet.files.paths import file_name
from convlet.files.streams import read_up_to
from convlet.inputs import as_input_shape
from convlet.layerbase import Shape
from convlet.libraries import quiet
from convlet.preparation import MOST_SIDE, Preparation

NPY = b"\x93NUMPY"
Images = NDArray[np.uint8] | NDArray[np.float32]


class Prepared(NamedTuple):
    """Images (n, rows, columns, channels), and what was done for them, in words; "" is nothing.

    decoded: whether they come from an image file, whose levels mean what they say.
    """

    images: Images
    done: str = ""
    decoded: bool = False


How = Preparation | Sequence[int]
"""That of a network, or the input_shape of one that has none."""


def read_image(path: str | os.PathLike[str], preparation: How) -> Images:
    """One image (rows, columns, channels), as `read_images` reads it.

    Raises the same, and `DataError` for a file with several images.
    """
    images = read_images(path, preparation)
    if len(images) != 1:
        raise DataError(f"{file_name(path)}: expected one image, found {len(images)}")
    first: Images = images[0]
    return first


def read_images(path: str | os.PathLike[str], preparation: How) -> Images:
    """The images of a file as (n, rows, columns, channels), for a network.

    preparation: that of the network, `network.preparation`, or the input_shape of one that has
    none: then an image file must have the size.

    An image file (PNG, JPEG, BMP, GIF, WebP, TIFF) holds one, which is prepared to the very bits
    that the same file had in training.  An .npy file holds (rows, columns, channels) or a stack (n,
    rows, columns, channels), without channels if there is one, of uint8 or of finite floats, which
    become float32 and keep their values; it is not scaled.  For a network of MNIST dark figures,
    and those that are elsewhere, are placed as those of image files are.

    Raises `DataError`, `FileError`, `MissingDependencyError`, `InputError` for preparation.
    """
    return read_prepared(path, preparation).images


def read_prepared(path: str | os.PathLike[str], preparation: How) -> Prepared:
    """As `read_images`, with what was done."""
    name = file_name(path, "image")
    if name.lower().endswith(".npy"):
        return _placed(_stack(read_npy(path), _shape(preparation), name), preparation)
    return _whole(*read_picture(name, _preparation(preparation, name)), preparation, name)


def read_given(stream: IO[bytes], name: str, preparation: How) -> Prepared:
    """As `read_prepared`, of a stream that cannot seek; name: of it, for messages."""
    data = bytes(read_up_to(stream, MAX_BYTES + 1))
    if data.startswith(NPY):
        return _placed(_stack(parse_npy(data, name), _shape(preparation), name), preparation)
    how = _preparation(preparation, name)
    with quiet(), opened(BytesIO(data), name) as picture:
        return _whole(*prepared(picture, how, name), preparation, name)


class Trained(Protocol):
    """What a network says of the images that it takes."""

    @property
    def data(self) -> str | None: ...
    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def preparation(self) -> Preparation | None: ...


def preparation_of(network: Trained) -> Preparation | None:
    """What is done with image files for a network; None where no such file fits it."""
    if network.preparation is not None:
        return network.preparation
    rows, columns, channels = network.input_shape
    if network.data == "mnist" and network.input_shape == FIGURE.shape:
        return FIGURE  # a model from before models said it
    if channels not in (1, 3) or max(rows, columns) > MOST_SIDE:
        return None
    return Preparation(rows, columns, "grey" if channels == 1 else "rgb")


def _placed(stack: Images, how: How) -> Prepared:
    """For a network of digits those that are dark, or elsewhere, become as those of image files."""
    is_light = stack.dtype == np.uint8 or (stack.min() >= 0 and stack.max() <= 1)
    if not (isinstance(how, Preparation) and how.fit == "figure" and is_light):
        return Prepared(stack)
    white = 255 if stack.dtype == np.uint8 else np.float32(1)
    found, words = stack.copy(), Counter[str]()
    for n, image in enumerate(stack[..., 0]):
        levels = np.rint(image * (255 / white)).astype(np.uint8)
        placed, done = figure(levels, how.rows, how.columns)
        words[done] += 1
        if done not in ("", NONE):
            found[n, ..., 0] = placed * (white / 255)
    done = ", ".join(
        text if count == len(stack) else f"{count:,} of {len(stack):,} {text}"
        for text, count in words.items()
        if text
    )
    return Prepared(found, done)


def _shape(how: How) -> Shape:
    return how.shape if isinstance(how, Preparation) else as_input_shape(how)


def _preparation(how: How, name: str) -> Preparation:
    """Of the image file called name.  Raises `DataError` where no image file has the channels."""
    if isinstance(how, Preparation):
        return how
    rows, columns, channels = as_input_shape(how)
    if channels not in (1, 3):
        raise DataError(
            f"{name}: expected an .npy file, as the network takes {channels} channels, found"
            " an image file, which has 1 or 3"
        )
    return Preparation(rows, columns, "grey" if channels == 1 else "rgb")


def _whole(pixels: NDArray[np.uint8], done: str, how: How, name: str) -> Prepared:
    """A prepared image; one that was scaled is refused where nothing says how.

    Raises `DataError`.
    """
    if done and not isinstance(how, Preparation):
        rows, columns, _ = as_input_shape(how)
        raise DataError(
            f"{name}: expected {rows} x {columns} pixels (rows x columns), found another size"
            f" ({done}): scale it, or give a Preparation"
        )
    return Prepared(pixels[None], done, decoded=True)


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
            f" {shape[2]}), found shape {array.shape}: change the array, it is not scaled"
        )
    stack = np.ascontiguousarray(array.reshape(-1, *shape))
    return stack if stack.dtype == np.uint8 else as_float32(stack, name)
