"""Some of the images of an array: a view, a copy, or where they are many a copy on disk."""

import os
import tempfile
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.cache import cache_folder
from convlet.files.atomic import make_folder
from convlet.files.paths import file_error

LARGE = 1 << 30
"""Bytes of mapped images that are not copied into memory, of which there may be less."""
AT_ONCE = 1 << 12  # images


def taken(images: NDArray[Any], chosen: slice | NDArray[np.int64]) -> NDArray[Any]:
    """images[chosen], C-ordered.

    A run of images stays where it is.  Others are copied: from a file to a file, if they are large,
    which has no name and is gone with the array.  Raises `FileError` for that.
    """
    if isinstance(chosen, slice):
        return images[chosen]
    if len(chosen) and (np.diff(chosen) == 1).all():
        return images[chosen[0] : chosen[-1] + 1]
    shape = (len(chosen), *images.shape[1:])
    if not _stays_on_disk([images], shape):
        return np.ascontiguousarray(images[chosen])
    copy = _on_disk(images.dtype, shape)
    for start in range(0, len(chosen), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        copy[part] = images[chosen[part]]
    copy.flags.writeable = False
    return copy


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Arrays of images of one size and type one after the other.

    In memory, or as `taken` on disk.  Raises `FileError` for that.
    """
    shape = (sum(map(len, parts)), *parts[0].shape[1:])
    if not _stays_on_disk(parts, shape):
        return np.concatenate(parts)
    copy, at = _on_disk(parts[0].dtype, shape), 0
    for images in parts:
        for start in range(0, len(images), AT_ONCE):
            some = images[start : start + AT_ONCE]
            copy[at : at + len(some)] = some
            at += len(some)
    copy.flags.writeable = False
    return copy


def _stays_on_disk(images: Sequence[NDArray[Any]], shape: tuple[int, ...]) -> bool:
    """Whether a copy of this shape of these images is not to be in memory."""
    large = prod(shape) * images[0].dtype.itemsize >= LARGE
    return large and any(isinstance(one, np.memmap) for one in images)


def _on_disk(dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Room in a file without a name, which is gone with the array.  Raises `FileError`."""
    folder = cache_folder()
    make_folder(str(folder))
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # a full disk says so now, not by SIGBUS
            os.posix_fallocate(file.fileno(), 0, prod(shape) * dtype.itemsize)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        raise file_error("written", str(folder), error) from error
