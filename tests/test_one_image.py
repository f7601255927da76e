"""A few images on several threads, by rows, channels and units of their stages: the same bits."""

import itertools
import os
import threading

import numpy as np
import pytest

import children
from convlet import Network, threads
from targets import TARGETS, engine_for, needs_native

pytestmark = [needs_native, pytest.mark.usefixtures("any_work_is_shared")]

NETWORKS = {
    "pools": ("conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 40, relu, dense 10",
              (28, 28, 1)),
    "channels of Winograd's form": ("conv 16 3, relu, pool 2, conv 64 5, pool 2, relu, flatten, "
                                    "dense 130, relu, dense 10", (26, 26, 1)),
    "rows of Winograd's form": ("conv 9 3 padding same, relu, pool 2, conv 20 3 padding same, "
                                "relu, pool 2, flatten, dense 10", (37, 64, 3)),
    "conv, conv, pool": ("conv 16 3 padding same, relu, conv 16 3 padding same, relu, pool 2, "
                         "conv 33 3, conv 32 3, relu, pool 2, flatten, dense 7", (24, 19, 3)),
    "strides": ("conv 16 3 stride 2 padding same, relu, conv 32 3 stride 2x1 padding same, relu, "
                "conv 64 3 stride 2, relu, flatten, dense 10", (33, 32, 3)),
    "channels of strides": ("conv 8 5 stride 3, relu, conv 70 3 stride 2, relu, flatten, dense 3",
                            (29, 22, 1)),
    "1x1": ("conv 10 1, relu, conv 48 1, relu, pool 2, conv 5 1 stride 2, flatten, dense 10",
            (15, 12, 3)),
    "overlapping pools": ("conv 16 3, relu, pool 3 stride 2, conv 12 5, relu, pool 3x2 stride 2x1, "
                          "pool 2, flatten, dense 10", (31, 30, 2)),
    "overlapping pools of Winograd's form": (
        "conv 16 3 padding same, relu, pool 3 stride 2, conv 16 3 padding same, relu, pool 3 "
        "stride 2, conv 32 3 padding same, pool 2x3 stride 1, relu, pool 2, flatten, dense 10",
        (61, 40, 3)),
    "pools with gaps": ("conv 6 3, pool 2 stride 3, relu, conv 8 2, pool 1x2 stride 3x2, flatten, "
                        "dense 10", (30, 29, 1)),
    "position": ("conv 9 3 stride 1x2 padding same bias position, pool 3 stride 2, relu, conv 17 2 "
                 "padding 1 bias position, pool 2, conv 5 2 bias position, flatten, dense 10",
                 (21, 30, 2)),
    "dropout": ("conv 8 3, relu, dropout 0.5, pool 2, dropout 0.25, conv 8 3, dropout 0.1, "
                "flatten, dropout 0.2, dense 65, dropout 0.5, dense 10", (16, 14, 1)),
    "dense": ("flatten, dense 300, relu, dense 129, relu, dense 10", (13, 9, 3)),
    "one of each": ("conv 1 1, pool 2, flatten, dense 2", (2, 2, 1)),
    "no dense stage": ("conv 16 3, pool 2, relu, conv 10 4, flatten", (10, 10, 8)),
    "no bias": ("conv 8 3 bias none, relu, pool 2, conv 8 3 bias none, relu, "
                              "conv 32 3 bias none, flatten, dense 10", (40, 12, 1)),
}  # fmt: skip
THREADS = (1, 2, 3, 7)


def make(name: str) -> Network:
    layers, shape = NETWORKS[name]
    net = Network(f"{layers}, softmax", shape, seed=3)
    rng = np.random.default_rng(4)
    for key, values in net.parameters.items():
        if key.startswith("b"):
            values[...] = rng.normal(scale=0.3, size=values.shape)
    return net


