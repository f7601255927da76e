"""Atomic writes: whatever fails, a path holds the whole old or the whole new file, nothing else."""

import errno
import os
import re
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import children
from convlet.errors import FileError, InputError
from convlet.files.atomic import make_folder, write_atomic
from convlet.files.paths import file_name

OLD, NEW = b"old", b"new content"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    return path


def assert_only(path: Path, content: bytes) -> None:
    """path holds content and its folder nothing else."""
    assert path.read_bytes() == content
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def fail(monkeypatch: pytest.MonkeyPatch, name: str, call: int, error: BaseException) -> None:
    """Let os.name raise error in its call-th call, counted from 1."""
    real, calls = getattr(os, name), []

    def failing(*args: object, **options: object) -> object:
        calls.append(args)
        if len(calls) == call:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(os, name, failing)


# what a save does, in order; the first os.open is of the folder
STEPS = [("open", 2), ("write", 1), ("write", 2), ("fchmod", 1), ("fsync", 1), ("replace", 1)]


def test_writes_a_new_file_and_replaces_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, OLD)
    assert_only(path, OLD)
    write_atomic(str(path), NEW)
    assert_only(path, NEW)
    write_atomic(path, b"")
    assert_only(path, b"")


def test_takes_pieces(target: Path) -> None:
    numbers = memoryview(b"\1\0\2\0").cast("H")
    write_atomic(target, iter([b"ab", b"", numbers, bytearray(b"c")]))
    assert_only(target, b"ab\1\0\2\0c")


def test_name_without_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_atomic("file", NEW)
    assert_only(tmp_path / "file", NEW)


def test_short_writes_are_continued(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, bytes(data)[:3]))
    write_atomic(target, [NEW, memoryview(b"\1\0\2\0\3\0").cast("H")])
    assert_only(target, NEW + b"\1\0\2\0\3\0")


def test_until_the_end_the_old_file_is_there(target: Path) -> None:
    names = set()

    def pieces(old: bytes) -> Iterator[bytes]:
        for piece in (b"a", b"b"):
            yield piece
            assert target.read_bytes() == old
            (temporary,) = set(target.parent.iterdir()) - {target}
            assert re.fullmatch(r"\.convlet-[0-9a-f]{16}\.tmp", temporary.name)
            names.add(temporary.name)

    write_atomic(target, pieces(OLD))
    assert_only(target, b"ab")
    write_atomic(target, pieces(b"ab"))
    assert len(names) == 2  # one name a save, another for the next


def test_data_reach_the_disk_before_the_name(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    for name in ("write", "fsync", "replace", "close"):
        real = getattr(os, name)

        def noting(first: int | str, *rest: object, name: str = name, real=real) -> object:  # type: ignore[no-untyped-def]
            if isinstance(first, int):
                kind = "folder" if stat.S_ISDIR(os.fstat(first).st_mode) else "file"
                done.append(f"{name} {kind}")
            else:
                done.append(name)
            return real(first, *rest)

        monkeypatch.setattr(os, name, noting)
    write_atomic(target, NEW)
    monkeypatch.undo()
    assert done == [
        "write file",
        "fsync file",
        "close file",
        "replace",
        "fsync folder",
        "close folder",
    ]


# ---------------------------------------------------------------------- what fails


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("step", "call"), STEPS)
def test_refusal_of_any_step_leaves_the_old_file(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int, code: int
) -> None:
    descriptors = os.listdir("/proc/self/fd")
    fail(monkeypatch, step, call, OSError(code, os.strerror(code)))
    mend = "free some space" if code == errno.ENOSPC else "check that disk"
    with pytest.raises(
        FileError, match=f"{target} cannot be written: {os.strerror(code)}: {mend}"
    ) as caught:
        write_atomic(target, [NEW, NEW])
    monkeypatch.undo()
    assert isinstance(caught.value.__cause__, OSError)
    assert_only(target, OLD)
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


