"""A network in whole numbers: predictions, byte for byte those of a device, and its file."""

import os
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convlet import arrays, chunks
from convlet import equations as floats
from convlet.device.exports import WholeDeviceExports
from convlet.engine import Samples
from convlet.equations import Array, Float32, Float64
from convlet.errors import InputError
from convlet.formats.model import refuse_not_finite
from convlet.held_back import HeldBack
from convlet.inference import Evaluation, Inference, Seen, seen_of
from convlet.inputs import as_count, as_seed
from convlet.layers import Layer
from convlet.preparation import Preparation
from convlet.quantised import equations as eq
from convlet.quantised import file
from convlet.quantised.calibration import (
    USUAL_COUNT,
    USUAL_RANGES,
    Calibration,
    drawn,
    quantised_stages,
)
from convlet.quantised.equations import Int8, Int64
from convlet.quantised.ranges import as_ranges
from convlet.quantised.stages import QuantizedStage, forward
from convlet.stages import Stage
from convlet.text import format_layers
from convlet.values import Scale, check_scale

N = TypeVar("N", bound=np.generic)

ROUNDING = 2.0**-20
"""How far from a level / 255 a float may be that is meant to be one."""


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedNetwork(WholeDeviceExports):
    """A network in int8 with sums of int32, made by `Network.quantize`; it does not change.

    layers, input_shape, classes, data, preparation, held_back, scale: as of the network that it was
    made of.  parts: its stages in whole numbers, with all that a device needs.  calibration: how it
    was made.
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, int, int]
    parts: tuple[QuantizedStage, ...]
    calibration: Calibration
    classes: tuple[str, ...] | None = None
    data: str | None = None
    preparation: Preparation | None = None
    held_back: HeldBack | None = None
    scale: Scale | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Shapes and layers of the stages (16), (17)."""
        return tuple(part.stage for part in self.parts)

    @property
    def class_count(self) -> int:
        """M, the units of the last layer."""
        return self.stages[-1].output_shape[0]

    @chunks.by_chunks(np.int8)
    def predict_bytes(self, x: Any) -> Int8:
        """The bytes of the logits, int8 (n, classes): what a device computes, byte for byte.

        x: uint8 (n, rows, columns, channels), or (n, rows, columns) for one channel; or floats that
        are levels / 255.  Of a Dask array of images it is a Dask array, computed chunk by chunk
        when it is asked.  Raises `InputError`.
        """
        return self._bytes(self._levels(x))

    @chunks.by_chunks(np.float64)
    def predict_logits(self, x: Any) -> Float64:
        """What the bytes stand for (26): what would enter the softmax, (n, classes).

        x, raises: as `predict_bytes`.
        """
        return eq.real(self.predict_bytes(x), self.parts[-1].y)

    @chunks.by_chunks(np.float32)
    def predict_proba(self, x: Any) -> Float32:
        """Class probabilities (11) of `predict_logits`, (n, classes); as exact as bytes allow.

        x, raises: as `predict_bytes`.
        """
        return floats.softmax(self.predict_logits(x)).astype(np.float32)

    @chunks.by_chunks(np.int64, wide=False)
    def predict(self, x: Any) -> Int64:
        """Most probable class of each image (36), decided in whole numbers, (n,).

        x, raises: as `predict_bytes`.
        """
        return eq.decided(self.predict_bytes(x))

    def evaluate(self, x: Any, y: Any, sample_weight: Any = None) -> Evaluation:
        """Mean cost (14) of `predict_logits`, and accuracy.

        x: as `predict_bytes`; y and sample_weight as for `Network.evaluate`.  Raises `InputError`.
        """
        if not chunks.is_chunked(x):
            data = self.samples(x, y, sample_weight)
            return self.seen(data).judged(data.weight)
        z, (targets, weight) = chunks.computed(
            self.predict_logits(x), lambda count: self._labels(y, sample_weight, count)
        )
        return seen_of(z, targets, weight).judged(weight)

    def samples(self, x: Any, y: Any, sample_weight: Any = None) -> Samples:
        """Images and labels, checked, with omega of (13).  Raises `InputError`."""
        images = self._levels(x)
        return Samples(images, *self._labels(y, sample_weight, len(images)))

    def _labels(self, y: Any, sample_weight: Any, count: int) -> tuple[Array, Float32 | None]:
        """Labels and weights of so many images.  Raises `InputError`."""
        targets = arrays.as_labels(y, count, self.class_count)
        return targets, arrays.as_sample_weight(sample_weight, count)

    def seen(self, data: Samples, threads: int | None = None) -> Seen:
        """What the network makes of samples that are already checked.

        threads: as an engine is told them; what multiplies whole numbers chooses its own.
        """
        z = eq.real(self._bytes(data.images), self.parts[-1].y)
        return seen_of(z, data.targets, data.weight)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one safetensors file, or leave an old file as it was.

        Raises `FileError`.
        """
        file.write(self, self.parts, self.calibration, path)

    def __repr__(self) -> str:
        layers = format_layers(self.layers)
        return f"QuantizedNetwork({layers!r}, input_shape={self.input_shape})"

    def _levels(self, x: Any) -> NDArray[np.uint8]:
        """Images of the caller, on the scale of training.  Raises `InputError`."""
        images = arrays.as_images(x, self.input_shape)
        check_scale(images, self.scale, "x")
        return as_levels(images)

    def _bytes(self, images: NDArray[np.uint8]) -> Int8:
        shape = self.stages[0].x_shape
        return forward(self.parts, eq.pixels(images).reshape(len(images), *shape))


def as_levels(
    images: Array, name: str = "x", numbers: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Images of `arrays.as_images` as levels of uint8.

    Floats are taken where they are levels / 255, as float32 has them; a grid of 256 levels holds no
    others exactly, and which to take is not for us to say.  numbers: what the images are called in
    an error, where they are some of many.  Raises `InputError`.
    """
    if images.dtype == np.uint8:
        return images
    levels = np.clip(np.rint(images * np.float32(255)), 0, 255)
    other = np.argwhere(np.abs(levels / np.float32(255) - images) > ROUNDING)
    if len(other):
        n, *place = map(int, other[0])
        raise InputError(
            name,
            float(images[n, *place]),
            "uint8, or floats that are a level 0 to 255 divided by 255",
            f"round them, if 1 is white: numpy.rint({name}.clip(0, 1) * 255).astype(numpy.uint8)",
            subject=f"{name}{[n if numbers is None else int(numbers[n]), *place]}",
        )
    return levels.astype(np.uint8)