def images(net: Network, count: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.standard_normal((count, *net.input_shape)).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_image_has_the_bits_of_one_thread(name):
    net = make(name)
    x = images(net, 3)
    levels = np.abs(x * 80).astype(np.uint8)
    results = set()
    for target, team in itertools.product(TARGETS, THREADS):
        engine = engine_for(net, target)
        one = [engine.predict(net.flat, x[n : n + 1], team) for n in range(3)]
        whole = [engine.logits(net.flat, x[n : n + 1], team) for n in range(3)]
        bytes_ = [engine.predict(net.flat, levels[n : n + 1], team) for n in range(3)]
        assert np.ptp(np.concatenate(one), axis=0).any()
        results.add(b"".join(a.tobytes() for a in (*one, *whole, *bytes_)))
    assert len(results) == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_has_the_same_bits_among_any_number_of_others(name):
    """As an item, as the rest that all threads share, in a chunk."""
    net = make(name)
    x = images(net, 45)
    right = net.engine.logits(net.flat, x, 1)
    for count, team in itertools.product((2, 3, 4, 5, 15, 31, 32, 33, 45), (2, 3, 7, 40)):
        z = net.engine.logits(net.flat, x[:count], team)
        assert z.tobytes() == right[:count].tobytes(), (count, team)


@pytest.mark.parametrize("share", [1, 100, 1000, 10_000, 1_000_000_000])
@pytest.mark.parametrize("name", ["channels of Winograd's form", "strides", "dense"])
def test_however_large_the_parts_are(name, share, monkeypatch):
    net = make(name)
    x = images(net, 1)
    right = net.engine.predict(net.flat, x, 1)
    monkeypatch.setattr(threads, "STAGE", share)
    twin = make(name)
    for team in (2, 3, 5, 16, 100):
        assert twin.engine.predict(twin.flat, x, team).tobytes() == right.tobytes(), team


@pytest.mark.parametrize("name", NETWORKS)
def test_every_changed_weight_is_seen_by_the_next_call(name):
    """Kernels in Winograd's form are kept from call to call: by whom, and by how many threads."""
    net = make(name)
    x = images(net, 4)
    rng = np.random.default_rng(6)
    for target in TARGETS:
        engine = engine_for(net, target)
        engine.predict(net.flat, x[:1], 2)
        for count, team in ((1, 2), (4, 1), (1, 1), (3, 2), (1, 7), (4, 2), (1, 2)):
            flat = net.flat.copy()
            for place in rng.integers(0, len(flat), 3):
                flat[place] += rng.choice([1.0, -flat[place]])
            fresh = engine_for(net, target).predict(flat, x[:count], 1)
            for again in range(2):
                found = engine.predict(flat, x[:count], team)
                assert found.tobytes() == fresh.tobytes(), (target, count, team, again)


@pytest.mark.parametrize("name", ["rows of Winograd's form", "channels of Winograd's form"])
def test_each_weight_of_a_kernel_is_looked_at(name):
    net = make(name)
    x = images(net, 1)
    for target in TARGETS:
        for team in (1, 2):
            engine = engine_for(net, target)
            w = net.parameters["w1"]
            for place in range(0, w.size, 97):
                before = w.flat[place]
                engine.predict(net.flat, x, team)
                w.flat[place] = before + 3
                fresh = engine_for(net, target).logits(net.flat, x, 1)
                assert engine.logits(net.flat, x, team).tobytes() == fresh.tobytes()
                w.flat[place] = before


@pytest.mark.parametrize("width", [8, 31, 1031, 1000])
def test_one_image_has_the_bits_of_many_behind_zeros(width):
    """Images of zeros, of -0, without a 0: one row is multiplied without factors of 0."""
    net = Network(f"flatten, dense {width}, dense 7, softmax", (13, 13, 1), seed=1)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 13, 13, 1)).astype(np.float32) * (rng.random((40, 13, 13, 1)) < 0.3)
    x[0], x[1, :6], x[2] = 0, -0.0, 1
    for bias in (0.0, -0.0, 0.5):
        net.parameters["b0"][...] = bias
        net.parameters["b1"][...] = bias
        for target in TARGETS:
            engine = engine_for(net, target)
            many = engine.logits(net.flat, x, 1)
            for n in range(40):
                for team in (1, 2):
                    one = engine.logits(net.flat, x[n : n + 1], team)
                    assert one.tobytes() == many[n : n + 1].tobytes(), (bias, target, n, team)


def test_callers_beside_each_other_work_alone_or_together():
    """Who finds the pool busy does all parts by itself."""
    net = make("conv, conv, pool")
    x = images(net, 1)
    right = net.engine.predict(net.flat, x, 1).tobytes()
    found, start = set(), threading.Barrier(4)

    def call(team):
        start.wait()
        found.update(net.engine.predict(net.flat, x, team).tobytes() for _ in range(200))

    callers = [threading.Thread(target=call, args=(team,)) for team in (1, 2, 3, 4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == {right}


SHARED = """
import os, signal, threading, time
import numpy as np
from convlet import Network, threads
layers = "conv 8 3 padding same, relu, conv 16 3 padding same, relu, pool 2, flatten, dense 5"
net = Network(layers + ", softmax", (500, 400, 3))
x = np.random.default_rng(0).random((1, 500, 400, 3), np.float32)
right = net.engine.predict(net.flat, x, 1).tobytes()
"""


@pytest.mark.parametrize("team", [2, 3])
def test_ctrl_c_between_parts_of_an_image(team):
    """Images one after the other, until a signal comes; the next call is whole."""
    code = f"""
x = np.repeat(x, 7, axis=0)
def interrupt():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    while True:
        net.engine.predict(net.flat, x[: 7 if {team} == 2 else 1], {team})
except KeyboardInterrupt:
    assert net.engine.predict(net.flat, x[:1], {team}).tobytes() == right
    print("heard")
"""
    assert children.output(SHARED + code) == "heard\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_shares_an_image_with_helpers_of_its_own():
    code = """
assert net.engine.predict(net.flat, x, 3).tobytes() == right
pid = os.fork()
if pid == 0:
    same = net.engine.predict(net.flat, x, 3).tobytes() == right
    os._exit(0 if same and len(os.listdir("/proc/self/task")) == 3 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert net.engine.predict(net.flat, x, 3).tobytes() == right
print("ok")
"""
    assert children.output(SHARED + code) == "ok\n"
