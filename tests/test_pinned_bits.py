"""The bits that training gives, pinned: hashes of weights and of costs, and a golden trajectory.

They hold on every target and for every number of threads.  A change that alters one alters what
users get for their seed: it says so in CHANGELOG.md, and why.  `python tests/test_pinned_bits.py`
prints the table anew.
"""

import hashlib

import numpy as np
import pytest

import convlet._native as _native
from convlet import SGD, Adam, Network, backprop, datasets, native

TARGETS = [name for name, supported in _native.targets() if supported]
COUNT = 83  # images: no multiple of a batch

NETWORKS = {
    "default": (
        "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 24, relu, dense 10",
        (20, 21, 1),
    ),
    "3x3 same": (
        "conv 12 3 padding same, relu, pool 2, conv 20 3 padding same, relu, pool 2, flatten,"
        " dropout 0.3, dense 18, relu, dropout 0.5, dense 10",
        (14, 12, 3),
    ),
    "conv-conv-pool": (
        "conv 9 3, relu, conv 17 3 padding 1, relu, pool 2, flatten, dense 10",
        (11, 11, 2),
    ),
    "strided, position bias": (
        "conv 10 3 stride 2 padding same bias position, relu, conv 7 2x3 stride 1x2, relu, flatten,"
        " dense 10",
        (15, 16, 3),
    ),
    "overlapping pools": (
        "conv 16 3, relu, pool 3 stride 2, conv 12 2 bias none, pool 2x1, relu, dropout 0.2,"
        " flatten, dense 10",
        (13, 13, 1),
    ),
    "pool before relu": (
        "conv 8 5, pool 2, relu, conv 8 3, pool 2, flatten, dense 10",
        (20, 20, 1),
    ),
    "dense": (
        "flatten, dense 50, relu, dense 33 bias none, relu, dropout 0.1, dense 10",
        (6, 6, 1),
    ),
    "convolution at the end": ("conv 16 3, pool 2, relu, conv 10 4, flatten", (10, 10, 8)),
}

SETTINGS = {
    "plain": {"learning_rate": 0.05},
    "nesterov": {
        "optimizer": SGD(0.8, nesterov=True, weight_decay=0.01),
        "learning_rate": 0.02,
        "clip_norm": 0.5,
        "schedule": "cosine warm-up 0.2",
    },
    "adam": {
        "optimizer": Adam(weight_decay=0.1),
        "learning_rate": 0.003,
        "label_smoothing": 0.1,
        "schedule": "one-cycle",
        "augmentation": "shift 1, rotation 20, scale 0.1, shear 0.1, flip, elastic 10",
    },
}

PINNED = {
    ("default", "plain"): "134dcd6543290f9b763c",
    ("default", "nesterov"): "64bca33511cbf3034bce",
    ("default", "adam"): "0e464d92ecba1b1c7d97",
    ("3x3 same", "plain"): "f7dc0129655a2b5c04b7",
    ("3x3 same", "nesterov"): "fe65e9aa4707246bc1e0",
    ("3x3 same", "adam"): "103934b8d30462471c73",
    ("conv-conv-pool", "plain"): "ad38b50c0f8bae94c6c0",
    ("conv-conv-pool", "nesterov"): "6d03b1ab5dba03a6cf60",
    ("conv-conv-pool", "adam"): "676e23dd8b261ce04cf6",
    ("strided, position bias", "plain"): "fa641f3a2f84dc7d99de",
    ("strided, position bias", "nesterov"): "e8e6ccc506c32820cb64",
    ("strided, position bias", "adam"): "7d5d839c63580f2be968",
    ("overlapping pools", "plain"): "f895eeddb936e193c0a4",
    ("overlapping pools", "nesterov"): "8b182309e49adf619de2",
    ("overlapping pools", "adam"): "11fe3d41d2e2d7cb29e6",
    ("pool before relu", "plain"): "98c50525560c2699ff75",
    ("pool before relu", "nesterov"): "d6875e2bad8319963912",
    ("pool before relu", "adam"): "6d1879fb04acba2a5d74",
    ("dense", "plain"): "c3a994059a0fc3f6a871",
    ("dense", "nesterov"): "58b84053177e9e59d5cd",
    ("dense", "adam"): "5b4b48ddc68cceb98644",
    ("convolution at the end", "plain"): "fe91a1ff17693aa23d55",
    ("convolution at the end", "nesterov"): "6700a95b4d34d6fddc7b",
    ("convolution at the end", "adam"): "5eadf75fd82ce88fe934",
}

