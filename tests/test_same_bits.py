"""The same bits: final weights do not depend on threads, target, or how training was cut."""

import hashlib
from itertools import product

import numpy as np
import pytest

from convlet import SGD, Adam, Network
from convlet.engine import Samples
from engines import take_steps
from targets import TARGETS, engine_for

pytestmark = pytest.mark.usefixtures("any_work_is_shared")

THREADS = (1, 2, 3, 8)
COUNT = 211  # images: no multiple of a batch

NETWORKS = {
    "default": ("conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 40, relu, "
                "dense 10", (20, 20, 1)),
    "wide": ("conv 32 3, relu, pool 2, conv 33 3, relu, pool 2, flatten, dense 24, relu, dense 10",
             (12, 13, 3)),
    "other sigmas": ("conv 9 3 stride 1x2 padding same bias position, pool 3 stride 2, relu, "
                     "conv 17 2 padding 1, pool 2, conv 5 2, flatten, dense 10", (13, 14, 2)),
    "overlapping pools": ("conv 16 3, relu, conv 12 5, relu, pool 3 stride 2, flatten, dense 10",
                          (12, 12, 1)),
    "overlap of rows": ("conv 16 3, relu, conv 12 5, relu, pool 3x2 stride 2, flatten, dense 10",
                        (13, 13, 1)),
    "survivors of some rows at a time": (
        "conv 16 1, relu, conv 12 5, relu, pool 3 stride 2, flatten, dense 10", (12, 64, 1)),
    "dense": ("flatten, dense 50, relu, dense 33, relu, dense 10", (6, 6, 1)),
    "units that threads keep": ("flatten, dense 200, relu, dense 33, relu, dense 10", (18, 19, 1)),
    "convolution at the end": ("conv 16 3, pool 2, relu, conv 10 4, flatten", (10, 10, 8)),
}  # fmt: skip


def make(name: str) -> Network:
    layers, shape = NETWORKS[name]
    return Network(f"{layers}, softmax", shape, seed=3)


def samples(net: Network, kind: str = "bytes") -> Samples:
    rng = np.random.default_rng(7)
    x = rng.integers(0, 256, (COUNT, *net.input_shape)).astype(np.uint8)
    y = rng.integers(0, net.class_count, COUNT).astype(np.int32)
    x[rng.random(COUNT) < 0.1] = 0
    if kind == "bytes":
        return Samples(x, y)
    x = rng.standard_normal(x.shape).astype(np.float32)
    y = rng.dirichlet(np.ones(net.class_count), COUNT).astype(np.float32)
    return Samples(x, y, rng.random(COUNT).astype(np.float32))


