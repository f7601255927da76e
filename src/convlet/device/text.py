"""C99 as text: names, numbers, tables, comments."""

import re
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

from convlet.equations import Array
from convlet.errors import InputError
from convlet.wording import printable

COLUMNS = 100
INDENT = "    "
KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long main register restrict return short signed sizeof static struct switch typedef union unsigned
void volatile while

alignas alignof and and_eq asm bitand bitor bool catch class compl const_cast constexpr decltype
delete dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr
operator or or_eq private protected public reinterpret_cast static_assert static_cast template this
thread_local throw true try typeid typename using virtual wchar_t xor xor_eq
"""
"""Of C, and of C++, whose compilers read the header: Arduino's does."""
MOST_NAME = 40
"""Characters of a name: short enough for any linker with what is put behind it."""


def as_c_name(name: Any, path: str | PathLike[str]) -> str:
    """What all names of a C file begin with; None: the name of the file.  Raises `InputError`."""
    given = Path(path).stem if name is None else name
    hint = f"the file is called {given!r}, give another name" if name is None else ""
    form = "[A-Za-z][A-Za-z0-9_]*"
    fits = isinstance(given, str) and re.fullmatch(form, given) and len(given) <= MOST_NAME
    if not fits:
        expected = f"letters, digits and _ as in C, a letter first, at most {MOST_NAME}"
        raise InputError("name", name, expected, hint)
    if given in KEYWORDS.split():
        raise InputError("name", given, but="that is a word of C or C++", hint=f"take {given}_net")
    return given


class Table(NamedTuple):
    """Constants of a C file.  kind: "float", "uint8_t", "int8_t" or "int32_t"."""

    kind: str
    name: str
    values: Array

    @property
    def bytes(self) -> int:
        return self.values.size * {"int8_t": 1, "uint8_t": 1}.get(self.kind, 4)

    def __str__(self) -> str:
        write: Callable[[Any], str] = _real if self.kind == "float" else str
        words = ", ".join(map(write, self.values.ravel()))
        lines = wrap(words, COLUMNS, initial_indent=INDENT, subsequent_indent=INDENT)
        head = f"static const {self.kind} {self.name}[{self.values.size}] CONVLET_PROGMEM = {{"
        return "\n".join([head, *lines, "};"])


def _real(value: np.float32) -> str:
    """The shortest literal that is this very float."""
    return f"{value!s}f"


def comment(lines: Iterable[str]) -> str:
    """A comment of lines, whatever words from files are in them."""
    safe = (printable(line).replace("*/", "* /").replace("/*", "/ *") for line in lines)
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in safe), " */"])


def remark(text: str) -> str:
    """A comment above a function."""
    return f"/* {chr(10).join(wrap(text, COLUMNS - 6, subsequent_indent=' * '))} */"


def paragraph(text: str, indent: str = "") -> list[str]:
    """Lines that fit a comment."""
    return wrap(text, COLUMNS - 3, initial_indent=indent, subsequent_indent=indent)


def constants(**values: int) -> str:
    """What the letters of a function stand for."""
    return f"    enum {{ {', '.join(f'{name} = {value}' for name, value in values.items())} }};"


def joined(*lines: str | Sequence[str]) -> str:
    """Lines and lists of lines as one text."""
    flat = ([line] if isinstance(line, str) else line for line in lines)
    return "\n".join(line for some in flat for line in some)


def filled(template: str, **words: object) -> str:
    """A template with what each @WORD@ stands for: in one pass, and no name of C has an @."""
    return re.sub("@([A-Z]+)@", lambda found: str(words[found[1]]), template)


def times(factor: int, name: str) -> str:
    """factor * name, in C."""
    return name if factor == 1 else f"{factor} * {name}"
