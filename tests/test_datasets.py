"""`datasets.load`: the data sets with names, IDX folders and .npz files."""

import gzip
import hashlib
import io
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import children
from convlet import DataError, FileError, InputError, MissingDependencyError, datasets
from convlet.datasets import builtin, fashion

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
RNG = np.random.default_rng(0)
TRAIN_X = RNG.integers(0, 256, (6, 4, 3), np.uint8)
TRAIN_Y = np.array([0, 1, 2, 0, 1, 2], np.uint8)
TEST_X = RNG.integers(0, 256, (2, 4, 3), np.uint8)
TEST_Y = np.array([2, 1], np.uint8)
FILES = {
    "train-images-idx3-ubyte": TRAIN_X,
    "train-labels-idx1-ubyte": TRAIN_Y,
    "t10k-images-idx3-ubyte": TEST_X,
    "t10k-labels-idx1-ubyte": TEST_Y,
}
ARRAYS = {"x_train": TRAIN_X, "y_train": TRAIN_Y, "x_test": TEST_X, "y_test": TEST_Y}


def write_folder(folder, files=FILES, ending=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in files.items():
        datasets.write_idx(folder / f"{name}{ending}", array)
    return folder


def write_npz(folder, **changes):
    path = folder / "data.npz"
    np.savez(path, **{k: v for k, v in (ARRAYS | changes).items() if v is not None})
    return path


def assert_split(split, images, labels):
    assert split.images.dtype == images.dtype
    assert split.images.flags.c_contiguous
    assert split.labels.dtype == np.int64
    np.testing.assert_array_equal(split.images, images.reshape(len(images), 4, 3, -1))
    np.testing.assert_array_equal(split.labels, labels)


def assert_small(data, name):
    assert data.name == name
    assert data.classes == ("0", "1", "2")
    assert_split(data.train, TRAIN_X, TRAIN_Y)
    assert_split(data.test, TEST_X, TEST_Y)


# names


def test_mnist_files_are_the_published_ones():
    for name, md5 in MD5.items():
        data = gzip.decompress((builtin.MNIST_FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.md5(data).hexdigest() == md5
    assert "CC BY-SA 3.0" in (builtin.MNIST_FOLDER / "LICENSE.md").read_text()


def test_mnist():
    data = datasets.load("mnist")
    assert data.name == "mnist"
    assert data.classes == tuple("0123456789")
    assert data.train.images.shape == (60000, 28, 28, 1)
    assert data.test.images.shape == (10000, 28, 28, 1)
    assert data.train.images.dtype == data.test.images.dtype == np.uint8
    assert data.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    train_counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.train.labels).tolist() == train_counts
    test_counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.test.labels).tolist() == test_counts
    # the published mean of the training images
    assert data.train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_mnist_without_its_files(tmp_path, monkeypatch):
    half = write_folder(tmp_path / "half", {n: FILES[n] for n in FILES if n.startswith("train")})
    for folder in (tmp_path / "none", half):
        monkeypatch.setattr(builtin, "MNIST_FOLDER", folder)
        with pytest.raises(FileError, match="lacks MNIST files"):
            datasets.load("mnist")


def test_digits():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    images, labels = sklearn_datasets.load_digits(return_X_y=True)
    data = datasets.load("digits")
    assert data.train.images.shape == (1438, 8, 8, 1)
    assert data.test.images.shape == (359, 8, 8, 1)
    assert data.train.images.dtype == np.uint8
    assert data.test.labels.tolist() == labels[4::5].tolist()
    assert data.train.labels[:8].tolist() == labels[[0, 1, 2, 3, 5, 6, 7, 8]].tolist()
    np.testing.assert_allclose(
        data.test.images.reshape(359, 64) / 255, images[4::5] / 16, atol=0.5 / 255
    )
    assert data.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_a_missing_library_is_named(name, tmp_path, monkeypatch):
    for module in ("sklearn", "sklearn.datasets", "pooch"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("CONVLET_CACHE", str(tmp_path))
    monkeypatch.setattr(fashion, "DEBIAN_FOLDER", tmp_path / "none")
    with pytest.raises(MissingDependencyError, match="pip install"):
        datasets.load(name)
    assert list(tmp_path.iterdir()) == []


def test_names():
    assert datasets.names() == ("digits", "fashion-mnist", "mnist")


@pytest.mark.parametrize("name", ["mnits", "MNIST", "", 3, None, "a\0b"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(InputError, match=r"name_or_path is .*, expected"):
        datasets.load(name)


def test_an_unknown_name_lists_what_is_known():
    with pytest.raises(InputError, match=r"digits, fashion-mnist, mnist, or the path of .*\.npz"):
        datasets.load("mnits")


@pytest.mark.parametrize("path", ["./mnits", "no/such", "data.npz", Path("mnist")])
def test_a_missing_path_is_refused(path):
    with pytest.raises(FileError, match="cannot be read: No such file"):
        datasets.load(path)


def test_import_loads_no_optional_library():
    code = (
        "import sys, convlet.datasets; "
        "print({'PIL', 'pooch', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    assert children.output(code) == "set()\n"


# fashion-mnist


@pytest.fixture
def no_fashion(tmp_path, monkeypatch):
    """An empty cache, no Debian folder, and a downloader that must not be called."""

    def fail(url, output_file, pooch):
        raise AssertionError(f"{url} was asked for")

    monkeypatch.setenv("CONVLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: fail)
    return tmp_path


def serve(monkeypatch, answers):
    """A downloader that answers with bytes by mirror, or raises."""
    asked = []

    def download(url, output_file, pooch):
        asked.append(url)
        mirror, name = url.rsplit("/", 1)
        answer = answers.get(f"{mirror}/")
        if answer is None:
            raise OSError(f"no route\nto {mirror}")
        Path(output_file).write_bytes(answer(name.removesuffix(".gz")))

    monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: download)
    return asked


def packed(name):
    buffer = io.BytesIO()
    buffer.write(bytes([0, 0, 8, FILES[name].ndim]))
    buffer.write(np.array(FILES[name].shape, ">u4").tobytes() + FILES[name].tobytes())
    return gzip.compress(buffer.getvalue())


def sums():
    return {name: hashlib.sha256(gzip.decompress(packed(name))).hexdigest() for name in FILES}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_fashion_mnist_from_the_cache(no_fashion, ending):
    write_folder(no_fashion / "cache" / "fashion-mnist", ending=ending)
    write_folder(no_fashion / "debian", {"train-labels-idx1-ubyte": TRAIN_Y})  # is not looked at
    data = datasets.load("fashion-mnist")
    assert_split(data.train, TRAIN_X, TRAIN_Y)
    assert data.classes[::9] == ("T-shirt/top", "Ankle boot")


def test_fashion_mnist_from_debian(no_fashion):
    write_folder(no_fashion / "debian", ending=".gz")
    data = datasets.load("fashion-mnist")
    assert data.name == "fashion-mnist"
    assert_split(data.test, TEST_X, TEST_Y)
    assert len(data.classes) == 10
    assert not (no_fashion / "cache").exists()


@pytest.mark.skipif(not fashion.DEBIAN_FOLDER.is_dir(), reason="dataset-fashion-mnist missing")
def test_checksums_are_those_of_debian():
    for name, expected in fashion.SHA256.items():
        data = gzip.decompress((fashion.DEBIAN_FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.sha256(data).hexdigest() == expected


def test_fashion_mnist_is_downloaded_once(no_fashion, monkeypatch):
    monkeypatch.setattr(fashion, "SHA256", sums())
    # the first mirror is away, the second serves something else, the third is right
    first, second, third = fashion.MIRRORS
    wrong = gzip.compress(b"something else")
    asked = serve(monkeypatch, {second: lambda _: wrong, third: packed})
    assert_split(datasets.load("fashion-mnist").train, TRAIN_X, TRAIN_Y)
    assert asked[:3] == [f"{m}train-images-idx3-ubyte.gz" for m in (first, second, third)]
    assert len(asked) == 12
    assert_split(datasets.load("fashion-mnist").test, TEST_X, TEST_Y)
    assert len(asked) == 12
    cache = no_fashion / "cache" / "fashion-mnist"
    assert sorted(p.name for p in cache.iterdir()) == sorted(f"{name}.gz" for name in FILES)


def test_only_missing_files_are_downloaded(no_fashion, monkeypatch):
    monkeypatch.setattr(fashion, "SHA256", sums())
    cache = write_folder(no_fashion / "cache" / "fashion-mnist")
    (cache / "t10k-labels-idx1-ubyte").unlink()
    asked = serve(monkeypatch, {fashion.MIRRORS[0]: packed})
    assert_split(datasets.load("fashion-mnist").test, TEST_X, TEST_Y)
    assert asked == [f"{fashion.MIRRORS[0]}t10k-labels-idx1-ubyte.gz"]


@pytest.mark.parametrize(
    "answer", [None, lambda _: b"<html>", lambda _: gzip.compress(b"x"), lambda _: packed(_)[:-9]]
)
def test_a_failed_download_says_what_to_do_and_leaves_nothing(no_fashion, monkeypatch, answer):
    serve(monkeypatch, dict.fromkeys(fashion.MIRRORS, answer))
    with pytest.raises(FileError) as caught:
        datasets.load("fashion-mnist")
    message = str(caught.value)
    for part in (
        "network connection",
        "apt-get install dataset-fashion-mnist",
        str(no_fashion / "cache" / "fashion-mnist"),
        "t10k-labels-idx1-ubyte.gz",
        *fashion.MIRRORS,
    ):
        assert part in message
    assert "\n" not in message
    assert list((no_fashion / "cache" / "fashion-mnist").iterdir()) == []


def test_a_cache_that_cannot_be_written(no_fashion, monkeypatch):
    (no_fashion / "cache").write_text("in the way")
    with pytest.raises(FileError, match="cannot be written"):
        datasets.load("fashion-mnist")


def test_cache_folder(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("CONVLET_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert datasets.cache_folder() == Path("/home/someone/.cache/convlet")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert datasets.cache_folder() == Path("/var/xdg/convlet")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert datasets.cache_folder() == Path("/home/someone/Library/Caches/convlet")
    monkeypatch.setenv("CONVLET_CACHE", "/elsewhere")
    assert datasets.cache_folder() == Path("/elsewhere")


# IDX folders


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_folder(tmp_path, ending):
    folder = write_folder(tmp_path / "small", ending=ending)
    assert_small(datasets.load(folder), "small")
    assert_small(datasets.load(str(folder)), "small")
    assert_small(datasets.load(folder / f"t10k-labels-idx1-ubyte{ending}"), "small")


def test_idx_names_may_vary(tmp_path):
    files = {
        "train-images.idx3-ubyte": TRAIN_X,
        "train-labels.idx1-ubyte": TRAIN_Y,
        "test-images-idx3-ubyte": TEST_X,
        "test-labels-idx1-ubyte.gz": TEST_Y,
    }
    folder = write_folder(tmp_path / "small", files)
    (folder / "README").write_text("is not looked at")
    assert_small(datasets.load(folder), "small")


def test_a_packed_twin_is_left_aside(tmp_path):
    folder = write_folder(tmp_path / "small")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    assert_small(datasets.load(folder), "small")


def test_idx_with_channels(tmp_path):
    images = RNG.integers(0, 256, (6, 4, 3, 2), np.uint8)
    files = FILES | {"train-images-idx3-ubyte": images, "t10k-images-idx3-ubyte": images[:2]}
    data = datasets.load(write_folder(tmp_path, files))
    np.testing.assert_array_equal(data.train.images, images)


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_part_is_named(tmp_path, missing):
    files = {name: array for name, array in FILES.items() if name != missing}
    with pytest.raises(DataError, match=f"expected a file {missing} or {missing}.gz, found t"):
        datasets.load(write_folder(tmp_path, files))


def test_two_test_parts_are_refused(tmp_path):
    write_folder(tmp_path, FILES | {"test-labels-idx1-ubyte": TEST_Y})
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte and test-labels-idx1-ubyte"):
        datasets.load(tmp_path)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (LABELS, TRAIN_Y[:5], f"{LABELS}: expected 6 labels, one for each .*{IMAGES}, found 5"),
        (IMAGES, TRAIN_X[:5], f"{LABELS}: expected 5 labels, one for each .*{IMAGES}, found 6"),
        (LABELS, TRAIN_Y[:, None, None], rf"{LABELS}: expected labels \(n,\).*\(6, 1, 1\)"),
        (LABELS, TRAIN_Y / 2, f"{LABELS}: expected labels that are whole .*found 0.5 at pos"),
        (IMAGES, TRAIN_Y, rf"{IMAGES}: expected images \(n, rows, columns\).*found shape \(6,\)"),
        (
            IMAGES,
            TRAIN_X.astype("f4") / 2,
            "expected images of one dtype in all parts, found float",
        ),
        (IMAGES, TRAIN_X[:0], f"{IMAGES}: expected at least one image"),
        (IMAGES, TRAIN_X[:, :0], f"{IMAGES}: expected at least one image of at least one pixel"),
        (
            IMAGES,
            TRAIN_X[:, :2],
            r"images \(2, 3, 1\) in all parts, .*, found \(4, 3, 1\) in .*t10k",
        ),
    ],
)
def test_images_and_labels_must_match(tmp_path, name, array, message):
    with pytest.raises(DataError, match=message):
        datasets.load(write_folder(tmp_path, FILES | {name: array}))


def test_one_class_is_no_data_set(tmp_path):
    files = FILES | {LABELS: TRAIN_Y * 0, "t10k-labels-idx1-ubyte": TEST_Y * 0}
    with pytest.raises(DataError, match="at least two classes"):
        datasets.load(write_folder(tmp_path, files))


def test_a_label_beyond_known_classes_is_refused(no_fashion):
    files = FILES | {LABELS: TRAIN_Y + 8}  # 8, 9, 10
    write_folder(no_fashion / "debian", files)
    with pytest.raises(DataError, match="expected labels 0 to 9 for 10 classes, found 10"):
        datasets.load("fashion-mnist")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(
        DataError, match=r"notes.txt: expected a folder of images .*, found another file"
    ):
        datasets.load(tmp_path / "notes.txt")
    with pytest.raises(DataError, match=r"\.npz file, found notes.txt$"):
        datasets.load(tmp_path)


# .npz files


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "small.npz", **ARRAYS)
    assert_small(datasets.load(tmp_path / "small.npz"), "small")


def test_npz_with_other_names_order_and_dtypes(tmp_path):
    np.savez(
        tmp_path / "small.npz",
        train_images=np.asfortranarray(TRAIN_X),
        train_labels=TRAIN_Y.astype(">i2"),
        test_images=TEST_X[..., None],
        test_labels=TEST_Y.astype(np.uint64),
        more=np.array([None]),
    )
    assert_small(datasets.load(tmp_path / "small.npz"), "small")


def test_npz_with_floats(tmp_path):
    path = write_npz(tmp_path, x_train=TRAIN_X / 255, x_test=(TEST_X / 255).astype(">f4"))
    data = datasets.load(path)
    assert_split(data.train, (TRAIN_X / 255).astype(np.float32), TRAIN_Y)
    assert data.test.images.dtype == np.float32
    assert data.test.images.dtype.isnative


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: y.astype(float),
        lambda y: y.astype(">f2"),
        lambda y: np.eye(3)[y],
        lambda y: np.eye(3, dtype=bool)[y],
        lambda y: np.asfortranarray(np.eye(3, dtype=np.int32)[y]),
    ],
)
def test_npz_with_labels_as_fit_takes_them(tmp_path, labels):
    path = write_npz(tmp_path, y_train=labels(TRAIN_Y), y_test=labels(TEST_Y))
    assert_small(datasets.load(path), path.stem)


def test_npz_with_two_classes_as_booleans(tmp_path):
    data = datasets.load(write_npz(tmp_path, y_train=TRAIN_Y > 0, y_test=TEST_Y > 0))
    assert data.train.labels.tolist() == (TRAIN_Y > 0).astype(int).tolist()
    assert data.classes == ("0", "1")


@pytest.mark.parametrize("kind", ["idx", "idx.gz", "npz", "compressed npz"])
def test_counts_that_do_not_match_are_refused_before_memory_is_taken(tmp_path, kind):
    images = np.zeros((1 << 14, 32, 32), np.uint8)  # 16 MiB
    if "npz" in kind:
        save = np.savez if kind == "npz" else np.savez_compressed
        save(tmp_path / "data.npz", **ARRAYS | {"x_train": images})
        path = tmp_path / "data.npz"
    else:
        path = write_folder(tmp_path, FILES | {IMAGES: TRAIN_X})
        (path / IMAGES).unlink()
        datasets.write_idx(path / (IMAGES + kind[3:]), images)
    del images
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"expected 16384 labels, one for each .*, found 6"):
            datasets.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_test": None},
            "expected arrays with .* of each part, .*: y_test has no images, add them",
        ),
        ({"x_train": None, "x_test": None}, "expected the arrays x_train, y_train, .*found y_test"),
        ({"x_train": np.array([{}], object)}, r"\[x_train\]: expected numbers, found Python obj"),
        ({"y_train": np.array(list("abcabc"))}, r"expected names in all of them, or numbers"),
        ({"x_train": TRAIN_X.astype("U3")}, r"\[x_train\]: expected numbers, found <U3"),
        (
            {"x_train": TRAIN_X.astype(int) * 9},
            r"of one dtype .* found int64 in .*\[x_train\], uint8",
        ),
        ({"x_train": TRAIN_X.astype(complex)}, r"\[x_train\]: expected numbers, found complex128"),
        ({"x_train": TRAIN_X[0]}, r"\[x_train\]: expected images .*found shape \(4, 3\)"),
        ({"y_train": TRAIN_Y / 2}, r"\[y_train\]: expected .* whole numbers, found 0.5 at"),
        ({"y_train": TRAIN_Y * np.nan}, r"\[y_train\]: expected .* whole numbers, found nan at"),
        (
            {"y_train": TRAIN_Y + np.inf},
            r"\[y_train\]: expected .* whole numbers, found inf at pos",
        ),
        (
            {"y_train": np.full((6, 3), 1 / 3)},
            r"\[y_train\]: expected one-hot rows, .*, found \[0.33.* at position 0",
        ),
        ({"y_train": np.ones((6, 3))}, r"\[y_train\]: expected one-hot .*1.0, 1.0, 1.0\] at"),
        ({"y_train": TRAIN_Y[:, None, None]}, r"\[y_train\]: expected labels \(n,\).*\(6, 1, 1\)"),
        ({"y_train": -TRAIN_Y.astype(int)}, r"\[y_train\]: .*found -1 at position 1"),
        ({"y_train": TRAIN_Y.astype(int) + (1 << 40)}, "classes of .*y_train., found 1: leave its"),
        ({"y_train": np.uint64(2**63) + TRAIN_Y}, "expected classes of .*, found 1: leave its"),
        ({"y_test": TEST_Y[:1]}, r"\[y_test\]: expected 2 labels"),
        (
            {"x_test": TEST_X / 255},
            r"images of one dtype in all parts, found uint8 in .*float64 in",
        ),
        ({"x_train": TRAIN_X * np.nan}, r"\[x_train\]: expected finite .*nan at position \(0, 0"),
        ({"x_train": TRAIN_X + 1e300}, r"\[x_train\]: expected finite .*inf at position \(0, 0"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        datasets.load(write_npz(tmp_path, **changes))


def npy_bytes(shape, descr="'|u1'", entries=b"", version=1):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    width = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(width, "little") + text + entries


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy_bytes("(0, 4, 3)", entries=b"0"), "expected 0 bytes .*found 1"),
        (npy_bytes("(60000, 200, 200)"), "expected 2400000000 bytes .*found 0"),
        (npy_bytes("(1 << 40,)"), "header of an .npy array"),
        (npy_bytes(f"({1 << 40},)"), "at most 4294967296 bytes"),
        (npy_bytes(f"(0, {1 << 62}, {1 << 62})"), "at most 4294967296 bytes"),
        (npy_bytes("(-6, -4, 3)", entries=bytes(72)), "none negative"),
        (npy_bytes("(6, 4, 3)", entries=bytes(71)), "expected 72 bytes .*found 71"),
        (npy_bytes("(6, 4, 3)", entries=bytes(73)), "expected 72 bytes .*found 73"),
        (npy_bytes("(" + "1, " * 9 + ")", entries=b"\0"), "at most 8 dimensions"),
        (npy_bytes("(6, 4, 3)", "[('a', '|u1')]", bytes(72)), "expected numbers"),
        (npy_bytes("(6,)", "'|O'", bytes(48)), "Python objects, which are never loaded"),
        (npy_bytes("(" * 2000 + ")" * 2000, entries=bytes(72)), "header of an .npy array"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "header of at most 10000 bytes, found 4294967295"),
        (b"\x93NUMPY\x09\x00", "version 1 or 2"),
        (b"", "version 1 or 2"),
    ],
)
def test_a_hostile_array_in_npz_is_refused_before_memory_is_taken(tmp_path, data, message):
    path = write_npz(tmp_path, x_train=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            datasets.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_npy_of_version_2_is_read(tmp_path):
    path = write_npz(tmp_path, x_train=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "x_train.npy", npy_bytes("(6, 4, 3)", entries=TRAIN_X.tobytes(), version=2)
        )
    assert_small(datasets.load(path), "data")


def test_a_large_claim_of_the_zip_directory_is_refused(tmp_path):
    path = write_npz(tmp_path)
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")
    path.write_bytes(data[: entry + 24] + b"\xfe\xff\xff\xff" + data[entry + 28 :])
    with pytest.raises(DataError, match="at most 4294967296 bytes, found 4"):
        datasets.load(path)


def test_a_damaged_npz_is_refused(tmp_path):
    whole = write_npz(tmp_path).read_bytes()
    path = tmp_path / "damaged.npz"
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"damaged.npz: expected a whole .npz file"):
            datasets.load(path)
    for position in range(0, len(whole), 3):
        data = bytearray(whole)
        data[position] ^= 0x55
        path.write_bytes(data)
        # a flipped bit in a date is harmless, else it is one of our errors
        try:
            loaded = datasets.load(path)
        except (DataError, FileError):
            continue
        assert_small(loaded, "damaged")


