"""Settings of all tests: the marker of the equations, and repeatable examples."""

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
