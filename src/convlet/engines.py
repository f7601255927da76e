"""The choice of an engine."""

import warnings
from collections.abc import Sequence

from convlet import native
from convlet.engine import Engine
from convlet.errors import InputError
from convlet.native import NativeEngine
from convlet.reference import ReferenceEngine
from convlet.stages import Stage

ENGINES = ("auto", "native", "reference")

_said: set[str] = set()  # what holds for every network is said once in a process


def as_engine(name: str) -> str:
    """The name of an engine, or of the choice of one.  Raises `InputError`."""
    if name not in ENGINES:
        raise InputError("engine", name, f"one of: {', '.join(ENGINES)}")
    return name


def make_engine(name: str, stages: Sequence[Stage]) -> Engine:
    """The engine of that name for these stages; "auto" takes the native one where it can run.

    Where it cannot, "auto" warns and takes the reference engine; once, if the reason is the CPU.
    """
    if as_engine(name) == "reference":
        return ReferenceEngine(stages)
    try:
        return NativeEngine(stages)
    except InputError as error:
        if name == "native" or native.TARGET.error:
            raise
        message = f"{error}; the slow reference engine computes instead"
        if message not in _said:
            warnings.warn(message, RuntimeWarning, stacklevel=4)
        if native.TARGET.name is None:  # of the CPU, whatever the network
            _said.add(message)
        return ReferenceEngine(stages)
