"""Predictions and evaluation of Dask arrays: the bits of one array, a few chunks in memory."""

import gc
import threading
import weakref

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convlet
from made_data import bright_rows

X, Y = bright_rows(120, seed=1)
LAYERS = "conv 3 3, relu, pool 2, flatten, dense 3, softmax"


def made() -> convlet.Network:
    network = convlet.Network(LAYERS, (6, 6, 1), seed=3)
    network.fit(X, Y, epochs=2, batch_size=8)
    return network


NETWORK = made()
WHOLE = NETWORK.quantize(X, count=40)


@settings(max_examples=20)
@given(
    rows=st.lists(st.integers(1, 50), min_size=1, max_size=6).map(tuple),
    pixels=st.sampled_from([(6, 6), ((2, 4), (5, 1))]),
    workers=st.sampled_from([1, 3]),
    seed=st.integers(0, 3),
)
def test_chunks_of_any_size_give_the_bits_of_one_array(rows, pixels, workers, seed):
    count = sum(rows)
    x = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 1), dtype=np.uint8)
    y = np.random.default_rng(seed).integers(0, 3, count)
    weight = np.random.default_rng(seed).random(count) + 0.5
    lazy = da.from_array(x, chunks=(rows, *pixels, 1))
    with dask.config.set(scheduler="threads", num_workers=workers):
        for network in (NETWORK, WHOLE):
            for method in ("predict", "predict_proba"):
                expected, found = getattr(network, method)(x), getattr(network, method)(lazy)
                assert isinstance(found, da.Array)
                assert found.chunks[0] == rows
                assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
                assert found.compute().tobytes() == expected.tobytes()
            assert network.evaluate(lazy, y, weight) == network.evaluate(x, y, weight)
            assert network.evaluate(lazy, da.from_array(y)) == network.evaluate(x, y)
        for method in ("predict_bytes", "predict_logits"):
            lazily = getattr(WHOLE, method)(lazy).compute()
            assert lazily.tobytes() == getattr(WHOLE, method)(x).tobytes()


def test_images_of_one_channel_and_distributions_are_taken_as_of_arrays():
    lazy, soft = da.from_array(X[..., 0] / 255, chunks=50), np.eye(3)[Y]
    assert NETWORK.evaluate(lazy, soft) == NETWORK.evaluate(X[..., 0] / 255, soft)
    assert np.array_equal(NETWORK.predict(lazy).compute(), NETWORK.predict(X))


def test_a_prediction_is_that_of_the_network_when_it_was_asked_for():
    network = made()
    lazy = network.predict_proba(da.from_array(X, chunks=40))
    before = network.predict_proba(X)
    network.flat = network.flat * 2
    assert lazy.compute().tobytes() == before.tobytes() != network.predict_proba(X).tobytes()


def test_a_selection_has_as_many_images_as_computing_tells():
    lazy = da.from_array(X, chunks=40)
    some = lazy[da.from_array(Y, chunks=40) == 1]
    assert np.isnan(some.shape[0])
    assert np.array_equal(NETWORK.predict(some).compute(), NETWORK.predict(X[Y == 1]))
    found = NETWORK.evaluate(some, np.ones((Y == 1).sum(), int))
    assert found == NETWORK.evaluate(X[Y == 1], Y[Y == 1])
    with pytest.raises(convlet.InputError, match="y has 2 labels for 38 images"):
        NETWORK.evaluate(some, [1, 1])
    none = lazy[da.from_array(Y, chunks=40) == 7]
    assert NETWORK.predict(none).compute().shape == (0,)
    with pytest.raises(convlet.InputError, match="x has none, expected at least one image"):
        NETWORK.evaluate(none, [])


def never(block):
    raise AssertionError("work began")


def test_what_is_wrong_with_an_array_is_refused_before_work():
    lazy = da.from_array(X, chunks=40).map_blocks(never, dtype=X.dtype, meta=X[:0])
    for wrong, words in (
        (lazy[:, :5], r"x has shape \(120, 5, 6, 1\), expected \(n, 6, 6, 1\)"),
        (lazy.astype(np.int64), "x has dtype int64, expected uint8"),
        (lazy[:0], "expected at least one image"),
        (lazy.transpose(0, 3, 1, 2), r"x\.transpose\(0, 2, 3, 1\)"),
    ):
        for call in (NETWORK.predict, WHOLE.predict_proba, lambda x: NETWORK.evaluate(x, Y)):
            with pytest.raises(convlet.InputError, match=words):
                call(wrong)
    with pytest.raises(convlet.InputError, match="y has 3 labels for 120 images"):
        NETWORK.evaluate(lazy, Y[:3])
    with pytest.raises(convlet.InputError, match="threads is 0"):
        NETWORK.predict(lazy, threads=0)


def test_an_error_of_values_says_which_images_it_is_about():
    broken = (X / 255).astype(np.float32)
    broken[50, 2, 1, 0] = np.nan
    lazy = NETWORK.predict(da.from_array(broken, chunks=40))
    with pytest.raises(convlet.InputError, match=r"x\[40:80\]\[10, 2, 1, 0\] is nan") as caught:
        lazy.compute()
    assert caught.value.parameter == "x"
    bright = da.from_array(X.astype(np.float32), chunks=40)
    with pytest.raises(convlet.InputError, match=r"x\[\d+:\d+\] holds floats from 0 to 2"):
        NETWORK.evaluate(bright, Y)
    moved = da.from_array((X / 255 - 0.5).astype(np.float32), chunks=40)
    with pytest.raises(convlet.InputError, match=r"x\[\d+:\d+\] is on another scale"):
        NETWORK.predict(moved).compute()


def test_a_dark_chunk_is_refused_with_what_to_do_if_it_is_the_only_one():
    dark = X.copy()
    dark[40:80] //= 255
    dark[40, 0, 0, 0] = 1
    x = da.from_array(dark, chunks=40)
    words = r"x\[40:80\] holds uint8 .* one by one: x\.rechunk\({0: 80}\)"
    with pytest.raises(convlet.InputError, match=words):
        NETWORK.predict(x).compute()
    found = NETWORK.predict_proba(x.rechunk({0: 80})).compute()
    assert found.tobytes() == NETWORK.predict_proba(dark).tobytes()


class Made:
    """Chunks that are made when they are asked for, and counted while they are in memory."""

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.made = threading.Lock(), 0, 0, 0

    def chunk(self, number: int) -> np.ndarray:
        made = X[np.arange(number, number + 20) % 120]
        weakref.finalize(made, self.left)
        with self.lock:
            self.made += 1
            self.now += 1
            self.most = max(self.most, self.now)
        return made

    def left(self) -> None:
        with self.lock:
            self.now -= 1


def test_few_chunks_are_in_memory_at_once():
    chunks, count = Made(), 200
    parts = [
        da.from_delayed(dask.delayed(chunks.chunk)(n), (20, 6, 6, 1), np.uint8)
        for n in range(count)
    ]
    x = np.concatenate([X[np.arange(n, n + 20) % 120] for n in range(count)])
    y = np.resize(Y, len(x))
    gc.collect()
    with dask.config.set(scheduler="threads", num_workers=2):
        found = NETWORK.evaluate(da.concatenate(parts), y)
    assert chunks.made == count
    assert chunks.most <= 8  # what two threads have in hand
    assert found == NETWORK.evaluate(x, y)
