"""Other libraries, each imported when it is used."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from convlet.errors import MissingDependencyError

_OTHERWISE = {"keras": ", or set KERAS_BACKEND to torch or jax, if that is installed"}
"""How a library does without."""


def library(name: str, what: str, install: str, called: str | None = None) -> Any:
    """The module of that name.  what: "... need" or "... needs" it; install: of pip; called: it is.

    Raises `MissingDependencyError`.
    """
    top = name.partition(".")[0]
    try:
        import_module(top)
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (top, name):  # it is installed, and lacks something
            raise MissingDependencyError(
                f"{what} {called or top}, which is installed and needs {error.name}, which is not:"
                f" pip install {error.name}{_OTHERWISE.get(top, '')}"
            ) from error
        raise MissingDependencyError(
            f"{what} {called or top}, which is not installed: pip install {install}"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, libraries do not warn: of their own calls of one another, which a user cannot mend.

    Not for threads: filters of warnings are those of the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
