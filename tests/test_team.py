"""The threads of the core by themselves: phases of any number of items, and Ctrl-C in each wait."""

import numpy as np
import pytest

import children
from convlet import Network
from convlet._native import testing
from convlet.engine import Samples

ROUND = testing.items_a_round  # of more items a phase takes several rounds
COUNTS = (0, 1, 2, 3, 1000, ROUND - 1, ROUND, ROUND + 1, 1 << 18, (1 << 18) + 1, 3 * ROUND + 7)


IN_CHILD = """
import numpy as np
from convlet import threads
from convlet._native import testing
threads.TRAINING = threads.PREDICTION = threads.STAGE = 1
"""


def in_child(code: str) -> str:
    """What the code prints in a process of its own, which may hang.  Any work is shared there."""
    return children.output(IN_CHILD + code)


@pytest.mark.parametrize("whole", [False, True], ids=["parallel", "whole"])
@pytest.mark.parametrize("threads", [1, 2, 3, 40])
def test_each_item_of_every_phase_is_done_once(threads, whole):
    in_child(f"""
phases = [np.zeros(count, np.int32) for count in {COUNTS}]
assert testing.team({threads}, phases, whole={whole}) == [True] * len(phases)
for times in phases:
    assert (times == 1).all(), (len(times), np.flatnonzero(times != 1))
""")


def test_phases_follow_each_other_in_one_job():
    """More of them than a generation counts."""
    times = np.zeros(7, np.int32)
    assert testing.team(3, [times] * 3000) == [True] * 3000
    assert times.tolist() == [3000] * 7


INTERRUPTED = """
import os, signal, threading, time
def interrupt():
    while not times[{item}]:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    {call}
except KeyboardInterrupt:
    print("heard")
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_ctrl_c_ends_phases_of_many_items(threads):
    """Ten minutes of them, so that a deaf one runs out of time."""
    code = f"times = np.zeros({ROUND + 5}, np.int32)"
    call = f"testing.team({threads}, [times] * 1_000_000)"
    assert in_child(code + INTERRUPTED.format(item=0, call=call)) == "heard\n"


@pytest.mark.parametrize("whole", [False, True], ids=["parallel", "whole"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_ctrl_c_is_heard_while_an_item_takes_long(threads, whole):
    """The last item of a round is the first that a helper takes; the caller is done and waits."""
    code = f"times = np.zeros({2 * ROUND}, np.int32)"
    call = f"testing.team({threads}, [times, times], {ROUND - 1}, {whole})"
    code += INTERRUPTED.format(item=ROUND - 1, call=call)
    code += "print(times.min(), times.max(), times.sum())"
    heard, numbers = in_child(code).splitlines()
    assert heard == "heard"
    least, most, total = map(int, numbers.split())
    if whole:  # nothing is left out, in this phase or the next
        assert (least, most, total) == (2, 2, 4 * ROUND)
    else:
        assert (least, most) == (0, 1)
        assert total <= ROUND


def test_training_has_no_more_threads_than_blocks_of_its_samples():
    """Each thread has memory of its own: 1,024 of them for one sample took 9 GB."""
    code = """
import os
import threading
from convlet import Network, Settings
from convlet.engine import Samples, Steps
net = Network("conv 2 3, relu, flatten, dense 2, softmax", (5, 5, 1))
x, y = np.zeros((100, 5, 5, 1), np.uint8), np.zeros(100, np.int32)
flat = net.flat.copy()
def gradients(n):
    net.engine.gradients(net.flat, Samples(x[:n], y[:n]), 64)
def train(n):
    steps = Steps(np.arange(100), np.full(-(-100 // n), 0.1, np.float32))
    net.engine.train(flat, (), Samples(x, y), steps, Settings(batch_size=n), 64)
one = threading.Thread(target=int)  # beside the first thread a sanitizer begins one of its own
one.start()
one.join()
while str(one.native_id) in os.listdir("/proc/self/task"):
    pass  # joined, but not yet gone
first = len(os.listdir("/proc/self/task"))
for call, n in ((gradients, 8), (train, 1), (gradients, 9), (train, 25), (gradients, 100),
                (train, 100)):
    call(n)
    print(1 + len(os.listdir("/proc/self/task")) - first)
"""
    assert list(map(int, in_child(code).split())) == [1, 1, 2, 4, 13, 13]


BIG = """
from convlet import Network, Settings
from convlet.engine import Samples, Steps
def step(net, data, threads):
    flat = net.flat.copy()
    one = Steps(np.arange(len(data)), np.full(1, 0.5, np.float32))
    done = net.engine.train(flat, (), data, one, Settings(batch_size=len(data)), threads)
    assert done.done == 1 and np.isfinite(flat).all() and (flat != net.flat).any()
    return done.costs.tobytes() + flat.tobytes()
def results(net, data, threads):
    cost, gradient = net.engine.gradients(net.flat, data, threads)
    assert np.count_nonzero(gradient) > 5
    probabilities = net.engine.predict(net.flat, data.images, threads)
    return step(net, data, threads) + gradient.tobytes() + probabilities.tobytes()
"""


def test_kernels_of_many_rows_have_the_bits_of_one_thread():
    """327,675 ranges of the flat vector in phases B and C: one a kernel row."""
    code = """
layers = "conv 1 65535x1 padding same, " * 5 + "flatten, dense 2, softmax"
net = Network(layers, (1, 1, 1))
net.flat[:] = np.random.default_rng(0).choice([0.5, 1, 2], net.flat.size)
data = Samples(np.ones((20, 1, 1, 1), np.float32), np.arange(20, dtype=np.int32) % 2)
right = results(net, data, 1)
for threads in (None, 2, 5):
    assert results(net, data, threads) == right
"""
    in_child(BIG + code)


def test_a_minibatch_of_nine_million_has_the_bits_of_one_thread():
    """281,250 chunks in phase A."""
    code = """
images = np.resize(np.arange(253, dtype=np.uint8), (9_000_000, 1, 1, 4))
data = Samples(images, np.resize(np.arange(3, dtype=np.int32), len(images)))
def run(threads):  # a network of its own, so that its memory goes
    return step(Network("conv 3 1, flatten, softmax", (1, 1, 4)), data, threads)
assert run(1) == run(None)
"""
    in_child(BIG + code)


@pytest.mark.equation(8)
def test_a_long_derivative_is_taken_in_pieces():
    """Exact sums of small binary fractions: every probability is 1/128, a sample counts 2^-14."""
    samples, classes = 1 << 14, 128
    rng = np.random.default_rng(0)
    net = Network(f"flatten, dense {classes}, softmax", (8, 9, 1))
    net.flat[...] = 0
    x = rng.integers(0, 4, (samples, 8, 9, 1)).astype(np.float32)
    y = rng.integers(0, classes, samples).astype(np.int32)
    delta = (1 / classes - np.eye(classes)[y]) / samples
    right = x.reshape(samples, -1).astype(np.float64).T @ delta
    for threads in (1, 2):
        _, gradient = net.engine.gradients(net.flat, Samples(x, y), threads)
        np.testing.assert_array_equal(gradient[: right.size].reshape(right.shape), right)
