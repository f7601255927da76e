"""Which axis of a tensor is what, while it is moved, split off and joined in an ONNX graph.

Axes are told by a letter: n for images, h, w, c for rows, columns, channels, f for units that are
lined up, r for pixels lined up by whoever calls the network, 1 for one that a node put in.  Where
axes are compared, one of size 1 is as good as any other such.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from convlet.equations import Array
from convlet.interchange.chain import Order, refused
from convlet.interchange.onnx_constants import BATCH
from convlet.wording import size


class WrongLayoutError(Exception):
    """The graph shows that its input has its axes in another order.  Never leaves `onnx_in`."""


@dataclass(frozen=True)
class Axes:
    """Letters and sizes of a tensor's axes; the number of images has size 0."""

    letters: str
    sizes: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.letters)

    @property
    def marks(self) -> str:
        """The letters, but 1 for every axis of size 1."""
        return "".join("1" if n == 1 else letter for letter, n in self._pairs())

    @property
    def image(self) -> tuple[int, int, int]:
        """(rows, columns, channels); 1 where there is no such axis."""
        found = dict(zip(self.letters, self.sizes, strict=True))
        return found.get("h", 1), found.get("w", 1), found.get("c", 1)

    @property
    def is_flat(self) -> bool:
        """(n, units)."""
        return self.letters in ("nf", "nr")

    @property
    def order(self) -> Order | None:
        """How the axes behind n would be lined up; None for what convlet has no name for."""
        rest = [letter for letter in self.marks[1:] if letter != "1"]
        orders: tuple[Order, Order] = ("hwc", "chw")
        return next((o for o in orders if rest == [x for x in o if x in rest]), None)

    @property
    def words(self) -> str:
        """For people, as (n, 28, 28, 1)."""
        return f"({', '.join('n' if x == 'n' else str(s) for x, s in self._pairs())})"

    def _pairs(self) -> list[tuple[str, int]]:
        return list(zip(self.letters, self.sizes, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """As the graph sees it: the number of images is BATCH."""
        return tuple(BATCH if letter == "n" else n for letter, n in self._pairs())


def moved(x: Axes, source: str, places: Sequence[int]) -> Axes:
    """A transpose."""
    if sorted(places) != list(range(x.rank)):
        raise refused(source, f"has the order {tuple(places)}", "one of its axes")
    return Axes("".join(x.letters[k] for k in places), tuple(x.sizes[k] for k in places))


def widened(x: Axes, source: str, places: Sequence[int]) -> Axes:
    """Axes of size 1 at these places of the result."""
    rank = x.rank + len(places)
    at = sorted(k + rank if k < 0 else k for k in places)
    if len(set(at)) < len(at) or any(not 0 <= k < rank for k in at) or rank > 8:
        raise refused(source, f"puts axes at {tuple(places)}", "other places")
    letters, sizes = list(x.letters), list(x.sizes)
    for k in at:
        letters.insert(k, "1")
        sizes.insert(k, 1)
    return Axes("".join(letters), tuple(sizes))


def narrowed(x: Axes, source: str, places: Sequence[int] | None) -> Axes:
    """Without axes of size 1: at these places, or all."""
    if places is None:
        at = {k for k, mark in enumerate(x.marks) if mark == "1"}
    else:
        at = {k + x.rank if k < 0 else k for k in places}
    if any(not 0 <= k < x.rank or x.marks[k] != "1" for k in at):
        raise refused(source, f"removes an axis of {x.words} that is not of size 1", "to keep it")
    kept = [k for k in range(x.rank) if k not in at]
    return Axes("".join(x.letters[k] for k in kept), tuple(x.sizes[k] for k in kept))


def target_of(
    x: Axes, source: str, shape: Sequence[int], zero_copies: bool, batch: int
) -> list[int]:
    """What a Reshape makes of an image, without the axis of images.

    batch: the number of images that the file fixes, 0 where it is open.
    """
    misfit = refused(source, f"makes {tuple(shape)} of {x.words}", "images to stay images")
    sizes = list(shape)
    if x.letters[:1] != "n" or not sizes or len(sizes) > 8:
        raise misfit
    if zero_copies:
        sizes = [x.sizes[k] if n == 0 and 0 < k < x.rank else n for k, n in enumerate(sizes)]
        sizes[0] = BATCH if shape[0] == 0 else sizes[0]
    first, rest, total = sizes[0], sizes[1:], prod(x.sizes[1:])
    if first not in (BATCH, -1) and not (first == batch > 0):
        raise misfit
    if first != -1 and rest.count(-1) == 1:
        known = -prod(rest)
        if known <= 0 or total % known:
            raise misfit
        rest = [total // known if n == -1 else n for n in rest]
    if any(n < 1 for n in rest) or prod(rest) != total:
        raise misfit
    return rest


def relabelled(x: Axes, sizes: Sequence[int]) -> Axes | None:
    """Axes of these sizes behind n, where axes of size 1 come and go only; None otherwise."""
    kept = [(letter, n) for letter, n in zip(x.letters[1:], x.sizes[1:], strict=True) if n != 1]
    if [n for _, n in kept] != [n for n in sizes if n != 1]:
        return None
    letters = iter(letter for letter, _ in kept)
    return Axes("n" + "".join("1" if n == 1 else next(letters) for n in sizes), (0, *sizes))


def check_image(x: Axes, source: str) -> None:
    """Raise `WrongLayoutError` unless the axes are n, c, h, w in this order."""
    if x.is_flat or x.rank != 4:
        hint = "an image of two axes: convlet has no convolution along one or three"
        raise refused(source, f"meets {x.words}", hint)
    if any(letter not in (wanted, "1") for letter, wanted in zip(x.marks, "nchw", strict=True)):
        raise WrongLayoutError


def along(x: Axes, values: Array, source: str) -> Array:
    """Numbers that meet x by elements: for an image as (rows, columns, channels) or 1 for each.

    For flat x (units,); one number as ().
    """
    if values.dtype.kind not in "biuf":
        raise refused(source, "works with texts", "numbers")
    if values.size == 1 and values.ndim <= x.rank:
        return values.reshape(())
    shape = (1,) * (x.rank - values.ndim) + values.shape
    fits = len(shape) == x.rank and all(
        n == 1 or (n == m and letter != "n")
        for n, m, letter in zip(shape, x.sizes, x.letters, strict=True)
    )
    if not fits:
        found = f"meets {x.words} with numbers {size(values.shape)}"
        raise refused(source, found, "one for all, or for each along some of its axes")
    values = values.reshape(shape)
    if x.is_flat:
        return values.reshape(-1)
    places = [x.letters.find(letter) for letter in "hwc"]
    kept = values.transpose(
        [k for k in places if k >= 0] + [k for k in range(x.rank) if k not in places]
    )
    return kept.reshape([1 if k < 0 else shape[k] for k in places])
