"""A network as the text of a C file: what it says of itself, tables, functions, its one call."""

from functools import cached_property
from math import prod
from typing import Any, Literal, get_args

from convlet._version import __version__
from convlet.device.arithmetic import Arithmetic
from convlet.device.described import Described, Memory
from convlet.device.flash import FLASH, too_far
from convlet.device.plan import Arena, PoolStep, Step, arena_of, steps_of
from convlet.device.selftest import Selftest
from convlet.device.text import comment, joined, paragraph, remark
from convlet.errors import InputError
from convlet.stages import Stage
from convlet.tables import Table as Rows
from convlet.text import format_layers
from convlet.wording import size

WRITTEN = "a convolutional network, written by convlet"
"""In the first comment of every file."""

Owner = Literal["static", "caller"]
"""Whose the arena is: the file's own, or the caller's, so that calls may be under way at once."""


class Program:
    """A network as one C99 file.  owner: of the arena.  Raises `InputError`."""

    def __init__(
        self,
        network: Described,
        arithmetic: Arithmetic,
        name: str,
        owner: Owner = "static",
        selftest: Selftest | None = None,
    ) -> None:
        self.network, self.stages, self.arithmetic = network, network.stages, arithmetic
        self.name, self.owner, self.selftest = name, as_owner(owner), selftest
        self.steps = steps_of(network.stages)
        self.parts = [
            arithmetic.part(step, function, arithmetic.element if n else arithmetic.pixel)
            for n, (step, function) in enumerate(zip(self.steps, self._functions, strict=True))
        ]

    # ------------------------------------------------------------------------------------- memory

    @cached_property
    def _plan(self) -> Arena:
        return arena_of(self.steps)

    @cached_property
    def _scratch(self) -> int:
        """Elements at the start of the arena that hold z at one place."""
        return max(map(self.arithmetic.scratch, self.steps))

    @cached_property
    def memory(self) -> Memory:
        """What all of it needs."""
        arena = (self._scratch + self._plan.size) * self.arithmetic.bytes
        constants = sum(self.table_bytes(stage) for stage in self.stages)
        code = self.arithmetic.code(self.steps)
        return Memory(constants, code, arena, self.arithmetic.stack)

    def table_bytes(self, stage: Stage) -> int:
        """Bytes of the constants of a stage."""
        parts = zip(self.steps, self.parts, strict=True)
        own = [part for step, part in parts if step.stage.index == stage.index]
        return sum(table.bytes for part in own for table in part.tables)

    def live(self, step: Step) -> int:
        """Bytes that a step reads and writes in the arena."""
        n = self.steps.index(step)
        shapes = [
            one.shape for one in self.steps[max(n - 1, 0) : n + 1] if one is not self.steps[-1]
        ]
        return (sum(map(prod, shapes)) + self.arithmetic.scratch(step)) * self.arithmetic.bytes

    # --------------------------------------------------------------------------------------- text

    @property
    def signature(self) -> str:
        """The head of the function that the caller calls."""
        a = self.arithmetic
        arena = f", {a.element} *arena" if self.owner == "caller" else ""
        image = f"const {a.pixel} *image"
        return f"int {self.name}_predict({image}, {a.element} *{a.answer}{arena})"

    @property
    def summary(self) -> Rows:
        """The stages as a table."""
        rows = [
            (
                str(stage.index),
                ", ".join(map(str, (stage.affine, *stage.sigma))),
                size(stage.output_shape),
                f"{self.table_bytes(stage):,}",
                f"{stage.multiply_adds:,}",
            )
            for stage in self.stages
        ]
        return Rows(("stage", "layers", "output", "bytes", "multiply-adds"), rows, "<<>>>")

    @property
    def declarations(self) -> str:
        """Sizes as macros, and the prototypes."""
        upper, (rows, columns, channels) = self.name.upper(), self.network.input_shape
        arena = self.memory.arena
        numbers: dict[str, tuple[object, str]] = {
            "ROWS": (rows, "of an image"),
            "COLUMNS": (columns, ""),
            "CHANNELS": (channels, ""),
            "CLASSES": (self.stages[-1].output_shape[0], ""),
            "ARENA": (
                arena // self.arithmetic.bytes,
                f"elements, {arena:,} bytes",
            ),
            "FLASH": (self.memory.constants, "bytes of constants"),
            "STACK": (self.arithmetic.stack, "bytes, up to"),
            **self.arithmetic.constants,
        }
        words = [
            f"#define {upper}_{name} {value}{f' /* {about} */' if about else ''}"
            for name, (value, about) in numbers.items()
        ]
        prototypes = [f"{self.signature};"]
        if self.selftest is not None:
            prototypes += [
                f"#ifdef {upper}_SELFTEST",
                f"int {self.name}_selftest({self._arena_parameter or 'void'});"
                " /* how many images differ */",
                "#endif",
            ]
        return joined(words, "", prototypes)

    def text(self, header: str | None = None) -> str:
        """The file; header: the name of its header, None where it has none."""
        start = ["#include <stdint.h>", "", self.declarations]
        if header is not None:
            start = [f'#include "{header}"']
        pieces = [self._heading, joined(start), self._flash, self.arithmetic.prelude]
        for step, part in zip(self.steps, self.parts, strict=True):
            pieces += map(str, part.tables)
            pieces += part.functions[:-1]
            pieces.append(f"{self._above(step)}\n{part.functions[-1]}")
        pieces += [self.arithmetic.ending(self.stages[-1].output_shape[0]), self._predict]
        if self.selftest is not None:
            a, caller = self.arithmetic, self.owner == "caller"
            pieces.append(self.selftest.text(self.name, a.pixel, a.element, a.differs, caller))
        return "\n\n".join(pieces) + "\n"

    @property
    def header(self) -> str:
        """The header beside the file."""
        guard = f"{self.name.upper()}_H"
        return (
            joined(
                comment([f"{self.name}: {WRITTEN}; its C file says what it takes and gives."]),
                [f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""],
                ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""],
                self.declarations,
                ["", "#ifdef __cplusplus", "}", "#endif", "", "#endif"],
            )
            + "\n"
        )

    @property
    def _heading(self) -> str:
        """The comment at the top."""
        classes = self.network.classes
        lines = [
            f"{self.name}: {WRITTEN} {__version__}.",
            "",
            *paragraph(format_layers(self.network.layers), "    "),
            "",
            f"    {self.signature}",
            "",
        ]
        for words in self.arithmetic.says(self.steps):
            lines += [*paragraph(words), ""]
        if self.network.preparation is not None:
            words = f"Trained on image files prepared as {self.network.preparation.words}."
            lines += [*paragraph(words), ""]
        if classes is not None and classes != tuple(map(str, range(len(classes)))):
            named = ", ".join(f"{n} {name}" for n, name in enumerate(classes))
            lines += [*paragraph(f"Classes: {named}."), ""]
        lines += [f"    {line}" for line in self.summary.splitlines()]
        whose = "the caller's, aligned as its type" if self.owner == "caller" else "static"
        own = "nothing is allocated, and the text calls no library."
        memory = f"{self.memory}.  The arena is {whose}; {own}"
        numbers = "Numbers in parentheses are those of the equations in convlet's documentation."
        return comment([*lines, "", *paragraph(memory), "", *paragraph(numbers)])

    @property
    def _flash(self) -> str:
        """How constants are read, and what stops a compiler that could not read these."""
        a, tested = self.arithmetic, 0
        if self.selftest is not None:
            images = self.selftest.tables(self.name, a.pixel, a.element)
            tested = sum(table.bytes for table in images)
        return joined(FLASH, too_far(self.memory.constants, tested, self.name))

    @property
    def _functions(self) -> list[str]:
        """The name of each step's function."""
        names: list[str] = []
        for step in self.steps:
            own = f"{self.name}_stage_{step.stage.index}"
            earlier = sum(name.startswith(f"{own}_pool") or name == own for name in names)
            names.append(f"{own}_pool_{earlier}" if earlier else own)
        return names

    def _above(self, step: Step) -> str:
        stage = step.stage
        layers = ", ".join(map(str, (stage.affine, *stage.sigma)))
        what = "one of its pools" if isinstance(step, PoolStep) else layers
        z = "; z (K) is one place of z^l" if self.arithmetic.scratch(step) else ""
        shapes = f"x {size(step.x_shape)} -> y {size(step.shape)}"
        return remark(f"Stage {stage.index}: {what}.  {shapes}{z}.")

    @property
    def _arena_parameter(self) -> str:
        return f"{self.arithmetic.element} *arena" if self.owner == "caller" else ""

    @property
    def _predict(self) -> str:
        a, calls = self.arithmetic, []
        places = [*(f"arena + {self._scratch + n}" if self._scratch + n else "arena"
                    for n in self._plan.places), a.answer]  # fmt: skip
        for n, (step, function) in enumerate(zip(self.steps, self._functions, strict=True)):
            x = places[n - 1] if n else "image"
            z = ", arena" if a.scratch(step) else ""
            calls.append(f"    {function}({x}, {places[n]}{z});")
        own: list[str] = []
        if self.memory.arena and self.owner == "static":
            own = [f"    static {a.element} arena[{self.memory.arena // a.bytes}];"]
        elif self.owner == "caller" and not self.memory.arena:
            own = ["    (void)arena;"]
        return joined(
            self.signature, "{", own, calls, f"    return {self.name}_class({a.answer});", "}"
        )


def as_owner(value: Any) -> Owner:
    """Whose the arena is.  Raises `InputError`."""
    if value not in get_args(Owner):
        raise InputError("arena", value, '"static" or "caller"')
    owner: Owner = value
    return owner
