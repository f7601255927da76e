"""What a caller's images may hold: containers of other libraries, and numbers on the right scale.

Containers become NumPy arrays where that is exact (the array protocol, DLPack).  Whatever would
have to be guessed is refused with the line of Python that mends it: masked entries, sparse and
quantized tensors, NaN, levels 0 to 255 as floats (white is 1 for them), uint8 that never exceeds 1,
or of many images 32 (white is 255 for it), training and validation images on different scales.
"""

from collections.abc import Iterator, Sequence
from math import inf, isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np

from convlet._native import sum_of_squares
from convlet.equations import Array
from convlet.errors import InputError, one_line

FAR = 4.0
"""The greatest root mean square of float images: of standardised ones it is 1."""
RATIO = 16.0
"""The greatest between training and validation images: dividing by 255 twice gives 255."""
BELOW = -0.1
"""A lowest number under this is one of standardised images."""
ENOUGH = 32
"""Images whose numbers together show their scale."""
DARK = 32
"""The highest level of many uint8 images is above it: up to 16, say, white is 16."""
FAINT = 1 / 256
"""A root mean square under this is that of no levels 0 to 255 as 0 to 1."""
PIECE = 1 << 22  # numbers looked at in one go
SAMPLE = 1 << 24  # numbers that a scale is measured on
WIDER = ("bfloat16", "float8")
"""Dtypes that NumPy lacks (their names begin so) and that float32 holds exactly."""


def as_array(value: Any, name: str, expected: str) -> Array:
    """A caller's array of any library as one of NumPy, with the same numbers.

    Raises `InputError` where these cannot be had exactly.
    """
    if type(value) is np.ndarray and value.dtype.kind in "buif":
        return value
    library = type(value).__module__.partition(".")[0]
    if library == "torch":
        value = _plain_tensor(value, name)
    if isinstance(value, list | tuple) and value:
        value = _stacked(value, name, expected)
    if library == "PIL":
        raise _refused(value, name, expected, "is an image of Pillow", _of_pictures(name))
    if library == "scipy" and callable(getattr(value, "toarray", None)):
        raise _refused(
            value, name, expected, "is sparse", f"{in_code(name)}.toarray().reshape(...)"
        )
    try:
        array = np.asanyarray(value)
    except Exception as error:  # whatever another library, or a list of different lengths, says
        try:
            array = np.from_dlpack(value)
        except Exception:
            reason = one_line(error)
            hint = "stack arrays of one shape with numpy.stack" if library == "builtins" else ""
            raise _refused(value, name, expected, f"is no array ({reason})", hint) from None
    if array.dtype.kind == "V" and array.dtype.name.startswith(WIDER):
        array = array.astype(np.float32)
    if array.dtype == object and array.ndim == 0:
        raise _refused(value, name, expected, f"is a {type(value).__name__}")
    return _unmasked(array, name)


class Wrong(NamedTuple):
    """Numbers that images do not hold: what was found, what was expected, the line that mends it.

    Whoever has the array makes an error of his own of it.
    """

    found: str
    expected: str
    mend: str


class Levels(NamedTuple):
    """What shows whether images hold levels, of all or of some of them: `of_all` joins these.

    top: of uint8, the highest level, or one above the limit; otherwise None.  squares: the sum of
    squares of floats, not finite if one is not; lowest and highest where that sum is large.
    """

    images: int
    size: int  # numbers
    top: int | None
    squares: float = 0.0
    lowest: float = inf
    highest: float = -inf

    @classmethod
    def of_all(cls, parts: Sequence["Levels"]) -> "Levels":
        """Of the images of all parts, which have one dtype."""
        return cls(
            sum(part.images for part in parts),
            sum(part.size for part in parts),
            max((part.top for part in parts if part.top is not None), default=None),
            sum(part.squares for part in parts),
            min(part.lowest for part in parts),
            max(part.highest for part in parts),
        )


def levels_of(images: Array) -> Levels:
    """Of images (n, ...) of uint8 or float32."""
    count, size = len(images), images.size
    if images.dtype == np.uint8:
        return Levels(count, size, highest_level(images, DARK if count >= ENOUGH else 1))
    squares = _squares(images)
    if squares <= FAR**2 * size:
        return Levels(count, size, None, squares)
    lowest, highest = inf, -inf
    for piece in pieces(images):
        lowest, highest = min(lowest, float(piece.min())), max(highest, float(piece.max()))
    return Levels(count, size, None, squares, lowest, highest)


