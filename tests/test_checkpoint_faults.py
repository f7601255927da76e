"""Checkpoints on a bad disk: damage is noticed, and what fails leaves the checkpoint before."""

import errno
import os
import re
import resource
from pathlib import Path

import numpy as np
import pytest

import children
from convlet import Callback, FileError, ModelFileError, Network, load_checkpoint
from convlet.checkpoint import folder as folders
from convlet.checkpoint.parse import parse
from convlet.checkpoint.state import KIND, VERSION, read
from convlet.formats.records import pack, unpack
from small_runs import SHAPE, SMALL, images, measured, name, names, newest, train

RUN = "adam, one-cycle, smoothing"


# ------------------------------------------------------------------------------------------- damage


@pytest.fixture
def small(tmp_path):
    """A checkpoint of less than 4 kB, in the middle of an epoch."""

    class Stop(Callback):
        def on_progress(self, run):
            run.stop = run.updates == 7

    network = Network(SMALL, SHAPE, engine="reference")
    options = {"optimizer": "adam", "augmentation": "shift 1, flip", "schedule": "cosine"}
    network.fit(
        *images(), images(9, 1), 2, 8, callbacks=[Stop()], checkpoint=tmp_path, every=1, **options
    )
    path = newest(tmp_path)
    assert path.name == name(1, 2)
    assert path.stat().st_size < 4096
    return path


def assert_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="expected") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_every_truncation_is_refused(small):
    whole = small.read_bytes()
    for length in range(len(whole)):
        assert_refused(small, whole[:length])
    small.write_bytes(whole)
    assert read(small).position.step == 2


@pytest.mark.parametrize("more", [b"\0", b" ", bytes(8), bytes(4096)])
def test_trailing_bytes_are_refused(small, more):
    assert_refused(small, small.read_bytes() + more)


