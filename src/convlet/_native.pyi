"""The native core as Python sees it (native/bindings.cpp)."""

from enum import Enum
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float32 = NDArray[np.float32]

testing: ModuleType

def targets() -> list[tuple[str, bool]]: ...

class Bias(Enum):
    none = ...
    channel = ...
    position = ...

class SigmaLayer:
    def __init__(
        self,
        pool: bool,
        rows: int = 0,
        columns: int = 0,
        stride_rows: int = 0,
        stride_columns: int = 0,
    ) -> None: ...

class StageSpec:
    conv: bool
    H: int
    W: int
    R: int
    rows: int
    columns: int
    s1: int
    s2: int
    above: int
    below: int
    left: int
    right: int
    I: int
    J: int
    K: int
    bias: Bias
    sigma: list[SigmaLayer]
    w: int
    b: int

class Engine:
    def __init__(self, target: str, stages: list[StageSpec], parameters: int) -> None: ...
    @property
    def target(self) -> str: ...
    def predict(
        self, parameters: Float32, images: Array, probabilities: bool, out: Float32, threads: int
    ) -> None: ...
    def gradients(
        self,
        parameters: Float32,
        images: Array,
        targets: Array,
        weight: Float32 | None,
        gradient: Float32,
        threads: int,
    ) -> float: ...
    def train(
        self,
        parameters: Float32,
        images: Array,
        targets: Array,
        weight: Float32 | None,
        order: NDArray[np.int64],
        batch_size: int,
        rate: float,
        costs: NDArray[np.float64],
        threads: int,
    ) -> None: ...
