"""What is trained and tested with: by parts, by a share, by groups."""

import re

import numpy as np
import pytest

from convlet import DataError, InputError, datasets
from convlet.datasets import Dataset, Split
from convlet.datasets.division import ALL, VALIDATION, divided, groups_of, held_back, shared_groups
from convlet.datasets.loading import load_tested
from convlet.datasets.wishes import as_wishes
from convlet.held_back import HeldBack
from image_files import save

# ------------------------------------------------------------------------------------------ parts


def part_of(level, count=10):
    """Images of one level, of two classes."""
    images = np.full((count, 2, 2, 1), level, np.uint8)
    return Split(images, np.arange(count) % 2)


PARTS = {
    "train": part_of(1),
    "validation": part_of(2),
    "test": part_of(3),
    None: part_of(4),
}


@pytest.mark.parametrize(
    ("parts", "judged", "expected", "drawn", "said"),
    [
        # levels of the training, test and validation images
        (["train", "test", "validation"], False, (1, 3, 2), False, []),
        (["train", "test"], False, (1, 3, None), False, []),
        (["train", "validation"], False, (1, 2, None), False, [VALIDATION]),
        (["train"], False, (1, 1, None), True, []),
        ([None], False, (4, 4, None), True, []),
        (["train", "test", "validation"], True, (None, 3, None), False, []),
        (["train", "validation"], True, (None, 2, None), False, [VALIDATION]),
        (["train"], True, (None, 1, None), False, [ALL]),
        ([None], True, (None, 4, None), False, [ALL]),
        (["test"], True, (None, 3, None), False, []),
    ],
)
def test_what_each_part_is_for(parts, judged, expected, drawn, said):
    wishes = as_wishes(judged=judged, test_share=None)
    splits = {name: PARTS[name] for name in parts}
    data = divided("made", "there", splits, ("a", "b"), wishes, ["first"])
    levels = tuple(
        None if part is None or len(part) == 0 else int(part.images.max())
        for part in (data.train, data.test, data.validation)
    )
    assert levels == expected
    assert (data.held_back is not None) == drawn
    assert list(data.said) == ["first", *said]
    assert len(data.test) == (2 if drawn else 10)


def test_without_a_training_part_nothing_is_trained():
    splits = {name: PARTS[name] for name in ("test", "validation")}
    message = r"there: expected a part of training images \(train\), found test, validation"
    with pytest.raises(DataError, match=message):
        divided("made", "there", splits, ("a", "b"), as_wishes(), [])


def test_a_share_beside_a_test_part_is_refused_and_leaves_validation_what_it_is(tmp_path):
    share = as_wishes(test_share=0.5)
    message = "test_share is 0.5, but there has a test part: leave it out"
    with pytest.raises(InputError, match=message):
        divided("made", "there", {n: PARTS[n] for n in ("train", "test")}, ("a", "b"), share, [])
    with pytest.raises(InputError, match="but mnist has a test part"):
        datasets.load("mnist", test_share=0.5)
    splits = {name: PARTS[name] for name in ("train", "validation")}
    for wishes in (share, as_wishes(test_share=0.5, judged=True)):
        data = divided("made", "there", splits, ("a", "b"), wishes, [])
        assert (len(data.train), len(data.test), data.held_back, data.said) == (
            6,
            4,
            HeldBack(0.5),
            (),
        )
        assert data.test.images.max() == PARTS["train"].images.max()
        assert data.validation is PARTS["validation"]


def test_arrays_without_parts_are_drawn_from_too(tmp_path):
    """Folds take the test images back."""
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1)
    np.savez(tmp_path / "d.npz", x=images, y=np.arange(40) % 2)
    data = datasets.load(tmp_path / "d.npz")
    assert data.held_back == HeldBack(0.2)
    tested = [n for part in data.folds(4) for n in part.test.images.ravel().tolist()]
    assert sorted(tested) == list(range(40))
    judged = load_tested(tmp_path / "d.npz")
    assert (len(judged.test), judged.held_back, judged.said[-1]) == (40, None, ALL)
    shared = load_tested(tmp_path / "d.npz", test_share=0.2)
    np.testing.assert_array_equal(shared.test.images, data.test.images)


# ----------------------------------------------------------------------------------------- groups