def trained(name: str, kind: str, target: str, threads: int, batch: int, cuts=(), passes=1) -> str:
    """The hash of weights and costs after training over a fixed order, cut at steps `cuts`."""
    net = make(name)
    engine = engine_for(net, target)
    data = samples(net, kind)
    order = np.concatenate([np.random.default_rng(n).permutation(COUNT) for n in range(passes)])
    before = net.flat.copy()
    ends = [*(cut * batch for cut in cuts), len(order)]
    costs = [
        take_steps(engine, net.flat, data, order[start:end], batch, 0.05, threads)
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    assert (net.flat != before).mean() > 0.5, "training changed little"
    assert np.isfinite(net.flat).all()
    return hashlib.sha256(net.flat.tobytes() + np.concatenate(costs).tobytes()).hexdigest()


@pytest.mark.parametrize("batch", [1, 7, 8, 9, 32, 33, 100])
@pytest.mark.parametrize("name", NETWORKS)
def test_threads_and_targets_give_the_same_bits(name, batch):
    kind = "floats" if batch % 2 else "bytes"
    runs = {
        (target, threads): trained(name, kind, target, threads, batch)
        for target, threads in product(TARGETS, THREADS)
    }
    assert len(set(runs.values())) == 1, runs


@pytest.mark.parametrize("kind", ["bytes", "floats"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_whole_data_set_as_one_minibatch_gives_the_same_bits(name, kind):
    """27 blocks: the tree over chunks of 8, 16 and 32 samples is one tree."""
    runs = {
        (target, threads): trained(name, kind, target, threads, 1000, passes=3)
        for target, threads in product(TARGETS, (1, 2, 5, 8, 40))
    }
    assert len(set(runs.values())) == 1, runs


@pytest.mark.parametrize("batch", [1, 9, 32])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_any_cut_at_a_step_gives_the_same_bits(name, target, batch):
    steps = -(-COUNT // batch)
    whole = trained(name, "floats", target, 2, batch)
    rng = np.random.default_rng(batch)
    some = sorted(rng.choice(np.arange(1, steps), min(3, steps - 1), replace=False).tolist())
    for cuts in ([1], some, [*range(1, steps)]):
        assert trained(name, "floats", target, 2, batch, cuts) == whole, cuts


@pytest.mark.parametrize("n", [1, 7, 8, 9, 31, 32, 33, 64, 100, COUNT])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_predictions_have_the_same_bits(name, n):
    net = make(name)
    whole = samples(net, "floats")
    data = Samples(whole.images[:n], whole.targets[:n], whole.weight[:n])
    results = set()
    for target, threads in product(TARGETS, THREADS):
        engine = engine_for(net, target)
        cost, gradient = engine.gradients(net.flat, data, threads)
        p = engine.predict(net.flat, data.images, threads)
        z = engine.logits(net.flat, data.images, threads)
        results.add((cost, gradient.tobytes(), p.tobytes(), z.tobytes()))
    assert len(results) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_is_predicted_alike_alone_and_among_others(name):
    net = make(name)
    images = samples(net).images[:77]
    together = net.predict_proba(images, threads=2)
    alone = np.concatenate([net.predict_proba(images[b : b + 1]) for b in range(77)])
    assert together.tobytes() == alone.tobytes()


def test_fit_gives_the_same_weights_and_losses_for_any_threads():
    runs = []
    for threads in (1, 2, 3, None):
        net = make("default")
        data = samples(net)
        history = net.fit(
            data.images, data.targets, (data.images[:50], data.targets[:50]), 3, 20, 0.1,
            threads=threads,
        )  # fmt: skip
        rows = [(row.train_loss, row.validation_loss, row.validation_accuracy) for row in history]
        runs.append((net.flat.tobytes(), rows))
    weights, rows = zip(*runs, strict=True)
    assert len(set(weights)) == 1
    # a mean over calls of the engine, and a call takes as many steps as there is time for
    losses = np.array([[row[0] for row in run] for run in rows])
    np.testing.assert_allclose(losses, losses[:1].repeat(4, axis=0), rtol=1e-12)
    assert all([row[1:] for row in run] == [row[1:] for row in rows[0]] for run in rows)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": SGD(momentum=0.9, weight_decay=0.01)},
        {"optimizer": Adam(), "shards": 3},
        {"clip_norm": 0.5},
        {"batch_size": 300, "augmentation": "shift 1"},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_units_that_threads_keep_for_themselves(settings):
    """Behind dropout, with slots, by shards, without the fused update, of more than 256 samples."""
    rng = np.random.default_rng(11)
    x = rng.integers(0, 256, (300, 18, 19, 1), np.uint8)
    y = rng.integers(0, 10, 300)
    layers = "flatten, dense 280, relu, dropout 0.3, dense 33, relu, dense 10, softmax"
    found = []
    for threads in (1, 2, 4):
        network = Network(layers, (18, 19, 1), seed=3)
        network.fit(x, y, threads=threads, **{"epochs": 2, "batch_size": 37, **settings})
        found.append(network.flat.tobytes())
    assert found == found[:1] * 3


def test_uint8_images_are_the_floats_u_over_255():
    net = make("default")
    data = samples(net)
    floats = data.images.astype(np.float32) / np.float32(255)
    twin = make("default")
    for network, x in ((net, data.images), (twin, floats)):
        network.fit(x, data.targets, epochs=1, batch_size=16)
    assert net.flat.tobytes() == twin.flat.tobytes()


def test_classes_are_their_one_hot_distributions():
    net, twin = make("wide"), make("wide")
    data = samples(net)
    net.fit(data.images, data.targets, epochs=1, batch_size=16)
    twin.fit(data.images, np.eye(10, dtype=np.float32)[data.targets], epochs=1, batch_size=16)
    assert net.flat.tobytes() == twin.flat.tobytes()


def test_gaps_in_memory_hold_nothing_that_reaches_a_result():
    """A workspace that other weights and other images have used gives the same."""
    net = make("other sigmas")
    data = samples(net, "floats")
    fresh = trained("other sigmas", "floats", TARGETS[0], 2, 33)
    engine = engine_for(net, TARGETS[0])
    start = net.flat.copy()
    order = np.random.default_rng(0).permutation(COUNT)
    take_steps(
        engine, net.flat, Samples(data.images * 2, data.targets, data.weight), order, 33, 0.02, 2
    )
    engine.gradients(net.flat, data, 3)
    engine.predict(net.flat, data.images, 2)
    net.flat[...] = start
    costs = take_steps(engine, net.flat, data, order, 33, 0.05, 2)
    assert hashlib.sha256(net.flat.tobytes() + costs.tobytes()).hexdigest() == fresh
