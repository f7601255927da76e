"""The native core, compiled from native/: docs/engine.md.

A package around the compiled module, so that whoever draws the imports sees a floor here.
"""

from convlet._native._core import (
    AffineKind,
    Augmentation,
    Bias,
    Engine,
    Optimizer,
    Settings,
    Share,
    SigmaLayer,
    StageSpec,
    UpdateKind,
    sum_of_squares,
    targets,
    testing,
)

__all__ = [
    "AffineKind",
    "Augmentation",
    "Bias",
    "Engine",
    "Optimizer",
    "Settings",
    "Share",
    "SigmaLayer",
    "StageSpec",
    "UpdateKind",
    "sum_of_squares",
    "targets",
    "testing",
]
