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

class SigmaKind(Enum):
    relu = ...
    max_pool = ...
    dropout = ...

class SigmaLayer:
    def __init__(
        self,
        kind: SigmaKind,
        rows: int = 0,
        columns: int = 0,
        stride_rows: int = 0,
        stride_columns: int = 0,
        rate: float = 0,
    ) -> None: ...

class UpdateKind(Enum):
    sgd = ...
    momentum = ...
    nesterov = ...
    adam = ...

class UpdateRule:
    def __init__(
        self, kind: UpdateKind, beta1: float = 0, beta2: float = 0, epsilon: float = 0
    ) -> None: ...

class Augmentation:
    def __init__(
        self,
        shift: float,
        rotation: float,
        scale: float,
        shear: float,
        flip: bool,
        elastic: float,
        sigma: float,
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
    @property
    def winograd(self) -> list[int]: ...
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
        rates: Float32,
        costs: NDArray[np.float64],
        threads: int,
        rule: UpdateRule = ...,
        decay: float = 0.0,
        updates: int = 0,
        m: Float32 | None = None,
        v: Float32 | None = None,
        clip: float = 0.0,
        smoothing: float = 0.0,
        dropout: bool = False,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> tuple[int, bool, BaseException | None]: ...
    def augment(
        self,
        images: Array,
        augmentation: Augmentation | None,
        seed: int,
        epoch: int,
        out: Float32,
    ) -> None: ...
