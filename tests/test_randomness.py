"""Counted randomness: the words are Philox4x64-10, and everything drawn from them is pinned."""

from math import prod

import numpy as np
import pytest

from convlet import randomness
from convlet.initial import initial_weights
from convlet.randomness import Purpose, permutation, raw_words, uniform
from convlet.stages import default_layers, group, parameter_shapes, views

FULL = 2**64 - 1
PINNED_ORDER = [5, 3, 7, 2, 4, 1, 0, 6]
PINNED_WEIGHTS = [0.313728839, -0.304475874, 0.360232562]


def philox4x64_10(counter: list[int], key: list[int]) -> list[int]:
    """One block, from the paper: 10 rounds of two multiplications, the key bumped in between."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = x0 * 0xD2E7470EE14C6C93, x2 * 0xCA5A826395121157
        x0, x1, x2, x3 = (right >> 64) ^ x1 ^ k0, right & FULL, (left >> 64) ^ x3 ^ k1, left & FULL
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & FULL, (k1 + 0xBB67AE8584CAA73B) & FULL
    return [x0, x1, x2, x3]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        (
            [0, 0, 0, 0],
            [0, 0],
            [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B],
        ),
        (
            [FULL] * 4,
            [FULL] * 2,
            [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
        ),
    ],
)
def test_the_block_function_gives_the_published_known_answers(counter, key, expected):
    assert philox4x64_10(counter, key) == expected


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1, 2**63, 2**63 + 1, FULL])
@pytest.mark.parametrize(("purpose", "epoch"), [(Purpose.WEIGHTS, 0), (Purpose.SHUFFLE, 7)])
def test_words_are_blocks_keyed_by_seed_and_purpose_and_counted_from_one(seed, purpose, epoch):
    """The counter is (block, 0, 0, epoch), and the first block has the number 1."""
    expected = [
        word
        for block in (1, 2, 3)
        for word in philox4x64_10([block, 0, 0, epoch], [seed, int(purpose)])
    ]
    assert raw_words(seed, purpose, epoch, 10).tolist() == expected[:10]


def test_purposes_are_pinned():
    assert {purpose.name: int(purpose) for purpose in Purpose} == {
        "WEIGHTS": 0,
        "SHUFFLE": 1,
        "CHECK": 2,
        "DROPOUT": 3,
        "AUGMENT": 4,
        "HOLD_OUT": 5,
        "CALIBRATE": 6,
    }


def test_streams_differ_by_seed_purpose_and_epoch():
    streams = [
        (0, Purpose.WEIGHTS, 0),
        (1, Purpose.WEIGHTS, 0),
        (0, Purpose.SHUFFLE, 0),
        (0, Purpose.WEIGHTS, 1),
        (2**63, Purpose.WEIGHTS, 0),
        (2**63 + 1, Purpose.WEIGHTS, 0),
    ]
    assert len({raw_words(*stream, 4).tobytes() for stream in streams}) == len(streams)


def test_fewer_words_are_the_first_of_more():
    some, more = (raw_words(3, Purpose.CHECK, 1, count).tolist() for count in (5, 9))
    assert some == more[:5]


def test_uniform_is_the_upper_53_bits():
    raw = raw_words(5, Purpose.CHECK, 0, 1000)
    numbers = uniform(5, Purpose.CHECK, 0, 1000)
    assert numbers.tolist() == [(int(word) >> 11) / 2**53 for word in raw]
    assert 0 <= numbers.min() < 0.01
    assert 0.99 < numbers.max() < 1


def test_permutation_is_the_order_of_the_words():
    order = permutation(11, Purpose.SHUFFLE, 2, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    raw = raw_words(11, Purpose.SHUFFLE, 2, 1000).tolist()
    assert [raw[place] for place in order] == sorted(raw)
    assert (order != np.arange(1000)).sum() > 900


def test_permutation_is_pinned():
    first = [philox4x64_10([block, 0, 0, 0], [0, 1]) for block in (1, 2)]
    raw = [word for block in first for word in block]
    expected = sorted(range(8), key=raw.__getitem__)
    assert permutation(0, Purpose.SHUFFLE, 0, 8).tolist() == expected == PINNED_ORDER


def test_initial_weights_are_he_uniform_and_biases_zero():
    stages = group(default_layers(), (28, 28, 1))
    shapes = parameter_shapes(stages)
    flat = initial_weights(stages, 0)
    assert flat.dtype == np.float32
    assert flat.shape == (sum(map(prod, shapes.values())),)
    arrays = views(flat, shapes)
    for stage in stages:
        w = arrays[stage.w_name].astype(np.float64)
        fan_in = prod(stage.w_shape[:-1])
        bound = np.sqrt(6 / fan_in)
        assert np.abs(w).max() <= bound * (1 + 1e-7)
        assert np.abs(w).max() > 0.95 * bound
        error = 3 * np.sqrt(0.8 / w.size)  # 3 standard errors: kurtosis of a uniform is 1.8
        assert w.var() == pytest.approx(2 / fan_in, rel=error)
        assert abs(w.mean()) < 3 * np.sqrt(2 / fan_in / w.size)
        assert not arrays[stage.b_name].any()


def test_initial_weights_are_pinned():
    """Stage l takes the words (seed, WEIGHTS, l) in C order of w[p, q, r, k]."""
    stages = group(default_layers(), (28, 28, 1))
    arrays = views(initial_weights(stages, 42), parameter_shapes(stages))
    for stage, fan_in in zip(stages, (25, 200, 256, 128), strict=True):
        block = philox4x64_10([1, 0, 0, stage.index], [42, 0])
        expected = [(2 * (word >> 11) / 2**53 - 1) * (6 / fan_in) ** 0.5 for word in block]
        found = arrays[stage.w_name].ravel()[:4]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert arrays["w0"].ravel()[:3].tolist() == np.float32(PINNED_WEIGHTS).tolist()


def test_many_words_are_sorted_in_pieces_to_the_same_order(monkeypatch):
    words = randomness.raw_words(5, Purpose.SHUFFLE, 0, 5000)
    words[::7] = words[3]  # equal ones stay in their order
    whole = np.argsort(words, kind="stable")
    monkeypatch.setattr(randomness, "MOST_SORTED", 100)
    np.testing.assert_array_equal(randomness._order(words), whole)
