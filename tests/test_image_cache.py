"""Decoded images: kept, found again, never half there, never wrong; where they cannot be kept."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import children
from convlet import DataError, FileError, datasets
from convlet.datasets import taking
from convlet.datasets.encoded import image_cache, pixels
from convlet.datasets.encoded.image_cache import caches
from convlet.datasets.loading import load_tested
from convlet.datasets.taking import taken
from image_files import class_folder, save


@pytest.fixture
def cache(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    monkeypatch.setenv("CONVLET_CACHE", str(place))
    return place


@pytest.fixture
def photos(tmp_path):
    """Two classes of 100 images, told by their levels."""
    class_folder(tmp_path / "photos" / "a", 100)
    class_folder(tmp_path / "photos" / "b", 100, 100)
    return tmp_path / "photos"


@pytest.fixture
def count(monkeypatch):
    """How many images are decoded."""
    decoded = []
    before = pixels.prepared

    def prepared(image, preparation, name):
        decoded.append(name)
        return before(image, preparation, name)

    monkeypatch.setattr(image_cache, "prepared", prepared)
    return decoded


def levels(data):
    return sorted(int(x[0, 0, 0]) for part in (data.train, data.test) for x in part.images)


def assert_whole(data):
    assert levels(data) == list(range(200))
    for part in (data.train, data.test):
        np.testing.assert_array_equal(part.labels, part.images[:, 0, 0, 0] // 100)


def test_images_are_decoded_once_whatever_the_division(cache, photos, count):
    for how in ({}, {}, {"seed": 3}, {"test_share": 0.5}):
        assert_whole(datasets.load(photos, **how))
    assert_whole(load_tested(photos))
    assert len(count) == 200
    datasets.load(photos, size=2)
    assert len(count) == 400


def test_folders_that_are_exchanged_are_decoded_anew(photos):
    """Files of one size and time, as of an archive: only their numbers tell them apart."""
    for path in photos.rglob("*.png"):
        os.utime(path, ns=(1, 1))
    before = datasets.load(photos)
    (photos / "a").rename(photos / "c")
    (photos / "b").rename(photos / "a")
    (photos / "c").rename(photos / "b")
    after = datasets.load(photos)
    assert before.classes == after.classes == ("a", "b")
    means = [
        [part.images[part.labels == k].mean() for k in (0, 1)]
        for part in (before.train, after.train)
    ]
    assert means[0] == pytest.approx(means[1][::-1], abs=20)
    assert abs(means[0][0] - means[0][1]) > 20


@pytest.mark.parametrize("change", ["time", "size", "name", "more", "less"])
def test_another_state_of_the_folder_is_decoded_anew(cache, photos, count, change):
    datasets.load(photos)
    path = photos / "a" / "image-05.png"
    match change:
        case "time":
            os.utime(path, ns=(1, 1))
        case "size":
            when = path.stat().st_mtime_ns
            path.write_bytes(path.read_bytes() + b"more")
            os.utime(path, ns=(when, when))
        case "name":
            path.rename(path.with_stem("new"))
        case "more":
            save(photos / "b" / "new.png", np.zeros((4, 3)))
        case "less":
            path.unlink()
    datasets.load(photos)
    assert len(count) == 400 + {"more": 1, "less": -1}.get(change, 0)
    for kind in ("images", "surveys"):
        assert len(list((cache / kind).iterdir())) == 1  # the earlier one is gone


def test_an_interrupted_decode_goes_on_where_it_stopped(cache, photos, count, monkeypatch):
    before = image_cache.prepared

    def interrupted(image, preparation, name):
        if len(count) == 150:
            raise KeyboardInterrupt
        return before(image, preparation, name)

    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "prepared", interrupted)
        with pytest.raises(KeyboardInterrupt):
            datasets.load(photos)
    (half,) = caches()
    assert (half.whole, half.images, half.size) == (False, 200, "4x3x1")
    done = len(count)
    assert_whole(datasets.load(photos))
    assert len(count) - done == 200 - done
    (whole,) = caches()
    assert whole.whole
    assert whole.source == str(photos)


LOAD = """
import os, sys
from convlet import datasets
from convlet.datasets.encoded import image_cache
data = datasets.load({photos!r})
print(data.train.images.sum() + data.test.images.sum())
"""


def test_a_killed_decode_leaves_nothing_wrong(cache, photos):
    killed = LOAD.replace(
        "data =",
        "before, n = image_cache.prepared, []\n"
        "def prepared(*rest):\n"
        "    n.append(1)\n"
        "    if len(n) > 120: os.kill(os.getpid(), 9)\n"
        "    return before(*rest)\n"
        "image_cache.prepared = prepared\n"
        "data =",
        1,
    )
    done = children.python(killed.format(photos=str(photos)), CONVLET_CACHE=str(cache))
    assert done.returncode == -9, done.stderr
    assert_whole(datasets.load(photos))


def test_two_processes_at_once(cache, photos):
    code = LOAD.format(photos=str(photos))
    here = {**os.environ, "CONVLET_CACHE": str(cache)}
    command = [children.sys.executable, "-c", code]
    running = [children.start(command, env=here, stdout=-1, stderr=-1) for _ in range(3)]
    told = [child.communicate(timeout=children.PATIENCE) for child in running]
    expected = str(12 * sum(range(200)))
    assert [out.decode().strip() for out, _ in told] == [expected] * 3, told
    assert [path.name.endswith(".partial") for path in (cache / "images").iterdir()] == [False]
    assert_whole(datasets.load(photos))


@pytest.mark.parametrize("rival", [False, True])
def test_a_cache_that_is_deleted_while_it_is_filled_is_filled_again(
    rival, cache, photos, count, monkeypatch
):
    """rival: a third process begins to fill it, at the same place, and is not done yet."""
    before, partial = image_cache.prepared, image_cache._partial
    given, once = [], [image_cache.clear]

    def begun(*arguments):
        given[:] = arguments
        return partial(*arguments)

    def deleted(image, preparation, name):
        if name.endswith("image-49.png") and once:  # of a: one thread
            once.pop()()
            if rival:
                partial(*given)
        return before(image, preparation, name)

    monkeypatch.setattr(image_cache, "_partial", begun)
    monkeypatch.setattr(image_cache, "prepared", deleted)
    assert_whole(datasets.load(photos))
    assert len(count) == 400
    (one,) = caches()
    assert one.whole


def test_a_cache_that_is_always_deleted_is_given_up(cache, photos, monkeypatch):
    monkeypatch.setattr(image_cache, "_finish", lambda place: image_cache.clear())
    with pytest.raises(FileError, match="cache cannot be filled: another process has deleted it 5"):
        datasets.load(photos)


def test_a_damaged_image_that_is_mended_is_seen(cache, photos, count):
    """Whatever its time says."""
    path = photos / "a" / "image-07.png"
    whole, when = path.read_bytes(), path.stat().st_mtime_ns
    path.write_bytes(whole[:-20] + bytes(20))
    os.utime(path, ns=(when, when))
    data = datasets.load(photos, skip_damaged=True)
    if len(data.train) + len(data.test) == 200:
        pytest.fail("it is not damaged")
    path.write_bytes(whole)
    os.utime(path, ns=(when, when))
    assert_whole(datasets.load(photos))


def test_a_cache_that_somebody_cut_is_refused(cache, photos):
    datasets.load(photos)
    (one,) = caches()
    with open(one.path / "images.u8", "r+b") as file:
        file.truncate(100)
    with pytest.raises(
        DataError, match=r"expected 2400 bytes of decoded images, found damage: .*--"
    ):
        datasets.load(photos)
    image_cache.clear()
    assert list(caches()) == []
    assert_whole(datasets.load(photos))


def test_a_place_that_cannot_be_written_costs_time_only(tmp_path, photos, count, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CONVLET_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        data = datasets.load(photos)
        assert_whole(data)
        (said,) = [line for line in data.said if "decoded each time" in line]
        assert said.startswith("images are decoded each time: ")
        assert "cannot be written" in said
    assert len(count) == 400
    monkeypatch.setattr(image_cache, "LARGE", 1000)
    message = r"cannot be written: .*, or set CONVLET_CACHE to a folder with room for 0 MB"
    with pytest.raises(FileError, match=message):
        datasets.load(photos)


def test_a_full_disk_says_so_before_any_work(cache, photos, count, monkeypatch):
    def full(file, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    data = datasets.load(photos)
    assert_whole(data)
    assert any("No space left on device: free some space" in line for line in data.said)
    monkeypatch.setattr(image_cache, "LARGE", 1000)
    with pytest.raises(FileError, match="No space left on device: free some space on that disk"):
        datasets.load(photos)
    assert len(count) == 200


def test_a_relative_or_home_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value, place in (("here", "here"), ("~/there/", "home/there")):
        monkeypatch.setenv("CONVLET_CACHE", value)
        assert datasets.cache_folder() == tmp_path / place


# -------------------------------------------------------------------------------------- selections


def test_images_stay_in_their_file_or_are_copied_to_another(cache, monkeypatch, tmp_path):
    cache.mkdir()
    images = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(9000, 2, 3, 1))
    images[...] = np.arange(9000)[:, None, None, None] % 251
    run = taken(images, np.arange(5, 100))
    assert np.shares_memory(run, images)
    assert np.shares_memory(taken(images, slice(3, 9)), images)
    chosen = np.arange(0, 9000, 2)[::-1].copy()
    small = taken(images, chosen)
    assert small.flags.c_contiguous
    assert not isinstance(small, np.memmap)
    monkeypatch.setattr(taking, "LARGE", 1000)
    large = taken(images, chosen)
    assert isinstance(large, np.memmap)
    assert not large.flags.writeable
    np.testing.assert_array_equal(large, small)
    assert list(cache.iterdir()) == []  # a file without a name


def test_large_images_are_not_in_memory(cache, photos, monkeypatch):
    monkeypatch.setattr(taking, "LARGE", 100)
    data = datasets.load(photos)
    assert isinstance(data.train.images, np.memmap)
    assert_whole(data)


def test_folds_of_large_images_are_not_in_memory(cache, photos, monkeypatch):
    """Neither the training and test images together, nor the images of a fold."""
    monkeypatch.setattr(taking, "LARGE", 100)
    data = datasets.load(photos)
    both = data.pooled().train
    assert isinstance(both.images, np.memmap)
    assert not both.images.flags.writeable
    parts = [both.images, np.concatenate([data.train.images, data.test.images])]
    np.testing.assert_array_equal(*parts)
    np.testing.assert_array_equal(both.labels, both.images[:, 0, 0, 0] // 100)
    for fold in data.folds(5):
        assert isinstance(fold.train.images, np.memmap)
        assert isinstance(fold.test.images, np.memmap)
        assert_whole(fold)
    monkeypatch.setattr(taking, "AT_ONCE", 7)
    np.testing.assert_array_equal(taking.joined(parts), np.concatenate(parts))
    monkeypatch.setattr(taking, "LARGE", 1 << 30)
    assert type(taking.joined(parts)) is np.ndarray


def test_a_place_that_is_full_for_a_selection(cache, photos, monkeypatch):
    datasets.load(photos)
    monkeypatch.setattr(taking, "LARGE", 100)

    def full(file, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(FileError, match="cache cannot be written: No space left"):
        datasets.load(photos)


def test_training_takes_images_from_the_file(cache, photos):
    """Without a copy, and to the bits of training from memory."""
    import convlet

    data = datasets.load(photos)
    place = next(Path(one.path) / "images.u8" for one in caches())
    images = np.memmap(place, np.uint8, "r", shape=(200, 4, 3, 1))
    y = np.repeat([0, 1], 100)
    bits = []
    for x in (images, np.array(images)):
        network = convlet.Network("flatten, dense 2, softmax", data.train.images.shape[1:])
        assert np.shares_memory(network.samples(x, y).images, x)
        network.fit(x, y, epochs=1)
        bits.append(network.flat.tobytes())
    assert bits[0] == bits[1]
