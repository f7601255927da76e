"""What a program asks of an arithmetic: floats.py and whole.py are the two."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from convlet.device.plan import PoolStep, Step
from convlet.device.text import Table, constants, joined


class Part(NamedTuple):
    """What a step adds to a file."""

    tables: tuple[Table, ...]
    functions: tuple[str, ...]


class Arithmetic(Protocol):
    """How numbers are kept and computed."""

    @property
    def pixel(self) -> str:
        """The C type of an image."""

    @property
    def element(self) -> str:
        """The C type of what lies in the arena, `bytes` long."""

    @property
    def bytes(self) -> int: ...

    @property
    def answer(self) -> str:
        """The name of the caller's array of `element`, one for each class."""

    @property
    def prelude(self) -> str:
        """Macros."""

    @property
    def stack(self) -> int:
        """Bytes up to which the stack goes on the chips of docs/devices.md."""

    @property
    def constants(self) -> Mapping[str, tuple[str, str]]:
        """More macros: name -> value, and what it is."""

    @property
    def differs(self) -> str:
        """In C, whether `answer[j]` is not what is `expected`."""

    def says(self, steps: Sequence[Step]) -> Sequence[str]:
        """Paragraphs for the comment at the top: images, results, which bits hold where."""

    def code(self, steps: Sequence[Step]) -> int:
        """Bytes up to which the machine code goes there, its library included."""

    def scratch(self, step: Step) -> int:
        """Elements that a step needs beside x and y."""

    def part(self, step: Step, name: str, x: str) -> Part:
        """A step; name: of its function, x: the type of its input."""

    def ending(self, classes: int) -> str:
        """The function NAME_class, which makes the output of the last step the answer."""


def pool(step: PoolStep, name: str, element: str, value: str, above: str) -> str:
    """The function of a pool by itself; value: what becomes of `most`, above: its equations."""
    (_, w, k), (i, j, _) = step.x_shape, step.shape
    (rows, columns), (s1, s2) = step.window, step.stride
    return joined(
        f"static void {name}(const {element} *x, {element} *y)",
        "{",
        constants(W=w, I=i, J=j, K=k, ROWS=rows, COLUMNS=columns, S1=s1, S2=s2),
        "    for (int i = 0; i < I; ++i)",
        "        for (int j = 0; j < J; ++j)",
        "            for (int k = 0; k < K; ++k, ++y) {",
        f"                const {element} *window = x + (S1 * i * W + S2 * j) * K + k;",
        f"                {element} most = *window;",
        "                for (int p = 0; p < ROWS; ++p)",
        "                    for (int q = 0; q < COLUMNS; ++q)",
        "                        if (window[(p * W + q) * K] > most)",
        "                            most = window[(p * W + q) * K];",
        f"                *y = {value}; /* {above} */",
        "            }",
        "}",
    )