GOLDEN = (
    2.9807127937674522,
    3.3260715333744884,
    2.311692703515291,
    2.0488000251352787,
    2.223567008972168,
    2.1068020164966583,
    1.944022212177515,
    1.9575560595840216,
    1.836157076060772,
    1.5057804714888334,
)


def engine_of(stages, target):
    """The native engine on one target."""
    chosen, native.TARGET = native.TARGET, native.Target(target, "the test asks for it")
    try:
        return native.NativeEngine(stages)
    finally:
        native.TARGET = chosen


def data_for(network, floats):
    """Images and labels of small random numbers, some images blank in part."""
    rng = np.random.default_rng(11)
    x = rng.integers(0, 256, (COUNT, *network.input_shape)).astype(np.uint8)
    x[rng.random(COUNT) < 0.1] = 0
    y = rng.integers(0, network.class_count, COUNT)
    if not floats:
        return x, y, None
    soft = rng.integers(1, 9, (COUNT, network.class_count)).astype(np.float64)
    weight = rng.integers(0, 3, COUNT).astype(np.float64)
    return (x / np.float32(255)).astype(np.float32), soft / soft.sum(1, keepdims=True), weight


def bits(name, settings, target, threads):
    """The hash of weights, of each epoch's mean cost, of probabilities and of a gradient."""
    layers, shape = NETWORKS[name]
    network = Network(f"{layers}, softmax", shape, seed=3)
    network.engine = engine_of(network.stages, target)
    x, y, weight = data_for(network, floats=settings == "nesterov")
    rows = network.fit(
        x, y, epochs=2, batch_size=32, seed=5, sample_weight=weight, threads=threads,
        **SETTINGS[settings],
    )  # fmt: skip
    digest = hashlib.sha256(network.flat.tobytes())
    digest.update(np.array([row.train_loss for row in rows]).tobytes())
    digest.update(network.predict_proba(x[:21], threads=threads).tobytes())
    digest.update(network.predict_proba(x[:1], threads=threads).tobytes())
    for gradient in network.gradients(x[:19], y[:19], threads=threads).values():
        digest.update(gradient.tobytes())
    return digest.hexdigest()[:20]


def batches():
    """The first ten minibatches of MNIST, 32 images each, in order."""
    train = datasets.load("mnist").train
    return [
        (train.images[start : start + 32], train.labels[start : start + 32])
        for start in range(0, 320, 32)
    ]


def trajectory():
    """Costs (13) of the first ten steps (21) of the default network, eta = 0.1."""
    network = Network(seed=0, engine="native")
    rows = [
        network.fit(*batch, epochs=1, batch_size=32, learning_rate=0.1)[0] for batch in batches()
    ]
    return tuple(row.train_loss for row in rows)


def trajectory_of_the_equations():
    """The same in float64, by (16)-(21) alone."""
    network = Network(seed=0, engine="reference")
    parameters = {name: w.astype(np.float64) for name, w in network.parameters.items()}
    costs = []
    for x, y in batches():
        cost, derivatives = backprop.gradients(network.stages, parameters, x / 255, y)
        costs.append(cost)
        for name, derivative in derivatives.items():
            parameters[name] -= 0.1 * derivative  # (21)
    return costs


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("name", "settings"), PINNED)
def test_training_gives_the_pinned_bits(name, settings, target):
    assert bits(name, settings, target, threads=2) == PINNED[name, settings]


def test_ten_steps_have_the_ten_costs_that_are_pinned():
    assert trajectory() == GOLDEN  # every bit
    np.testing.assert_allclose(trajectory_of_the_equations(), GOLDEN, rtol=2e-6)


def test_every_network_and_setting_is_pinned():
    assert set(PINNED) == {(name, settings) for name in NETWORKS for settings in SETTINGS}


if __name__ == "__main__":
    for name in NETWORKS:
        for settings in SETTINGS:
            print(f'    ("{name}", "{settings}"): "{bits(name, settings, TARGETS[0], 1)}",')
    print(*(f"    {cost!r}," for cost in trajectory()), sep="\n")
