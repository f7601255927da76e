"""Dropout: who is dropped, the same in both engines, the gradient, and nowhere but in training."""

import hashlib
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import ArchitectureError, Dropout, Network, backprop, parse_layers
from convlet.engine import Samples
from convlet.randomness import Purpose, kept, raw_words
from convlet.reference import dropout_masks
from convlet.stages import views
from engines import take_steps
from targets import TARGETS, chosen

NETWORKS = {
    "dense": ("flatten, dense 9, relu, dropout 0.5, dense 4", (4, 5, 2)),
    "behind the pool": (
        "conv 6 3, relu, pool 2, dropout 0.3, conv 9 2, relu, dropout 0.2, flatten, dense 4",
        (10, 9, 2),
    ),
    "everywhere": (
        "conv 5 3, dropout 0.1, relu, dropout 0.2, pool 2, dropout 0.3, flatten, dropout 0.4, "
        "dense 7, dropout 0.5, relu, dropout 0.25, dropout 0.5, dense 4",
        (9, 8, 1),
    ),
    "before an overlapping pool": (
        "conv 9 3 padding same bias position, relu, dropout 0.5, pool 3 stride 2, dropout 0.5, "
        "conv 4 2 stride 2, flatten, dense 4",
        (8, 8, 3),
    ),
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def make(name: str, engine: str = "auto") -> Network:
    layers, shape = NETWORKS[name]
    return Network(f"{layers}, softmax", shape, seed=6, engine=engine)


def samples(net: Network, count: int = 40) -> Samples:
    rng = np.random.default_rng(8)
    x = rng.standard_normal((count, *net.input_shape)).astype(np.float32)
    return Samples(x, rng.integers(0, 4, count).astype(np.int32))


# ------------------------------------------------------------ masks


def test_a_unit_is_dropped_by_32_bits_of_its_own_stream():
    """Counter (block, sample, place, epoch), key (seed, DROPOUT); the low half of a word first."""
    raw = raw_words(5, Purpose.DROPOUT, 3, 4, sample=17, place=65537).tolist()
    bits = [part for word in raw for part in (word & 0xFFFFFFFF, word >> 32)]
    got = kept(5, 3, 17, 65537, 7, 0.25)
    assert got.tolist() == [0 if b < 2**30 else float(np.float32(4 / 3)) for b in bits[:7]]
    assert (got == 0).any()


def test_masks_differ_by_seed_epoch_sample_and_place():
    keys = [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (2**63, 0, 0, 0)]
    assert len({kept(*key, 64, 0.5).tobytes() for key in keys}) == len(keys)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_the_share_of_kept_units_and_the_expectation(rate):
    """Of a million units; five standard errors."""
    mask = kept(1, 2, 3, 4, 1_000_000, rate).astype(np.float64)
    error = 5 * np.sqrt(rate * (1 - rate) / mask.size)
    assert (mask > 0).mean() == pytest.approx(1 - rate, abs=error + 1e-12)
    assert mask.mean() == pytest.approx(1, abs=error / (1 - rate) + 1e-6)
    assert set(mask) <= {0.0, float(np.float32(1) / (np.float32(1) - np.float32(rate)))}


@given(st.integers(1, 200), st.integers(0, 2**64 - 1))
def test_more_units_begin_with_the_same_ones(units, seed):
    assert (
        kept(seed, 0, 0, 0, 200, 0.5)[:units].tobytes() == kept(seed, 0, 0, 0, units, 0.5).tobytes()
    )


# ------------------------------------------------------------ both engines
#
# Weights of one dense stage from images of a single 1: the gradient of row i is delta of sample i
# alone, and 0 exactly where its unit was dropped.


def hidden_masks(engine: str, seed: int, epoch: int, order: np.ndarray) -> np.ndarray:
    """Which of 16 hidden units each of 24 samples kept, read from the step of w0."""
    net = Network("flatten, dense 16, dropout 0.5, dense 3, softmax", (4, 6, 1), engine=engine)
    x = np.eye(24, dtype=np.float32).reshape(24, 4, 6, 1)
    before = net.parameters["w0"].copy()
    data = Samples(x, np.zeros(24, np.int32))
    take_steps(net.engine, net.flat, data, order, 24, 1.0, **dict(seed=seed, epoch=epoch))
    return net.parameters["w0"] != before


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 0), (0, 5), (2**64 - 1, 1000)])
def test_both_engines_drop_the_units_of_the_key(target, seed, epoch):
    expected = np.stack([kept(seed, epoch, n, 0, 16, 0.5) > 0 for n in range(24)])
    assert 0.3 < expected.mean() < 0.7
    for order in (np.arange(24), np.random.default_rng(1).permutation(24)):
        for engine in ("native", "reference"):
            np.testing.assert_array_equal(hidden_masks(engine, seed, epoch, order), expected)


@each_network
def test_native_training_follows_the_reference(target, name):
    """Were one mask of thousands another one, weights would differ by far more than rounding."""
    results = []
    for engine in ("native", "reference"):
        net = make(name, engine)
        order = np.random.default_rng(0).permutation(40)
        rule = dict(seed=9, epoch=4)
        costs = take_steps(net.engine, net.flat, samples(net), order, 16, 0.05, **rule)
        results.append((net.flat, costs))
    assert np.abs(results[0][0] - make(name).flat).max() > 1e-3
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=0, atol=2e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)


