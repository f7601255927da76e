"""Where a command writes: what is refused before any work, and names that replace nothing."""

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain, combinations, count
from pathlib import Path

from convlet.errors import InputError, Name
from convlet.files.atomic import mode_of
from convlet.files.paths import file_error, reason_of
from convlet.files.streams import open_regular


def refuse_unwritable(path: Path, name: str) -> None:
    """Raise `InputError` where a file could not be written: long work should not end with that.

    name: of the parameter.
    """
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path  # a link stays one
        if target.exists() and not target.is_file():
            raise _wrong(name, path, "which is not a file", "name a file to write")
        there = target.parent
        if not there.is_dir():
            raise _missing(name, path, there)
        mode_of(str(target))
    except OSError as error:
        raise _unwritable(name, path, error) from None
    _refuse_full(there, name, path)


def refuse_unwritable_folder(folder: Path, name: str) -> None:
    """Raise `InputError` where a folder, which need not be there yet, could not be written to."""
    try:
        if folder.exists() and not folder.is_dir():
            raise _wrong(name, folder, "which is not a folder", "name a folder")
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            but = f"{str(there)!r} is not a folder"
            raise InputError(name, str(folder), but=but, hint="choose another place")
    except OSError as error:
        raise _unwritable(name, folder, error) from None
    _refuse_full(there, name, folder)


def _refuse_full(folder: Path, name: str, path: Path) -> None:
    """Asking for permissions would not tell everything: write something."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        but = f"the folder {str(folder)!r} cannot be written to"
        raise InputError(name, str(path), but=but, hint=reason) from None


def _wrong(name: str, path: Path, what: str, hint: str) -> InputError:
    return InputError(name, str(path), found=f"is {str(path)!r}, {what}", hint=hint)


def _missing(name: str, path: Path, folder: Path) -> InputError:
    but = f"the folder {str(folder)!r} does not exist"
    return InputError(name, str(path), but=but, hint="make it first")


def _unwritable(name: str, path: Path, error: OSError) -> InputError:
    return _wrong(name, path, "which cannot be written", reason_of(error, "written"))


def refuse_same(places: Mapping[str, Path | str | None]) -> None:
    """Raise `InputError` where two of these are one file or folder.  places: by parameter."""
    given = [(name, os.fspath(path)) for name, path in places.items() if path is not None]
    for (name, path), (other, earlier) in combinations(given[::-1], 2):
        if is_same(path, earlier):
            but = (Name(other), " is the same place")
            raise InputError(name, path, but=but, hint="choose another one")


def refuse_inside(path: Path | None, data: str | None, name: str = "out") -> None:
    """Raise `InputError` for a picture in the folder of the data: it would be one of its images.

    data: a path, or the name of a data set.
    """
    if path is None or data is None or not os.path.isdir(data):
        return
    with suppress(OSError):
        folder = Path(os.path.realpath(data))
        if folder in Path(os.path.realpath(path)).parents:
            but = (Name("data"), " would take it for one of its images")
            raise InputError(name, str(path), but=but, hint="choose another folder")


def is_same(path: str | Path, other: str | Path) -> bool:
    """Whether two names are of one file or folder, which need not be there."""
    with suppress(OSError):
        return os.path.realpath(path) == os.path.realpath(other) or os.path.samefile(path, other)
    return False  # one of them is not there


class Output:
    """The file that a command writes in the end.

    given: the value of the option, which may replace a file, but none that `is_ours` denies.
    default: the name without that; it replaces nothing.  what: it is, in words.  name: of the
    option.  Raises `InputError` where it cannot be written.
    """

    def __init__(
        self,
        given: Path | None,
        default: str,
        what: str,
        is_ours: Callable[[Path], bool],
        name: str = "out",
    ) -> None:
        self.path, self.is_default = given or Path(default), given is None
        if self.is_default:
            _refuse_full(self.path.parent, name, self.path)
            return
        refuse_unwritable(self.path, name)
        if self.path.exists() and self.path.stat().st_size and not is_ours(self.path):
            raise _wrong(name, self.path, f"which is there and not {what}", "choose another name")

    def write(self, write: Callable[[Path], object]) -> str:
        """Write the file -> where it is, in words.  Its name is then `path`."""
        if not self.is_default:
            replaced = " (replaced)" if self.path.exists() else ""
            write(self.path)
            return f"{self.path}{replaced}"
        wanted, self.path = self.path, write_new(self.path, write)
        taken = "" if self.path == wanted else f" ({wanted} is there already)"
        return f"{self.path}{taken}"


def write_new(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file of this name, or of the next one that is free -> its name."""
    others = (path.with_stem(f"{path.stem}-{n}") for n in count(2))
    name = next(name for name in chain([path], others) if _take(name))
    try:
        write(name)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return name


def _take(name: Path) -> bool:
    """Make an empty file, unless something is there: then no other process takes the name."""
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        return False
    except OSError as error:
        raise file_error("written", str(name), error) from error
    return True


def begins_with(*starts: bytes) -> Callable[[Path], bool]:
    """Whether a file begins so: what tells pictures and pages from other files."""

    def begins(path: Path) -> bool:
        with open_regular(path) as file:
            return file.read(32).startswith(starts)

    return begins


def stem_of(data: str) -> str:
    """What a file made of data is called after: DATA without folders and ending."""
    stem = Path(data).resolve().stem if "/" in data else Path(data).stem
    return re.sub(r"[^\w.-]+", "-", stem)
