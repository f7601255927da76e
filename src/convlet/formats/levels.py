"""What images an exported file takes: levels, or numbers as in training."""

from typing import Any, Literal

from convlet.errors import InputError
from convlet.values import Scale, takes_levels

Dtype = Literal["uint8", "float32"]
DTYPES: tuple[Dtype, ...] = ("uint8", "float32")


def as_dtype(value: Any) -> Dtype:
    """What images a file takes.  Raises `InputError`."""
    if value not in DTYPES:
        raise InputError("dtype", value, " or ".join(DTYPES))
    dtype: Dtype = value
    return dtype


def check_dtype(dtype: Dtype, scale: Scale | None) -> None:
    """Raise `InputError` where levels were on another scale than training."""
    if dtype == "uint8" and scale is not None and not takes_levels(scale):
        but = f"the network was trained on numbers from {scale.lowest:.3g} on, not on levels"
        raise InputError("dtype", dtype, but=but, hint="float32")
