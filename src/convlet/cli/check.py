"""`convlet check`."""

import re
from dataclasses import asdict

import click

from convlet import gradcheck
from convlet.cli import options
from convlet.cli.console import print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.names import call
from convlet.cli.options import read_input, whole
from convlet.differences import CheckRow

EXAMPLE = 'Example: convlet check --layers "conv 4 3x5 stride 2x3, relu, flatten, dense 5, softmax"'


@click.command(cls=Command, epilog=EXAMPLE)
@options.LAYERS
@options.INPUT
@whole("--seed", default=0, help="Of weights and images.")
@options.JSON
def check(layers: str | None, input: str | None, seed: int, json: bool) -> int:
    """Compare every derivative with central differences.

    In float64; and those of the native engine, in float32, with the equations.  The exit status is
    1 if one differs by more than its limit.
    """
    if layers is None:
        call(layers="--input")  # which does not fit the default network
    rows = gradcheck.check_network(layers, input_shape=read_input(input), seed=seed)
    failed = sum(not row.passed for row in rows)
    if json:
        for row in rows:
            say_json(asdict(row))
        return int(failed > 0)
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
    print_table(header, cells, "<<<>><", less=("limit", "difference"))
    say()
    say(f"{len(rows) - failed} of {len(rows)} derivatives agree")
    return int(failed > 0)


def _number(row: CheckRow) -> int:
    """The first equation that a row names: the table is in the order of the derivation."""
    numbers = re.findall(r"[0-9]+", row.equation)
    return int(numbers[0]) if numbers else 0
