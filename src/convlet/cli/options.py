"""Options and arguments: what several commands take, how words become values, what Tab offers."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from convlet import datasets
from convlet.cli.help import Argument
from convlet.errors import InputError, said
from convlet.files.paths import file_name
from convlet.inputs import as_input_shape

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


class _Place(click.Path):
    """The name of a file or folder, as `files.paths` reads it."""

    def __init__(self, kind: str) -> None:
        super().__init__(path_type=Path)
        self.kind = kind

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        return Path(file_name(value, parameter.name, self.kind))


class _Data(click.ParamType[Any]):
    """The name of a data set, or a path, which stays text."""

    name = "data"

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if value in datasets.names():
            return value
        return file_name(value, parameter.name, "file or folder")


FILE, FOLDER = _Place("file"), _Place("folder")


def _whole(text: str) -> int | str:
    """A whole number, or the text as it is for the check that names the option and its value."""
    try:
        return int(text)
    except ValueError:
        return text


def _real(text: str) -> float | str:
    """A number, or the text as it is."""
    try:
        return float(text)
    except ValueError:
        return text


def offering(words: Iterable[str], kind: str = "") -> Completer:
    """What Tab offers: these words, and for kind "file" or "dir" the paths of the shell."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        paths = [CompletionItem(incomplete, type=kind)] if kind else []
        return paths + [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete


def word(*names: str, of: Iterable[str], **attrs: Any) -> Decorator:
    """An option whose value is one of these words: the library, which knows them, checks it."""
    return click.option(*names, shell_complete=offering(of), **attrs)


def whole(*names: str, **attrs: Any) -> Decorator:
    """An option whose value is a whole number."""
    return click.option(*names, **{"type": _whole, "metavar": "N", **attrs})


def real(*names: str, **attrs: Any) -> Decorator:
    """An option whose value is a number."""
    return click.option(*names, **{"type": _real, "metavar": "X", **attrs})


def file(*names: str, **attrs: Any) -> Decorator:
    """An option whose value is the name of a file."""
    return click.option(*names, **{"type": FILE, "metavar": "FILE", **attrs})


def folder(*names: str, **attrs: Any) -> Decorator:
    """An option whose value is the name of a folder."""
    complete = offering((), "dir")
    return click.option(*names, type=FOLDER, metavar="DIR", shell_complete=complete, **attrs)


def argument(name: str, about: str, **attrs: Any) -> Decorator:
    """A positional argument."""
    return click.argument(name, cls=Argument, about=about, **attrs)


def together(name: str, record: Callable[..., Any], options: Sequence[Decorator]) -> Decorator:
    """Options that a command gets as one record, in the parameter `name`.

    The options are called like the fields of the record.
    """
    members = [field.name for field in fields(record)]  # type: ignore[arg-type]

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def collected(**given: Any) -> Any:
            values = {member: given.pop(member) for member in members}
            return command(**{name: record(**values)}, **given)

        made: Callable[..., Any] = collected
        for option in reversed(options):
            made = option(made)
        return made

    return add


JSON = click.option("--json", is_flag=True, help="Print JSON, one object a line.")
LAYERS = click.option(
    "--layers", metavar="LAYERS", help='As in "conv 8 5, relu, pool 2, flatten, ...".'
)
INPUT = click.option("--input", metavar="SIZE", help="Size of an image, as in 28x28x1.")


def read_input(text: str | None) -> tuple[int, int, int]:
    """The shape of --input, (28, 28, 1) where it is not given.  Raises `InputError`."""
    if text is None:
        return 28, 28, 1
    words, hint = text.lower().split("x"), ""
    if all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        try:
            return as_input_shape(tuple(map(int, words)))
        except InputError as error:
            hint = said(error.hint)
    raise InputError("input", text, "ROWSxCOLUMNS or ROWSxCOLUMNSxCHANNELS, as in 28x28x1", hint)


THREADS = whole(
    "--threads",
    help="Of the native engine; the result does not depend on it.",
    show_default="what the machine allows and the work is worth",
)
MODEL = argument("model", "A file that train saved, or a checkpoint.", type=FILE)


_OFFER_DATA = offering(datasets.names(), "file")
DATA = argument(
    "data",
    "mnist, fashion-mnist, digits, a folder (of images by class, or of files) or a file: .npz,"
    " .npy, IDX, .csv, .parquet, .tar."
    "  [default: mnist]",
    default="mnist",
    type=_Data(),
    shell_complete=_OFFER_DATA,
)
MODEL_DATA = argument(
    "data",
    "As for train.  [default: (what the model was trained on)]",
    required=False,
    type=_Data(),
    shell_complete=_OFFER_DATA,
)
