"""Settings of all tests: the marker of the equations, and repeatable examples; data of several."""

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("convlet", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("convlet")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "equation(number, ...): the test checks these equations of docs/equations.md"
    )
    config.addinivalue_line(
        "markers", "pytorch: the test compares with PyTorch, if it is installed"
    )


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """An .npz file: 60 + 30 images whose bright row tells the class."""
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in (("train", 60), ("test", 30)):
        y = rng.integers(0, 3, count)
        x = rng.integers(0, 100, (count, 6, 6)).astype(np.uint8)
        x[np.arange(count), 2 * y] += 150
        parts |= {f"x_{part}": x, f"y_{part}": y}
    path = tmp_path_factory.mktemp("data") / "rows.npz"
    np.savez(path, **parts)
    return path