def views(groups, labels):
    """Images told by their pixels, each of a group."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Split(images, np.array(labels), None, tuple(groups))


def test_groups_in_two_parts_are_said():
    def named(*names):
        return Split(np.zeros((len(names), 1, 1, 1), np.uint8), np.zeros(len(names), int), names)

    pattern = re.compile("p[0-9]")
    splits = {"train": named("p1", "p2", "p3"), "test": named("p2-x", "p1", "p4", "other")}
    assert list(shared_groups(splits, pattern)) == ["2 groups in both test and train: p1, p2"]
    splits["test"] = named("p4", "other")
    assert list(shared_groups(splits, pattern)) == []


def test_a_class_that_no_group_brings_to_the_test_images_is_said():
    part = views("pqr" + "s" * 12, [0, 0, 0] + [1] * 12)
    data = divided("made", "there", {None: part}, ("a", "b"), as_wishes(), [])
    assert data.said == ("no test image of b: no group could be held back",)


def subjects(part):
    return set(part.groups)


def test_views_of_one_subject_stay_together():
    names = [f"{c}/p{n // 4}-{n}.png" for c in "ab" for n in range(40)]
    groups = groups_of(names, re.compile(r"/(p\d+)-"), "photos")
    assert groups[:5] == ("p0",) * 4 + ("p1",)
    part = Split(np.zeros((80, 1, 1, 1), np.uint8), np.repeat([0, 1], 40), tuple(names), groups)
    held = held_back(part, "ab", 0.2, 0, "photos")
    train, test = part.take(np.flatnonzero(~held)), part.take(np.flatnonzero(held))
    assert not subjects(train) & subjects(test)
    assert (len(subjects(test)), len(test)) == (2, 16)
    assert np.bincount(test.labels).tolist() == [8, 8]
    with pytest.raises(DataError, match=r"photos: a/p0-0\.png: expected the name of a group where"):
        groups_of(names, re.compile("x"), "photos")
    one = views("gggh", [0, 0, 1, 2])
    with pytest.raises(DataError, match="photos: expected groups of which one can be held back to"):
        held_back(one, "abc", 0.2, 0, "photos")


def test_the_only_group_of_a_class_is_trained_with():
    part = views("012345678q", [0] * 9 + [1])
    for seed in range(20):
        held = held_back(part, "ab", 0.3, seed, "photos")
        assert not held[9]
        assert held.sum() == 3


def test_groups_that_are_large_come_as_near_to_the_share_as_they_can():
    part = views("a" * 30 + "b" * 30 + "c" * 60, np.arange(120) % 2)
    for seed in range(10):
        held = held_back(part, "ab", 0.1, seed, "photos")
        assert held.sum() == 30  # 12 is the share, 60 further away from it than 30


@pytest.fixture
def data():
    """12 subjects with 6 images each: of 9 two classes, of 3 one."""
    groups = [f"s{n // 6}" for n in range(72)]
    labels = [n % 2 if n < 54 else 0 for n in range(72)]
    return Dataset("made", views(groups, labels), views(["t"] * 4, [0, 1, 0, 1]), ("a", "b"))


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_folds_deal_out_whole_groups(data, count):
    parts = list(data.folds(count, seed=1))
    tested = [n for part in parts for n in part.test.images.ravel().tolist()]
    assert sorted(tested) == list(range(72))
    for part in parts:
        assert not subjects(part.train) & subjects(part.test)
        assert len(part.train) + len(part.test) == 72
        counts = np.bincount(part.test.labels, minlength=2)
        # within a subject's images of the shares, 45 and 27
        assert (np.abs(counts - np.array([45, 27]) / count) <= 6).all()
        assert set(part.train.labels) == {0, 1}
    first, same, other = (next(data.folds(count, seed)).test.groups for seed in (0, 0, 3))
    assert first == same != other
    with pytest.raises(InputError, match="count is 10, expected at most 9, the groups of one of"):
        data.folds(10)


def test_groups_of_one_class_each_are_dealt_out_evenly():
    labels = np.repeat([0, 1, 2], 20)
    groups = [f"{label}-{n % 20 // 2}" for n, label in enumerate(labels)]
    part = views(groups, labels)
    for fold in Dataset("made", part, part, ("a", "b", "c")).folds(5):
        assert np.bincount(fold.test.labels).tolist() == [4, 4, 4]


def test_no_fold_gets_all_groups_of_a_class_if_another_can_have_one():
    """The last one would bring the other class of fold 1 nearer to its share."""
    groups = ["g"] * 50 + ["h"] * 31 + ["i"] * 11
    part = views(groups, [0] * 80 + [1] + [0] * 10 + [1])
    first, second = Dataset("made", part, part, ("a", "b")).folds(2)
    assert (subjects(first.test), subjects(second.test)) == ({"g", "i"}, {"h"})


def test_drawn_test_images_keep_their_groups_in_folds(data):
    held = data.hold_out(18, seed=5)
    again = Dataset("made", held.train, held.test, data.classes, held_back=HeldBack(0.2))
    for fold in again.folds(4):
        assert not subjects(fold.train) & subjects(fold.test)
        assert len(fold.train) + len(fold.test) == 72


def test_whole_groups_are_held_out(data):
    for seed in range(5):
        part = data.hold_out(18, seed)
        assert not subjects(part.train) & subjects(part.test)
        assert len(part.train) + len(part.test) == 72
        assert 12 <= len(part.test) <= 24
        assert set(part.test.labels) == {0, 1}
    alone = Dataset("made", views("aab", [0, 1, 2]), data.test, ("a", "b", "c"))
    with pytest.raises(InputError, match="count is 1, but each of the 2 groups is the only one of"):
        alone.hold_out(1)


def test_the_groups_of_a_folder_are_known_after_loading(tmp_path):
    for n in range(24):
        save(tmp_path / "ab"[n % 2] / f"s{n // 4}-{n}.png", np.full((2, 2), n))
    data = datasets.load(tmp_path, group_by=r"s\d")
    assert subjects(data.train) | subjects(data.test) == {f"s{n}" for n in range(6)}
    for part in (data, *data.folds(3), data.hold_out(4)):
        assert not subjects(part.train) & subjects(part.test)
        for side in (part.train, part.test):
            assert [f"s{n // 4}" for n in side.images[:, 0, 0, 0]] == list(side.groups)
    # a test part has no use for groups: its names need not match
    save(tmp_path / "parts" / "test" / "a" / "other.png", np.zeros((2, 2)))
    for name in "ab":
        (tmp_path / "parts" / "train").mkdir(exist_ok=True, parents=True)
        (tmp_path / name).rename(tmp_path / "parts" / "train" / name)
    parted = datasets.load(tmp_path / "parts", group_by=r"s\d")
    assert (len(parted.train.groups), parted.test.groups) == (24, None)