def test_random_flips_are_refused(small):
    """10,000 times one to eight bits."""
    whole = np.frombuffer(small.read_bytes(), np.uint8)
    rng = np.random.default_rng(4)
    for _ in range(10_000):
        damaged = whole.copy()
        bits = rng.choice(8 * whole.size, rng.integers(1, 9), replace=False)
        np.bitwise_xor.at(damaged, bits // 8, (1 << (bits % 8)).astype(np.uint8))
        assert_refused(small, damaged.tobytes())


def test_blocks_of_zeros_are_refused(small):
    """What a disk leaves of a file whose blocks never arrived."""
    whole = small.read_bytes()
    for start in range(0, len(whole), 512):
        block = whole[start : start + 512]
        if any(block):
            assert_refused(small, whole[:start] + bytes(len(block)) + whole[start + 512 :])


# -------------------------------------------------------- files with a right checksum, made by hand


def repacked(path, change):
    """The checkpoint with changed metadata or arrays, by the writer itself."""
    record = unpack(path, KIND, (VERSION,), lambda metadata: parse(str(path), metadata).specs())
    metadata, arrays = dict(record.metadata), dict(record.arrays)
    change(metadata, arrays)
    path.write_bytes(pack(KIND, VERSION, metadata, arrays))


def replaced(field, old, new):
    def change(metadata, arrays):
        assert old in metadata[field]
        metadata[field] = metadata[field].replace(old, new)

    return change


def with_array(key, value):
    def change(metadata, arrays):
        arrays[key] = value

    return change


NAN = np.full(111, np.nan, np.float32)

CRAFTED = {
    "unknown field": (lambda metadata, arrays: metadata.update(more=""), "the list of fields is"),
    "no JSON": (replaced("position", "{", "["), "the field 'position' is"),
    "other keys": (replaced("position", '"step"', '"stop"'), "it has not the keys"),
    "negative": (replaced("position", '"epoch": 2', '"epoch": -2'), "other values than whole"),
    "true": (replaced("position", '"step": 2', '"step": true'), "other values than whole"),
    "huge": (replaced("position", '"slots": 2', '"slots": 200'), "numbers do not fit together"),
    "sum": (replaced("position", '"updates": 7', '"updates": 8'), "numbers do not fit together"),
    "slots": (replaced("position", '"slots": 2', '"slots": 1'), "array 'slot1' is"),
    "epochs": (
        replaced("position", '"epoch": 2, "step": 2, "steps": 5, "updates": 7',
                 '"epoch": 3, "step": 2, "steps": 5, "updates": 12'),
        "array 'history' is",
    ),
    "layers": (replaced("identity", "dense 3", "dense 4"), "array 'weights' is"),
    "no network": (replaced("identity", "dense 3", "dance 3"), "the field 'identity' is"),
    "shape": (replaced("identity", "[6, 6, 1]", "[6, 6, -1]"), "the field 'identity' is"),
    "asked": (replaced("identity", '"settings.epochs": 2', '"settings.epochs": "2"'), "no whole"),
    "classes": (replaced("identity", '"classes": null', '"classes": ["a"]'), "do not fit"),
    "states": (replaced("callbacks", "[]", '[{"kind": 3}]'), "the field 'callbacks' is"),
    "sizes": (
        replaced("callbacks", "[]", '[{"kind": "A", "values": {}, "vectors": {"a": 9}}]'),
        "array 'callback0.a' is None",
    ),
    "deep": (replaced("callbacks", "[]", "[" * 100_000), "nested too deeply"),
    "NaN": (with_array("weights", NAN), "weights is .*nan.*, expected finite numbers"),
    "another array": (with_array("more", NAN), "the array 'more' is"),
}  # fmt: skip


@pytest.mark.parametrize("craft", CRAFTED)
def test_a_crafted_file_is_refused(small, monkeypatch, craft):
    change, match = CRAFTED[craft]
    repacked(small, lambda metadata, arrays: None)
    assert read(small).position.updates == 7
    repacked(small, change)
    for load in (read, load_checkpoint):
        with pytest.raises(ModelFileError, match=match):
            load(small)


def test_a_checkpoint_that_contradicts_its_own_settings(small, monkeypatch):
    """Whole in itself, but no run of these settings can have written it."""
    old = '"epoch": 2, "step": 2, "steps": 5, "updates": 7'
    new = '"epoch": 2, "step": 2, "steps": 6, "updates": 8'
    repacked(small, replaced("position", old, new))
    network = Network(SMALL, SHAPE, engine="reference")
    options = {"optimizer": "adam", "augmentation": "shift 1, flip", "schedule": "cosine"}
    with pytest.raises(
        ModelFileError, match=r"number of steps and slots is \(6, 2\), expected \(5"
    ):
        network.fit(*images(), images(9, 1), 2, 8, checkpoint=small.parent, resume=True, **options)


# -------------------------------------------------------------------------------------- a full disk


def failing(monkeypatch, call, n, code):
    """Let the n-th os.call of saves, counted from 1, fail; returns how many there were."""
    real, count, inside = getattr(os, call), [0], [False]
    save = folders.write_atomic

    def saving(path, data):
        inside[0] = True
        try:
            save(path, data)
        finally:
            inside[0] = False

    def calling(*args, **options):
        count[0] += inside[0]
        if inside[0] and count[0] == n:
            raise OSError(code, os.strerror(code))
        return real(*args, **options)

    monkeypatch.setattr(folders, "write_atomic", saving)
    monkeypatch.setattr(os, call, calling)
    return count


@pytest.fixture(scope="module")
def whole():
    network, history = train(RUN)
    return network.flat.tobytes(), measured(history)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_every_refusal_in_a_save_leaves_the_checkpoint_before(
    tmp_path, monkeypatch, whole, call, code
):
    n = 0
    mend = "free some space on that disk" if code == errno.ENOSPC else "check that disk"
    while True:
        n += 1
        folder = tmp_path / str(n)
        options = {"checkpoint": folder, "every": 3}
        with monkeypatch.context() as patch:
            count = failing(patch, call, n, code)
            try:
                train(RUN, **options)
                break
            except FileError as error:
                text = str(error)
        assert re.match(
            rf"{re.escape(str(folder))}/checkpoint-\S+ cannot be written: .*: {mend}", text
        )
        assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []
        for each in names(folder):
            assert load_checkpoint(folder / each).epochs == int(each.split("-")[1])
        # with the first save nothing is there yet, except that a refused last sync is too late
        first = 1 if call in ("write", "replace") else 2
        late = call == "fsync" and n == 2
        assert (names(folder) == []) == (n <= first and not late)
        network, history = train(RUN, resume=True, **options)
        assert (network.flat.tobytes(), measured(history)) == whole
    saves = 7  # at the start, after steps 3 and 5 of each epoch
    assert count[0] == n - 1 == saves * (2 if call in ("open", "fsync") else 1)


def test_what_cannot_be_deleted_stays(tmp_path, monkeypatch, whole):
    def refuse(*args, **options):
        raise OSError(errno.EIO, "bad disk")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        network, history = train(RUN, checkpoint=tmp_path)
    assert (network.flat.tobytes(), measured(history)) == whole
    assert names(tmp_path) == [name(0), name(1), name(2), name(3)]


def test_a_refused_save_is_reported_at_once(tmp_path, monkeypatch):
    """Not after the epochs that would follow, and with no second try that fails again."""
    seen = []

    class Look(Callback):
        def on_progress(self, run):
            seen.append(run.updates)

    with monkeypatch.context() as patch:
        count = failing(patch, "write", 3, errno.ENOSPC)
        with pytest.raises(FileError, match="No space left on device: free some space"):
            train(RUN, checkpoint=tmp_path, every=2, callbacks=[Look()])
    assert (seen[-1], count[0]) == (4, 3)
    assert names(tmp_path) == [name(0), name(0, 2)]


def test_limit_of_the_kernel(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Limit(Callback):
        def on_epoch(self, run, row):
            if row.epoch == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    try:
        with pytest.raises(FileError, match=r"checkpoint-00002-000000.* File too large"):
            train(RUN, checkpoint=tmp_path, callbacks=[Limit()])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == [name(0), name(1)]
    assert load_checkpoint(tmp_path / name(1)).epochs == 1


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = children.run(command)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"mounting a small file system is not allowed here: {done.stderr.strip()}")
    yield place
    assert children.run(["umount", "-l", str(place)]).returncode == 0


def fill(path):
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_a_disk_that_fills_up(tiny_disk, whole):
    class Fill(Callback):
        def on_epoch(self, run, row):
            if row.epoch == 2:
                with pytest.raises(OSError, match="No space left"):
                    fill(tiny_disk / "other")

    with pytest.raises(FileError, match="No space left on device: free some space"):
        train(RUN, checkpoint=tiny_disk / "run", callbacks=[Fill()])
    assert names(tiny_disk / "run") == [name(0), name(1)]
    (tiny_disk / "other").unlink()
    network, history = train(RUN, checkpoint=tiny_disk / "run", resume=True)
    assert (network.flat.tobytes(), measured(history)) == whole


def test_a_folder_that_cannot_be_written(monkeypatch):
    with pytest.raises(FileError, match=r"/proc/run cannot be written: .*: "):
        train(checkpoint="/proc/run")
    if Path("/sys/kernel").exists():
        with pytest.raises(FileError, match="/sys/kernel/run cannot be written: "):
            train(checkpoint="/sys/kernel/run")
