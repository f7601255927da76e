"""The native core as Python sees it (native/bindings.cpp, native/bindings_engine.cpp)."""

from collections.abc import Callable, Sequence
from enum import Enum
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float32 = NDArray[np.float32]

testing: ModuleType
"""The kernels and the threads by themselves, for the tests only: sizes are not checked."""

def sum_of_squares(x: Float32) -> float: ...
def targets() -> list[tuple[str, bool]]: ...

class AffineKind(Enum):
    conv = ...
    dense = ...

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

class FitSettings(Protocol):
    """What the core reads of the settings of `fit`."""

    @property
    def batch_size(self) -> int: ...
    @property
    def shards(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def clip_norm(self) -> float | None: ...
    @property
    def label_smoothing(self) -> float: ...

class Settings:
    def __init__(
        self,
        settings: FitSettings,
        optimizer: Optimizer,
        augmentation: Augmentation | None,
    ) -> None: ...

class Share:
    def __init__(
        self,
        first: int,
        last: int,
        rows: NDArray[np.int64],
        totals: NDArray[np.float64],
        sums: Float32,
        gradient: Float32,
        costs: NDArray[np.float64],
        exchange: Callable[[], None],
    ) -> None: ...

class StageSpec:
    affine: AffineKind
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
    def __init__(
        self, target: str, stages: list[StageSpec], parameters: int, share: int
    ) -> None: ...
    @property
    def target(self) -> str: ...
    @property
    def winograd(self) -> dict[int, int]: ...
    @property
    def winograd_dx(self) -> dict[int, int]: ...
    @property
    def winograd_dw(self) -> dict[int, int]: ...
    def shares(self, threads: int, batch: int) -> dict[str, Any]:
        """How a step is divided: samples of an item of phase A, floats of the items of phase B."""
        ...

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
    def trace(
        self,
        parameters: Float32,
        images: Array,
        targets: Array,
        z: Sequence[Float32],
        out: Sequence[Float32],
        delta: Sequence[Float32],
        dx: Sequence[Float32],
    ) -> None: ...
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
        share: Share | None = None,
    ) -> tuple[int, bool]: ...
    def augment(
        self,
        images: Array,
        augmentation: Augmentation | None,
        seed: int,
        epoch: int,
        out: Float32,
    ) -> None: ...
