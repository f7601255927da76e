"""Arrays and files in the layouts that exist: each made by code and loaded, each refused one, too.

The images are MADE, with labels LABELS; a layout is a function that writes them below a folder and
gives what `load` gets.
"""

import gzip
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlet import DataError, FileError, InputError, datasets
from convlet.datasets import write_idx
from convlet.datasets.labels import MAX_CLASSES, as_classes
from convlet.datasets.loading import load_tested
from convlet.datasets.naming import role_of
from convlet.datasets.numeric.csv_rows import rows_of
from convlet.held_back import HeldBack

RNG = np.random.default_rng(3)
COUNT, SIDE = 24, 6
MADE = RNG.integers(0, 256, (COUNT, SIDE, SIDE), np.uint8)
DARK = MADE // 2  # to 127
DARK[0, 0, 0] = 128
U255 = np.where(MADE > 127, 255, 0).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
LABELS = np.arange(COUNT) % 3
TRAIN, TEST, VALIDATION = slice(0, 12), slice(12, 18), slice(18, 24)
PARTS = {"train": TRAIN, "test": TEST, "validation": VALIDATION}
CLASSES = ("0", "1", "2")

Layout = Callable[[Path], Path]


def npz(save=np.savez, **arrays) -> Layout:
    def write(folder: Path) -> Path:
        save(folder / "small.npz", **arrays)
        return folder / "small.npz"

    return write


def npy(**arrays) -> Layout:
    def write(folder: Path) -> Path:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        return folder

    return write


def named(names: str, x=MADE, y=LABELS) -> dict[str, np.ndarray]:
    """Arrays by names, as in "x_train y_train x y": those of a part, or all."""
    cut = {}
    for name in names.split():
        role = role_of(name)
        assert role is not None, name
        part, kind = role
        array = x if kind == "images" else y
        cut[name] = array if part is None else array[PARTS[part]]
    return cut


def idx(where: str, *names: str, x=MADE, y=LABELS, ending="") -> Layout:
    def write(folder: Path) -> Path:
        place = folder / where
        place.mkdir(parents=True, exist_ok=True)
        for name, array in zip(names, (x[TRAIN], y[TRAIN], x[TEST], y[TEST]), strict=False):
            write_idx(place / f"{name}{ending}", array)
        return folder

    return write


def text(**files: str | bytes) -> Layout:
    def write(folder: Path) -> Path:
        for name, content in files.items():
            path = folder / name.replace("__", ".")
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


def picture(path: Path, x=MADE[0]) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(x).save(path)


def one(layout: Layout, name: str) -> Layout:
    """A file of a layout instead of its folder."""
    return lambda folder: layout(folder) / name


def table(
    rows=slice(None), header=True, label="label", last=False, x=MADE, y=LABELS, separator=","
):
    flat = x[rows].reshape(len(x[rows]), x[0].size)
    names = [f"pixel{n}" for n in range(flat.shape[1])]
    lines = [[*names, label] if last else [label, *names]] if header else []
    for k, row in zip(y[rows].tolist(), flat.tolist(), strict=True):
        lines.append([*row, k] if last else [k, *row])
    return "".join(separator.join(map(str, line)) + "\n" for line in lines)


def reordered(key: Callable[[str], object], content: str) -> str:
    """A table whose columns are sorted by their names."""
    columns = np.array([line.split(",") for line in content.splitlines()]).T
    return "\n".join(map(",".join, np.array(sorted(columns, key=lambda c: key(c[0]))).T))


def counting(first: str, content: str) -> str:
    """A table under the header that pandas writes of an array."""
    return ",".join([first, *map(str, range(37))][first == "-" :]) + "\n" + content


def without_labels(x=MADE) -> str:
    return "\n".join(line.partition(",")[2] for line in table(x=x).splitlines())


def fer2013(header="emotion,pixels,Usage", quote="") -> str:
    usages = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
    order = header.lower().replace(" ", "").split(",")
    lines = [header]
    for part, chosen in PARTS.items():
        for x, y in zip(MADE[chosen], LABELS[chosen], strict=True):
            pixels = quote + " ".join(map(str, x.reshape(-1))) + quote
            fields = {"pixels": pixels, "usage": usages[part]}
            lines.append(",".join(fields.get(name, str(y)) for name in order))
    return "\n".join(lines)


def cifar(kind: str) -> Layout:
    def write(folder: Path) -> Path:
        for name, chosen in CIFAR_FILES[kind].items():
            records = []
            for x, k in zip(CIFAR_X[chosen], LABELS[chosen], strict=True):
                labels = bytes([k]) if kind == "cifar-10" else bytes([9, k])
                records.append(labels + x.transpose(2, 0, 1).tobytes())
            (folder / name).write_bytes(b"".join(records))
        names, count = CIFAR_NAMES[kind]
        (folder / names).write_text("".join(f"thing {k}\n" for k in range(count)) + "\n")
        return folder

    return write


CIFAR_X = RNG.integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
CIFAR_NAMES = {"cifar-10": ("batches.meta.txt", 10), "cifar-100": ("fine_label_names.txt", 100)}
CIFAR_FILES = {
    "cifar-10": {
        "data_batch_1.bin": slice(0, 5),
        "data_batch_2.bin": slice(5, 12),
        "test_batch.bin": TEST,
    },
    "cifar-100": {"train.bin": TRAIN, "test.bin": TEST},
}
THINGS = tuple(f"thing {k}" for k in range(10))
QMNIST_Y = np.stack([LABELS, *np.full((7, COUNT), 5)], axis=1).astype(np.int32)
MNIST_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def emnist(division: str) -> tuple[str, ...]:
    return tuple(f"emnist-{division}-{n.replace('t10k', 'test')}" for n in MNIST_NAMES)


QMNIST_NAMES = (
    "qmnist-train-images-idx3-ubyte",
    "qmnist-train-labels-idx2-int",
    "qmnist-test-images-idx3-ubyte",
    "qmnist-test-labels-idx2-int",
)
TURNED = MADE.swapaxes(1, 2)
U1 = LABELS.astype(np.uint8)

