"""How images of any size become what a network sees, the same in training and prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from convlet.errors import InputError
from convlet.inputs import as_count

Fit = Literal["crop", "pad", "stretch", "figure"]
Colour = Literal["grey", "rgb"]

FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
"""Those to choose from; "figure" comes with the data that need it."""
COLOURS: tuple[Colour, ...] = ("grey", "rgb")
MOST_SIDE = 4096  # pixels
BACKGROUND = 255
"""The level under transparent pixels and beside a padded image: paper is white."""


@dataclass(frozen=True)
class Preparation:
    """What is done with an image file.

    rows, columns: of the result.  colour: "grey" (the luma of ITU-R 601, 0.299 R + 0.587 G +
    0.114 B) or "rgb".  fit: "crop" scales the image until it covers the result, and cuts what
    stands out at both sides alike; "pad" scales it until it fits inside, on white; "stretch"
    changes its proportions.  An image that has the size already is taken as it is.  "figure" is
    for MNIST: a dark figure, or one in a frame of another size, is put bright on black, its longer
    side 20 of 28 pixels, its centre of mass at the centre; another image is cropped.

    Raises `InputError`.
    """

    rows: int
    columns: int
    colour: Colour = "rgb"
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        as_count(self.rows, "rows", 1, MOST_SIDE)
        as_count(self.columns, "columns", 1, MOST_SIDE)
        as_colour(self.colour)
        if self.fit != "figure":
            as_fit(self.fit)
        elif self.colour != "grey":
            raise InputError("colour", self.colour, "grey, as a figure is")

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels)."""
        return self.rows, self.columns, self.channels

    @property
    def words(self) -> str:
        """For people, as 64x64 rgb, crop."""
        return f"{self.rows}x{self.columns} {self.colour}, {self.fit}"

    def record(self) -> dict[str, Any]:
        """JSON values, from which `Preparation(**record)` is this one again."""
        return asdict(self)


def as_preparation(value: Any, shape: Sequence[int], name: str = "preparation") -> Preparation:
    """One, or its `record`, that makes images of this shape.  Raises `InputError`."""
    try:
        found = Preparation(**value) if isinstance(value, Mapping) else value
    except TypeError as error:
        raise InputError(name, value, "rows, columns, colour, fit", str(error)) from None
    if not isinstance(found, Preparation):
        raise InputError(name, value, "a Preparation or None")
    if found.shape != tuple(shape):
        expected = f"one of images {tuple(shape)}, as the network takes them"
        raise InputError(name, value, expected, found=f"makes images {found.shape}")
    return found


def as_fit(value: Any, name: str = "fit") -> Fit:
    """A way to fit an image into a size.  Raises `InputError`."""
    if value not in FITS:
        raise InputError(name, value, "crop, pad or stretch")
    fit: Fit = value
    return fit


def as_colour(value: Any, name: str = "colour") -> Colour:
    """What an image is reduced to.  Raises `InputError`."""
    if value not in COLOURS:
        raise InputError(name, value, "grey or rgb")
    colour: Colour = value
    return colour


def as_size(value: Any, name: str = "size") -> tuple[int, int] | None:
    """(rows, columns) from one number, a pair, or None.  Raises `InputError`."""
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    try:
        if len(pair) != 2:
            raise InputError(name)
        return as_count(pair[0], name, 1, MOST_SIDE), as_count(pair[1], name, 1, MOST_SIDE)
    except InputError:
        expected = f"a number of pixels from 1 to {MOST_SIDE}, or (rows, columns)"
        raise InputError(name, value, expected) from None
