"""`convlet data`: what is in a data set, and what is wrong with it."""

import json
import sys

import numpy as np
import pytest

from convlet import InputError, plots
from convlet.cli import main
from convlet.datasets.census import census
from convlet.datasets.dataset import Dataset, Split
from convlet.datasets.numeric.idx import write_idx

pytestmark = pytest.mark.usefixtures("in_a_new_folder")


def image(level):
    return np.full((2, 3, 1), level, np.uint8)


def split(levels, labels, names=None):
    return Split(np.stack([image(n) for n in levels]), np.array(labels, np.int64), names)


def made(train, test, validation=None, classes=("cat", "dog", "eel")):
    return Dataset("made", train, test, classes, validation)


def test_counts_mean_and_spread_by_hand():
    found = census(made(split([0, 255, 51], [0, 0, 2]), split([7], [1])))
    assert found.counts == {"training": (2, 0, 1), "test": (0, 1, 0)}
    assert found.mean == pytest.approx((0.4,))
    assert found.spread == pytest.approx((np.std([0, 1, 0.2]),))
    assert (found.least, found.greatest) == (0, 1)
    assert found.twins == ()


def test_moments_are_those_of_numpy_by_channel(monkeypatch):
    monkeypatch.setattr(sys.modules["convlet.datasets.census"], "PIXELS", 50)  # several chunks
    images = np.random.default_rng(0).random((40, 3, 4, 2), np.float32)
    part = Split(images, np.arange(40) % 2)
    found = census(made(part, part.take(slice(2)), classes=("a", "b")))
    np.testing.assert_allclose(found.mean, images.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.spread, images.std(axis=(0, 1, 2)), rtol=1e-5)


def test_copies_are_found_between_parts_and_inside_of_one():
    train = split([1, 2, 3, 2, 4], [0, 1, 2, 1, 0])
    found = census(made(train, split([3, 9], [2, 0]), split([4], [1])))
    assert [twin.places for twin in found.twins] == [
        (("training", 1), ("training", 3)),
        (("training", 2), ("test", 0)),
        (("training", 4), ("validation", 0)),
    ]
    assert [twin.leaks for twin in found.twins] == [False, True, True]
    assert [twin.disagrees for twin in found.twins] == [False, False, True]
    problems = list(found.problems(("cat", "dog", "eel")))
    too_good = "; what is measured with them is too good"
    assert {
        f"copies between the training and the test part: 1{too_good}",
        f"copies between the training and the validation part: 1{too_good}",
        "copies inside of a part: 1",
        "images that occur with several labels: 1",
    } < set(problems)


def test_what_is_missing_or_rare_is_said():
    train = split(range(200), [0] * 195 + [1] * 5)
    problems = list(census(made(train, split([250], [0]))).problems(("cat", "dog", "eel")))
    assert set(problems) == {
        "no training image of eel",
        "no test image of dog, eel",
        "fewer than 10 training images of dog (5)",
        "the largest class has 39 times as many training images as the smallest: consider"
        ' class_weight="balanced" (--class-weight balanced)',
    }


def saved(levels, labels, test_levels, test_labels):
    for part, (x, y) in {"train": (levels, labels), "t10k": (test_levels, test_labels)}.items():
        images = np.stack([image(n)[..., 0] for n in x])
        write_idx(f"{part}-images-idx3-ubyte", images)
        write_idx(f"{part}-labels-idx1-ubyte", np.array(y, np.uint8))


def test_the_command_says_it(capsys):
    saved(list(range(30)), [n % 3 for n in range(30)], [7, 99, 98], [1, 0, 2])
    assert main(["data", "."]) == 0
    out = capsys.readouterr().out
    assert "33 images 2x3x1 uint8, 3 classes" in out
    assert "values 0 to 0.114, mean 0.057, standard deviation 0.034; 1 is white" in out
    assert "copies between the training and the test part: 1;" in out
    assert "  training image 7 = test image 0 (1)\n" in out
    assert main(["data", ".", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["classes"][1] == {"class": "1", "training": 10, "test": 1}
    assert record["copies"] == [
        {
            "images": ["training image 7", "test image 0"],
            "parts": ["training", "test"],
            "classes": ["1", "1"],
        }
    ]


def test_clean_data_have_no_problem(capsys):
    saved(list(range(30)), [n % 3 for n in range(30)], [97, 99, 98], [1, 0, 2])
    assert main(["data", "."]) == 0
    assert capsys.readouterr().out.endswith("\nno problem found\n")


def test_a_sheet_has_the_first_images_of_every_class(capsys):
    drawing = plots.contact_sheet(made(split([10, 20, 30, 40], [0, 1, 0, 0]), split([1], [0])), 2)
    shown = [axes.images for axes in drawing.axes]
    assert [len(images) for images in shown] == [1, 1, 1, 0, 0, 0]
    assert [int(images[0].get_array()[0, 0, 0]) for images in shown if images] == [10, 30, 20]
    words = [axes.get_ylabel() for axes in drawing.axes[::2]]
    assert words == ["cat\n3", "dog\n1", "eel\n0"]
    with pytest.raises(InputError, match=r"data is 'mnist', expected a convlet\.datasets\.Dataset"):
        plots.contact_sheet("mnist")
    saved([1, 2, 3], [0, 1, 2], [4, 5, 6], [0, 1, 2])
    assert main(["data", ".", "--out", "../sheet.png"]) == 0
    assert "picture saved in ../sheet.png" in capsys.readouterr().out