def test_hold_out_parts_the_training_images():
    digits = datasets.load("digits")
    part = digits.hold_out(300, seed=3)
    assert (len(part.train.labels), len(part.test.labels)) == (len(digits.train.labels) - 300, 300)
    assert (part.name, part.classes) == (digits.name, digits.classes)

    def rows(split):
        flat = split.images.reshape(len(split.images), -1)
        return np.column_stack([flat, split.labels]).tolist()

    whole = rows(digits.train)
    for split in (part.train, part.test):  # in their order: found one after the other
        rest = iter(whole)
        assert all(row in rest for row in rows(split))
    assert sorted(rows(part.train) + rows(part.test)) == sorted(whole)


def test_the_seed_says_what_is_held_out():
    digits = datasets.load("digits")
    parts = [digits.hold_out(100, seed) for seed in (0, 0, 1)]
    same, other = (
        parts[0].test.images.tobytes() == part.test.images.tobytes() for part in parts[1:]
    )
    assert same
    assert not other
    few = np.bincount(digits.hold_out(500).test.labels)
    assert few.min() > 30  # of 50: every class, though a file may be sorted by class


@pytest.mark.parametrize("count", [0, -1, 1.0, True, None, 10**6])
def test_a_hold_out_of_nothing_or_all_is_refused(count):
    digits = datasets.load("digits")
    with pytest.raises(InputError, match=f"count is {count!r}, expected a whole number from 1 to"):
        digits.hold_out(count)
