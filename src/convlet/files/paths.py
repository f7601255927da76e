"""Names of files from callers, and what the system says of them in our words."""

import errno
import os

from convlet.errors import FileError, InputError

_MEND = {
    errno.ENOSPC: "free some space on that disk, or choose another",
    errno.EDQUOT: "free some space in your quota, or choose another disk",
    errno.ENOTDIR: "a part of its path is a file, choose another place",
    errno.EACCES: "choose a place where you have the permission",
    errno.EPERM: "choose a place where you have the permission",
    errno.EROFS: "choose a disk that is not read-only",
    errno.EIO: "check that disk, or choose another",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle, remove one",
}


def file_name(path: object, name: str = "path", kind: str = "file") -> str:
    """A path from a user as str: every argument and option that is one comes through here.

    ~ at its start is the home of the user, ~ada that of ada; variables as in $HOME are not looked
    for.  kind: what it names, "file", "folder", or "file or folder"; only a folder may end in "/".
    Raises `InputError`.
    """
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        text = ""
    if not text or "\0" in text:
        more = "" if isinstance(path, str) else ", str or os.PathLike"
        raise InputError(name, path, f"the name of a {kind}{more}")
    if text.startswith("~"):
        found = os.path.expanduser(text)
        if found.startswith("~"):
            but = f"there is no user {text.split(os.sep)[0][1:]!r}"
            raise InputError(name, text, but=but, hint=f"write ./{text} for a {kind} of that name")
        text = found
    if kind == "file" and text.endswith(os.sep):
        raise InputError(name, text, "the name of a file", f"a folder ends in {os.sep}")
    # ./~ada as a Path is ~ada, which would be somebody's home the next time
    return os.path.abspath(text) if os.path.normpath(text).startswith("~") else text


def file_error(done: str, name: str, error: OSError) -> FileError:
    """The system's refusal in our words.  done: as in "written" or "read"."""
    why = f"cannot be {done}: {reason_of(error, done)}"
    refused = FileError(f"{name} {why}")
    refused.why = why
    return refused


def reason_of(error: OSError, done: str) -> str:
    """The system's reason why that cannot be done, and how to mend it."""
    mend = _MEND.get(error.errno or 0, "choose another file or folder")
    if error.errno == errno.ENOENT:
        mend = "check the spelling" if done == "read" else "create its folder first"
    return f"{error.strerror or error}: {mend}"
