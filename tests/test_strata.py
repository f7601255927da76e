"""Shares of classes: held-out images, limits, folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import datasets
from convlet.datasets import strata
from convlet.datasets.dataset import Dataset, Split
from convlet.errors import InputError
from convlet.held_back import HeldBack

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any)


def labels_of(counts):
    """Sorted by class, as files often are."""
    return np.repeat(np.arange(len(counts)), counts)


def made(counts, drawn=False):
    labels = labels_of(counts)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    test = Split(images[:3] + 100, labels[:3])
    classes = tuple(map(str, range(len(counts))))
    return Dataset(
        "made", Split(images, labels), test, classes, held_back=HeldBack(0.2) if drawn else None
    )


@given(COUNTS, st.data())
def test_places_are_within_one_of_the_exact_share(counts, data):
    counts = np.array(counts)
    total = data.draw(st.integers(0, int(counts.sum())))
    places = strata.allotted(counts, total)
    assert places.sum() == total
    assert (places <= counts).all()
    assert (np.abs(places - counts * total / counts.sum()) < 1 + 1e-9).all()


@given(COUNTS, st.data())
def test_of_a_limit_every_class_has_one_at_least(counts, data):
    classes = sum(count > 0 for count in counts)
    labels = labels_of(counts)
    count = data.draw(st.integers(classes, len(labels) + 3))
    taken = np.bincount(labels[strata.first(labels, count)], minlength=len(counts))
    assert taken.sum() == min(count, len(labels))
    assert ((taken > 0) == (np.array(counts) > 0)).all()


def test_places_by_hand():
    assert strata.allotted(np.array([60, 30, 10]), 10).tolist() == [6, 3, 1]
    assert strata.allotted(np.array([1, 1, 1]), 2).tolist() == [1, 1, 0]
    assert strata.allotted(np.array([98, 1, 1]), 10, least=1).tolist() == [8, 1, 1]


def test_a_limit_takes_the_first_of_each_class():
    labels = np.array([0, 0, 0, 0, 1, 1, 0, 0, 1, 1])
    assert np.flatnonzero(strata.first(labels, 5)).tolist() == [0, 1, 2, 4, 5]
    with pytest.raises(InputError, match="count is 1, expected 2 or more: an image of each class"):
        strata.first(labels, 1)


def test_held_out_images_keep_the_shares_and_leave_an_image_of_each_class():
    part = made([50, 20, 10, 1]).hold_out(20, seed=2)
    assert np.bincount(part.test.labels, minlength=4).tolist() == [
        12,
        5,
        3,
        0,
    ]  # of 12.3, 4.9, 2.5, 0.2
    assert np.bincount(part.train.labels).min() == 1
    nearly_all = made([3, 1]).hold_out(3)
    assert len(nearly_all.train) == 1


@pytest.mark.parametrize("drawn", [False, True])
def test_folds_test_every_image_once(drawn):
    data = made([11, 7, 5], drawn)
    parts = list(data.folds(5, seed=1))
    whole = sorted(data.train.images.ravel().tolist())
    if drawn:
        whole = sorted(whole + data.test.images.ravel().tolist())
    assert sorted(n for part in parts for n in part.test.images.ravel().tolist()) == whole
    for part in parts:
        both = np.concatenate([part.train.images.ravel(), part.test.images.ravel()])
        assert sorted(both.tolist()) == whole
        counts = np.bincount(part.test.labels, minlength=3)
        of_all = np.bincount(np.concatenate([part.train.labels, part.test.labels]))
        assert (np.abs(counts - of_all / 5) < 1).all()
    sizes = [len(part.test) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_says_which_fold():
    digits = datasets.load("digits")
    first, same, other = (
        next(iter(digits.folds(5, seed))).test.images.tobytes() for seed in (0, 0, 1)
    )
    assert first == same != other


@pytest.mark.parametrize("count", [1, 0, 2.0, None, "5"])
def test_fewer_than_two_folds_are_refused(count):
    with pytest.raises(InputError, match=r"count is .*expected a whole number"):
        made([5, 5]).folds(count)


def test_more_folds_than_images_of_a_class_are_refused():
    with pytest.raises(InputError, match="count is 6, expected at most 5, the images of the smal"):
        made([9, 5]).folds(6)
