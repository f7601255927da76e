"""A network as a table: a row a layer for commands and the report, a row a stage for `summary`."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from convlet.layers import Flatten
from convlet.shapes import Shape
from convlet.stages import Stage
from convlet.tables import Table
from convlet.wording import size


class LayerRow(NamedTuple):
    """A layer, the input, or all of them; parameters and multiply-adds only where there are any."""

    stage: str
    layer: str
    equations: str
    output: Shape | None
    parameters: int | None = None
    multiply_adds: int | None = None  # of one image


def layer_rows(stages: Sequence[Stage], input_shape: Shape) -> Iterator[LayerRow]:
    """The input, each layer with the parameters of a stage beside its affine map, and the sum."""
    yield LayerRow("", "input", "", input_shape)
    if stages[0].x_shape != input_shape:  # x^0 is flat: `group` dropped a layer that moves no data
        yield LayerRow("", "flatten", Flatten.equations, stages[0].x_shape)
    for stage in stages:
        numbers = stage.parameter_count, stage.multiply_adds
        affine = stage.affine
        yield LayerRow(str(stage.index), str(affine), affine.equations, stage.z_shape, *numbers)
        shape = stage.z_shape
        for layer in stage.sigma:
            shape = layer.output_shape(shape)
            yield LayerRow("", str(layer), layer.equations, shape)
    parameters = sum(stage.parameter_count for stage in stages)
    multiply_adds = sum(stage.multiply_adds for stage in stages)
    yield LayerRow("all", "", "", None, parameters, multiply_adds)


def stage_table(stages: Sequence[Stage]) -> Table:
    """A row a stage, and the sum."""
    header = ("stage", "layers", "output", "parameters", "multiply-adds")
    rows = []
    for stage in stages:
        words = ", ".join(map(str, (stage.affine, *stage.sigma)))
        numbers = f"{stage.parameter_count:,}", f"{stage.multiply_adds:,}"
        rows.append((str(stage.index), words, size(stage.output_shape), *numbers))
    parameters = sum(stage.parameter_count for stage in stages)
    multiply_adds = sum(stage.multiply_adds for stage in stages)
    rows.append(("all", "", "", f"{parameters:,}", f"{multiply_adds:,}"))
    return Table(header, rows, "<<>>>")
