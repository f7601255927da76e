"""What commands say of networks in whole numbers: bytes, multiply-adds, errors, a row a stage."""

from collections.abc import Iterator, Sequence
from math import isfinite

from convlet.quantised.calibration import Calibration
from convlet.quantised.overview import StageRow, stage_rows
from convlet.quantised.stages import QuantizedStage
from convlet.wording import count, size

BYTES_HEADER = ("stage", "layers", "output", "weights", "biases etc.", "multiply-adds")
BYTES_LESS = ("output", "multiply-adds", "biases etc.")  # what a narrow terminal does without
NOISE = "signal to noise"


def byte_rows(parts: Sequence[QuantizedStage]) -> Iterator[Sequence[object]]:
    """The rows of the table, with a rule above the sum."""
    for row in stage_rows(parts):
        if row.output is None:
            yield ()
        yield _cells(row)


def noise_rows(
    parts: Sequence[QuantizedStage], decibels: Sequence[float]
) -> Iterator[Sequence[object]]:
    """The same with a column for the error of each stage."""
    said = [f"{one:.1f} dB" if isfinite(one) else "-" for one in decibels]
    for row, words in zip(stage_rows(parts), [*said, ""], strict=True):
        if row.output is None:
            yield ()
        yield (*_cells(row), words)


def of_calibration(calibration: Calibration) -> str:
    """How it was made."""
    return (
        f"calibrated with {count(calibration.count, 'image')} of {calibration.given:,},"
        f" seed {calibration.seed}, ranges: {calibration.ranges}"
    )


def _cells(row: StageRow) -> tuple[str, ...]:
    numbers = f"{row.weights:,}", f"{row.others:,}", f"{row.multiply_adds:,}"
    return row.stage, row.layers, size(row.output or ()), *numbers