# name: the layout, what is in the data (train, test, validation), the classes, what is said
WHOLE, PAIR, ALONE = ("train", "test", "validation"), ("train", "test"), ()
LAYOUTS: dict[str, tuple[Layout, tuple[str, ...], tuple[str, ...], str]] = {
    "npz Keras": (npz(**named("x_train y_train x_test y_test")), PAIR, CLASSES, ""),
    "npz packed": (
        npz(np.savez_compressed, **named("x_train y_train x_test y_test")),
        PAIR,
        CLASSES,
        "",
    ),
    "npz MedMNIST": (
        npz(
            **named(
                "train_images train_labels val_images val_labels test_images test_labels",
                y=LABELS[:, None],
            )
        ),
        WHOLE,
        CLASSES,
        "",
    ),
    "npz x_val": (
        npz(**named("X_train Y_train X_val Y_val X_test Y_test")),
        WHOLE,
        CLASSES,
        "",
    ),
    "npz x_valid": (npz(**named("xtrain ytrain x_valid y_valid testX testY")), WHOLE, CLASSES, ""),
    "npz one-hot": (
        npz(**named("x_train y_train x_test y_test", y=np.eye(3)[LABELS])),
        PAIR,
        CLASSES,
        "",
    ),
    "npz validation only": (
        npz(**named("x_train y_train x_val y_val")),
        ("train", "val as test"),
        CLASSES,
        "no test part: the validation images are the test images",
    ),
    "npz x, y": (npz(**named("x y")), ALONE, CLASSES, ""),
    "npz images, labels": (npz(**named("images labels")), ALONE, CLASSES, ""),
    "npz data, target": (npz(**named("data target")), ALONE, CLASSES, ""),
    "npz arr_0": (
        lambda folder: (np.savez(folder / "s.npz", MADE, LABELS), folder / "s.npz")[1],
        ALONE,
        CLASSES,
        "arr_0, arr_1 are taken as images and labels in turn",
    ),
    "npz with other arrays": (
        npz(**named("x_train y_train x_test y_test"), ids=LABELS, labels=LABELS),
        PAIR,
        CLASSES,
        "left out: ids, labels",
    ),
    "npz x_dev": (npz(**named("x_train y_train x_dev y_dev x_test y_test")), WHOLE, CLASSES, ""),
    "npz with names of the classes": (
        npz(**named("x y"), classes=["ant", "bee", "cat"]),
        ALONE,
        ("ant", "bee", "cat"),
        "",
    ),
    "npz with names of more classes": (
        npz(**named("x y"), class_names=np.array([b"ant", b"bee", b"cat", b"dog"])),
        ALONE,
        ("ant", "bee", "cat", "dog"),
        "class dog has no image",
    ),
    "npz with names in another order": (
        npz(
            **named("x y", y=np.array(["ant", "bee", "cat"])[LABELS]),
            class_names=["cat", "bee", "ant"],
        ),
        ALONE,
        ("cat", "bee", "ant"),
        "cat, bee, ant are classes",
    ),
    "npz with too few names": (
        npz(**named("x y"), class_names=["ant", "bee"]),
        ALONE,
        CLASSES,
        "left out: class_names",
    ),
    "npz with classes that are numbers": (
        npz(**named("x y"), classes=np.arange(3)),
        ALONE,
        CLASSES,
        "left out: classes",
    ),
    "npz names": (
        npz(**named("x_train y_train x_test y_test", y=np.array(["ant", "bee", "cat"])[LABELS])),
        PAIR,
        ("ant", "bee", "cat"),
        "labels are names: ant, bee, cat are classes in the order of their names",
    ),
    "npz bytes": (
        npz(**named("x y", y=np.array([b"ant", b"bee", b"cat"])[LABELS])),
        ALONE,
        ("ant", "bee", "cat"),
        "labels are names",
    ),
    "npz from 1": (
        npz(**named("x_train y_train x_test y_test", y=LABELS + 1)),
        PAIR,
        ("1", "2", "3"),
        "labels start at 1: the classes are called 1 to 3",
    ),
    "npz ids": (
        npz(**named("x_train y_train x_test y_test", y=np.array([1 << 60, 7, 905])[LABELS])),
        PAIR,
        ("7", "905", str(1 << 60)),
        "labels are 3 of the numbers 7 to 1152921504606846976: 7, 905, 1152921504606846976 are",
    ),
    "npz channels first": (
        npz(**named("x_train y_train x_test y_test", x=COLOUR.transpose(0, 3, 1, 2))),
        PAIR,
        CLASSES,
        "channels first, (12, 3, 6, 6), are put last",
    ),
    "npz one channel first": (
        npz(**named("x y", x=MADE[:, None])),
        ALONE,
        CLASSES,
        "channels first",
    ),
    "npz rows of pixels": (
        npz(**named("x_train y_train x_test y_test", x=MADE.reshape(COUNT, -1))),
        PAIR,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "npz int64": (
        npz(**named("x_train y_train x_test y_test", x=MADE.astype(int))),
        PAIR,
        CLASSES,
        "levels 0 to 255 as int64 are taken as uint8",
    ),
    "npz int64, dark": (
        npz(**named("x_train y_train x_test y_test", x=DARK.astype(int))),
        PAIR,
        CLASSES,
        "levels 0 to 128 as int64 are taken as uint8",
    ),
    "npz uint8, darker": (
        npz(**named("x_train y_train x_test y_test", x=DARK // 2)),
        PAIR,
        CLASSES,
        "",
    ),
    "npz floats to 255": (
        npz(**named("x_train y_train x_test y_test", x=MADE.astype(np.float32))),
        PAIR,
        CLASSES,
        "levels 0 to 255 as float32 are taken as uint8",
    ),
    "npy": (npy(**named("x_train y_train x_test y_test")), PAIR, CLASSES, ""),
    "npy, one of the files": (
        one(npy(**named("x_train y_train x_test y_test")), "y_test.npy"),
        PAIR,
        CLASSES,
        "",
    ),
    "npy images, labels": (npy(**named("images labels")), ALONE, CLASSES, ""),
    "npy with other files": (
        npy(**named("train_images train_labels test_images test_labels"), ids=LABELS),
        PAIR,
        CLASSES,
        "",
    ),
    "npy with images without a part": (
        npy(**named("x_train y_train x_test y_test"), images=MADE),
        PAIR,
        CLASSES,
        "left out: images.npy",
    ),
    "npy in Fortran order": (
        npy(**named("x_train y_train x_test y_test", x=np.asfortranarray(MADE))),
        PAIR,
        CLASSES,
        "",
    ),
    "npy one-hot": (npy(**named("X Y", y=np.eye(3)[LABELS])), ALONE, CLASSES, ""),
    "npz files of one array": (
        lambda folder: (
            [
                np.savez_compressed(folder / f"kmnist-{part}-{kind}.npz", array[PARTS[part]])
                for part in ("train", "test")
                for kind, array in (("imgs", MADE), ("labels", LABELS))
            ]
            and folder
        ),
        PAIR,
        CLASSES,
        "",
    ),
    "IDX": (idx("", *MNIST_NAMES, y=U1), PAIR, CLASSES, ""),
    "IDX packed": (idx("", *MNIST_NAMES, y=U1, ending=".gz"), PAIR, CLASSES, ""),
    "IDX in raw": (idx("raw", *MNIST_NAMES, y=U1), PAIR, CLASSES, ""),
    "IDX in NAME/raw": (idx("MNIST/raw", *MNIST_NAMES, y=U1), PAIR, CLASSES, ""),
    "IDX of the training part": (
        idx("", *MNIST_NAMES[:2], y=U1),
        ("train",),
        CLASSES,
        "",
    ),
    "EMNIST letters": (
        idx("", *emnist("letters"), x=TURNED, y=U1 + np.uint8(1), ending=".gz"),
        PAIR,
        tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "EMNIST stores columns as rows: its images are turned upright",
    ),
    "EMNIST balanced": (
        idx("", *emnist("balanced"), x=TURNED, y=U1),
        PAIR,
        tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
        "classes 3, 4, 5, 6, 7, 8, 9, A, B, C, ... have no image",
    ),
    "EMNIST, one division of two": (
        lambda folder: (
            idx("", *emnist("digits"), x=TURNED, y=U1)(folder),
            idx("", *emnist("mnist"), x=MADE, y=U1)(folder),
            folder / "emnist-digits-test-labels-idx1-ubyte",
        )[-1],
        PAIR,
        tuple("0123456789"),
        "turned upright",
    ),
    "QMNIST": (
        idx("", *QMNIST_NAMES, y=QMNIST_Y, ending=".gz"),
        PAIR,
        CLASSES,
        "labels have 8 columns, the first is the class",
    ),
    "Kaggle's digits": (
        text(train__csv=table(TRAIN), test__csv=without_labels()),
        ("train",),
        CLASSES,
        "test.csv left out: it has no labels",
    ),
    "Sign MNIST": (
        text(sign_mnist_train__csv=table(TRAIN), sign_mnist_test__csv=table(TEST)),
        PAIR,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "Fashion-MNIST as CSV, packed": (
        text(
            **{
                "fashion-mnist_train__csv__gz": gzip.compress(table(TRAIN).encode()),
                "fashion-mnist_test__csv__gz": gzip.compress(table(TEST).encode()),
            }
        ),
        PAIR,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "one CSV": (one(text(mnist__csv=table()), "mnist.csv"), ALONE, CLASSES, "images of 6 x 6"),
    "CSV without header": (
        one(text(mnist__csv=table(header=False)), "mnist.csv"),
        ALONE,
        CLASSES,
        "mnist.csv has no header: its first column is the label",
    ),
    "CSV without header, names last": (
        one(
            text(d__csv=table(header=False, last=True, y=np.array(["a", "b", "c"])[LABELS])),
            "d.csv",
        ),
        ALONE,
        ("a", "b", "c"),
        "d.csv has no header: its last column is the label",
    ),
    "CSV of Excel": (
        one(
            text(d__csv=b"\xef\xbb\xbf" + table(separator=";").replace("\n", "\r\n").encode()),
            "d.csv",
        ),
        ALONE,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "CSV with blank lines and quotes": (
        one(text(d__csv=table().replace("\n", "\n\n").replace("label", '"label"')), "d.csv"),
        ALONE,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "CSV with names last": (
        one(
            text(d__csv=table(label="class", last=True, y=np.array(["ant", "bee", "cat"])[LABELS])),
            "d.csv",
        ),
        ALONE,
        ("ant", "bee", "cat"),
        "labels are names",
    ),
    "CSV with floats": (
        one(text(d__csv=table(x=MADE.astype(float), y=LABELS.astype(float))), "d.csv"),
        ALONE,
        CLASSES,
        "levels 0 to 255 as float32 are taken as uint8",
    ),
    "CSV with an index": (
        one(
            text(
                d__csv="\n".join(
                    ("" if n == 0 else str(n)) + "," + line
                    for n, line in enumerate(table().splitlines())
                )
            ),
            "d.csv",
        ),
        ALONE,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "CSV of pandas without names": (
        one(
            text(
                d__csv="0," + ",".join(f"0.{n}" for n in range(1, 37)) + "\n" + table(header=False)
            ),
            "d.csv",
        ),
        ALONE,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "CSV of an array in pandas": (
        one(text(d__csv=counting("-", table(header=False))), "d.csv"),
        ALONE,
        CLASSES,
        "the header of d.csv only counts: its first column is the label",
    ),
    "CSV of an array in pandas, with its index": (
        one(
            text(
                d__csv=counting(
                    "",
                    "".join(f"{n},{r}\n" for n, r in enumerate(table(header=False).splitlines())),
                )
            ),
            "d.csv",
        ),
        ALONE,
        CLASSES,
        "the header of d.csv only counts: its second column is the label",
    ),
    "CSV with columns sorted as text": (
        text(train__csv=reordered(str, table(TRAIN)), test__csv=table(TEST)),
        PAIR,
        CLASSES,
        "train.csv: pixels are in the order of the numbers in their names",
    ),
    "CSV with columns the other way round in one part": (
        text(train__csv=table(TRAIN), test__csv=reordered(lambda name: name[::-1], table(TEST))),
        PAIR,
        CLASSES,
        "test.csv: pixels are in the order of the numbers in their names",
    ),
    "FER2013": (
        one(text(fer2013__csv=fer2013()), "fer2013.csv"),
        WHOLE,
        ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"),
        "classes Happy, Sad, Surprise, Neutral have no image",
    ),
    "FER2013 of ICML": (
        one(text(icml__csv=fer2013("emotion, Usage, pixels", '"')), "icml.csv"),
        WHOLE,
        ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral"),
        "have no image",
    ),
    "FER2013's columns with other classes": (
        one(text(ck__csv=fer2013().replace("\n2,", "\n7,")), "ck.csv"),
        WHOLE,
        ("0", "1", "7"),
        "0, 1, 7 are classes by value",
    ),
    "pixels in one field, of things that are no emotions": (
        one(text(d__csv=fer2013("label,pixels,Usage")), "d.csv"),
        WHOLE,
        CLASSES,
        "rows of 36 numbers are images of 6 x 6",
    ),
    "EMNIST as CSV": (
        text(
            **{
                f"emnist-letters-{part}__csv": table(
                    PARTS[part], header=False, x=TURNED, y=LABELS + 1
                )
                for part in PAIR
            }
        ),
        PAIR,
        tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "turned upright",
    ),
    "CIFAR-10": (cifar("cifar-10"), PAIR, THINGS, "classes thing 3, "),
    "CIFAR-10, the folder above": (
        lambda folder: (
            [
                (folder / "cifar-10-batches-bin").mkdir(),
                cifar("cifar-10")(folder / "cifar-10-batches-bin"),
            ]
            and folder
        ),
        PAIR,
        THINGS,
        "classes thing 3, ",
    ),
    "CIFAR-10, the first batches": (
        cifar("cifar-10"),
        PAIR,
        THINGS,
        "not there: data_batch_3.bin, data_batch_4.bin, data_batch_5.bin",
    ),
    "CIFAR-100": (
        cifar("cifar-100"),
        PAIR,
        tuple(f"thing {k}" for k in range(100)),
        "classes are the fine labels, not the coarse ones",
    ),
}


def made(name: str) -> np.ndarray:
    if name.startswith("CIFAR"):
        return CIFAR_X
    special = {"npz int64, dark": DARK[..., None], "npz uint8, darker": DARK[..., None] // 2}
    return special.get(name, COLOUR if name == "npz channels first" else MADE[..., None])


def labels_of(classes: tuple[str, ...], name: str) -> np.ndarray:
    if name == "npz with names in another order":
        return 2 - LABELS
    if name == "npz ids":
        return np.array([2, 0, 1])[LABELS]
    return LABELS


def rows(split) -> list[bytes]:
    return [x.tobytes() + bytes([y]) for x, y in zip(split.images, split.labels, strict=True)]


def assert_part(split, x, y):
    assert split.images.dtype == np.uint8
    assert split.images.flags.c_contiguous
    assert split.labels.dtype == np.int64
    np.testing.assert_array_equal(split.images, x)
    np.testing.assert_array_equal(split.labels, y)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_loaded(tmp_path, name):
    layout, parts, classes, said = LAYOUTS[name]
    data = datasets.load(layout(tmp_path))
    x, y = made(name), labels_of(classes, name)
    assert data.classes == classes
    assert any(said in line for line in data.said) if said else data.said == ()
    if parts == ("train", "val as test"):
        assert_part(data.train, x[TRAIN], y[TRAIN])
        assert_part(data.test, x[VALIDATION], y[VALIDATION])
        assert data.validation is None
        return
    if "test" in parts:
        for part in PARTS:
            split = getattr(data, part)
            if part in parts:
                assert_part(split, x[PARTS[part]], y[PARTS[part]])
            else:
                assert split is None
        return
    whole = slice(0, 12) if parts == ("train",) else slice(None)
    found = sorted(rows(data.train) + rows(data.test))
    assert found == sorted(rows(datasets.Split(x[whole], y[whole])))
    assert data.held_back == HeldBack(0.2)
    assert len(data.test) == (3 if parts == ("train",) else 6)
    assert np.bincount(data.test.labels).tolist() == [len(data.test) // 3] * 3  # stratified


@pytest.mark.parametrize(
    "name",
    ["npy", "npz files of one array", "IDX", "IDX in NAME/raw", "QMNIST", "Sign MNIST", "CIFAR-10"],
)
def test_what_systems_leave_behind_is_no_data(tmp_path, name):
    path = LAYOUTS[name][0](tmp_path)
    for file in [file for file in path.rglob("*") if file.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7Mac OS X")  # of its archives
        file.with_name(f"{file.name}~").write_bytes(b"")
    (path / "loop.npy").symlink_to("loop.npy")
    (path / "__MACOSX" / "raw").mkdir(parents=True)
    (path / "__MACOSX" / "raw" / "train-images-idx3-ubyte").write_bytes(b"")
    data = datasets.load(path)
    assert_part(data.train, made(name)[TRAIN], LABELS[TRAIN])
    assert_part(data.test, made(name)[TEST], LABELS[TEST])


def test_what_systems_leave_in_an_npz_file_is_no_array(tmp_path):
    path = tmp_path / "s.npz"
    np.savez(path, MADE, LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/._arr_0.npy", b"\0\5\x16\7Mac OS X")
    assert len(datasets.load(path).train) == 18


# -------------------------------------------------------------------------------- the split, wishes


def test_the_seed_and_the_share_say_which_images_are_held_back(tmp_path):
    path = npz(**named("x y"))(tmp_path)
    one, same, other = (datasets.load(path, seed=seed) for seed in (0, 0, 1))
    assert rows(one.test) == rows(same.test) != rows(other.test)
    half = datasets.load(path, test_share=0.5)
    assert np.bincount(half.test.labels).tolist() == [4, 4, 4]
    assert set(rows(one.test)) < set(rows(half.test))  # the same order, cut later


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            {"size": 8},
            r"size is 8, but .* has arrays, whose images are as they are: leave it",
        ),
        ({"colour": "grey"}, "colour is 'grey', but .* has arrays, whose images"),
        ({"fit": "pad"}, "fit is 'pad', but"),
        (
            {"group_by": "x"},
            "group_by is 'x', but .* has arrays, whose images have no paths: leave",
        ),
        ({"skip_damaged": True}, "skip_damaged is True, but .* of which no single image is dam"),
    ],
)
@pytest.mark.parametrize("layout", ["npz Keras", "npy", "IDX", "CIFAR-10"])
def test_what_has_no_meaning_for_arrays_is_refused(tmp_path, layout, wish, message):
    path = LAYOUTS[layout][0](tmp_path)
    with pytest.raises(InputError, match=message):
        datasets.load(path, **wish)


def test_one_class_can_be_tested_but_not_trained(tmp_path):
    path = npz(**named("x_test y_test", y=LABELS * 0 + 2))(tmp_path)
    with pytest.raises(DataError, match="expected at least two classes, found one"):
        datasets.load(path)
    data = load_tested(path)
    assert (len(data.train), len(data.test), data.classes) == (0, 6, ("2",))


def test_a_table_whose_images_are_no_squares_needs_a_size(tmp_path):
    x = RNG.integers(0, 256, (COUNT, 4, 6), np.uint8)
    (tmp_path / "d.csv").write_text(table(x=x))
    with pytest.raises(DataError, match=r"square images, found 24 pixels: state size=\(rows, col"):
        datasets.load(tmp_path / "d.csv")
    data = datasets.load(tmp_path / "d.csv", size=(4, 6))
    assert sorted(rows(data.train) + rows(data.test)) == sorted(
        rows(datasets.Split(x[..., None], LABELS))
    )
    with pytest.raises(
        DataError, match="expected 25 numbers an image for 5 x 5 x 1, as stated, fou"
    ):
        datasets.load(tmp_path / "d.csv", size=5)


def test_a_table_of_rgb_pixels_needs_the_word(tmp_path):
    (tmp_path / "d.csv").write_text(table(x=COLOUR))
    with pytest.raises(DataError, match="found 108 pixels: state size"):
        datasets.load(tmp_path / "d.csv")
    for wish in ({"colour": "rgb"}, {"colour": "rgb", "size": SIDE}):
        data = datasets.load(tmp_path / "d.csv", **wish)
        assert sorted(rows(data.train) + rows(data.test)) == sorted(
            rows(datasets.Split(COLOUR, LABELS))
        )


def sided(rows: int, columns: int, chosen=slice(None)) -> str:
    """A table whose header says how its 36 pixels lie."""
    names = ",".join(f"{r}x{c}" for r in range(1, rows + 1) for c in range(1, columns + 1))
    return "\n".join([f"label,{names}", *table(chosen).splitlines()[1:]])


def test_a_header_may_state_the_size(tmp_path):
    (tmp_path / "d.csv").write_text(sided(4, 9))
    assert datasets.load(tmp_path / "d.csv").train.images.shape[1:] == (4, 9, 1)
    match = r"size is \(6, 6\), but the header of .*d.csv says \(4, 9\): leave it out"
    with pytest.raises(InputError, match=match):
        datasets.load(tmp_path / "d.csv", size=6)


def test_a_header_may_state_the_order(tmp_path):
    x = RNG.integers(0, 256, (COUNT, 4, 9), np.uint8)
    names = ",".join(f"{r}x{c}" for c in range(9) for r in range(4))  # column by column, from 0
    lines = table(x=x.swapaxes(1, 2)).splitlines()
    (tmp_path / "d.csv").write_text("\n".join([f"label,{names}", *lines[1:]]))
    data = datasets.load(tmp_path / "d.csv")
    assert sorted(rows(data.train) + rows(data.test)) == sorted(
        rows(datasets.Split(x[..., None], LABELS))
    )


def test_a_table_of_boxes_does_not_hide_photographs(tmp_path):
    for n, k in enumerate("aabb"):
        picture(tmp_path / k / f"{n}.png", MADE[n])
    (tmp_path / "boxes.csv").write_text("label,x1,y1,x2,y2\n0,1,2,3,4\n")
    assert datasets.load(tmp_path).classes == ("a", "b")


@pytest.mark.parametrize("said", ["train", "test"])
def test_a_size_that_one_of_two_tables_states_holds_for_both(tmp_path, said):
    for part in PAIR:
        text_of = sided(3, 12, PARTS[part]) if part == said else table(PARTS[part])
        (tmp_path / f"{part}.csv").write_text(text_of)
    data = datasets.load(tmp_path)
    assert_part(data.train, MADE[TRAIN].reshape(-1, 3, 12, 1), LABELS[TRAIN])
    assert_part(data.test, MADE[TEST].reshape(-1, 3, 12, 1), LABELS[TEST])


def test_tables_of_two_sizes_are_refused_by_name(tmp_path):
    (tmp_path / "train.csv").write_text(sided(3, 12, TRAIN))
    (tmp_path / "test.csv").write_text(sided(4, 9, TEST))
    match = r"test.csv: .* found 4x9 by its header, and 3x12 by that of .*train.csv: load one"
    with pytest.raises(DataError, match=match):
        datasets.load(tmp_path)


@pytest.mark.parametrize("wish", [{"size": (4, 9)}, {"size": (3, 4), "colour": "rgb"}])
def test_what_was_stated_for_a_table_is_kept_for_the_next(tmp_path, wish):
    (tmp_path / "d.csv").write_text(table())
    first = datasets.load(tmp_path / "d.csv", **wish)
    again = datasets.load(tmp_path / "d.csv", preparation=first.preparation)
    assert again.train.images.shape[1:] == (*wish["size"], 3 if "colour" in wish else 1)
    assert rows(again.train) == rows(first.train)
    # a table of other images is what it is: whoever takes it says that it does not fit
    (tmp_path / "e.csv").write_text(table(x=MADE[:, :5, :5]))
    found = datasets.load(tmp_path / "e.csv", preparation=first.preparation)
    assert found.test.images.shape[1:] == (5, 5, 1)


def test_a_size_holds_for_tables_of_emnist_too(tmp_path):
    x = RNG.integers(0, 256, (COUNT, 4, 9), np.uint8)
    for part, chosen in (("train", TRAIN), ("test", TEST)):
        lines = table(chosen, header=False, x=x.swapaxes(1, 2), y=LABELS + 1)
        (tmp_path / f"emnist-letters-{part}.csv").write_text(lines)
    data = datasets.load(tmp_path, size=(4, 9))
    assert_part(data.train, x[TRAIN, ..., None], LABELS[TRAIN])
    assert_part(data.test, x[TEST, ..., None], LABELS[TEST])


def test_a_black_part_has_the_scale_of_the_others(tmp_path):
    arrays = {**named("x_train y_train x_test y_test"), "x_test": MADE[TEST] * 0}
    data = datasets.load(npz(**arrays)(tmp_path))
    assert data.said == ()
    np.testing.assert_array_equal(data.train.images, MADE[TRAIN, ..., None])


def test_shapes_are_refused_before_an_array_takes_memory(tmp_path):
    large = np.zeros((1 << 12, 64, 64), np.uint8)  # 16 MiB, packed 16 KiB
    path = npz(np.savez_compressed, x_train=large, y_train=LABELS, x_test=large, y_test=LABELS)(
        tmp_path
    )
    del large
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="expected 4096 labels, one for each image of"):
            datasets.load(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_npy_files_stay_on_disk(tmp_path):
    x = np.zeros((400, 200, 200), np.uint8)  # 16 MB
    x[:, 0, 0] = 255
    arrays = {
        "x_train": x,
        "y_train": np.arange(400) % 2,
        "x_test": x[:50],
        "y_test": np.arange(50) % 2,
    }
    path = npy(**arrays)(tmp_path)
    del x, arrays
    tracemalloc.start()
    try:
        data = datasets.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(data.train.images.base, np.memmap) or not data.train.images.flags.owndata
    assert not data.train.images.flags.writeable


def test_a_map_may_be_larger_than_an_array_in_memory(tmp_path):
    count = 5 << 10
    labels = np.arange(count) % 2
    path = npy(x_train=MADE[:0], y_train=labels, x_test=np.full((2, 1024, 1024), 9, np.uint8))(
        tmp_path
    )
    np.save(path / "y_test.npy", labels[:2])
    large = np.lib.format.open_memmap(  # 5 GiB of zeros take no room on disk
        path / "x_train.npy", "w+", np.uint8, (count, 1024, 1024)
    )
    large[0, 0, 0], large[-1, -1, -1] = 200, 255
    del large
    data = datasets.load(path)
    assert data.train.images.nbytes > 1 << 32
    assert data.train.images[[0, -1], [0, -1], [0, -1], 0].tolist() == [200, 255]


# ------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("labels", "numbers", "classes", "said"),
    [
        ([0, 1, 2], [0, 1, 2], "0 1 2", []),
        ([0, 2, 4], [0, 2, 4], "0 1 2 3 4", ["classes 1, 3 have no image"]),
        (
            [0, 1, 6],
            [0, 1, 2],
            "0 1 6",
            ["labels are 3 of the numbers 0 to 6: 0, 1, 6 are classes"],
        ),
        (
            [1, 3],
            [0, 2],
            "1 2 3",
            ["labels start at 1: the classes are called 1 to 3", "class 2 has no image"],
        ),
        (
            [-1, 1],
            [0, 1],
            "-1 1",
            ["labels are 2 of the numbers -1 to 1: -1, 1 are classes by value"],
        ),
        ([5, 6], [0, 1], "5 6", ["labels are 2 of the numbers 5 to 6"]),
        ([True, False], [1, 0], "0 1", []),
        ([[0, 1, 0], [1, 0, 0]], [1, 0], "0 1 2", ["class 2 has no image"]),
        ([[3], [0], [1]], [3, 0, 1], "0 1 2 3", ["class 2 has no image"]),
        (["10", "9"], [1, 0], "9 10", ["labels are names: 9, 10 are classes by value"]),
        (["b", "a", "b"], [1, 0, 1], "a b", ["labels are names: a, b are classes in the order of"]),
        ([2.0, 0.0, 1.0], [2, 0, 1], "0 1 2", []),
        (np.array([1 << 63, 0], np.uint64), [1, 0], f"0 {1 << 63}", ["labels are 2 of"]),
    ],
)
def test_the_rule_of_labels(labels, numbers, classes, said):
    found = as_classes({"y": np.array(labels)})
    assert found.labels["y"].tolist() == numbers
    assert found.classes == tuple(classes.split())
    assert len(found.said) == len(said)
    for line, start in zip(found.said, said, strict=True):
        assert line.startswith(start)


def test_a_test_part_of_arrays_without_labels_is_left_out_and_said(tmp_path):
    arrays = named("x_train y_train x_test y_test")
    arrays["y_test"] = np.full((6, 1), -1)
    path = npz(**arrays)(tmp_path)
    data = datasets.load(path)
    assert len(data.train) + len(data.test) == 12
    assert f"{path}[y_test] left out: no label in it, all are -1" in data.said
    arrays["y_train"] = np.where(LABELS[TRAIN] > 0, 1, -1)  # then -1 is a class
    data = datasets.load(npz(**arrays)(tmp_path))
    assert (data.classes, data.test.labels.tolist()) == (("-1", "1"), [0] * 6)


def test_names_in_both_forms_of_unicode_are_one_class(tmp_path):
    names = np.array(["cat", "V\u00f6gel", "Vo\u0308gel"])
    found = as_classes({"y": names, "z": names[2:]}, None)
    assert found.classes == ("V\u00f6gel", "cat")
    assert found.labels["y"].tolist() == [1, 0, 0]
    assert found.labels["z"].tolist() == [0]
    found = as_classes({"y": names[1:]}, [str(names[2])])
    assert found.classes == ("V\u00f6gel",)
    data = datasets.load(npz(**named("x y", y=np.array(["Cat", "cat", "dog"])[LABELS]))(tmp_path))
    assert "classes differ in case only: Cat, cat: rename them if they are one" in data.said


def test_a_class_that_only_tests_have_is_said():
    found = as_classes({"y": np.array([0, 1]), "z": np.array([2, 1])})
    assert found.said == ("class 2 has no image to train with",)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"y": [0, -1, 1]},
            "y: expected labels from 0, found -1 at position 1: -1 stands for no la",
        ),
        ({"y": [0, -2, 1]}, "y: expected labels from 0, found -2 at position 1$"),
        ({"y": [0, 0.5]}, "y: expected labels that are whole numbers, found 0.5 at position 1"),
        ({"y": [0, np.nan]}, "whole numbers, found nan at position 1"),
        ({"y": [[0, 1], [1, 1]]}, r"y: expected one-hot rows, .* found \[1, 1\] at position 1"),
        ({"y": [[[0]]]}, r"found shape \(1, 1, 1\)"),
        ({"y": ["a", ""]}, "y: expected a label for each image, found none at 1"),
        ({"y": ["a", "b"], "z": ["b", "c"]}, "z: expected classes of y, found 'c': rename it"),
        ({"y": ["a", "b"], "z": [0, 1]}, "y, z: expected names in all of them, or numbers"),
        ({"y": [7, 900], "z": [8]}, "z: expected classes of y, found 8: leave its images out"),
        ({"y": np.arange(MAX_CLASSES + 1)}, "y: expected at most 65536 classes, found 65537: are"),
        ({"y": np.arange(MAX_CLASSES + 1) * 9}, "expected at most 65536 classes, found 65537"),
        ({"y": [1j, 2j]}, "y: expected labels that are whole numbers or names, found complex128"),
    ],
)
def test_labels_that_no_rule_fits_are_refused(parts, message):
    with pytest.raises(DataError, match=message):
        as_classes({name: np.array(labels) for name, labels in parts.items()})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "y: expected labels 0 to 2 for 3 classes, found 3 at position 1$"),
        ([-1], "no label"),
    ],
)
def test_labels_beyond_the_names_of_the_data_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        as_classes({"y": np.array(labels)}, ["a", "b", "c"])


# ---------------------------------------------------------------------------------------- refusals

NAMES = "x_train y_train x_test y_test"
REFUSED: dict[str, tuple[Layout, str]] = {
    "channels unclear": (
        npz(**named(NAMES, x=MADE[:, None, :, :1])),
        r"x_train\]: expected images \(n, rows, columns, channels\), found shape \(12, 1, 6, 1\)",
    ),
    "many channels unclear": (
        npz(**named(NAMES, x=np.zeros((COUNT, 6, 7, 8), np.uint8))),
        r"may be the second axis or the last: save array.transpose\(0, 2, 3, 1\) if they are the",
    ),
    "images along the last axis": (
        npz(**named("x y", x=np.zeros((6, 7, COUNT), np.uint8))),
        r"expected 24 images along the first axis, .* found shape \(6, 7, 24\): save numpy.moveax",
    ),
    "planes in rows": (
        npz(**named(NAMES, x=COLOUR.reshape(COUNT, 36, 3).transpose(0, 2, 1))),
        r"found shape \(12, 3, 36\), as of 3 x 6 x 6 in a row: save array.reshape\(n, 3, 6, 6\).tr",
    ),
    "pixels in rows": (
        npz(**named(NAMES, x=COLOUR.reshape(COUNT, 36, 3))),
        r"found shape \(12, 36, 3\), as of 3 x 6 x 6 in a row: save array.reshape\(n, 6, 6, 3\)$",
    ),
    "grey pixels in rows": (
        npz(**named(NAMES, x=MADE.reshape(COUNT, 1, 36))),
        r"as of 1 x 6 x 6 in a row: save array.reshape\(n, 6, 6\)$",
    ),
    "rows of RGB pixels": (
        npz(**named(NAMES, x=COLOUR.reshape(COUNT, -1))),
        r"108 numbers are no square \(6 x 6 in RGB\?\): save array.reshape\(n, rows, columns, chan",
    ),
    "levels to 16": (
        npz(**named(NAMES, x=MADE.astype(int) // 16)),
        r"expected whole numbers with one above 127, found int64 from 0 to 15, of which nothing"
        r" says which is white: save array / numpy.float32\(255\) if it is 255, array / 15 if",
    ),
    "names that are not UTF-8": (
        text(d__csv=table(y=np.array(["père", "pêre", "c"])[LABELS]).encode("latin-1")),
        r"d.csv\[label\]: expected names of classes in UTF-8, found b'p\\xe8re': save them so",
    ),
    "bytes that are not UTF-8": (
        npz(x=MADE, y=np.array([b"p\xe8re", b"p\xeare", b"c"])[LABELS]),
        r"expected names of classes in UTF-8, found b'p\\xe8re'",
    ),
    "levels to 15 as uint8": (
        npz(x=np.tile(MADE, (2, 1, 1)) // 16, y=np.tile(LABELS, 2)),
        r"expected whole numbers with one above 127, found uint8 from 0 to 15, of which nothing",
    ),
    "levels to 15 in a table": (
        text(d__csv=2 * table(x=MADE // 16, header=False)),
        r"expected whole numbers with one above 127, found uint8 from 0 to 15, of which nothing",
    ),
    "levels to 127": (
        npz(**named(NAMES, x=MADE.astype(int) // 2)),
        r"one above 127, found int64 from 0 to 127, of which nothing says which is white",
    ),
    "levels below 0": (
        npz(**named(NAMES, x=MADE.astype(int) - 9)),
        r"expected levels 0 to 255, or floats with white as 1, found int64 from -9 to 246: save",
    ),
    "levels to 65535": (
        npz(**named(NAMES, x=MADE.astype(np.uint16) * np.uint16(257))),
        "found uint16 from 0 to 65535: save array / 65535",
    ),
    "floats to 16": (
        npz(**named(NAMES, x=MADE / 16)),
        r"x_train\]: expected black as 0 and white as 1, found floats from 0 to 15.*: save array",
    ),
    "parts of other scales": (
        npz(**named("x_train y_train", x=MADE / 255), **named("x_test y_test", x=MADE / 65025)),
        r"x_test\]: expected the scale of .*x_train\], found it on another scale: root mean square",
    ),
    "a part of black and white": (
        npz(**named("x_train y_train", x=MADE // 128), **named("x_test y_test")),
        r"x_train\]: expected the scale of .*x_test\], found levels 0 to 1 beside 0 to 255: if 1 is"
        r" white, save array.astype\(numpy.uint8\) \* 255$",
    ),
    "a part of True and False": (
        npz(**named("x_train y_train", x=MADE > 127), **named("x_test y_test", x=U255)),
        r"x_train\]: expected the scale of .*x_test\], found levels 0 to 1 beside 0 to 255",
    ),
    "a part of floats that are 0 and 1": (
        npz(
            **named("x_train y_train", x=MADE * 1.0), **named("x_test y_test", x=MADE // 128 * 1.0)
        ),
        r"x_test\]: expected the scale of .*x_train\], found levels 0 to 1 beside 0 to 255",
    ),
    "a part of levels to 15": (
        npz(
            **named("x_train y_train", x=MADE.astype(int)),
            **named("x_test y_test", x=MADE.astype(int) // 16),
        ),
        r"found levels 0 to 15 beside 0 to 255: if 15 is white, .* \* 17$",
    ),
    "two names for one": (
        npz(**named("x_train train_images y_train")),
        "expected one of the arrays for the images of the train part, found train_images and x_tr",
    ),
    "no training part": (
        npz(**named("x_test y_test x_val y_val")),
        r"expected a part of training images \(train\), found test, validation",
    ),
    "a class of one image": (
        npz(**named("x y", y=np.where(np.arange(COUNT) == 5, 7, LABELS))),
        "class '7': expected at least 2 images, one of them to test with, found one",
    ),
    "one .npy file": (
        one(npy(data=MADE), "data.npy"),
        "expected images and labels in two files beside each other, .* found data.npy without",
    ),
    "arrays beside folders of images": (
        lambda d: (npy(**named("x y"))(d), picture(d / "cats" / "a.png"))[0],
        r"expected arrays or folders of images, found x.npy beside cats: name x.npy if you want",
    ),
    "a table without header, its labels last": (
        text(d__csv=table(header=False, last=True, x=np.where(MADE[:, :1, :1] == MADE, 0, MADE))),
        "expected labels in its first column, .* found 0 in all rows: give it a header, as label,",
    ),
    "a table beside folders of images": (
        lambda d: (text(train__csv=table())(d), picture(d / "cats" / "a.png"))[0],
        r"expected tables of pixels or folders of images, found \S+ beside cats: name",
    ),
    "an .npy and an .npz of one name": (
        lambda folder: (
            npy(**named("x y"))(folder) and npz(x=MADE)(folder).rename(folder / "x.npz").parent
        ),
        "expected one file x, found x.npy and x.npz: keep one of them",
    ),
    "IDX of the test part": (
        idx("", *MNIST_NAMES[2:], y=U1),
        "expected a part of training images .train., found test",
    ),
    "a folder of MATLAB files": (
        text(a__mat=b"", README=b""),
        "found a.mat, a file of MATLAB: save scipy.io.loadmat",
    ),
    "two collections": (
        lambda folder: (
            idx("MNIST/raw", *MNIST_NAMES, y=U1)(folder),
            idx("KMNIST/raw", *MNIST_NAMES, y=U1)(folder),
        )[1],
        "expected the files of one collection, found KMNIST, MNIST: name the folder of one",
    ),
    "two divisions of EMNIST": (
        lambda folder: (
            idx("", *emnist("digits"), y=U1)(folder),
            idx("", *emnist("mnist"), y=U1)(folder),
        )[1],
        "expected the files of one collection, found 'emnist-digits', 'emnist-mnist': name one of",
    ),
    "CIFAR-10 without a batch": (
        lambda d: (cifar("cifar-10")(d) / "data_batch_1.bin").rename(d / "data_batch_4.bin").parent,
        "expected data_batch_1.bin beside data_batch_4.bin, found none: get it again",
    ),
    "CIFAR-10 for Python": (
        text(data_batch_1=b"", data_batch_2=b"", test_batch=b"", batches__meta=b""),
        "expected the binary version of CIFAR-10, found the one for Python: its pickles can run co",
    ),
    "CIFAR-100 for Python": (
        text(train=b"", test=b"", meta=b""),
        "are never loaded; get cifar-100-binary.tar.gz and unpack it",
    ),
    "a pickle": (one(text(d__pkl=b""), "d.pkl"), "found a pickle, which can run code and is never"),
    "HDF5": (one(text(d__h5=b""), "d.h5"), "found an HDF5 file: read it with h5py"),
    "MATLAB": (one(text(d__mat=b""), "d.mat"), "found a file of MATLAB: save scipy.io.loadmat"),
    "a packed archive": (one(text(d__tar__gz=b""), "d.tar.gz"), "a packed archive: unpack it and"),
    "CSV that names files": (
        one(text(d__csv="file,label\na.png,1\n"), "d.csv"),
        "expected a table of pixels, a column called label and one for each pixel, found 'file,la",
    ),
    "CSV without labels": (
        one(text(d__csv=without_labels()), "d.csv"),
        r"expected a column of labels \(label, labels, .*\), found pixel0, pixel1, .*: name the c",
    ),
    "CSV with a short line": (
        one(text(d__csv=table() + "1,2,3\n"), "d.csv"),
        "expected 37 fields in each line, found 3 in line 26",
    ),
    "CSV with a word": (
        one(text(d__csv=table() + "1," + "0," * 35 + "dog\n"), "d.csv"),
        "expected numbers as pixels, found 'dog' in line 26",
    ),
    "CSV with a gap": (
        one(text(d__csv=table() + "1," + "0," * 35 + "\n"), "d.csv"),
        "expected numbers as pixels, found '' in line 26",
    ),
    "CSV of a header": (
        one(text(d__csv=table(slice(0, 0))), "d.csv"),
        "expected a row for each image, found none",
    ),
    "CSV of nothing": (one(text(d__csv=""), "d.csv"), "expected a table of pixels, .* found ''"),
    "CSV files of unknown parts": (
        text(a__csv=table(), b__csv=table()),
        "expected tables called after their parts, as train.csv and test.csv, found a.csv",
    ),
    "CSV with a column that is no pixel": (
        one(text(d__csv=table().replace("pixel35", "age")), "d.csv"),
        r"expected names that say the order of the pixels, .* found age beside pixel0: leave out",
    ),
    "CSV with two kinds of pixels": (
        one(text(d__csv=table().replace("pixel35", "mean0")), "d.csv"),
        "found mean0 beside pixel0",
    ),
    "CSV without some pixels": (
        one(text(d__csv=table().replace("pixel35", "pixel99")), "d.csv"),
        "found 36 of the columns pixel0 to pixel99",
    ),
    "CSV with a number twice": (
        one(text(d__csv=table().replace("pixel35", "pixel034")), "d.csv"),
        "found a number twice",
    ),
    "CSV with a name twice": (
        one(text(d__csv=table().replace("pixel35", "pixel34")), "d.csv"),
        "found a name twice",
    ),
    "CSV files of other columns": (
        text(train__csv=table(TRAIN), test__csv=table(TEST).replace("pixel0,", "pixel36,")),
        "test.csv: expected the columns of .*train.csv, pixel0 to pixel35, found pixel1 to pixel36",
    ),
    "FER2013 of an unknown part": (
        one(text(d__csv=fer2013().replace("PrivateTest", "Other")), "d.csv"),
        "expected the name of a part .* in the column Usage, found 'Other'",
    ),
    "FER2013 with a short image": (
        one(text(d__csv=fer2013() + "\n0,1 2 3,Training"), "d.csv"),
        r"expected \d+ pixels in each line, found 3 in line 26",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_says_what_was_expected(tmp_path, name):
    layout, message = REFUSED[name]
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(layout(tmp_path))
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------ hostile files

WHOLE_FILES = {
    "small.npz": LAYOUTS["npz Keras"][0],
    "x_train.npy": LAYOUTS["npy"][0],
    "qmnist-train-labels-idx2-int.gz": LAYOUTS["QMNIST"][0],
    "sign_mnist_train.csv": LAYOUTS["Sign MNIST"][0],
    "fashion-mnist_train.csv.gz": LAYOUTS["Fashion-MNIST as CSV, packed"][0],
    "test_batch.bin": LAYOUTS["CIFAR-10"][0],
}


def small_traces(path) -> None:
    """Load with bounded memory; whatever is wrong is a `DataError`, or a `FileError`."""
    tracemalloc.start()
    try:
        with suppress(DataError, FileError):
            datasets.load(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_truncated_files_are_refused_or_smaller(tmp_path, name):
    path = WHOLE_FILES[name](tmp_path)
    file = path if path.is_file() else path / name
    whole = file.read_bytes()
    smaller = ("sign_mnist_train.csv", "test_batch.bin")
    for length in sorted({*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1}):
        file.write_bytes(whole[:length])
        try:
            data = datasets.load(path)
        except (DataError, FileError):
            continue
        # a cut between two rows, in the last number of one, or between records: fewer images
        assert name in smaller
        assert len(data.train) + len(data.test) < 18 or length == len(whole) - 1


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_damaged_bytes_end_in_errors_of_ours(tmp_path, name):
    path = WHOLE_FILES[name](tmp_path)
    file = path if path.is_file() else path / name
    whole = file.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        data = bytearray(whole)
        data[place] ^= 0xA5
        file.write_bytes(bytes(data))
        small_traces(path)


@pytest.mark.parametrize(
    "content",
    [
        b"label," + b"a" * (40 << 20),
        b"0," * (9 << 20),
        b"\0" * (20 << 20),
        b"label,pixel0,pixel1,pixel2,pixel3\n" + b"\n" * (20 << 20),
        b"label,pixel0,pixel1,pixel2,pixel3\n" + b"9" * (20 << 20),
        bytes(range(256)) * 1000,
        b"label,pixel0,pixel1,pixel2,pixel3\n1,1e999,nan,inf,-inf\n",
        b"label,pixel0,pixel1,pixel2,pixel3\n99999999999999999999,1,1,1,1\n",
        "label,pixel0,pixel1,pixel2,pixel3\n0,\u0661,\u0662,\u0663,\u0664\n".encode(),
    ],
    ids=["name", "line", "zeros", "blank", "number", "bytes", "infinite", "label", "digits"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_hostile_tables_end_soon(tmp_path, content, pack):
    (tmp_path / "d.csv").write_bytes(pack(content))
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            datasets.load(tmp_path / "d.csv")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_rows_of_numbers_are_those_of_int():
    lines = [[0, 7, 255], [10, 200, 999999999], [1, 1, 1]]
    block = "\n".join(",".join(map(str, line)) for line in lines).encode()
    assert rows_of(block, 3).tolist() == lines
    for wrong in (b"1,2", b"1,2,3,4", b"1,2\n3", b"1,,3", b"-1,2,3", b"1,2,x", b"1.0,2,3", b""):
        assert rows_of(wrong, 3) is None
    assert rows_of(b"1,2,9999999999", 3) is None


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("x_train", ("train", "images")),
        ("XTrain", ("train", "images")),
        ("trainX", ("train", "images")),
        ("ytest", ("test", "labels")),
        ("train_images", ("train", "images")),
        ("images-val", ("validation", "images")),
        ("t10k_labels", ("test", "labels")),
        ("data", (None, "images")),
        ("target", (None, "labels")),
        ("x_train_2", None),
        ("label_names", None),
        ("weights", None),
    ],
)
def test_names_of_arrays(name, role):
    assert role_of(name) == role
