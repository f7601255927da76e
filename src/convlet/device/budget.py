"""How much memory a device has, and what would have to shrink where that is not enough."""

import re
from typing import Any

from convlet.device.program import Program
from convlet.errors import InputError
from convlet.inputs import as_count
from convlet.wording import count

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


def as_bytes(value: Any, name: str) -> int | None:
    """A number of bytes, or text as 64k or 1M (of 1024), or None.  Raises `InputError`."""
    if value is None:
        return None
    if isinstance(value, str):
        found = re.fullmatch("([0-9]{1,9})([kKmM]?)(i?[bB])?", value, re.ASCII)
        if found is None:
            raise InputError(name, value, "a number of bytes, as in 65536, 64k or 1M")
        value = int(found[1]) * UNITS[found[2].lower()]
    return as_count(value, name, 1, 1 << 40)


def refuse_too_large(program: Program, max_flash: int | None, max_ram: int | None) -> None:
    """Raise `InputError` where a program needs more, which says what would have to shrink."""
    memory = program.memory
    if max_flash is not None and memory.flash > max_flash:
        stage = max(program.stages, key=program.table_bytes)
        need = (
            f"{count(memory.flash, 'byte')} of flash are needed, {memory.constants:,} of constants"
            f" and up to {memory.code:,} of code"
        )
        hint = (
            f"{count(memory.flash - max_flash, 'byte')} too many;"
            f" stage {stage.index} ({stage.affine}) has most constants,"
            f" {program.table_bytes(stage):,} bytes"
        )
        if program.arithmetic.bytes > 1:
            hint += (
                f", and in int8 (quantize) all constants would take about {memory.constants // 4:,}"
            )
        raise InputError("max_flash", max_flash, but=need, hint=hint)
    if max_ram is not None and memory.ram > max_ram:
        step = max(program.steps, key=program.live)
        need = (
            f"{count(memory.ram, 'byte')} of RAM are needed, {memory.arena:,} of arena and up to"
            f" {memory.stack:,} of stack"
        )
        hint = f"{count(memory.ram - max_ram, 'byte')} too many"
        if memory.arena:  # the stack is that of any network
            hint += (
                f"; most is in use at stage {step.stage.index} ({step.stage.affine}): fewer"
                " channels, a larger stride or pool before it"
            )
        raise InputError("max_ram", max_ram, but=need, hint=hint)