def wrong_levels(images: Array, name: str) -> Wrong | None:
    """What is wrong with the levels of images, None if nothing is.

    images: (n, ...) of uint8 that never exceeds 1, or of many images 32, or of float32 far above 1,
    or not finite, are wrong.  name: of the parameter.
    """
    return wrong(levels_of(images), name)


def wrong(levels: Levels, name: str) -> Wrong | None:
    """The same of what was seen."""
    if levels.top is not None:
        limit = DARK if levels.images >= ENOUGH else 1
        top = levels.top
        if not 0 < top <= limit:
            return None
        name = in_code(name)
        mend = f"{name} * 255, or {name}.astype(numpy.float32)"
        if top > 1:
            as_dark = f"{name} / numpy.float32(255) if they are that dark"
            mend = f"{name} * {255 // top} if {top} is white, {as_dark}"
        return Wrong(f"uint8 that never exceeds {top}", "white as 255", mend)
    if levels.squares <= FAR**2 * levels.size:
        return None
    lowest, highest = levels.lowest, levels.highest
    found = f"floats from {lowest:g} to {highest:g}"
    return Wrong(found, "black as 0 and white as 1", division(lowest, highest, in_code(name)))


def _squares(images: Array) -> float:
    """The sum of squares of float32 images; not finite if one number is not.

    Not by BLAS, which takes threads of its own for more than 10,000 numbers: they stay awake for a
    while, in the way of the engine's.
    """
    if images.size <= PIECE and images.flags.c_contiguous:  # at once: a single image, too
        return sum_of_squares(images)
    return sum(sum_of_squares(piece) for piece in pieces(images))


def conversion(images: Array, name: str) -> str:
    """The line that makes images of truth values, or of whole numbers that are not uint8."""
    if images.dtype == bool or images.size == 0:
        return f"convert it with {name}.astype(numpy.float32)"
    lowest, highest = int(images.min()), int(images.max())
    if lowest >= 0 and DARK < highest <= 255:
        return f"convert it with {name}.astype(numpy.uint8)"
    return f"if {highest} is white, {division(lowest, highest, name)}"


def division(lowest: float, highest: float, name: str) -> str:
    """The line that brings levels up to `highest` to 0 to 1."""
    if lowest < 0:
        return f"({name} - mean) / deviation, with those of all training images"
    white = 255 if 16 < highest <= 255 else 65535 if 4095 < highest <= 65535 else highest
    return f"{name} / {white:g}"


def in_code(name: str) -> str:
    """What a line of Python calls a parameter: validation x is an x, too."""
    return name.rpartition(" ")[2]


class Scale(NamedTuple):
    """What the numbers of images mean: the lowest, and their root mean square; white is 1."""

    lowest: float
    size: float


