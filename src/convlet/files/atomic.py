"""Atomic writes: after a crash or on a full disk, a path holds a whole file, the old or the new.

`append` is for files of lines, of which a crash may cut the last one.
"""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from convlet.errors import FileError
from convlet.files.paths import file_error, file_name

# a temporary file is PREFIX, 16 hexadecimal digits, SUFFIX; only a killed process leaves one behind
PREFIX = ".convlet-"
SUFFIX = ".tmp"


def write_atomic(path: str | os.PathLike[str], data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write data, bytes or pieces of them, to path in one step that either happens or does not.

    A temporary file in the same folder is written, synchronised and renamed onto path, then the
    folder is synchronised.  A symbolic link stays one: its target is written.  A file that is
    replaced passes its mode on; a new one follows the umask.

    Raises `InputError` for a path that cannot be one, `FileError` when the system refuses.
    Whatever is raised, Ctrl-C too, the temporary file is gone and the old file is as it was; only
    if the very last step fails, the sync of the folder, is the new file already in place.
    """
    name = file_name(path)
    try:
        target = os.path.realpath(name)
        mode = mode_of(target)
        folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _replace(target, mode, [data] if isinstance(data, bytes) else data)
            _synchronise(folder)
        finally:
            os.close(folder)
    except FileError:
        raise
    except OSError as error:
        raise file_error("written", name, error) from error


def append(path: str | os.PathLike[str], size: int, data: bytes) -> int:
    """Write data behind the first `size` bytes of a file, and synchronise it -> its new size.

    What stood behind them, as the half of what a crash cut, is gone.  Raises `FileError`; the file
    then ends where it did, if the system allows it.
    """
    name = file_name(path)
    try:
        file = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(file, size)
            os.lseek(file, size, os.SEEK_SET)
            try:
                _write_all(file, memoryview(data))
                os.fsync(file)
            except BaseException:  # Ctrl-C too
                with suppress(OSError):
                    os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
    except OSError as error:
        raise file_error("written", name, error) from error
    return size + len(data)


def make_folder(path: str) -> None:
    """Make a folder and those above it, where they are missing, to survive a power cut.

    Raises `FileError`.
    """
    new, missing = [], os.path.abspath(path)
    while not os.path.lexists(missing):
        new.append(missing)
        missing = os.path.dirname(missing)
    try:
        os.makedirs(path, exist_ok=True)
        for folder in new:
            _synchronise_name(folder)
    except FileExistsError as error:
        raise FileError(f"{path} cannot be written: it is a file, name a folder") from error
    except OSError as error:
        raise file_error("written", path, error) from error


def mode_of(target: str) -> int | None:
    """Permissions of the file that will be replaced, None if there is none.

    target: without symbolic links.  Raises `OSError` where a file must not be replaced.
    """
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):  # realpath follows every link but those in a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not stat.S_ISREG(found.st_mode):  # a rename would remove /dev/null, or hang on a pipe's name
        raise OSError(errno.EINVAL, "it is there and not a regular file")
    if not os.access(target, os.W_OK):  # a rename would not ask
        raise OSError(errno.EACCES, "it is there and write-protected")
    return stat.S_IMODE(found.st_mode) & 0o777


def _replace(target: str, mode: int | None, pieces: Iterable[Any]) -> None:
    """Put pieces in a new file and rename it onto target."""
    random = os.urandom(8).hex()
    temporary = os.path.join(os.path.dirname(target), f"{PREFIX}{random}{SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(temporary, flags, 0o666 if mode is None else mode & 0o666)
        try:
            for piece in pieces:
                _write_all(file, memoryview(piece).cast("B"))
            if mode is not None:
                os.fchmod(file, mode)  # the umask does not count for a file that has its mode
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, target)
    except FileExistsError:
        raise  # that name is somebody else's
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _write_all(file: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(file, rest) :]


def _synchronise_name(path: str) -> None:
    """Make the name of what is at path survive a power cut."""
    try:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that may be written, but not read
        return
    try:
        _synchronise(folder)
    finally:
        os.close(folder)


def _synchronise(folder: int) -> None:
    """Make the rename survive a power cut, where the file system can do that for a folder."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
