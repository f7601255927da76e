"""The family of exceptions that convlet raises for a bad input, a bad file or a bad machine.

An error keeps its parts and composes its sentence from them.  `told(words)` composes it again for
readers who call parameters by other names, as the command line does: no code edits a message.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

MOST_SHOWN = 200
"""Characters of a value in a sentence."""

PYTHON: Mapping[str, str] = {}
"""The names of parameters in Python: as they are."""


class Name(str):
    """The name of a parameter inside a hint: a reader may know it by another one."""


Words = str | tuple[str, ...]
"""A part of a sentence: text, or pieces of text and `Name`s."""


def said(words: Words, names: Mapping[str, str] = PYTHON) -> str:
    """A part of a sentence, each `Name` in it as `names` calls it."""
    pieces = (words,) if isinstance(words, str) else words
    return "".join(names.get(p, p) if isinstance(p, Name) else p for p in pieces)


class ConvletError(Exception):
    """Every error that convlet raises on purpose; catch this one to catch them all.

    parameter: the argument that is to blame, None where there is none or nobody knows which.
    """

    parameter: str | None = None

    def told(self, names: Mapping[str, str] = PYTHON) -> str:
        """The whole sentence; names: of parameters, where they differ from those of Python."""
        where = names.get(self.parameter or "")
        return f"{where}: {self}" if where else str(self)


@contextmanager
def blaming(parameter: str) -> Iterator[None]:
    """Inside, an error that blames no parameter blames this one."""
    try:
        yield
    except ConvletError as error:
        if error.parameter is None:
            error.parameter = parameter
        raise


class InputError(ConvletError, ValueError):
    """An argument is wrong.

    The sentence is: PARAMETER is VALUE, expected EXPECTED: HINT.  found: words in the place of "is
    VALUE", as in "has shape (3, 4)".  but: what stands in the way, in the place of what was
    expected.  subject: words in the place of the parameter, where a part of it is wrong, as in
    "layers[2]".  owner: the class whose parameter it is, as in "SGD".
    A reader's name of the owner comes before one of the parameter; schedule.every may be called
    after schedule.
    """

    def __init__(
        self,
        parameter: str,
        value: object = None,
        expected: Words = "",
        hint: Words = "",
        *,
        found: Words = "",
        but: Words = "",
        subject: str = "",
        owner: str = "",
    ) -> None:
        self.parameter: str = parameter
        self.value = value
        self.expected = expected
        self.hint = hint
        self.found = found
        self.but = but
        self.subject = subject
        self.owner = owner
        super().__init__(self.told())

    def told(self, names: Mapping[str, str] = PYTHON) -> str:
        sentence = f"{self._who(names)} {self._found(names)}"
        if self.expected:
            sentence += f", expected {said(self.expected, names)}"
        if self.but:
            sentence += f", but {said(self.but, names)}"
        return f"{sentence}: {said(self.hint, names)}" if self.hint else sentence

    def remade(self, kind: "type[InputError] | None" = None, **parts: Any) -> "InputError":
        """The same error, of another kind or with other parts, as in owner="SGD"."""
        made = _remade(kind or type(self), {**vars(self), **parts})
        assert isinstance(made, InputError)
        return made

    def _who(self, names: Mapping[str, str]) -> str:
        """The parameter as the reader calls it, and which part of it."""
        plain = self.subject or self.parameter
        if self.owner in names:
            return f"{names[self.owner]}: {plain}"
        if self.parameter in names:
            name = names[self.parameter]
            return f"{name}: {self.subject}" if self.subject else name
        outer, _, inner = self.parameter.partition(".")  # as in schedule.every
        if inner and outer in names:
            return f"{names[outer]}: {inner}"
        return f"{self.owner}: {plain}" if self.owner else plain

    def _found(self, names: Mapping[str, str]) -> str:
        if self.found:
            return said(self.found, names)
        if self.parameter in names:  # an option has no value None, and a flag no other than True
            if self.value is None:
                return "is not given"
            if self.value is True:
                return "is given"
        shown = repr(self.value)
        return f"is {shown}" if len(shown) <= MOST_SHOWN else f"is {shown[: MOST_SHOWN - 3]}..."

    def __reduce__(self) -> tuple[Any, ...]:
        """Parts, so that an error comes whole out of another process."""
        return _remade, (type(self), vars(self))


class ArchitectureError(InputError):
    """The layers do not fit together, or do not fit the input."""


class DataError(ConvletError, ValueError):
    """A data file holds something else than it should.

    The message names file, expected and found.
    """


class ModelFileError(ConvletError, ValueError):
    """A model file or checkpoint is damaged, or holds what this version cannot load."""


class FileError(ConvletError, OSError):
    """A file or folder is missing, or cannot be read or written.

    why: the message without the name at its start, where it has one.
    """

    why = ""


class DivergedError(ConvletError, ArithmeticError):
    """Training met a cost or a gradient that is not finite.

    The sentence is: WHAT: HINT; last good checkpoint: CHECKPOINT.  what names step and stage.
    """

    def __init__(self, what: str, hint: Words = "", checkpoint: str | None = None) -> None:
        self.what, self.hint, self.checkpoint = what, hint, checkpoint
        super().__init__(self.told())

    def told(self, names: Mapping[str, str] = PYTHON) -> str:
        sentence = f"{self.what}: {said(self.hint, names)}" if self.hint else self.what
        if self.checkpoint is not None:
            sentence += f"; last good checkpoint: {self.checkpoint}"
        return sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), vars(self))


class ClusterError(ConvletError, RuntimeError):
    """A cluster cannot take steps any more: no worker is left, or its scheduler is lost.

    Training ends after a whole step, as for any exception.
    """


class MissingDependencyError(ConvletError, ImportError):
    """An optional library is not installed.

    The message says which, what for, and how to install it.
    """


def one_line(error: Exception) -> str:
    """The words of another library, short and on one line, to be handed on in ours."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def _remade(kind: type[ConvletError], parts: dict[str, Any]) -> ConvletError:
    """An error of this kind from its parts."""
    error: ConvletError = Exception.__new__(kind)
    vars(error).update(parts)
    error.args = (error.told(),)
    return error
