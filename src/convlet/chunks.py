"""Dask arrays of images: each chunk is predicted by itself, where and when Dask says.

As with the wrappers of Dask-ML, what has an entry for each image stays a Dask array, which computes
nothing until it is asked; what is one number is computed.  A prediction is that of the network as
it was when it was asked for.  An image is predicted alone, so the bits are those of one array.
"""

import sys
from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike

from convlet import arrays
from convlet.equations import Array
from convlet.errors import InputError
from convlet.inputs import as_threads
from convlet.values import wrong_levels

T = TypeVar("T")
A = TypeVar("A", bound=Array)
F = TypeVar("F", bound=Callable[..., Any])


def is_chunked(x: Any) -> TypeGuard[Any]:
    """Whether x is a Dask array; nothing is imported for the question."""
    core = sys.modules.get("dask.array.core")
    return core is not None and isinstance(x, core.Array)


def by_chunks(dtype: DTypeLike, wide: bool = True) -> Callable[[F], F]:
    """A method of a network, method(x, threads=...), that also takes a Dask array of images.

    It then gives a Dask array of rows of the dtype, with a number for each class, or where it is
    not wide of one number an image.  Raises `InputError`.
    """

    def decorated(method: F) -> F:
        @wraps(method)
        def either(network: Any, x: Any, **more: Any) -> Any:
            if not is_chunked(x):
                return method(network, x, **more)
            if "threads" in more:
                more["threads"] = as_threads(more["threads"])
            like = np.empty((0, network.class_count) if wide else 0, dtype)
            return mapped(network, method.__name__, x, like, **more)

        return cast(F, either)

    return decorated


def mapped(network: Any, method: str, x: Any, like: A, **more: Any) -> A:
    """That method of a network for each chunk of x, as a Dask array with the chunks of its images.

    like (0, ...): an empty array of what the method returns.  more: arguments of the method.
    Chunks across an image are joined first.  Shape and dtype are checked here, values and scale
    chunk by chunk as of so many images.  Raises `InputError`.
    """
    from dask.delayed import delayed

    images = arrays.shaped(x, network.input_shape, "x")
    images = images.rechunk({axis: -1 for axis in range(1, images.ndim)})
    lazy: Any = images.map_blocks(
        _of_chunk,
        network=delayed(deepcopy(network), pure=False, traverse=False),
        method=method,
        like=like,
        more=more,
        drop_axis=[1, 2, 3],
        new_axis=list(range(1, like.ndim)),
        chunks=(images.chunks[0], *((size,) for size in like.shape[1:])),
        dtype=like.dtype,
        meta=like,
    )
    return cast(A, lazy)  # for types it is the array that it stands for


def _of_chunk(
    images: Any, network: Any, method: str, like: Array, more: dict[str, Any], block_info: Any
) -> Array:
    """The method for one chunk; an error says which images it is about."""
    if not len(images):
        return like
    try:
        found: Array = getattr(network, method)(images, **more)
    except InputError as error:
        start, stop = block_info[0]["array-location"][0]
        if error.parameter != "x" or np.isnan(start):
            raise
        part = (error.subject or "x").removeprefix("x")
        hint = error.hint
        if images.dtype == np.uint8 and wrong_levels(images, "x") is not None:  # it may be the only
            own = f"; chunks are judged one by one: x.rechunk({{0: {2 * len(images)}}}) mixes some"
            hint = (*((hint,) if isinstance(hint, str) else hint), own)
        raise error.remade(subject=f"x[{start}:{stop}]{part}", hint=hint) from None
    return found


def computed(predictions: Any, checked: Callable[[int], T]) -> tuple[Array, T]:
    """All predictions in order, and what belongs to so many images.

    checked: of their number, before work where that is known: after a selection only computing
    tells.  Raises `InputError` for no image at all, and what `checked` does.
    """
    count = predictions.shape[0]
    belonging = None if np.isnan(count) else checked(int(count))
    found: Array = np.asarray(predictions.compute())
    if not len(found):
        raise InputError("x", None, "at least one image", found="has none")
    return found, checked(len(found)) if belonging is None else belonging