def refuse_blank(levels: NDArray[np.uint8]) -> None:
    """Raise `InputError` where all images to calibrate with are of one and the same level."""
    level = int(levels.flat[0])
    if (levels == level).all():
        raise InputError(
            "images",
            None,
            "images such as those of training, which show what values occur",
            "take some of these",
            found=f"are blank, every level is {level}",
        )


def load_quantized(path: str | os.PathLike[str]) -> QuantizedNetwork:
    """The network in a file of `QuantizedNetwork.save`: its bytes are those of the saved one.

    Raises `FileError` if the file cannot be read, `ModelFileError` if it is damaged or describes no
    network that this version knows.  Nothing in a file is ever run.
    """
    origin, parts, calibration = file.read(path)
    return QuantizedNetwork(
        layers=origin.layers,
        input_shape=origin.input_shape,
        parts=parts,
        calibration=calibration,
        classes=origin.classes,
        data=origin.data,
        preparation=origin.preparation,
        held_back=origin.held_back,
        scale=origin.scale,
    )


def quantize(
    network: Inference,
    images: Any,
    count: int = USUAL_COUNT,
    seed: int = 0,
    ranges: str = USUAL_RANGES,
) -> QuantizedNetwork:
    """`Network.quantize`."""
    count, seed, ranges = as_count(count, "count"), as_seed(seed), as_ranges(ranges)
    images = arrays.as_images(images, network.input_shape, "images")
    check_scale(images, network.scale, "images")
    chosen = drawn(count, len(images), seed)
    refuse_not_finite(network.parameters)
    levels = as_levels(images[chosen], "images", chosen)
    refuse_blank(levels)
    parts = quantised_stages(network.stages, network.parameters, levels, ranges)
    return QuantizedNetwork(
        layers=network.layers,
        input_shape=network.input_shape,
        parts=parts,
        calibration=Calibration(len(chosen), len(images), seed, ranges),
        classes=network.classes,
        data=network.data,
        preparation=network.preparation,
        held_back=network.held_back,
        scale=network.scale,
    )
