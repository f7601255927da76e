"""The targets of this CPU, and engines of each of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import convlet._native as _native
from convlet import Network, native

TARGETS = [name for name, supported in _native.targets() if supported]

needs_native = pytest.mark.skipif(not TARGETS, reason="this CPU has no native target")


@contextmanager
def chosen(name: str) -> Iterator[None]:
    """Native engines that are made meanwhile are of this target."""
    before, native.TARGET = native.TARGET, native.Target(name, "the test asks for it")
    try:
        yield
    finally:
        native.TARGET = before


def engine_for(net: Network, name: str) -> native.NativeEngine:
    with chosen(name):
        engine = native.NativeEngine(net.stages)
    assert engine.core.target == name
    return engine
