"""`mnist`, which comes with the package, and `digits`, which comes with scikit-learn."""

from pathlib import Path

import numpy as np

from convlet.datasets.dataset import Dataset, every_fifth, make_dataset, make_split
from convlet.datasets.idx_folder import find_idx, load_idx
from convlet.errors import FileError, MissingDependencyError

MNIST_FOLDER = Path(__file__).parent / "mnist"
DIGITS = tuple("0123456789")


def load_mnist() -> Dataset:
    """MNIST, 60,000 + 10,000 images (28, 28, 1) of handwritten digits.  LICENSE.md is beside it.

    Raises `FileError` if this installation lacks the files.
    """
    files = find_idx(MNIST_FOLDER) if MNIST_FOLDER.is_dir() else {}
    if not files:
        raise FileError(
            f"{MNIST_FOLDER} has no MNIST files, expected them there: install convlet again, or"
            " name a folder that holds them"
        )
    return load_idx("mnist", files, DIGITS)


def load_digits() -> Dataset:
    """The digits of scikit-learn, 1438 + 359 images (8, 8, 1): every fifth is a test image.

    Their grey values, 0 to 16, become 0 to 255.  Raises `MissingDependencyError`.
    """
    try:
        from sklearn.datasets import load_digits as load_from_sklearn
    except ImportError as error:
        raise MissingDependencyError(
            "the data set digits comes with scikit-learn, which is not installed:"
            " pip install scikit-learn"
        ) from error
    found = load_from_sklearn()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    labels = found.target.astype(np.int64)
    test = every_fifth(len(labels))
    source = "digits"
    return make_dataset(
        "digits",
        make_split(images[~test], labels[~test], source, source),
        make_split(images[test], labels[test], source, source),
        source,
        DIGITS,
    )
