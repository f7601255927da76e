"""Folders of images: every layout, what is said of it, and what is refused by name."""

import os
import sys

import numpy as np
import pytest

from convlet import DataError, InputError, MissingDependencyError, datasets
from convlet.datasets.encoded.folders import list_folder
from convlet.datasets.loading import load_tested
from convlet.held_back import HeldBack
from image_files import (
    COLOUR,
    GREY,
    KINDS,
    class_folder,
    encoded,
    gama,
    huge_png,
    picture,
    save,
    turned,
    with_chunks,
)


def labels(folder):
    """path -> (part, class) of every image."""
    return {entry.path: (entry.part, entry.label) for entry in list_folder(folder).entries}


def make(folder, *paths):
    for n, path in enumerate(paths):
        save(folder / path, np.full((4, 3), n)) if "." in path else (folder / path).mkdir(
            parents=True
        )
    return folder


LAYOUTS = {
    # name: (paths, what each image is)
    "classes": (
        ["cat/1.png", "dog/1.png"],
        {"cat/1.png": (None, "cat"), "dog/1.png": (None, "dog")},
    ),
    "deep classes": (
        ["cat/in/a/1.png", "cat/2.png", "dog/out/1.png"],
        {
            "cat/in/a/1.png": (None, "cat"),
            "cat/2.png": (None, "cat"),
            "dog/out/1.png": (None, "dog"),
        },
    ),
    "parts in any case": (
        ["TRAIN/cat/1.png", "Testing/cat/1.png", "valid/cat/1.png"],
        {
            "TRAIN/cat/1.png": ("train", "cat"),
            "Testing/cat/1.png": ("test", "cat"),
            "valid/cat/1.png": ("validation", "cat"),
        },
    ),
    "parts with deep classes": (
        ["training/cat/a/1.png", "validation/cat/1.png"],
        {"training/cat/a/1.png": ("train", "cat"), "validation/cat/1.png": ("validation", "cat")},
    ),
    "one part": (
        ["train/cat/1.png", "train/dog/1.png"],
        {"train/cat/1.png": ("train", "cat"), "train/dog/1.png": ("train", "dog")},
    ),
    "parts below classes": (
        ["cat/train/1.png", "cat/test/1.png", "dog/train/1.png", "dog/test/1.png"],
        {
            "cat/train/1.png": ("train", "cat"),
            "cat/test/1.png": ("test", "cat"),
            "dog/train/1.png": ("train", "dog"),
            "dog/test/1.png": ("test", "dog"),
        },
    ),
    "a class called train": (
        ["car/1.png", "train/1.png", "test/1.png"],
        {
            "car/1.png": (None, "car"),
            "train/1.png": (None, "train"),
            "test/1.png": (None, "test"),
        },
    ),
    "a deep class called train": (
        ["car/red/1.png", "train/steam/1.png"],
        {"car/red/1.png": (None, "car"), "train/steam/1.png": (None, "train")},
    ),
    "a class called train in a part": (
        ["train/train/1.png", "train/car/1.png", "test/train/1.png"],
        {
            "train/train/1.png": ("train", "train"),
            "train/car/1.png": ("train", "car"),
            "test/train/1.png": ("test", "train"),
        },
    ),
    "folders around everything": (
        ["data/photos/cat/1.png", "data/photos/dog/1.png", "data/notes.txt"],
        {"data/photos/cat/1.png": (None, "cat"), "data/photos/dog/1.png": (None, "dog")},
    ),
    "a folder around parts": (
        ["v1/train/cat/1.png", "v1/test/cat/1.png"],
        {"v1/train/cat/1.png": ("train", "cat"), "v1/test/cat/1.png": ("test", "cat")},
    ),
    "test images without classes": (
        ["train/cat/1.png", "train/dog/1.png", "test/1.png", "test/2.png"],
        {"train/cat/1.png": ("train", "cat"), "train/dog/1.png": ("train", "dog")},
    ),
    "an empty part": (["train/cat/1.png", "test"], {"train/cat/1.png": ("train", "cat")}),
    "parts by a word": (
        ["training_set/cat/1.png", "training_set/dog/1.png", "test_set/cat/1.png"],
        {
            "training_set/cat/1.png": ("train", "cat"),
            "training_set/dog/1.png": ("train", "dog"),
            "test_set/cat/1.png": ("test", "cat"),
        },
    ),
    "parts by a word, in folders of their own": (
        ["segTrain/segTrain/a/1.png", "segTest/segTest/a/1.png", "segPred/segPred/1.png"],
        {
            "segTrain/segTrain/a/1.png": ("train", "a"),
            "segTest/segTest/a/1.png": ("test", "a"),
        },
    ),
    "parts in folders of their own": (
        ["train/train/a/1.png", "train/train/b/1.png", "test/test/a/1.png"],
        {
            "train/train/a/1.png": ("train", "a"),
            "train/train/b/1.png": ("train", "b"),
            "test/test/a/1.png": ("test", "a"),
        },
    ),
    "a folder around the classes of each part": (
        ["train/images/a/1.png", "train/images/b/1.png", "test/images/a/1.png"],
        {
            "train/images/a/1.png": ("train", "a"),
            "train/images/b/1.png": ("train", "b"),
            "test/images/a/1.png": ("test", "a"),
        },
    ),
    "a part for development": (
        ["train/a/1.png", "dev/a/1.png", "eval/a/1.png"],
        {
            "train/a/1.png": ("train", "a"),
            "dev/a/1.png": ("validation", "a"),
            "eval/a/1.png": ("test", "a"),
        },
    ),
    "parts known by their classes": (
        ["train_old/a/1.png", "train_old/b/1.png", "new_test/a/1.png", "new_test/b/1.png"],
        {
            "train_old/a/1.png": ("train", "a"),
            "train_old/b/1.png": ("train", "b"),
            "new_test/a/1.png": ("test", "a"),
            "new_test/b/1.png": ("test", "b"),
        },
    ),
    "test images without classes, numbered": (
        ["train/a/1.png", "train/b/1.png", "test1/1.png"],
        {"train/a/1.png": ("train", "a"), "train/b/1.png": ("train", "b")},
    ),
    "images without a class beside a test part without them": (  # GTSRB of Kaggle
        ["Train/0/1.png", "Train/1/1.png", "Test/1.png", "Meta/1.png"],
        {"Train/0/1.png": ("train", "0"), "Train/1/1.png": ("train", "1")},
    ),
    "the same with parts by a word": (
        ["seg_train/a/1.png", "seg_train/b/1.png", "seg_test/1.png", "icons/1.png"],
        {"seg_train/a/1.png": ("train", "a"), "seg_train/b/1.png": ("train", "b")},
    ),
    "a folder around images without a class": (  # Tiny ImageNet
        [
            "train/n1/images/1.png",
            "train/n1/boxes.txt",
            "train/n2/images/1.png",
            "val/images/1.png",
            "test/images/1.png",
        ],
        {"train/n1/images/1.png": ("train", "n1"), "train/n2/images/1.png": ("train", "n2")},
    ),
    "a test class in a folder of its own": (
        ["train/images/1.png", "train/masks/1.png", "test/images/1.png"],
        {
            "train/images/1.png": ("train", "images"),
            "train/masks/1.png": ("train", "masks"),
            "test/images/1.png": ("test", "images"),
        },
    ),
    "classes with a word of a part": (
        ["train_station/day/1.png", "train_station/2.png", "test_tube/1.png", "val_cafe/1.png"],
        {
            "train_station/day/1.png": (None, "train_station"),
            "train_station/2.png": (None, "train_station"),
            "test_tube/1.png": (None, "test_tube"),
            "val_cafe/1.png": (None, "val_cafe"),
        },
    ),
    "a class in a folder of its name": (
        ["cat/cat/1.png", "dog/dog/1.png", "pred/1.png"],
        {
            "cat/cat/1.png": (None, "cat"),
            "dog/dog/1.png": (None, "dog"),
            "pred/1.png": (None, "pred"),
        },
    ),
    "junk": (
        [
            "cat/1.png",
            ".DS_Store",
            "cat/._1.png",
            "__MACOSX/cat/1.png",
            "dog/Thumbs.db",
            "dog/.ipynb_checkpoints/1.png",
            "dog/@eaDir/1.png",
            "dog/1.png",
            "dog/desktop.ini",
            "dog/1.png~",
            ".git/x.png",
            "__pycache__/x.png",
        ],
        {"cat/1.png": (None, "cat"), "dog/1.png": (None, "dog")},
    ),
    "names with anything": (
        ["a\nb/1\n.png", "c d/ü ☃.PNG"],
        {"a\nb/1\n.png": (None, "a\nb"), "c d/ü ☃.PNG": (None, "c d")},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(name, tmp_path):
    paths, expected = LAYOUTS[name]
    for path in paths:
        if path.lower().endswith(".png"):
            save(tmp_path / path, GREY)
        elif "." in path or "~" in path:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("text")
        else:
            (tmp_path / path).mkdir(parents=True)
    assert labels(tmp_path) == expected


REFUSED = {
    "an image beside the classes": (["cat/1.png", "2.png"], "2.png: expected images in one folder"),
    "an image beside those of a part": (
        ["train/cat/1.png", "train/2.png"],
        "train/2.png: expected images in one folder for each class, found one beside them",
    ),
    "parts without classes": (["train/1.png", "test/1.png"], "test/1.png: expected images in one"),
    "a class beside parts": (
        ["train/cat/1.png", "test/cat/1.png", "birds/1.png"],
        r"expected parts \(test, train\) or classes, found birds beside the parts: move it",
    ),
    "a part twice": (
        ["train/cat/1.png", "Training/cat/1.png"],
        "expected one folder of train images, found Training and train: keep one of them",
    ),
    "some classes with parts": (
        ["cat/train/1.png", "cat/test/1.png", "dog/1.png"],
        r"expected every image below a part \(cat/test, ...\), found dog/1.png: move it into one",
    ),
    "classes beside a part": (
        ["train/a/1.png", "train/b/1.png", "more/a/1.png", "more/b/1.png"],
        r"expected parts \(train\) or classes, found more beside the parts: move it elsewhere, or",
    ),
    "images beside a part": (
        ["train/x/1.png", "train/y/1.png", "icons/1.png"],
        r"expected parts \(train\) or classes, found icons beside the parts: move it elsewhere, or",
    ),
    "folders beside parts of which one has no classes": (
        ["Train/0/1.png", "Train/1/1.png", "Test/1.png", "Meta/shapes/1.png"],
        r"expected parts \(Test, Train\) or classes, found Meta beside the parts: move it",
    ),
    "a part by a word twice": (
        ["fold_train/a/1.png", "fold_train/b/1.png", "train2/a/1.png", "train2/b/1.png"],
        "expected one folder of train images, found fold_train and train2: keep one of them",
    ),
    "classes in the names of files": (
        ["train/cat.0.jpg", "train/dog.0.jpg", "test1/0.jpg"],
        "test1/0.jpg: expected images in one folder for each class, found one beside them",
    ),
    "a copy inside": (
        ["a/1.png", "b/1.png", "all/a/1.png", "all/b/1.png"],
        "all/a/1.png: expected images of one class, found the folder of a class, a, inside of"
        " another, all: delete it if it is a copy, else move or rename it",
    ),
    "a copy inside of a part": (
        ["train/a/1.png", "train/b/1.png", "train/a/old/b/1.png"],
        "train/a/old/b/1.png: expected images of one class, found the folder of a class, b",
    ),
}


def test_images_without_a_class_are_said(tmp_path):
    make(tmp_path, "seg_train/seg_train/a/1.png", "seg_train/seg_train/b/1.png")
    make(tmp_path, "seg_test/seg_test/1.png", "seg_pred/seg_pred/1.png", "seg_pred/seg_pred/2.png")
    said = list_folder(tmp_path).said
    assert said == ("3 images without a class left out in seg_pred, seg_test",)


def test_images_without_a_class_of_known_data_are_said(tmp_path):
    make(tmp_path / "gtsrb", "Train/0/1.png", "Train/1/1.png", "Test/1.png", "Meta/1.png")
    assert list_folder(tmp_path / "gtsrb").said == (
        "2 images without a class left out in Meta, Test",
    )
    make(tmp_path / "tiny", "train/a/images/1.png", "train/b/images/1.png", "val/images/1.png")
    make(tmp_path / "tiny", "test/images/1.png", "test/images/2.png")
    assert list_folder(tmp_path / "tiny").said == (
        "3 images without a class left out in test, val",
    )


def test_a_class_that_may_be_a_part_is_said(tmp_path):
    make(tmp_path, "car/red/1.png", "train/steam/1.png", "train/diesel/1.png", "plane/1.png")
    assert labels(tmp_path)["train/steam/1.png"] == (None, "train")
    said = "train is a class, as car, plane beside it: folders inside of it have no meaning"
    assert list_folder(tmp_path).said == (said,)


def test_folders_without_images_are_said(tmp_path):
    make(tmp_path, "cat/old/1.png", "dog/1.png", "owl/new/day", "dog/old", "bee", ".git/x.png")
    (tmp_path / "bee" / "1.heic").write_text("of a kind that is not read")
    assert list_folder(tmp_path).said == ("no images in bee, dog/old, owl",)
    make(tmp_path, "a1", "a2", "a3")
    assert list_folder(tmp_path).said == ("no images in a1, a2, a3, bee, dog/old, ...",)


@pytest.mark.parametrize("name", REFUSED)
def test_a_layout_without_a_single_meaning_is_refused(name, tmp_path):
    paths, message = REFUSED[name]
    make(tmp_path, *paths)
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "no file"),
        (["a.txt", "cat/b.doc", ".hidden"], "a.txt, cat/b.doc"),
        (["a.txt", "cat/b.doc", "cat/c.doc", "d.npz"], r"a.txt, cat/b.doc, cat/c.doc, \.\.\."),
        (["a.txt", "b.h5"], "b.h5, an HDF5 file: read it with h5py and save its arrays with numpy"),
    ],
)
def test_a_folder_of_no_kind_is_refused_with_what_is_in_it(tmp_path, files, found):
    (tmp_path / "cat").mkdir()
    for name in files:
        (tmp_path / name).write_text("text")
    kinds = r"expected a folder of images for each class, .* an \.npz file, found "
    with pytest.raises(DataError, match=f"{kinds}{found}(.savez)?$"):
        datasets.load(tmp_path)


