"""What is in a folder, without what systems, archives, editors and notebooks leave behind."""

import os
import re
from contextlib import suppress
from pathlib import Path

from convlet.files.paths import file_error

_JUNK = re.compile(
    r"\..*|.*~|thumbs\.db|ehthumbs\.db|desktop\.ini|icon\r|__macosx|__pycache__|@eadir"
    r"|\$recycle\.bin|lost\+found|system volume information",
    re.IGNORECASE,
)


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is none of the data."""
    return _JUNK.fullmatch(name) is not None


def is_junk_member(path: str) -> bool:
    """The same of a file in an archive, or of a folder around it."""
    return any(is_junk(name) for name in path.split("/") if name not in (".", ".."))


def files_in(folder: Path) -> list[str]:
    """The names of the files in a folder, in order.  Raises `FileError`."""
    return [entry.name for entry in entries_of(folder) if _is_file(entry)]


def entries_of(folder: Path) -> "list[os.DirEntry[str]]":
    """The files and folders in a folder, in the order of their names.  Raises `FileError`."""
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not is_junk(entry.name)]
    except OSError as error:
        raise file_error("read", str(folder), error) from error
    return sorted(kept, key=lambda entry: entry.name)


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is one, or a link to one."""
    with suppress(OSError):  # a link to itself
        return entry.is_dir()
    return False


def _is_file(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):
        return entry.is_file()
    return False
