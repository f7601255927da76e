"""Images of the page's visitor: files, drawings, frames of a camera.  So many are kept."""

from collections import OrderedDict
from io import BytesIO
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.builtin import FIGURE
from convlet.datasets.encoded.pictures import pillow
from convlet.datasets.encoded.pixels import prepared
from convlet.datasets.single import Images, preparation_of, read_given
from convlet.engine import as_floats
from convlet.errors import InputError
from convlet.inputs import as_bool, as_count
from convlet.network import Network
from convlet.preparation import Preparation
from convlet.server.wire import decoded
from convlet.values import takes_levels
from convlet.wording import size

MOST = 64
UNCHANGED = "taken as it is"
MOST_SIDE = 436
"""Of a drawing: so many pixels in base64 are a body of JSON still."""
_decoding = Lock()
"""One file at a time: decoders warn, and the filters of warnings are those of the process."""


class GoneError(InputError):
    """An image that is not kept any more."""


class OwnImage(NamedTuple):
    """One image as the network takes it, and what was done with it, in words."""

    image: Images  # (rows, columns, channels)
    said: str


class Own:
    """The newest images, by number from 0; an older one goes for a new one."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.images: OrderedDict[int, OwnImage] = OrderedDict()
        self.count = 0

    def add(self, image: OwnImage) -> int:
        """-> its number."""
        with self.lock:
            number, self.count = self.count, self.count + 1
            self.images[number] = image
            while len(self.images) > MOST:
                self.images.popitem(last=False)
        return number

    def get(self, number: int) -> Images:
        """Raises `GoneError` for one that was, `InputError` for one that never was."""
        with self.lock:
            found = self.images.get(number)
        if found is None:
            hint = f"the {MOST} newest are kept: give it again"
            kind = GoneError if number < self.count else InputError
            raise kind("ref", number, found=f"is {number}, which is not here", hint=hint)
        return found.image

    def numbers(self) -> list[int]:
        return [number for number, _ in self.kept()]

    def kept(self) -> list[tuple[int, Images]]:
        """Numbers and images, the oldest first."""
        with self.lock:
            return [(number, own.image) for number, own in self.images.items()]

    def forget(self) -> None:
        """The network takes others now."""
        with self.lock:
            self.images.clear()


def of_file(data: bytes, network: Network) -> OwnImage:
    """The image in a file, prepared as for `convlet predict`.  Raises `ConvletError`."""
    how = preparation_of(network) or network.input_shape
    with _decoding:
        found = read_given(BytesIO(data), "the file", how)
    if len(found.images) != 1:
        expected = "one image"
        raise InputError("file", found=f"holds {len(found.images)} images", expected=expected)
    image = meant(found.images[0], network) if found.decoded else found.images[0]
    return OwnImage(image, found.done or UNCHANGED)


def of_drawing(given: dict[str, Any], network: Network) -> OwnImage:
    """A drawing in grey: light on black or dark on light.  Raises `InputError`.

    prepare: as MNIST was (box, 20 pixels, centre of mass) where the network takes digits, else as
    the images of its training; otherwise it has the size that the network takes.
    """
    rows = as_count(given.get("rows"), "rows", 1, MOST_SIDE)
    columns = as_count(given.get("columns"), "columns", 1, MOST_SIDE)
    levels = decoded(given.get("pixels"), (rows, columns), "pixels")
    prepare = as_bool(given.get("prepare", True), "prepare")
    height, width, channels = network.input_shape
    if not prepare:
        if (rows, columns) != (height, width):
            expected, found = size((height, width)), f"is of {size((rows, columns))} pixels"
            raise InputError("pixels", found=found, expected=expected)
        return OwnImage(meant(_in_channels(levels, channels), network), UNCHANGED)
    how = _how(network)
    pixels, done = prepared(pillow().fromarray(levels), how, "the drawing")
    return OwnImage(meant(_in_channels(pixels, channels), network), done or UNCHANGED)


def _how(network: Network) -> Preparation:
    """What is done with a drawing: grey becomes as many channels as there are."""
    if network.preparation is None and network.input_shape == FIGURE.shape:
        return FIGURE
    rows, columns, _ = network.input_shape
    return preparation_of(network) or Preparation(rows, columns, "grey", "pad")


def meant(levels: Images, network: Network) -> Images:
    """A dark image whose levels mean what they say: as floats nobody takes its white for 1."""
    dark = levels.dtype == np.uint8 and levels.max() <= 1
    if dark and (network.scale is None or takes_levels(network.scale)):
        return as_floats(levels)
    return levels


def _in_channels(levels: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """A grey image, or one of the right channels, in so many."""
    levels = levels if levels.ndim == 3 else levels[..., None]
    if levels.shape[2] == channels:
        return np.ascontiguousarray(levels)
    return np.ascontiguousarray(np.repeat(levels[..., :1], channels, axis=2))