def test_folders_that_lead_in_a_circle_are_refused(tmp_path):
    make(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "dog" / "more").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"dog/more: expected a folder of its own, found a symb"):
        datasets.load(tmp_path)
    (tmp_path / "dog" / "more").unlink()
    (tmp_path / "dog" / "2.png").symlink_to("2.png")  # to itself
    save(tmp_path / "cat" / "2.png", GREY)
    with pytest.raises(DataError, match=r"1 damaged image: dog/2.png: cannot be read"):
        datasets.load(tmp_path)


def test_names_that_are_no_unicode(tmp_path):
    bad = os.fsdecode(b"caf\xe9")  # Latin-1, not UTF-8
    try:
        class_folder(tmp_path / "cat" / bad, 5)
    except (OSError, UnicodeError):
        pytest.skip("this file system knows Unicode only")
    class_folder(tmp_path / "dog", 5)
    assert len(datasets.load(tmp_path).train) == 8  # of files it does not matter
    (tmp_path / "dog").rename(tmp_path / bad)
    expected = r"expected class folders with names in valid Unicode, found 'caf\\udce9': rename it"
    with pytest.raises(DataError, match=expected):
        datasets.load(tmp_path)


# the same name as Linux and Windows write it, and as file systems of Macs do
BIRDS, MAC_BIRDS = "V\u00f6gel", "Vo\u0308gel"


