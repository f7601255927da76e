"""Tables of pixels as text, a row for each image: Kaggle's digits, sign language, FER2013.

Images are grey squares, unless the header (1x1, 1x2, ...) or the caller states another size; RGB
pixels, which the caller states, come one after the other, red, green, blue of each.  Which column
is what: csv_layout.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import isqrt, prod
from pathlib import Path

from convlet.datasets.dataset import Dataset
from convlet.datasets.naming import Part, part_of
from convlet.datasets.numeric import emnist
from convlet.datasets.numeric.arrays import Pair, make
from convlet.datasets.numeric.csv_layout import LABELS, Disordered, Missing, layout_of
from convlet.datasets.numeric.csv_rows import Lines
from convlet.datasets.numeric.csv_table import Table, read_table
from convlet.datasets.wishes import Wishes
from convlet.errors import DataError, InputError
from convlet.preparation import Preparation
from convlet.wording import size

SUFFIXES = (".csv", ".csv.gz")
EMOTIONS = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
"""The classes of FER2013 (Goodfellow and others, 2013)."""


def find_csv(folder: Path, names: Sequence[str]) -> list[str]:
    """The tables of pixels in a folder with these files.  Raises `DataError`, `FileError`."""
    tables = [name for name in names if name.lower().endswith(SUFFIXES)]
    layouts = {name: layout_of(Lines(folder / name)) for name in tables}
    found = [
        name
        for name, layout in layouts.items()
        # columns without an order, as x1, y1, x2, y2, are of boxes in photographs
        if layout is not Missing.PIXELS and not isinstance(layout, Disordered)
    ]
    # train.csv beside a table of pixels has to be one: it may be cut off
    return [name for name in tables if name in found or part_of(name)] if found else []


def load_csv(name: str, files: Sequence[tuple[Part | None, Path]], wishes: Wishes) -> Dataset:
    """The data set of tables of pixels, each of a part, None if it has to be divided.

    Raises `DataError`, `FileError`, `InputError`.
    """
    source = str(files[0][1] if len(files) == 1 else files[0][1].parent)
    replace(wishes, size=None, colour=None).refuse_for_arrays(source)  # these two state the shape
    said: list[str] = []
    tables: list[Table] = []
    for part, path in files:
        lines = Lines(path)
        layout = layout_of(lines)
        if layout is Missing.LABELS and len(files) > 1:
            said.append(f"{path.name} left out: it has no labels")
            continue
        if isinstance(layout, Missing):
            raise _missing(layout, lines)
        if isinstance(layout, Disordered):
            raise DataError(
                f"{path}: expected names that say the order of the pixels, pixel0, pixel1, ..., or"
                f" row and column, 1x1, 1x2, ..., found {layout.found}: leave out what is no pixel,"
                " or rename the columns"
            )
        if not layout.header:
            where = "first" if layout.label == 0 else "last"
            said.append(f"{path.name} has no header: its {where} column is the label")
        elif not layout.names and not layout.text:
            where = "first" if layout.label == 0 else "second"
            said.append(f"the header of {path.name} only counts: its {where} column is the label")
        if list(layout.pixels) != sorted(layout.pixels):
            said.append(f"{path.name}: pixels are in the order of the numbers in their names")
        tables.append(read_table(lines, layout, part))
    if not tables:
        raise DataError(f"{source}: expected a table with labels, found none")
    _refuse_constant(tables)
    parts = _together(source, tables)
    shape = _stated(tables, wishes)
    _compare_names(tables)
    classes: tuple[str, ...] | None = EMOTIONS if all(map(_is_fer2013, tables)) else None
    if letters := emnist.classes_of(files[0][1].name):
        classes = letters
        parts = {part: emnist.upright(pair, letters, shape) for part, pair in parts.items()}
        said.append(emnist.SAID)
    data = make(name, source, parts, wishes, classes, shape, said)
    if wishes.size is None and wishes.colour is None:
        return data
    rows, columns, channels = data.test.images.shape[1:]
    # a network keeps it: the next table of these images need not be stated again
    how = Preparation(rows, columns, "grey" if channels == 1 else "rgb")
    return replace(data, preparation=how)


def load_csv_folder(name: str, folder: Path, files: Sequence[str], wishes: Wishes) -> Dataset:
    """The data set of the tables that `find_csv` found.  Raises as `load_csv`."""
    if len(files) == 1:
        return load_csv(name, [(None, folder / files[0])], wishes)
    parted = [(part_of(Path(file).stem), folder / file) for file in files]
    for part, path in parted:
        if part is None:
            raise DataError(
                f"{folder}: expected tables called after their parts, as train.csv and test.csv,"
                f" found {path.name}: rename it, or name one file"
            )
    return load_csv(name, parted, wishes)


def _missing(what: Missing, lines: Lines) -> DataError:
    if what is Missing.PIXELS:
        expected = "a table of pixels, a column called label and one for each pixel"
        return DataError(f"{lines.path}: expected {expected}, found {lines.first[:60]!r}")
    return DataError(
        f"{lines.path}: expected a column of labels ({', '.join(LABELS)}), found"
        f" {', '.join(lines.fields()[:5])}, ...: name the column so"
    )


def _together(source: str, tables: Sequence[Table]) -> dict[Part | None, Pair]:
    """The parts of all tables."""
    parts: dict[Part | None, Pair] = {}
    for table in tables:
        for part, pair in table.parts.items():
            if part in parts:
                raise DataError(
                    f"{source}: expected one table of {part or 'all'} images, found"
                    f" {table.path.name} and {parts[part].images.name}: name one of them, or keep"
                    " one"
                )
            parts[part] = pair
    return parts


def _refuse_constant(tables: Sequence[Table]) -> None:
    """Refuse a first column that nobody called a label and that tells no two images apart.

    Where the label is in the last column the first is a corner of the images, often 0 in all.
    """
    for table in tables:
        found = {value for pair in table.parts.values() for value in pair.labels.read().tolist()}
        if not table.layout.names and not table.layout.text and len(found) == 1:
            raise DataError(
                f"{table.path}: expected labels in its first column, as it has no names of columns,"
                f" found {found.pop()!r} in all rows: give it a header, as label,pixel0,pixel1, ..."
            )


def _compare_names(tables: Sequence[Table]) -> None:
    """Refuse headers of two parts that name other pixels, as pixel0 to pixel8 and pixel1 to 9."""
    named = sorted((t for t in tables if t.layout.names), key=lambda t: "train" not in t.parts)
    for first, table in product(named[:1], named[1:]):
        names, others = first.layout.names, table.layout.names
        if table.layout.sides == first.layout.sides and names != others:
            raise DataError(
                f"{table.path}: expected the columns of {first.path}, {names[0]} to"
                f" {names[-1]}, found {others[0]} to {others[-1]}: rename them if they are the"
                " same pixels"
            )


def _is_fer2013(table: Table) -> bool:
    """Whether labels are places in EMOTIONS: CK+ has the same columns, and one class more."""
    layout = table.layout
    return (
        layout.text
        and layout.usage is not None
        and layout.called.lower() == "emotion"
        and all(
            labels.dtype.kind == "i" and (labels < len(EMOTIONS)).all()
            for labels in (pair.labels.read() for pair in table.parts.values())
        )
    )


def _stated(tables: Sequence[Table], wishes: Wishes) -> tuple[int, int, int] | None:
    """The shape of an image where a header, the caller or a model says it; None for grey squares.

    Raises `DataError`, `InputError` where two of them say different things, or none does.
    """
    channels = 3 if wishes.colour == "rgb" else 1
    named = {table.layout.sides: table.path for table in tables if table.layout.sides is not None}
    if len(named) > 1:
        (one, path), (other, second), *_ = named.items()
        raise DataError(
            f"{path}: expected images of one size in all tables, found {size(one)} by its header,"
            f" and {size(other)} by that of {second}: load one of them alone"
        )
    for sides, path in named.items():
        if wishes.size not in (None, sides):
            but = f"the header of {path} says {sides}"
            raise InputError("size", wishes.size, but=but, hint="leave it out")
    stated = next(iter(named), wishes.size)
    if stated is not None:
        return (*stated, channels)
    model = wishes.preparation
    if model is not None and all(table.pixels == prod(model.shape) for table in tables):
        return model.shape
    for table in tables:
        side = isqrt(table.pixels // channels)
        if side * side * channels != table.pixels:
            raise DataError(
                f"{table.path}: expected square images, found {table.pixels} pixels: state"
                ' size=(rows, columns), with colour="rgb" for three numbers a pixel (--size,'
                " --colour)"
            )
    return (side, side, 3) if channels == 3 else None
