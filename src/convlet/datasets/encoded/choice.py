"""How to prepare images that nobody gave options for, and the line that says what is done."""

import os
from collections.abc import Sequence

from convlet.datasets.survey import Survey
from convlet.preparation import Colour, Fit, Preparation
from convlet.wording import count, listed

CAP = 64
"""The longest side that is chosen where nobody asks for a size: small networks see enough there."""
MOST = 256
"""The longest side of images of one size that stay as they are."""
HOW: dict[Fit, str] = {
    "crop": "cropped",
    "pad": "padded",
    "stretch": "stretched",
    "figure": "digits placed as in MNIST",
}


def choose(
    found: Survey,
    size: tuple[int, int] | None = None,
    colour: Colour | None = None,
    fit: Fit | None = None,
) -> Preparation:
    """How to prepare such images: as asked for, else sensibly.

    Images of one size, up to 256 pixels, stay as they are; others become squares of the median of
    their shorter sides, 64 at most.  They are grey if all of them are.
    """
    shapes = found.shapes()
    if size is None:
        alike = len(shapes) == 1 and max(shapes[0][:2]) <= MOST
        size = shapes[0][:2] if alike else (_median_side(shapes),) * 2
    if colour is None:
        colour = "grey" if found.grey == found.images - len(found.damaged) else "rgb"
    return Preparation(*size, colour, fit or "crop")


def resized(found: Survey, preparation: Preparation) -> dict[str, int]:
    """Sizes that images have and are not to have, with how many have each."""
    want = f"{preparation.rows}x{preparation.columns}"
    return {size: number for size, number in found.sizes.items() if size != want}


def words(found: Survey, preparation: Preparation, others: Sequence[str] = ()) -> str:
    """One line: what is done with the images to prepare them so."""
    parts = []
    want = f"{preparation.rows}x{preparation.columns}"
    if other := resized(found, preparation):
        spread = sorted(other, key=lambda size: [int(n) for n in size.split("x")])
        between = spread[0] if len(spread) == 1 else f"{spread[0]}..{spread[-1]}"
        how = HOW[preparation.fit]
        images = count(sum(other.values()), "image")
        parts.append(f"{images} resized from {between} to {want} ({how})")
    target = "grey" if preparation.colour == "grey" else "RGB"
    same = ("grey",) if preparation.colour == "grey" else ("RGB",)
    converted = [f"{n:,} {kind}" for kind, n in found.kinds.items() if kind not in same]
    if converted:
        *most, last = converted
        kinds = f"{', '.join(most)} and {last}" if most else last
        parts.append(f"{kinds} converted to {target}")
    for number, text in (
        (found.turned, "turned as their orientation says"),
        (found.several, "of which the first of several frames is taken"),
        (found.deep, "of 16 bits cut to the high 8"),
        (found.recoloured, "of another colour space brought to sRGB"),
    ):
        if number:
            parts.append(f"{number:,} {text}")
    if others:
        names = listed([os.path.basename(name) for name in others], 3)
        parts.append(f"{count(len(others), 'other file')} left out ({names})")
    return ", ".join(parts) or f"{count(found.images, 'image')} as they are"


def _median_side(shapes: Sequence[tuple[int, int, int]]) -> int:
    sides = sorted((min(rows, columns), count) for rows, columns, count in shapes)
    half, seen = sum(count for _, count in sides) / 2, 0
    for side, images in sides:
        seen += images
        if seen >= half:
            return min(CAP, side)
    return CAP