def test_a_name_in_both_forms_of_unicode_is_one_class(tmp_path):
    make(tmp_path, f"{BIRDS}/1.png", f"{MAC_BIRDS}/2.png", "cat/1.png")
    assert labels(tmp_path) == {
        f"{BIRDS}/1.png": (None, BIRDS),
        f"{MAC_BIRDS}/2.png": (None, BIRDS),
        "cat/1.png": (None, "cat"),
    }


def test_a_copy_by_a_mac_is_divided_as_the_folder_itself(tmp_path):
    for top, birds in (("one", BIRDS), ("two", MAC_BIRDS)):
        class_folder(tmp_path / top / birds, 10)
        class_folder(tmp_path / top / "cat", 10, 40)
    one, two = (datasets.load(tmp_path / top) for top in ("one", "two"))
    assert one.classes == two.classes == (BIRDS, "cat")
    np.testing.assert_array_equal(one.test.images, two.test.images)
    by = [datasets.load(tmp_path / top, group_by=f"{BIRDS}|cat/.*") for top in ("one", "two")]
    assert by[0].train.groups == by[1].train.groups


def test_classes_that_differ_in_case_only_are_said(tmp_path):
    class_folder(tmp_path / "Cat", 5)
    class_folder(tmp_path / "cat", 5, 10)
    class_folder(tmp_path / "a", 5, 20)
    class_folder(tmp_path / "A", 5, 30)  # as in EMNIST
    said = datasets.load(tmp_path).said
    assert said[1:] == ("classes differ in case only: Cat, cat: rename them if they are one",)