def as_scale(value: Any, name: str = "scale") -> Scale | None:
    """A `Scale`, or a pair of its numbers as a file has it, or None.  Raises `InputError`."""
    if value is None:
        return None
    try:
        lowest, size = value
        numbers = [float(one) for one in (lowest, size) if isinstance(one, int | float)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 2 or not all(map(isfinite, numbers)) or numbers[1] < 0:
        raise InputError(name, value, "the lowest number and the root mean square of images")
    return Scale(*numbers)


def check_scale(images: Array, trained: Scale | None, name: str) -> None:
    """Refuse images whose numbers mean something else than those that a network was trained on.

    images: as `check_images` takes them.  Of a few images only that is judged which no image can
    be: levels, where training had numbers around 0, and numbers below black, where it had levels.
    Raises `InputError`.
    """
    if trained is None:
        return
    few = images.dtype != np.uint8 and len(images) < ENOUGH
    if few and (trained.lowest < BELOW or float(images.min()) >= BELOW):
        return
    if images.dtype == np.uint8 and takes_levels(trained):
        return
    if difference := difference_of(trained, scale_of(images)):
        raise InputError(
            name,
            None,
            "the scale of the images that the network was trained on",
            "prepare both by the same line, with the numbers of training",
            found=f"is {difference}",
        )


def takes_levels(trained: Scale) -> bool:
    """Whether uint8 may be on a scale: not where numbers lie around 0, or far below 1."""
    return trained.lowest > BELOW and trained.size >= FAINT


def check_same_scale(x: Array, other: Array, name: str, other_name: str) -> None:
    """Refuse training and validation images whose numbers mean different things.

    x, other: uint8, or float32.  Raises `InputError`.
    """
    if x.dtype == other.dtype == np.uint8:
        return  # neither is dark: `wrong_levels`
    if difference := scale_difference(x, other):
        raise InputError(
            other_name,
            None,
            f"the scale of {name}",
            f"prepare both by the same line, with the numbers of {name}",
            found=f"is {difference}",
        )


def scale_difference(x: Array, other: Array) -> str:
    """In which way the numbers of images mean something else than those of x; "" if they do not."""
    return difference_of(scale_of(x), scale_of(other))


def difference_of(trained: Scale, other: Scale) -> str:
    """In which way another scale is not that of training; "" if it is."""
    (low, size), (other_low, other_size) = trained, other
    if min(size, other_size) > 0 and not 1 / RATIO < other_size / size < RATIO:
        return f"on another scale: root mean square {other_size:.3g}, that of training {size:.3g}"
    if min(low, other_low) < BELOW and max(low, other_low) >= 0:
        lows = f"{other_low:.3g}, that of training is {low:.3g}"
        return f"on another scale: its lowest number is {lows}"
    return ""


def highest_level(images: Array, limit: int) -> int:
    """Of uint8 images (n, ...), or one above the limit: it ends where one is found."""
    highest = int(images.item(images.size // 2))  # mostly one that ends it
    for piece in () if highest > limit else pieces(images):
        highest = max(highest, int(piece.max()))
        if highest > limit:
            break
    return highest


def pieces(images: Array) -> Iterator[Array]:
    """All numbers of images (n, ...), flat, some at a time: a map of a file need not be copied."""
    step = max(1, PIECE // max(1, images[0].size))
    for start in range(0, len(images), step):
        yield images[start : start + step].reshape(-1)


def scale_of(images: Array) -> Scale:
    """Of images spread over all of them.  images: C-ordered float32 or uint8."""
    step = max(1, images.size // SAMPLE)
    some = images[::step]
    if some.dtype == np.uint8:
        some = some[:: max(1, len(some) // 1000)] / np.float32(255)
    flat = some.reshape(-1)
    return Scale(float(flat.min()), sqrt(float(np.dot(flat, flat)) / len(flat)))


def _unmasked(array: Array, name: str) -> Array:
    if not isinstance(array, np.ma.MaskedArray):
        return np.asarray(array)
    if count := int(np.ma.getmaskarray(array).sum()):
        one, found = in_code(name), f"has {count} masked entries"
        hint = f"{one}.filled(0)" if one == "x" else f"leave those out, in x as well: ~{one}.mask"
        raise InputError(name, None, "a number everywhere", hint, found=found)
    return np.asarray(array.data)


def _stacked(values: Sequence[Any], name: str, expected: str) -> Any:
    """Images in a list: a masked one keeps its mask; what Pillow opened may be of palettes."""
    if any(type(one).__module__.partition(".")[0] == "PIL" for one in values):
        raise _refused(values, name, expected, "holds images of Pillow", _of_pictures(name))
    if any(isinstance(one, np.ma.MaskedArray) for one in values):
        return np.ma.stack(values)
    return values


def _of_pictures(name: str) -> str:
    return f'numpy.stack([numpy.asarray(image.convert("RGB")) for image in {in_code(name)}])'


def _plain_tensor(tensor: Any, name: str) -> Any:
    """A tensor of PyTorch that NumPy takes: detached, on the CPU, of a dtype that NumPy has."""
    for attribute, words, mend in (
        ("is_quantized", "is quantized", "dequantize()"),
        ("is_nested", "is a nested tensor", "to_padded_tensor(0)"),
        ("is_meta", "is a tensor on the device meta, without numbers", ""),
    ):
        if getattr(tensor, attribute, False) is True:
            hint = f"{in_code(name)}.{mend}" if mend else ""
            raise _refused(tensor, name, "a tensor of plain numbers", words, hint)
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        raise _refused(
            tensor,
            name,
            "a dense tensor",
            f"has layout {tensor.layout}",
            f"{in_code(name)}.to_dense()",
        )
    if type(tensor).__name__ == "MaskedTensor":
        hint = f"{in_code(name)}.to_tensor(0)"
        raise _refused(tensor, name, "a tensor of plain numbers", "is masked", hint)
    if not callable(getattr(tensor, "detach", None)):
        return tensor  # a storage, a size, a dtype: NumPy says what it is
    tensor = tensor.detach().cpu()
    if str(tensor.dtype).removeprefix("torch.").startswith(WIDER):
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg()


def _refused(value: Any, name: str, expected: str, found: str, hint: str = "") -> InputError:
    return InputError(name, value, expected, hint, found=found)
