"""`convlet check`."""

import re
from dataclasses import asdict
from typing import Annotated

import typer

from convlet import gradcheck
from convlet.cli import options
from convlet.cli.console import print_table, say, say_json
from convlet.inputs import as_count

EXAMPLE = 'Example: convlet check --layers "conv 4 3x5 stride 2x3, relu, flatten, dense 5, softmax"'


def check(
    layers: options.Layers = None,
    input: options.InputSize = None,
    seed: Annotated[
        int, typer.Option(parser=options.whole, metavar="N", help="Of weights and images.")
    ] = 0,
    json: options.Json = False,
) -> None:
    """Compare every derivative with central differences.

    In float64.  The exit status is 1 if one differs by more than its limit.
    """
    as_count(seed, "--seed", 0, (1 << 64) - 1)
    chosen, shape = options.read_layers(layers), options.read_input(input)
    with options.named("--input" if layers is None else "--layers"):
        rows = gradcheck.check_network(chosen, input_shape=shape, seed=seed)
    failed = sum(not row.passed for row in rows)
    if json:
        for row in rows:
            say_json(asdict(row))
    else:
        cells = [
            (
                row.equation,
                row.what,
                row.name,
                f"{row.relative_difference:.1e}",
                f"{row.limit:.0e}",
                "ok" if row.passed else "WRONG",
            )
            for row in sorted(rows, key=_number)
        ]
        header = ("equation", "derivative", "of", "difference", "limit", "")
        print_table(header, cells, "<<<>><")
        say()
        say(f"{len(rows) - failed} of {len(rows)} derivatives agree with central differences")
    if failed:
        raise typer.Exit(1)


def _number(row: gradcheck.CheckRow) -> int:
    """The first equation that a row names: the table is in the order of the derivation."""
    numbers = re.findall(r"[0-9]+", row.equation)
    return int(numbers[0]) if numbers else 0
