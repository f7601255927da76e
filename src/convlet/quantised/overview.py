"""A network in whole numbers as a table: bytes, multiply-adds and grids of each stage."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convlet.quantised.stages import QuantizedStage
from convlet.shapes import Shape


class StageRow(NamedTuple):
    """A stage, or all of them: what a device keeps and does for it."""

    stage: str
    layers: str
    output: Shape | None
    weights: int  # bytes
    others: int  # bytes of biases, multipliers and shifts
    multiply_adds: int  # of one image
    largest_sum: int | None = None


def stage_rows(parts: Sequence[QuantizedStage]) -> Iterator[StageRow]:
    """Each stage, and the sum."""
    for part in parts:
        stage = part.stage
        yield StageRow(
            str(stage.index),
            ", ".join(map(str, (stage.affine, *stage.sigma))),
            stage.output_shape,
            part.weight_bytes,
            part.other_bytes,
            stage.multiply_adds,
            part.largest_sum,
        )
    yield StageRow(
        "all",
        "",
        None,
        sum(part.weight_bytes for part in parts),
        sum(part.other_bytes for part in parts),
        sum(part.stage.multiply_adds for part in parts),
    )
