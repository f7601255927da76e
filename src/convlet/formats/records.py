"""Records: named arrays and fields of text in one file with a checksum, below every file of ours.

Reading is strict: whatever is not exactly what `pack` writes is refused, and nothing is allocated
on the word of the file.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlet._version import __version__
from convlet.errors import InputError, ModelFileError
from convlet.files.paths import file_name
from convlet.files.streams import open_regular
from convlet.formats import header
from convlet.formats.header import DTYPES, Spec, damaged

Expected = Callable[[dict[str, str]], Mapping[str, Spec]]

BLANK = "0" * 64  # stands for the checksum while it is computed
OWN_FIELDS = ("checksum", "convlet_version", "format", "format_version")


READERS = {
    "convlet-model": "convlet.load",
    "convlet-checkpoint": "convlet.load_checkpoint",
    "convlet-quantized": "convlet.load_quantized",
}


class OtherKindError(ModelFileError):
    """A file of ours, but of another kind than asked for."""


class OtherVersionError(ModelFileError):
    """A file of another version of its format: not damaged, but not for this program."""


class Record(NamedTuple):
    """What a file holds."""

    version: int  # of the format
    convlet_version: str  # of the program that wrote it
    metadata: dict[str, str]
    arrays: dict[str, NDArray[Any]]  # views of one buffer, little-endian


def pack(
    kind: str, version: int, metadata: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]
) -> bytes:
    """A file of this kind and version: fields of text and arrays, in the order of `arrays`.

    Raises `InputError` for a dtype not in `DTYPES`, a field that is not valid Unicode, or more text
    than a header holds.
    """
    fields = {
        **metadata,
        "checksum": BLANK,
        "convlet_version": __version__,
        "format": kind,
        "format_version": str(version),
    }
    codes = {name: _code(name, array) for name, array in arrays.items()}
    specs = {name: (codes[name], array.shape) for name, array in arrays.items()}
    data = b"".join(
        array.astype(DTYPES[codes[name]], copy=False).tobytes() for name, array in arrays.items()
    )
    try:
        fields["checksum"] = _checksum(header.encode(fields, specs), data)
        head = header.encode(fields, specs)
    except UnicodeEncodeError as error:
        raise InputError(
            "text",
            error.object,
            "valid Unicode",
            error.reason,
            subject=f"{error.object!r:.80}",
            found="cannot be saved",
        ) from error
    if len(head) - 8 > header.LIMIT:
        raise InputError(
            "text",
            len(head) - 8,
            f"at most {header.LIMIT}",
            "shorten them",
            subject="names and other text",
            found=f"take {len(head) - 8} bytes in the file",
        )
    return head + data


def unpack(
    path: str | os.PathLike[str], kind: str, versions: Sequence[int], expected: Expected
) -> Record:
    """Read a file of this kind, of one of these versions.

    expected: from the metadata, the arrays that there must be, in order.  It is asked before the
    arrays are read, before the checksum too, and may raise `ModelFileError` (see `damaged`).

    Raises `FileError` if the file cannot be read, `OtherKindError` for another kind of ours,
    `OtherVersionError` for another version, and `ModelFileError` if it is anything else than what
    `pack` writes.
    """
    with open_regular(path) as file:
        return _read(file, file_name(path), kind, versions, expected)


def _read(
    file: IO[bytes], name: str, kind: str, versions: Sequence[int], expected: Expected
) -> Record:
    size = os.fstat(file.fileno()).st_size
    head = file.read(8)
    if len(head) < 8:
        raise damaged(name, "its size", size, "8 bytes or more")
    length, most = int.from_bytes(head, "little"), min(header.LIMIT, size - 8)
    if length > most:
        what = f"at most {most} in a file of {size} bytes"
        raise damaged(name, "the length of its header", length, what)
    head += file.read(length)
    fields, entries = header.parse(head[8:], name)
    _check_fields(fields, name, kind, versions)
    specs = {key: header.parse_spec(key, entry, name) for key, entry in entries.items()}
    header.check_canonical(head, fields, specs, name)
    total = len(head) + header.size(specs.values())
    if size != total:
        raise damaged(name, "its size", size, f"{total} bytes, as the header says")
    metadata = {key: text for key, text in fields.items() if key not in OWN_FIELDS}
    _check_arrays(specs, expected(metadata), name)
    data = np.empty(total - len(head), np.uint8)  # no more than the file really has
    if file.readinto(data) != len(data):  # type: ignore[attr-defined]
        raise damaged(name, "its end", "missing", f"{total} bytes, as when it was opened")
    checksum = _checksum(header.encode({**fields, "checksum": BLANK}, specs), data)
    if checksum != fields["checksum"]:
        raise damaged(name, "its checksum", fields["checksum"], checksum)
    version = int(fields["format_version"])
    return Record(version, fields["convlet_version"], metadata, _arrays(data, specs))


def _check_fields(fields: Mapping[str, str], name: str, kind: str, versions: Sequence[int]) -> None:
    """Refuse another kind of file, another version of its format, a missing field."""
    if fields.get("format") != kind:
        if (reader := READERS.get(fields.get("format", ""))) is not None:
            raise OtherKindError(
                f"{name}: the field 'format' is {fields['format']!r}, expected {kind!r}:"
                f" read it with {reader}"
            )
        raise damaged(name, "the field 'format'", fields.get("format"), repr(kind))
    found, known = fields.get("format_version"), [str(version) for version in versions]
    if found not in known:
        raise OtherVersionError(
            f"{name}: the field 'format_version' is {found!r:.80}, expected {' or '.join(known)}:"
            f" convlet {fields.get('convlet_version')!r:.80} wrote it, this is {__version__!r},"
            " use a version that knows it"
        )
    for key in OWN_FIELDS:
        if key not in fields:
            raise damaged(name, f"the field {key!r}", None, "a string")


def _check_arrays(specs: Mapping[str, Spec], expected: Mapping[str, Spec], name: str) -> None:
    """Refuse arrays that are missing, others than expected, too many, or in another order."""
    for key, spec in expected.items():
        if specs.get(key) != spec:
            raise damaged(name, f"the array {key!r}", specs.get(key), repr(spec))
    for key in specs:
        if key not in expected:
            raise damaged(name, f"the array {key!r:.80}", specs[key], "none of that name")
    if list(specs) != list(expected):
        raise damaged(name, "the order of its arrays", list(specs), repr(list(expected)))


def _arrays(data: NDArray[np.uint8], specs: Mapping[str, Spec]) -> dict[str, NDArray[Any]]:
    arrays, start = {}, 0
    for name, (code, shape) in specs.items():
        stop = start + header.size([(code, shape)])
        arrays[name] = data[start:stop].view(DTYPES[code]).reshape(shape)
        start = stop
    return arrays


def _code(name: str, array: NDArray[Any]) -> str:
    for code, dtype in DTYPES.items():
        if array.dtype.newbyteorder("<") == dtype:
            return code
    found, expected = f"has dtype {array.dtype}", f"one of: {', '.join(DTYPES)}"
    raise InputError(name, array.dtype, expected, subject=f"array {name}", found=found)


def _checksum(head: bytes, data: Any) -> str:
    """SHA-256, in hexadecimal, of a file whose checksum is `BLANK`."""
    from hashlib import sha256  # takes 8 ms to import

    digest = sha256(head)
    digest.update(data)
    return digest.hexdigest()
