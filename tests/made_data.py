"""Images that are made up: some that can be learned, some that cannot."""

from pathlib import Path

import numpy as np


def bright_rows(count: int, seed: int = 0, shape=(6, 6, 1)) -> tuple[np.ndarray, np.ndarray]:
    """Dark images (count, *shape) with a bright row that tells which of three classes they are."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.integers(0, 100, (count, *shape)).astype(np.uint8)
    x[np.arange(count), 2 * y] += 150
    return x, y


def noise_file(path: Path, train: int, test: int = 20) -> Path:
    """An .npz file with images (16, 16) of two classes that nobody can tell apart."""
    rng = np.random.default_rng(4)
    x = rng.integers(0, 256, (train + test, 16, 16), dtype=np.uint8)
    y = np.arange(train + test) % 2
    np.savez(path, x_train=x[test:], y_train=y[test:], x_test=x[:test], y_test=y[:test])
    return path