@each_network
def test_the_same_bits_on_every_target_and_number_of_threads_however_cut(name):
    seen = set()
    for target, threads, cut in product(TARGETS, (1, 2, 3), (0, 16)):
        with chosen(target):
            net = make(name)
        for part in (np.arange(cut), np.arange(cut, 40)):
            take_steps(
                net.engine, net.flat, samples(net), part, 16, 0.05, threads, **dict(seed=2, epoch=1)
            )
        seen.add(hashlib.sha256(net.flat.tobytes()).hexdigest())
    assert len(seen) == 1


# ------------------------------------------------------------ gradient


@each_network
@pytest.mark.equation(18, 20)
def test_gradients_with_fixed_masks_are_central_differences(name):
    net = make(name, "reference")
    data = samples(net, 6)
    x, y = data.images.astype(np.float64), data.targets
    x = x.reshape(6, *net.stages[0].x_shape)
    flat = net.flat.astype(np.float64) + 0.01
    masks = dropout_masks(net.stages, np.arange(6), 3, 0)
    masks = {key: np.where(mask > 0, mask.astype(np.float64), 0) for key, mask in masks.items()}
    assert any((mask == 0).any() for mask in masks.values())

    def cost(vector):
        return backprop.gradients(net.stages, views(vector, net.shapes), x, y, None, masks)[0]

    _, gradients = backprop.gradients(net.stages, views(flat, net.shapes), x, y, None, masks)
    gradient = np.concatenate([gradients[key].ravel() for key in net.shapes])
    rng = np.random.default_rng(2)
    for _ in range(8):
        u = rng.standard_normal(flat.size)
        h = 1e-6
        difference = (cost(flat + h * u) - cost(flat - h * u)) / (2 * h)
        assert difference == pytest.approx(gradient @ u, rel=1e-6, abs=1e-9)


# ------------------------------------------------------------ outside of training


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_outside_training_nothing_is_dropped(engine):
    name = "everywhere"
    net = make(name, engine)
    layers = [layer for layer in net.layers if not isinstance(layer, Dropout)]
    plain = Network(layers, net.input_shape, seed=6, engine=engine)
    np.testing.assert_array_equal(plain.flat, net.flat)
    data = samples(net)
    for call in ("predict_proba", "predict"):
        a, b = getattr(net, call)(data.images), getattr(plain, call)(data.images)
        np.testing.assert_allclose(a, b, rtol=1e-6)
    pair = data.images, data.targets
    assert net.evaluate(*pair) == pytest.approx(plain.evaluate(*pair), rel=1e-6)
    found, expected = net.gradients(*pair), plain.gradients(*pair)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=1e-6)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_rate_0_is_no_dropout_at_all(engine):
    results = []
    for layers in ("flatten, dense 8, dropout 0, relu, dense 3", "flatten, dense 8, relu, dense 3"):
        net = Network(f"{layers}, softmax", (4, 4, 1), engine=engine)
        data = samples(net, 30)
        net.fit(data.images, data.targets % 3, epochs=2, batch_size=7)
        results.append(net.flat)
    np.testing.assert_array_equal(*results)


def test_fit_keys_by_the_networks_epoch():
    """fit twice is fit for two epochs, and another seed drops others."""
    one, two, other = make("dense"), make("dense"), make("dense")
    data = samples(one)
    pair = data.images, data.targets
    one.fit(*pair, epochs=2, batch_size=8, seed=3)
    two.fit(*pair, epochs=1, batch_size=8, seed=3)
    two.fit(*pair, epochs=1, batch_size=8, seed=3)
    other.fit(*pair, epochs=2, batch_size=8, seed=4)
    assert one.flat.tobytes() == two.flat.tobytes()
    assert one.flat.tobytes() != other.flat.tobytes()


# ------------------------------------------------------------ text, wrong values


def test_text_form():
    assert parse_layers("dropout 0.5, dropout 0, dropout .25") == (
        Dropout(),
        Dropout(0),
        Dropout(0.25),
    )
    assert str(Dropout(0.1)) == "dropout 0.1"


@given(st.floats(0, 0.99, allow_subnormal=False))
def test_every_rate_is_read_as_it_is_printed(rate):
    assert parse_layers(str(Dropout(rate))) == (Dropout(rate),)


@pytest.mark.parametrize("rate", [-0.1, 1, 0.995, "0.5", True, None, float("nan")])
def test_wrong_rates_are_refused(rate):
    with pytest.raises(
        ArchitectureError, match=r"Dropout: rate is .*, expected a number from 0 to"
    ):
        Dropout(rate)


@pytest.mark.parametrize("text", ["dropout", "dropout half", "dropout 0.5 0.5", "dropout 1.5"])
def test_wrong_texts_are_refused(text):
    with pytest.raises(ArchitectureError, match=r"(?i)dropout"):
        parse_layers(text)
