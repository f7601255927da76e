"""What a file says of a network, and what it needs."""

from typing import NamedTuple, Protocol

from convlet.layers import Layer
from convlet.preparation import Preparation
from convlet.stages import Stage


class Described(Protocol):
    """What a file says of a network."""

    @property
    def layers(self) -> tuple[Layer, ...]: ...
    @property
    def input_shape(self) -> tuple[int, int, int]: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def preparation(self) -> Preparation | None: ...
    @property
    def stages(self) -> tuple[Stage, ...]: ...


class Memory(NamedTuple):
    """What a program needs, in bytes: constants and arena exactly.

    Code and stack depend on the compiler: up to so much on the chips of docs/devices.md, with -Os.
    """

    constants: int
    code: int
    arena: int
    stack: int

    @property
    def flash(self) -> int:
        return self.constants + self.code

    @property
    def ram(self) -> int:
        return self.arena + self.stack

    def __str__(self) -> str:
        return (
            f"flash: {self.constants:,} bytes of constants, up to {self.code:,} of code;"
            f" RAM: {self.arena:,} bytes of arena, up to {self.stack:,} of stack"
        )