# ------------------------------------------------------------------------------------------ parts


def test_without_parts_a_share_of_each_class_is_held_back_by_the_seed(tmp_path):
    class_folder(tmp_path / "owl", 20, 100)
    class_folder(tmp_path / "jay", 10)
    data = datasets.load(tmp_path)
    assert data.classes == ("jay", "owl")
    assert np.bincount(data.train.labels).tolist() == [8, 16]
    assert np.bincount(data.test.labels).tolist() == [2, 4]
    assert data.held_back == HeldBack(0.2)
    assert sorted(data.train.names + data.test.names)[0] == "jay/image-00.png"
    place = data.test.names.index(next(name for name in data.test.names if "owl" in name))
    assert data.test.images[place].max() == 100 + int(data.test.names[place][-6:-4])
    seen = {int(x[0, 0, 0]) for part in (data.train, data.test) for x in part.images}
    assert len(seen) == 30
    other = datasets.load(tmp_path, seed=1, test_share=0.5)
    assert np.bincount(other.test.labels).tolist() == [5, 10]
    again = datasets.load(tmp_path)
    np.testing.assert_array_equal(again.test.images, data.test.images)
    # keyed by names: one more image moves no other
    save(tmp_path / "owl" / "new.png", np.full((4, 3), 200))
    larger = datasets.load(tmp_path, test_share=0.2)
    before, after = ({int(x[0, 0, 0]) for x in d.test.images} for d in (data, larger))
    assert len(before - after) <= 1


