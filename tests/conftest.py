"""Settings of all tests: the marker of the equations, and repeatable examples; what many use."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import children
import convlet._native as _native
import targets
from convlet import threads
from made_data import bright_rows

settings.register_profile("convlet", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("convlet")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "equation(number, ...): the test checks these equations of docs/equations.md"
    )
    config.addinivalue_line(
        "markers", "pytorch: the test compares with PyTorch, if it is installed"
    )
    config.addinivalue_line("markers", "keras: the test compares with Keras, if it is installed")


@pytest.fixture(params=targets.TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each target of this CPU, that of the native engines which the test makes."""
    with targets.chosen(request.param):
        yield request.param


@pytest.fixture(params=targets.TARGETS)
def k(request: pytest.FixtureRequest) -> _native.testing.Kernels:
    """The kernels of each target of this CPU, one by one."""
    return _native.testing.Kernels(request.param)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of a test stays in the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def any_work_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that are made meanwhile meet as many threads as a call asks for, however small."""
    for least in ("TRAINING", "PREDICTION", "STAGE"):
        monkeypatch.setattr(threads, least, 1)


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Signals as in a fresh Python, however the tests were started."""
    with children.default_signals():
        yield


@pytest.fixture
def in_a_new_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plain_terminal(monkeypatch: pytest.MonkeyPatch, in_a_new_folder: None) -> None:
    """80 columns without colours, in an empty folder."""
    for name in ("FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a run keeps its checkpoints; not there yet."""
    return tmp_path / "run"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz file: 60 + 30 images whose bright row tells the class."""
    parts = {}
    for part, count, seed in (("train", 60, 0), ("test", 30, 1)):
        x, parts[f"y_{part}"] = bright_rows(count, seed)
        parts[f"x_{part}"] = x[..., 0]
    path = tmp_path_factory.mktemp("data") / "rows.npz"
    np.savez(path, **parts)
    return path
