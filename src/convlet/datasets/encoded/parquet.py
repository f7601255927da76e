"""Parquet files of encoded images, as the Hugging Face hub has them, read by pyarrow.

A column of images, struct {bytes, path} or binary, and a column of labels, numbers or names.  What
`datasets` writes beside the schema tells which they are, and the names of the classes.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from convlet.datasets.encoded.shards import MAX_IMAGE, Shard, parts_of, source_of
from convlet.datasets.encoded.source import Source
from convlet.datasets.naming import Part
from convlet.errors import ConvletError, DataError, one_line
from convlet.files.streams import MAX_BYTES, open_regular
from convlet.libraries import library

SUFFIX = ".parquet"
IMAGES = ("image", "img", "jpg", "jpeg", "png", "picture", "photo", "x")
LABELS = ("label", "labels", "class", "target", "fine_label", "category", "y")
COARSE = ("coarse_label",)
MAX_ROWS = 1 << 24
NO_LABEL = -1  # as the hub writes it
BATCH = 64  # images read in one go
KEPT = 8  # batches that stay: several threads ask for images in about the same order
THRIFT = {"thrift_string_size_limit": 1 << 26, "thrift_container_size_limit": 1 << 22}


@dataclass(frozen=True)
class Columns:
    """image: the path of the column of encoded bytes.  classes: by the metadata, or None.

    said: which of several columns they are.
    """

    image: str
    label: str
    classes: tuple[str, ...] | None
    said: tuple[str, ...]


def pyarrow() -> ModuleType:
    """The module pyarrow.parquet.  Raises `MissingDependencyError`."""
    module: ModuleType = library("pyarrow.parquet", "Parquet files need", '"convlet[parquet]"')
    return module


def parquet_source(folder: Path, paths: list[Path]) -> Source:
    """The images of Parquet files in a folder, or of one, which is its own folder.

    Raises `DataError`, `FileError`, `MissingDependencyError`.
    """
    pyarrow()
    parts: list[Part | None] = [None] if paths == [folder] else parts_of(folder, paths)
    shards: list[Shard] = []
    columns: list[Columns] = []
    for path, part in zip(paths, parts, strict=True):
        with _file(path) as file:
            columns.append(_columns(path, file))
            labels = _labels(path, file, columns[-1].label)
        shards.append(Shard(path, part, [f"row {n}" for n in range(len(labels))], labels))
    if len({found.classes for found in columns}) > 1:
        raise DataError(f"{folder}: expected the same class names in all files, found others")
    rows = _Rows(paths, [found.image for found in columns])

    @contextmanager
    def opened(shard: int, row: int) -> Iterator[IO[bytes]]:
        yield BytesIO(rows.image(shard, row))

    source = source_of(folder, shards, opened, columns[0].classes)
    said = dict.fromkeys(line for found in columns for line in found.said)
    return replace(source, said=(*source.said, *said))


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    """An open Parquet file; whatever pyarrow says of its bytes becomes a `DataError`."""
    with open_regular(path) as stream:
        try:
            file = pyarrow().ParquetFile(stream, **THRIFT)
            about = file.metadata
            groups = [about.row_group(n) for n in range(about.num_row_groups)]
            size = max((group.total_byte_size for group in groups), default=0)
            if about.num_rows > MAX_ROWS or size > MAX_BYTES:
                raise DataError(
                    f"{path}: expected at most {MAX_ROWS} rows, in groups of at most {MAX_BYTES}"
                    f" bytes, found {about.num_rows} and {size}"
                )
            yield file
        except ConvletError:
            raise
        except Exception as error:  # on strangers' bytes it fails in many ways
            reason = one_line(error)
            raise DataError(
                f"{path}: expected a whole Parquet file, found a damaged one or something else"
                f" ({reason}): get it again"
            ) from error


def _columns(path: Path, file: Any) -> Columns:
    """Which columns hold images and labels."""
    schema = file.schema_arrow
    features = _features(schema.metadata)
    holders = {field.name: place for field in schema if (place := _holder(field))}
    by_type = [name for name, kind in features.items() if kind.get("_type") == "Image"]
    image = next((n for n in (*by_type, *IMAGES, *holders) if n in holders), None)
    if image is None:
        raise DataError(
            f"{path}: expected a column of encoded images, found {', '.join(schema.names[:10])}"
        )
    named = [name for name, kind in features.items() if kind.get("_type") == "ClassLabel"]
    others = [name for name in schema.names if name != image]
    label = next((name for name in LABELS if name in others), None)
    if label is None and len(named) == 1:
        label = named[0]
    if label is None:
        raise DataError(
            f"{path}: expected a column of labels ({', '.join(LABELS)}), found"
            f" {', '.join(others[:10]) or 'only images'}: rename one"
        )
    said = []
    if images := [name for name in holders if name != image]:
        said.append(f"images are those of the column {image}, not of {', '.join(images)}")
    rivals = [name for name in others if name in (*LABELS, *COARSE, *named) and name != label]
    if rivals:
        said.append(f"labels are those of the column {label}, not of {', '.join(rivals)}")
    names = features.get(label, {}).get("names")
    classes = None
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        classes = tuple(names)
    return Columns(holders[image], label, classes, tuple(said))


def _holder(field: Any) -> str | None:
    """The path of the encoded bytes in a column, None if it has none."""
    import pyarrow as arrow

    def binary(kind: Any) -> bool:
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    if binary(field.type):
        return str(field.name)
    if arrow.types.is_struct(field.type):
        place = field.type.get_field_index("bytes")
        if place >= 0 and binary(field.type.field(place).type):
            return f"{field.name}.bytes"
    return None


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, dict[str, Any]]:
    """What `datasets` says of each column."""
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {name: kind for name, kind in found.items() if isinstance(kind, dict)}
    return {}


def _labels(path: Path, file: Any, name: str) -> NDArray[Any]:
    """The column of labels as whole numbers or text; -1 in all of one without any label."""
    pieces, unknown = [], 0
    for batch in file.iter_batches(1 << 16, columns=[name], use_threads=False):
        column = batch.column(0)
        unknown += column.null_count
        if column.null_count == len(column):
            continue
        if unknown:
            raise DataError(f"{path}: expected a label in each row, found {name} without one")
        values = np.array(column.to_pylist())
        if values.dtype.kind not in "biuU" or values.ndim != 1:
            raise DataError(
                f"{path}: expected labels that are whole numbers or names, found {column.type} in"
                f" {name}"
            )
        pieces.append(values)
    if unknown and pieces:
        raise DataError(f"{path}: expected a label in each row, found {name} without one")
    if unknown:
        return np.full(unknown, NO_LABEL)
    if not pieces:
        raise DataError(f"{path}: expected a row for each image, found none")
    return np.concatenate(pieces)


class _Rows:
    """Encoded images by place, read in batches; the last ones stay, for several threads."""

    def __init__(self, paths: Sequence[Path], columns: Sequence[str]) -> None:
        self.paths, self.columns = paths, columns
        self.lock = threading.Lock()
        self.batches: OrderedDict[tuple[int, int, int], list[bytes | None]] = OrderedDict()
        self.reading: Iterator[tuple[tuple[int, int, int], list[bytes | None]]] | None = None
        self.starts: dict[int, list[int]] = {}  # first row of each group, by file

    def image(self, shard: int, row: int) -> bytes:
        """Raises `DataError`."""
        with self.lock:
            if shard not in self.starts:
                self.starts[shard] = self._group_starts(shard)
            group = int(np.searchsorted(self.starts[shard], row, side="right")) - 1
            number, place = divmod(row - self.starts[shard][group], BATCH)
            data = self._batch((shard, group, number))[place]
        if data is None:
            raise DataError(
                f"{self.paths[shard]}: expected an encoded image in row {row}, found none: names of"
                " files are not followed"
            )
        if len(data) > MAX_IMAGE:
            raise DataError(f"{self.paths[shard]}: expected images of at most {MAX_IMAGE} bytes")
        return data

    def _batch(self, key: tuple[int, int, int]) -> list[bytes | None]:
        if key in self.batches:
            return self.batches[key]
        for again in range(2):  # on from where reading stopped, else from the start of the group
            if again or self.reading is None:
                self.reading = self._read(key[0], key[1])
            for found, images in self.reading:
                self.batches[found] = images
                if len(self.batches) > KEPT:
                    self.batches.popitem(last=False)
                if found == key:
                    return images
                if found[:2] != key[:2] or found > key:
                    break
        raise DataError(f"{self.paths[key[0]]}: expected more rows than there are: get it again")

    def _read(
        self, shard: int, first: int
    ) -> Iterator[tuple[tuple[int, int, int], list[bytes | None]]]:
        """The batches of a file from one of its groups on."""
        with _file(self.paths[shard]) as file:
            for group in range(first, len(self.starts[shard])):
                batches = file.iter_batches(
                    BATCH, [group], columns=[self.columns[shard]], use_threads=False
                )
                for number, batch in enumerate(batches):
                    yield (shard, group, number), _bytes_of(batch)

    def _group_starts(self, shard: int) -> list[int]:
        with _file(self.paths[shard]) as file:
            about = file.metadata
            sizes = [about.row_group(n).num_rows for n in range(about.num_row_groups)]
        return [sum(sizes[:n]) for n in range(len(sizes))]


def _bytes_of(batch: Any) -> list[bytes | None]:
    column = batch.column(0)
    rows: list[Any] = column.to_pylist()
    return [row["bytes"] if isinstance(row, dict) else row for row in rows]
