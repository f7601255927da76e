"""`mnist`, which comes with the package, and `digits`, which comes with scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.dataset import Dataset
from convlet.datasets.naming import Part
from convlet.datasets.numeric.arrays import Pair, held, make
from convlet.datasets.numeric.idx_folder import EXAMPLES, find_idx, load_idx
from convlet.datasets.wishes import Wishes
from convlet.errors import FileError
from convlet.libraries import library
from convlet.preparation import Preparation

MNIST_FOLDER = Path(__file__).parent / "mnist"
DIGITS = tuple("0123456789")
FIGURE = Preparation(28, 28, "grey", "figure")


def load_mnist() -> Dataset:
    """MNIST, 60,000 + 10,000 images (28, 28, 1) of handwritten digits.  LICENSE.md is beside it.

    Raises `FileError` if this installation lacks the files.
    """
    files = find_idx(MNIST_FOLDER) if MNIST_FOLDER.is_dir() else {}
    if len(files) < len(EXAMPLES):
        raise FileError(
            f"{MNIST_FOLDER} lacks MNIST files, expected four of them there: install a convlet"
            " that was built with them, or name a folder that holds them"
        )
    return replace(load_idx("mnist", files, DIGITS), said=())


def load_digits() -> Dataset:
    """The digits of scikit-learn, 1438 + 359 images (8, 8, 1): every fifth is a test image.

    Their grey values, 0 to 16, become 0 to 255.  Raises `MissingDependencyError`.
    """
    bundled = library(
        "sklearn.datasets", "the data set digits needs", '"convlet[sklearn]"', "scikit-learn"
    )
    found = bundled.load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    labels = found.target.astype(np.int64)
    test = np.arange(len(labels)) % 5 == 4
    sides: tuple[tuple[Part, NDArray[np.bool_]], ...] = (("train", ~test), ("test", test))
    parts: dict[Part | None, Pair] = {
        part: Pair(
            held(images[chosen], f"digits {part}"), held(labels[chosen], f"digits {part} labels")
        )
        for part, chosen in sides
    }
    return make("digits", "digits", parts, Wishes(), DIGITS)
