"""Names of files from callers, and what the system says of them in our words."""

import errno
import os

from convlet.errors import FileError, InputError

_MEND = {
    errno.ENOSPC: "free some space on that disk, or choose another",
    errno.EDQUOT: "free some space in your quota, or choose another disk",
    errno.ENOTDIR: "a part of its path is a file, choose another place",
    errno.ENOENT: "check the spelling, or create its folder first",
    errno.EACCES: "choose a place where you have the permission",
    errno.EPERM: "choose a place where you have the permission",
    errno.EROFS: "choose a disk that is not read-only",
    errno.EIO: "check that disk, or choose another",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle, remove one",
}


def file_name(path: object, name: str = "path", kind: str = "file") -> str:
    """path as str.  kind: "file" or "folder".  Raises `InputError` if it is not a path at all."""
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        text = ""
    if not text or "\0" in text:
        raise InputError(name, path, f"the name of a {kind}, str or os.PathLike")
    return text


def file_error(done: str, name: str, error: OSError) -> FileError:
    """The system's refusal in our words.  done: "written" or "read"."""
    return FileError(f"{name} cannot be {done}: {reason_of(error)}")


def reason_of(error: OSError) -> str:
    """The system's reason, and how to mend it."""
    mend = _MEND.get(error.errno or 0, "choose another file or folder")
    return f"{error.strerror or error}: {mend}"
