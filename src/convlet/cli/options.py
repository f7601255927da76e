"""Options that several commands take, and checks that name an option as the user typed it."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from convlet import datasets
from convlet.errors import ArchitectureError, FileError, InputError
from convlet.formats.atomic import mode_of, reason_of
from convlet.inputs import as_count, as_input_shape
from convlet.layers import Layer
from convlet.recipes import Recipe
from convlet.stages import group
from convlet.text import parse_layers

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Layers = Annotated[
    str | None,
    typer.Option("--layers", metavar="TEXT", help='As in "conv 8 5, relu, pool 2, flatten, ...".'),
]
InputSize = Annotated[
    str | None,
    typer.Option("--input", metavar="SIZE", help="Size of an image, as in 28x28x1."),
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="mnist, fashion-mnist, digits, a folder (IDX, or images by class) or an .npz file.",
    ),
]
ModelData = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA", help="As for train.", show_default="what the model was trained on"
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        parser=lambda text: whole(text),
        metavar="N",
        help="Of the native engine; the result does not depend on it.",
        show_default="what the machine allows and the work is worth",
    ),
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A file that train saved, or a checkpoint.")
]


def load_data(name: str) -> datasets.Dataset:
    """The data set of DATA."""
    try:
        return datasets.load(name)
    except InputError as error:
        raise InputError(str(error).replace("name_or_path", "DATA", 1)) from None


def check_threads(threads: int | None) -> None:
    """Refuse what is no number of threads."""
    if threads is not None:
        as_count(threads, "--threads", 1, 1024)


def whole(text: str) -> int | str:
    """A whole number, or the text as it is for the check that names the option and its value."""
    try:
        return int(text)
    except ValueError:
        return text


def real(text: str) -> float | str:
    """A number, or the text as it is."""
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def named(option: str) -> Iterator[None]:
    """Inside, an architecture that does not fit is blamed on this option."""
    try:
        yield
    except ArchitectureError as error:
        raise ArchitectureError(f"{option}: {error}") from None


@contextmanager
def renamed(parameter: str, option: str) -> Iterator[None]:
    """Inside, a wrong input names the option in the place of the parameter."""
    try:
        yield
    except InputError as error:
        raise type(error)(str(error).replace(parameter, option, 1)) from None


@contextmanager
def prefixed(option: str) -> Iterator[None]:
    """Inside, a wrong input is blamed on this option."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{option}: {error}") from None


def read_layers(text: str | None) -> tuple[Layer, ...] | None:
    """The layers of --layers, None where it is not given."""
    if text is None:
        return None
    with named("--layers"):
        return parse_layers(text)


def read_input(text: str | None) -> tuple[int, int, int]:
    """The shape of --input, (28, 28, 1) where it is not given."""
    if text is None:
        return 28, 28, 1
    words = text.lower().split("x")
    try:
        if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
            raise InputError
        return as_input_shape(tuple(map(int, words)))
    except InputError:
        raise InputError(
            f"--input is {text!r}, expected ROWSxCOLUMNS or ROWSxCOLUMNSxCHANNELS, as in 28x28x1"
        ) from None


def layers_for(
    layers: tuple[Layer, ...] | None, data: datasets.Dataset, recipe: Recipe
) -> tuple[Layer, ...]:
    """Layers that fit the data: those of --layers, or the recipe's.

    Raises `ArchitectureError`, `InputError`.
    """
    shape, classes = data.train.images.shape[1:], len(data.classes)
    if layers is None:
        chosen = recipe.layers(classes)
        try:
            group(chosen, shape)
        except ArchitectureError:
            raise ArchitectureError(
                f"the images are {size(shape)}: too small for the network of recipe {recipe.name},"
                " describe one with --layers"
            ) from None
        return chosen
    with named("--layers"):
        units = group(layers, shape)[-1].output_shape[0]
    if units != classes:
        raise InputError(
            f"--layers ends with {units} classes, but {data.name} has {classes}:"
            f" end with dense {classes}, softmax"
        )
    return layers


def size(shape: Sequence[int]) -> str:
    """A shape as one reads it: 28x28x1."""
    return "x".join(map(str, shape))


def refuse_unwritable(path: Path, option: str) -> None:
    """Raise `FileError` where a file could not be written: long work should not end with that."""
    where = f"{option} is {str(path)!r}"
    with _refusing(where):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path  # a link stays one
        if target.exists() and not target.is_file():
            raise FileError(f"{where}, which is not a file: name a file to write")
        there = target.parent
        if not there.is_dir():
            raise FileError(f"{where}, but the folder {str(there)!r} does not exist: make it first")
        mode_of(str(target))
    _refuse_full(there, where)


def refuse_unwritable_folder(folder: Path, option: str) -> None:
    """Raise `FileError` where a folder, which need not be there yet, could not be written to."""
    where = f"{option} is {str(folder)!r}"
    with _refusing(where):
        if folder.exists() and not folder.is_dir():
            raise FileError(f"{where}, which is not a folder: name a folder")
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise FileError(f"{where}, but {str(there)!r} is not a folder: choose another place")
    _refuse_full(there, where)


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Inside, the system's refusal to tell what is at a path names the option, too."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{where}, which cannot be written: {reason_of(error)}") from None


def _refuse_full(folder: Path, where: str) -> None:
    """Asking for permissions would not tell everything: write something."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise FileError(
            f"{where}, but the folder {str(folder)!r} cannot be written to: {reason}"
        ) from None