def test_parts_of_the_data_are_kept(tmp_path):
    rows = {("train", "b"): COLOUR, ("train", "a"): 255 - COLOUR, ("test", "b"): COLOUR // 2}
    for (part, name), pixels in rows.items():
        save(tmp_path / part / name / "one.png", pixels)
    save(tmp_path / "val" / "a" / "two.png", COLOUR // 3)
    data = datasets.load(tmp_path)
    assert data.classes == ("a", "b")
    np.testing.assert_array_equal(data.train.images, [255 - COLOUR, COLOUR])
    np.testing.assert_array_equal(data.test.images, [COLOUR // 2])
    np.testing.assert_array_equal(data.validation.images, [COLOUR // 3])
    assert [part.labels.tolist() for part in (data.train, data.test, data.validation)] == [
        [0, 1],
        [1],
        [0],
    ]
    assert data.said == ("4 images as they are",)


def test_a_validation_part_is_the_test_part_where_there_is_none(tmp_path):
    make(tmp_path, "train/a/0.png", "train/b/1.png", "val/a/2.png")
    data = datasets.load(tmp_path)
    assert data.test.images[0, 0, 0, 0] == 2
    assert data.validation is None
    assert data.said[-1] == "no test part: the validation images are the test images"


def test_what_parts_must_hold(tmp_path):
    make(tmp_path, "train/a/0.png", "train/b/1.png", "test/c/2.png")
    message = "expected classes of the training images in the test part, found 'c': rename it"
    with pytest.raises(DataError, match=message):
        datasets.load(tmp_path)
    make(tmp_path / "x", "test/a/0.png", "val/b/1.png")
    with pytest.raises(DataError, match=r"expected a part of training images \(train\), found"):
        datasets.load(tmp_path / "x")
    make(tmp_path / "y", "a/0.png", "a/1.png")
    with pytest.raises(DataError, match="expected at least two classes, found one, a"):
        datasets.load(tmp_path / "y")
    make(tmp_path / "z", "a/0.png", "b/1.png", "b/2.png")
    with pytest.raises(DataError, match="class 'a': expected at least 2 images, one of them to"):
        datasets.load(tmp_path / "z")


def test_persons_around_the_classes_are_told(tmp_path):
    names = [f"{s}/{k}/{n}.png" for s in ("s1", "s2") for k in ("cat", "dog") for n in range(3)]
    make(tmp_path, *names)
    data = datasets.load(tmp_path)
    assert data.classes == ("s1", "s2")
    said = "the classes are the outer folders (s1, s2), not those in each of them (cat, dog)"
    assert said in data.said


def test_all_images_can_be_test_images(tmp_path):
    """As evaluate takes them."""
    make(tmp_path / "x", "a/0.png", "a/1.png")
    data = load_tested(tmp_path / "x")
    assert (len(data.train), len(data.test), data.classes) == (0, 2, ("a",))
    assert data.said[-1] == "no test part: all images are test images"
    make(tmp_path / "y", "train/a/0.png", "train/b/1.png", "test/b/2.png")
    data = load_tested(tmp_path / "y")
    assert (len(data.train), len(data.test), data.classes) == (0, 1, ("b",))


def test_numbers_as_classes_are_sorted_by_value(tmp_path):
    for n in (10, 2, 0):
        class_folder(tmp_path / str(n), 5, n)
    assert datasets.load(tmp_path).classes == ("0", "2", "10")


# ------------------------------------------------------------------------------ sizes and colours


def test_every_kind_of_image_in_one_folder(tmp_path):
    for n, (suffix, data, expected, _) in enumerate(KINDS.values()):
        if expected.shape == (4, 3, 3):
            place = tmp_path / "ab"[n % 2] / f"{n}{suffix}"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
    (tmp_path / "a" / "t.png").write_bytes(turned("xmp in png", 6))
    (tmp_path / "a" / "notes.txt").write_text("no image")
    light = with_chunks(encoded(picture(COLOUR), "PNG"), gama(1))
    (tmp_path / "a" / "light.png").write_bytes(light)
    data = load_tested(tmp_path)
    assert data.preparation.record() == {"rows": 4, "columns": 3, "colour": "rgb", "fit": "crop"}
    (said, _) = data.said
    for part in (
        " palette",
        " 1-bit",
        " 16-bit grey",
        " CMYK",
        " grey with transparency",
        "converted to RGB",
        "1 turned as their orientation says",
        "4 of which the first of several frames is taken",
        "3 of 16 bits cut to the high 8",
        "1 of another colour space brought to sRGB",
        "1 other file left out (notes.txt)",
    ):
        assert part in said
    found = {entry.path: n for n, entry in enumerate(list_folder(tmp_path).entries)}
    np.testing.assert_array_equal(data.test.images[found["a/t.png"]][..., 0], GREY)
    for n, (suffix, _, expected, off) in enumerate(KINDS.values()):
        if expected.shape == (4, 3, 3):
            pixels = data.test.images[found[f"{'ab'[n % 2]}/{n}{suffix}"]].astype(int)
            assert np.abs(pixels - expected).max() <= off


def test_the_size_is_that_of_the_data_or_a_sensible_one(tmp_path):
    for n in range(4):
        save(tmp_path / "a" / f"{n}.png", np.full((40, 30 + n), 10))
        save(tmp_path / "b" / f"{n}.png", np.full((30, 200), 10))
    data = datasets.load(tmp_path)
    assert data.train.images.shape[1:] == (30, 30, 1)  # the median of the shorter sides
    assert data.said[0] == "8 images resized from 30x200..40x33 to 30x30 (cropped)"
    data = datasets.load(tmp_path, size=(20, 10), colour="rgb", fit="pad")
    assert data.train.images.shape[1:] == (20, 10, 3)
    assert data.said[0].endswith("to 20x10 (padded), 8 grey converted to RGB")
    for n in range(9):
        save(tmp_path / "c" / f"{n}.png", np.full((900, 800), 10))
    assert datasets.load(tmp_path).train.images.shape[1:] == (64, 64, 1)  # at most


@pytest.mark.parametrize(("side", "size"), [(256, (200, 256, 1)), (257, (64, 64, 1))])
def test_images_of_one_size_stay_as_they_are_unless_they_are_large(side, size, tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        save(tmp_path / name, np.full((200, side), 10))
    assert datasets.load(tmp_path).train.images.shape[1:] == size


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 0}, r"size is 0, expected a number of pixels from 1 to 4096, or \(rows, col"),
        ({"size": (1, 2, 3)}, "size is"),
        ({"colour": "blue"}, "colour is 'blue', expected grey or rgb"),
        ({"fit": "figure"}, "fit is 'figure', expected crop, pad or stretch"),
        ({"test_share": 0}, "test_share is 0, expected a number above 0 and below 1"),
        ({"test_share": 1}, "test_share is 1, expected a number above 0 and below 1"),
        ({"group_by": "("}, r"group_by is '\(', expected a regular expression"),
        ({"group_by": 3}, "group_by is 3, expected a regular expression"),
        ({"seed": -1}, "seed is -1"),
        ({"skip_damaged": "yes"}, "skip_damaged is 'yes', expected True or False"),
        (
            {"preparation": "x"},
            r"preparation is 'x', expected a convlet.datasets.Preparation, as n",
        ),
    ],
)
def test_wishes_that_make_no_sense(given, message, tmp_path):
    with pytest.raises(InputError, match=message):
        datasets.load(tmp_path, **given)


def test_wishes_of_images_are_refused_for_arrays(images):
    with pytest.raises(InputError, match="size is 8, but mnist has arrays"):
        datasets.load("mnist", size=8)
    with pytest.raises(InputError, match=r"fit is 'pad', but .*rows.npz has arrays"):
        datasets.load(images, fit="pad")


def test_a_preparation_leaves_nothing_to_wish(tmp_path):
    class_folder(tmp_path / "a", 5)
    class_folder(tmp_path / "b", 5)
    how = datasets.load(tmp_path, size=7).preparation
    assert datasets.load(tmp_path, preparation=how).train.images.shape[1:] == (7, 7, 1)
    with pytest.raises(InputError, match="size is 7, but preparation says it: leave one of"):
        datasets.load(tmp_path, size=7, preparation=how)


# ----------------------------------------------------------------------------------------- damage


def test_one_run_lists_all_damaged_images(tmp_path):
    class_folder(tmp_path / "a", 9)
    class_folder(tmp_path / "b", 9)
    save(tmp_path / "b" / "image-02.png", np.full((4, 3), 70))
    (tmp_path / "a" / "text.png").write_text("no image")
    (tmp_path / "a" / "bomb.png").write_bytes(huge_png(20000, 20000))
    whole = (tmp_path / "b" / "image-02.png").read_bytes()
    (tmp_path / "b" / "image-02.png").write_bytes(
        whole[: whole.index(b"IDAT") + 6]
    )  # a fine header
    (tmp_path / "b" / "gone.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=": 4 damaged images: ") as refused:
        datasets.load(tmp_path)
    for part in (
        "a/bomb.png: expected at most 67108864 pixels, found far more; ",
        "a/text.png: expected a PNG, JPEG, BMP, GIF, WEBP, TIFF image, found no whole image; ",
        "b/image-02.png: ",
        "b/gone.png: cannot be read: No such file or directory",
        "; mend or delete them, or leave them out by skip_damaged=True (--skip-damaged)",
    ):
        assert part in str(refused.value)
    data = datasets.load(tmp_path, skip_damaged=True)
    assert len(data.train) + len(data.test) == 17
    assert (
        "4 damaged images left out: a/bomb.png, a/text.png, b/gone.png, b/image-02.png" in data.said
    )
    assert not (data.train.images == 255).any()
    (tmp_path / "b" / "image-02.png").write_bytes(whole)
    for name in ("a/text.png", "a/bomb.png", "b/gone.png"):
        (tmp_path / name).unlink()
    data = datasets.load(tmp_path)
    assert len(data.train) + len(data.test) == 18


def test_a_folder_of_nothing_but_damage(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    for skip in (False, True):
        with pytest.raises(DataError, match=r"2 damaged images: a/1.png: "):
            datasets.load(tmp_path, skip_damaged=skip)


def test_pillow_is_named_if_it_is_missing(tmp_path, monkeypatch):
    class_folder(tmp_path / "a", 5)
    class_folder(tmp_path / "b", 5)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r'Pillow.*pip install "convlet\[data\]"'):
        datasets.load(tmp_path)
    with pytest.raises(MissingDependencyError, match="Pillow"):
        datasets.read_image(tmp_path / "a" / "image-00.png", (4, 3, 1))


def test_a_folder_of_photos_from_the_world(tmp_path):
    """Names as cameras and archives give them, and sizes that differ."""
    for n in range(10):
        save(tmp_path / "Cat Photos" / f"IMG_{n:04}.JPG", np.full((30 + n, 40, 3), 9))
        picture(np.full((50, 50), n, np.uint8)).save(tmp_path / "Cat Photos" / f"scan {n}.tiff")
        save(tmp_path / "dogs" / "holiday" / f"{n}.jpeg", np.full((64, 48, 3), 99))
    data = datasets.load(tmp_path)
    assert data.classes == ("Cat Photos", "dogs")
    assert data.train.images.shape == (24, 48, 48, 3)
