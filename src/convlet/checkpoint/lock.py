"""One process at a time writes to a folder."""

import errno
import fcntl
import os
from contextlib import suppress

from convlet.errors import FileError
from convlet.files.paths import file_error

NAME = "lock"


class Lock:
    """Holds a folder until `release`, or until the process ends in whatever way: a flock.

    The file stays; it holds the number of the process that had it last.  what: is written there.
    Raises `FileError` if another process, or another run in this one, holds the folder, or if it
    cannot be written.
    """

    def __init__(self, folder: str, what: str = "its checkpoints") -> None:
        path = os.path.join(folder, NAME)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self.file = os.open(path, flags, 0o666)
        except OSError as error:
            raise file_error("written", path, error) from error
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self.file, 0)
            os.pwrite(self.file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                os.close(self.file)
                raise file_error("written", path, error) from error
            holder = os.pread(self.file, 20, 0).decode("ascii", "replace").strip()
            os.close(self.file)
            raise FileError(
                f"{folder} is in use: process {holder or '(unknown)'} writes {what} there:"
                " wait for it, end it, or take another folder"
            ) from None
        except BaseException:
            os.close(self.file)
            raise

    def release(self) -> None:
        """Let others have the folder.

        Never fails: it must not hide what ended the run, and the end of the process lets go, too.
        """
        with suppress(OSError):
            fcntl.flock(self.file, fcntl.LOCK_UN)  # a forked child still has the file open
        with suppress(OSError):
            os.close(self.file)