@pytest.mark.parametrize(("step", "call"), STEPS)
def test_interruption_of_any_step_leaves_the_old_file(
    target: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    fail(monkeypatch, step, call, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_atomic(target, [NEW, NEW])
    monkeypatch.undo()
    assert_only(target, OLD)


@pytest.mark.parametrize(("step", "call"), [step for step in STEPS if step[0] != "fchmod"])
def test_refusal_of_a_new_file_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    fail(monkeypatch, step, call, OSError(errno.ENOSPC, "full"))
    with pytest.raises(FileError, match="full"):
        write_atomic(tmp_path / "file", [NEW, NEW])
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_refused_sync_of_the_folder_is_told(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, "fsync", 2, OSError(errno.EIO, "bad disk"))
    with pytest.raises(FileError, match="bad disk"):
        write_atomic(target, NEW)
    assert_only(target, NEW)  # whole, but perhaps not after a power cut


def test_file_system_that_cannot_sync_folders(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "fsync", 2, OSError(errno.EINVAL, "no such thing here"))
    write_atomic(target, NEW)
    assert_only(target, NEW)


def test_limit_of_the_kernel(target: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # writes 5000 bytes, refuses the next
    try:
        with pytest.raises(FileError, match="File too large"):
            write_atomic(target, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_only(target, OLD)


def test_error_of_the_pieces_passes(target: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield NEW
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomic(target, pieces())
    assert_only(target, OLD)


def test_killed_process_leaves_the_old_file_and_a_known_name(target: Path) -> None:
    code = f"""
import os, signal
from convlet.files.atomic import make_folder, write_atomic
from convlet.files.paths import file_name
def pieces():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
write_atomic({str(target)!r}, pieces())"""
    assert children.python(code).returncode == -signal.SIGKILL
    assert target.read_bytes() == OLD
    (left,) = set(target.parent.iterdir()) - {target}
    assert re.fullmatch(r"\.convlet-[0-9a-f]{16}\.tmp", left.name)


def test_somebody_elses_temporary_file_stays(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    other = target.parent / f".convlet-{'0' * 16}.tmp"
    other.write_bytes(b"theirs")
    with pytest.raises(FileError, match="File exists"):
        write_atomic(target, NEW)
    assert (target.read_bytes(), other.read_bytes()) == (OLD, b"theirs")


# ---------------------------------------------------------------------- modes, links, odd paths


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_file_follows_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    with umask(mask):
        write_atomic(tmp_path / "file", NEW)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_replaced_file_keeps_its_mode(target: Path, mode: int) -> None:
    target.chmod(mode)

    def pieces() -> Iterator[bytes]:
        (temporary,) = set(target.parent.iterdir()) - {target}
        assert stat.S_IMODE(temporary.stat().st_mode) & ~mode == 0  # never more open than the old
        yield NEW

    with umask(0o022):
        write_atomic(target, pieces())
    assert_only(target, NEW)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_write_protected_file_stays(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may do anything
    with pytest.raises(FileError, match="write-protected: choose a place where"):
        write_atomic(target, NEW)
    assert_only(target, OLD)


def test_link_is_written_through(target: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(os.path.relpath(target, link.parent))
    write_atomic(link, NEW)
    assert link.is_symlink()
    assert_only(target, NEW)
    target.unlink()
    write_atomic(link, OLD)  # a link to nothing yet
    assert link.is_symlink()
    assert_only(target, OLD)


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(FileError, match="symbolic links lead in a circle"):
        write_atomic(tmp_path / "a", NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"No such file or directory: .*create its folder"):
        write_atomic(tmp_path / "no" / "file", NEW)


def test_file_as_folder(target: Path) -> None:
    with pytest.raises(FileError, match="Not a directory"):
        write_atomic(target / "file", NEW)


def test_too_long_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="too long: choose a shorter name"):
        write_atomic(tmp_path / ("x" * 300), NEW)


def test_folder_and_pipe_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(FileError, match="it is there and not a regular file"):
            write_atomic(tmp_path / name, NEW)
    assert (tmp_path / "folder").is_dir()
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("path", [5, None, "", "a\0b"])
def test_what_is_no_path(path: object) -> None:
    with pytest.raises(InputError, match=f"path is {re.escape(repr(path))}, expected the name"):
        write_atomic(path, NEW)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [5, None, "", "a\0b"])
def test_what_is_no_folder(path: object) -> None:
    with pytest.raises(InputError, match=r"^place is .*, expected the name of a folder"):
        file_name(path, "place", "folder")


# ---------------------------------------------------------------------- folders


def test_a_new_folder_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is on the disk when the folder that holds it is synchronised."""
    done, real = [], os.fsync

    def noting(file: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{file}"))
        real(file)

    monkeypatch.setattr(os, "fsync", noting)
    make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    assert sorted(done) == [str(tmp_path), str(tmp_path / "a")]
    make_folder(str(tmp_path / "a" / "b"))  # is there already
    assert len(done) == 2


def test_relative_folders_are_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder("a")
    assert (tmp_path / "a").is_dir()


def test_a_disk_that_loses_a_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "fsync", 1, OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.raises(FileError, match=r"a cannot be written: .*: check that disk"):
        make_folder(str(tmp_path / "a"))


def test_a_file_is_no_folder(target: Path) -> None:
    with pytest.raises(FileError, match="file cannot be written: it is a file, name a folder"):
        make_folder(str(target))
    with pytest.raises(FileError, match="Not a directory: a part of its path is a file"):
        make_folder(str(target / "below"))
    assert_only(target, OLD)
