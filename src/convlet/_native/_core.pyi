"""The native core as Python sees it (native/bindings.cpp, native/bindings_engine.cpp)."""

from collections.abc import Sequence
from enum import Enum
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convlet.settings

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
        kind: str,
        rows: int = 0,
        columns: int = 0,
        stride_rows: int = 0,
        stride_columns: int = 0,
        number: float = 0,
    ) -> None: ...

class UpdateKind(Enum):
    sgd = ...
    momentum = ...
    nesterov = ...
    adam = ...

class Optimizer:
    def __init__(
        self,
        kind: UpdateKind,
        beta1: float = 0,
        beta2: float = 0,
        epsilon: float = 0,
        weight_decay: float = 0,
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

class Settings:
    def __init__(
        self,
        settings: convlet.settings.Settings,
        optimizer: Optimizer,
        augmentation: Augmentation | None,
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
        slots: Sequence[Float32],
        images: Array,
        targets: Array,
        weight: Float32 | None,
        order: NDArray[np.int64],
        rates: Float32,
        updates: int,
        epoch: int,
        settings: Settings,
        costs: NDArray[np.float64],
        threads: int,
    ) -> tuple[int, bool]: ...
    def augment(
        self,
        images: Array,
        augmentation: Augmentation | None,
        seed: int,
        epoch: int,
        out: Float32,
    ) -> None: ...
