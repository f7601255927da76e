"""`convlet predict`."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import click
import numpy as np

from convlet.arrays import as_images
from convlet.cli import options
from convlet.cli.answers import Answer, AnswerTable, Csv, Json
from convlet.cli.console import fail, warn
from convlet.cli.help import Command
from convlet.cli.levels import Levels
from convlet.cli.models import load_either
from convlet.cli.options import argument, whole
from convlet.datasets.encoded.folders import image_files
from convlet.datasets.single import How, Prepared, preparation_of, read_given, read_prepared
from convlet.engine import as_floats
from convlet.equations import Array
from convlet.errors import (
    ConvletError,
    DataError,
    FileError,
    InputError,
    MissingDependencyError,
    Name,
    blaming,
)
from convlet.files.paths import file_name
from convlet.inputs import as_count, as_threads
from convlet.network import Network
from convlet.preparation import Preparation
from convlet.quantised.network import QuantizedNetwork, as_levels
from convlet.values import check_scale, scale_of
from convlet.wording import count, listed

EXAMPLE = "Example: convlet predict mnist.safetensors digit.png photos/ --top 2"
STDIN = "-"
TABLES = (".npz", ".csv", ".csv.gz", ".parquet", ".tar", ".zip")
"""Endings of what `train` and `evaluate` take, with its labels, or what has to be unpacked."""
MOST_NAMED = 3  # files that are left out
AT_ONCE = 256  # images that are in memory, or fewer large ones:
MOST_BYTES = 1 << 26


class _Images(click.ParamType[Any]):
    """Where images are: a path or pattern, as text; - is what comes in."""

    name = "images"

    def convert(self, value: Any, parameter: Any, context: Any) -> Any:
        if value == STDIN:
            return value
        return file_name(value, "images", "file or folder")


@click.command(cls=Command, epilog=EXAMPLE)
@options.MODEL
@argument(
    "images",
    "Image files or .npy files, folders of images, patterns as in 'photos/*.jpg', or - for stdin.",
    nargs=-1,
    required=True,
    metavar="IMAGE...",
    type=_Images(),
    shell_complete=options.offering((), "file"),
)
@whole("--top", default=3, help="How many classes to show.")
@click.option(
    "--as-is", is_flag=True, help="Do not look for a digit to place it as those of MNIST are."
)
@click.option("--invert", is_flag=True, help="Swap dark and bright.")
@options.THREADS
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: image, class, probability, done.")
@options.JSON
def predict(
    model: Path,
    images: Sequence[str],
    top: int,
    as_is: bool,
    invert: bool,
    threads: int | None,
    as_csv: bool,
    json: bool,
) -> int:
    """Name the most probable classes of images.

    They are prepared as in the training of the model: size, colour, and for MNIST the place of the
    digit.  A bad file does not end it; the exit status is then 1.
    """
    as_count(top, "top")
    as_threads(threads)
    if json and as_csv:
        raise InputError("json", True, but=(Name("csv"), " is given"), hint="leave one of them out")
    network = load_either(model)
    how = _How(preparation_of(network), network, as_is, invert)
    how.check()
    writer = Json() if json else Csv() if as_csv else AnswerTable()
    failed, levels = 0, Levels()
    for answer in _answers(network, how, images, top, threads, levels):
        if isinstance(answer, ConvletError):
            fail(answer.told(click.get_current_context().obj))
            failed += 1
        else:
            writer.write(answer)
    writer.end()
    for line in levels.strange(network.scale):
        warn(line)
    return int(failed > 0)


@dataclass(frozen=True)
class _How:
    """What is done with images."""

    preparation: Preparation | None
    network: Network | QuantizedNetwork
    as_is: bool
    invert: bool

    def check(self) -> None:
        """Refuse flags that would do nothing, or two things at once."""
        figures = self.preparation is not None and self.preparation.fit == "figure"
        if self.as_is and not figures:
            but = "the model is not one of digits: its images are never looked at for one"
            raise InputError("as_is", True, but=but, hint="leave it out")
        if self.invert and figures and not self.as_is:
            but = "dark digits are made bright anyway"
            raise InputError("invert", True, but=but, hint="leave it out, or add --as-is")

    def read(self, path: str) -> Prepared:
        """The images of a file.  Raises `ConvletError`."""
        how: How = self.network.input_shape if self.preparation is None else self.preparation
        if self.as_is and self.preparation is not None:
            how = replace(self.preparation, fit="crop")
        if path.lower().endswith(TABLES):
            raise DataError(
                f"{path}: expected image files, .npy files or folders, found a file of many images:"
                " save them as one array (n, rows, columns, channels) with numpy.save"
            )
        if path == STDIN:
            found = read_given(sys.stdin.buffer, STDIN, how)
        else:
            found = read_prepared(path, how)
        if not found.decoded:
            as_images(found.images, self.network.input_shape, path)
        check_scale(found.images, self.network.scale, path)
        if isinstance(self.network, QuantizedNetwork):
            as_levels(found.images, path)
        return found._replace(images=inverted(found.images)) if self.invert else found


def _answers(
    network: Network | QuantizedNetwork,
    how: _How,
    given: Sequence[str],
    top: int,
    threads: int | None,
    levels: Levels,
) -> Iterator[Answer | ConvletError]:
    """What each image is, or what is wrong with its file, in the order in which they were given."""
    classes = network.classes or tuple(map(str, range(network.class_count)))
    each = 4 * prod(network.input_shape)  # bytes of an image, at most
    items, at_once = _images(how, given), max(1, min(AT_ONCE, MOST_BYTES // each))
    while some := list(islice(items, at_once)):
        good = [item for item in some if not isinstance(item, ConvletError)]
        probabilities = iter(_probabilities(network, [x for _, x, _ in good], threads))
        for item in some:
            if isinstance(item, ConvletError):
                yield item
                continue
            row = next(probabilities)
            levels.add(scale_of(item[1][None]))
            best = np.argsort(-row, kind="stable")[:top]
            yield Answer(item[0], [(classes[k], float(row[k])) for k in best], item[2])


def _probabilities(
    network: Network | QuantizedNetwork, images: list[Array], threads: int | None
) -> Array:
    if not images:
        return np.empty((0, network.class_count), np.float32)
    if len({x.dtype for x in images}) > 1:  # some uint8, some floats
        images = [as_floats(x) for x in images]
    if isinstance(network, QuantizedNetwork):
        return network.predict_proba(np.stack(images))
    # what is wrong with a file is told when it is read
    return network.engine.predict(network.flat, np.stack(images), threads)


def _images(how: _How, given: Sequence[str]) -> Iterator[tuple[str, Array, str] | ConvletError]:
    """Name, pixels, and what was done, of each image; or what is wrong."""
    for path in _paths(given):
        if isinstance(path, ConvletError):
            yield path
            continue
        try:
            with blaming("images"):
                x, done, _ = how.read(path)
        except MissingDependencyError:
            raise
        except ConvletError as error:
            yield error
            continue
        for n, image in enumerate(x):
            yield path if len(x) == 1 else f"{path}[{n}]", image, done


def _paths(given: Sequence[str]) -> Iterator[str | ConvletError]:
    """Every file that was meant, or what is wrong with what was."""
    for text in given:
        try:
            with blaming("images"):
                found = _meant(text)
        except ConvletError as error:
            yield error
            continue
        files: dict[str, None] = {}  # a pattern may find a folder and what is in it
        wrong: list[ConvletError] = []
        for path in found:
            try:
                with blaming("images"):
                    for file in _files(path):
                        files[file] = None
            except ConvletError as error:
                wrong.append(error)
        yield from files
        yield from wrong


def _meant(text: str) -> list[str]:
    """The files and folders of one argument.  Raises `FileError`."""
    if text == STDIN or os.path.lexists(text) or not glob.has_magic(text):
        return [text]
    found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise FileError(f"{text} cannot be read: no file is called like that")
    return found


def _files(path: str) -> Iterator[str]:
    """A file, or the images below a folder.  Raises `DataError`, `FileError`."""
    if path == STDIN or not os.path.isdir(path):
        yield path
        return
    others: list[str] = []
    for image in image_files(Path(path), others):
        yield os.path.join(path, image)
    if others:
        names = listed([os.path.basename(name) for name in others], MOST_NAMED)
        warn(f"{path}: {count(len(others), 'other file')} left out ({names})")


def inverted(images: Array) -> Array:
    """Dark and bright swapped: 255 - u for levels, 1 - x for floats, of which 1 is white."""
    return ~images if images.dtype == np.uint8 else 1 - images
