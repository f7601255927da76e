"""An ONNX file as a chain: the graph is walked once, from its input to its outputs."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from convlet.errors import ArchitectureError, InputError
from convlet.inputs import MOST_PIXELS, MOST_ROWS
from convlet.interchange.chain import Chain, Take, refused
from convlet.interchange.levels import LEVELS, with_white
from convlet.interchange.onnx_axes import Axes, WrongLayoutError
from convlet.interchange.onnx_file import Model, Value, read_model
from convlet.interchange.onnx_translation import Translation
from convlet.interchange.onnx_walk import Walk
from convlet.wording import label, listed, size

VERSIONS = range(7, 29)
"""Of ONNX's operators.  Those of older ones mean other things, newer ones nobody has tried."""
UINT8 = 2
TYPES = {1: "float", UINT8: "uint8", 10: "float16", 11: "double"}
Image = tuple[int, int, int]


class Found(NamedTuple):
    """What the network in a file does, sentences about what is not as it was, the file's notes."""

    chain: Chain
    said: tuple[str, ...]
    metadata: Mapping[str, str]


def chain_of_file(path: str | os.PathLike[str], shape: Image | None, white: float | None) -> Found:
    """The network in a file.

    shape: (rows, columns, channels) of images, where the file leaves them open.  white: as for
    `with_white`; of a file that takes uint8 None is 255.  Raises `FileError`, `ModelFileError`,
    `InputError` for the shape, `ArchitectureError` for what convlet has not.
    """
    model = read_model(path)
    version = model.opsets[""]
    if version not in VERSIONS:
        found = f"uses version {version} of ONNX's operators"
        hint = f"one of {VERSIONS[0]} to {VERSIONS[-1]}, the opset_version of exporters"
        raise refused("the file", found, hint)
    if len(model.inputs) != 1:
        names = listed([label(value.name, 40) for value in model.inputs])
        raise refused("the graph", f"has {len(model.inputs)} inputs ({names})", "one, the images")
    (value,) = model.inputs
    if value.code not in TYPES:
        found = f"has an input {label(value.name, 40)!r} of type {value.code}"
        raise refused("the graph", found, f"numbers: {', '.join(TYPES.values())}")
    if "preparation" in model.metadata and value.shape and None in value.shape[1:]:
        what = "takes images of any size, and prepares them"
        raise refused("the graph", what, "a file of convlet that was exported without prepare")
    walk = _in_some_layout(model, value, shape)
    image = walk.translation.image
    assert image is not None
    white = LEVELS if white is None and value.code == UINT8 else white
    steps, scaled = with_white(walk.translation.steps, white, "the file")
    network = Chain(image, steps, walk.classes)
    said = [*scaled, *walk.translation.said]
    if len(value.shape or ()) == 2 and walk.translation.layout == "nchw" and image[2] > 1:
        said.append(
            "the file lines pixels up channels first: give the network images as (rows, columns,"
            " channels)"
        )
    is_as_written = not any(isinstance(step, Take) for step in steps)  # classes may be others
    metadata = model.metadata if is_as_written else {}
    return Found(network, tuple(said), metadata)


def _in_some_layout(model: Model, value: Value, shape: Image | None) -> Walk:
    """The walk in the layout that fits.

    Where no operator shows it, the axis of 1, 3 or 4 is that of the channels.
    """
    walks: list[Walk] = []
    wrong: ArchitectureError | None = None
    for layout in _layouts(value, shape):
        image = dict(zip(layout.letters, layout.sizes, strict=True))
        known = None if layout.letters == "nr" else tuple(image.get(k, 1) for k in "hwc")
        batch = value.shape[0] if value.shape and value.shape[0] else 0
        translation = Translation(model.opsets[""], layout.picture, batch, shape)
        translation.is_whole = value.code == UINT8
        if known is not None:
            translation.image = known[0], known[1], known[2]
        walk = Walk(model, translation, value.name, Axes(layout.letters, layout.sizes))
        try:
            with np.errstate(all="ignore"):  # numbers that are not finite are refused in the end
                walk.go()
        except WrongLayoutError:
            continue
        except ArchitectureError as error:
            wrong = wrong or error
            continue
        if translation.is_sure:
            return walk
        walks.append(walk)
    if not walks:
        hint = "channels first or last"
        raise wrong or refused("the graph", "has its axes in an order of its own", hint)
    images = [walk.translation.image or (0, 0, 0) for walk in walks]
    likely = [walk for walk, image in zip(walks, images, strict=True) if image[2] in (1, 3, 4)]
    chosen = walks if len(walks) == 1 else likely
    if len(chosen) == 1 or (chosen and images[0] == images[1] and images[0][2] == 1):
        return chosen[0]
    if images[0] == images[1]:
        found = f"takes images {size(images[0])}, and does not show where their channels are"
        raise refused("the graph", found, "an operator that does, as a convolution")
    shapes = " or ".join(size(image) for image in images)
    found = f"is not given, and the file may take images {shapes}"
    raise InputError("input_shape", found=found, hint="say which")


@dataclass(frozen=True)
class Layout:
    """Letters and sizes of the input; picture: letters of an image made of pixels lined up."""

    letters: str
    sizes: tuple[int, ...]
    picture: str


def _layouts(value: Value, shape: Image | None) -> Iterator[Layout]:
    """Those that the input may have.  Raises `InputError` where its sizes are open, or others."""
    sizes = value.shape if value.shape is not None else (None,) * 4
    choices = {2: ("nr",), 3: ("nhw",), 4: ("nchw", "nhwc")}.get(len(sizes))
    if choices is None:
        found = f"has an input of {len(sizes)} axes"
        raise refused("the graph", found, "images of 4 axes, 3 (grey) or 2 (lined up)")
    fits = False
    for letters in choices:
        wanted: dict[str, int] = {}
        if shape is not None:
            wanted = dict(zip("hwcr", (*shape, prod(shape)), strict=True))
        known = [1, *(n or wanted.get(k, 0) for k, n in zip(letters[1:], sizes[1:], strict=True))]
        if 0 in known[1:]:
            found = f"is not given, and the file leaves it open: {label(sizes, 40)}"
            raise InputError("input_shape", found=found, hint="say rows, columns and channels")
        misfits = (n != wanted.get(k, n) for k, n in zip(letters[1:], known[1:], strict=True))
        if any(misfits) or (letters == "nhw" and wanted.get("c", 1) != 1):
            continue
        fits = True
        if prod(known[1:]) > MOST_PIXELS or (letters != "nr" and max(known) > MOST_ROWS):
            found = f"takes images of {label(size(known[1:]), 60)} numbers"
            hint = f"{MOST_ROWS} rows, columns or channels, together {MOST_PIXELS}, at most"
            raise refused("the graph", found, hint)
        for picture in ("nchw", "nhwc") if letters == "nr" else (letters,):
            yield Layout(letters, (0, *known[1:]), picture)
    if not fits:
        but = f"the file takes {label(sizes, 60)}"
        raise InputError("input_shape", shape, but=but, hint="give the one of its images")
