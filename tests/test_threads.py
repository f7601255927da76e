"""Threads: after fork, beside other threads, interrupted, idle; and how many are chosen."""

import math
import multiprocessing
import os
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import children
from convlet import InputError, Network, Settings, engines, native, threads
from convlet.engine import Samples
from engines import take_steps
from targets import TARGETS, needs_native

LAYERS = (
    "conv 8 3, relu, pool 2, conv 16 3, relu, pool 2, flatten, dense 20, relu, dense 5, softmax"
)
SHAPE = (18, 18, 1)
COUNT = 160

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def make(seed: int = 0, layers: str = LAYERS) -> Network:
    return Network(layers, SHAPE, seed)


def data(seed: int = 0, count: int = COUNT) -> Samples:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (count, *SHAPE)).astype(np.uint8)
    return Samples(x, rng.integers(0, 5, count).astype(np.int32))


def work(seed: int, team: int) -> bytes:
    """Trains, predicts, differentiates -> all bits of it."""
    net, batch = make(seed), data(seed)
    net.fit(batch.images, batch.targets, epochs=2, batch_size=32, threads=team)
    p = net.predict_proba(batch.images, threads=team)
    gradients = net.gradients(batch.images, batch.targets, threads=team)
    return b"".join([net.flat.tobytes(), p.tobytes(), *(g.tobytes() for g in gradients.values())])


def in_child(queue, seed: int, team: int) -> None:
    queue.put(work(seed, team))


def core_train(net, batch, order, batch_size: int, rates, costs, team: int) -> None:
    """Plain descent, without the checks of the Python side; `costs` show where it stood."""
    settings = native.core_settings(Settings(batch_size=batch_size))
    x, y = batch.images, batch.targets
    net.engine.core.train(net.flat, [], x, y, None, order, rates, 0, 0, settings, costs, team)


# -------------------------------------------------------------------------------------------- fork


@needs_fork
@pytest.mark.parametrize("used", [False, True], ids=["unused pool", "used pool"])
def test_a_forked_child_trains_and_predicts(used):
    """In a new process, so that the pool of the parent is what the test says."""
    code = f"""
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: fork beside threads
from test_threads import work
before = work(1, 3) if {used} else None
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.close(read)
    with os.fdopen(write, "wb") as out:
        out.write(work(1, 3) + work(1, 2))
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if work(1, 2) == work(1, 1) else 1)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
os.close(write)
with os.fdopen(read, "rb") as source:
    got = source.read()
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
after = work(1, 3)
assert status == 0, status
assert got == after + after
assert before is None or before == after
print("ok")
"""
    assert children.output(code) == "ok\n"


@needs_fork
def test_a_child_forked_while_another_thread_trains_works():
    """The pool is busy at the moment of the fork; the child has its own."""
    code = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: fork beside threads
from test_threads import data, make, work
right = work(1, 1)
stop = threading.Event()
def train():
    net, batch = make(2), data(2)
    while not stop.is_set():
        net.fit(batch.images, batch.targets, batch_size=32, threads=3)
thread = threading.Thread(target=train)
thread.start()
status = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work(1, 3) == right else 1)
    status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
stop.set()
thread.join()
assert status == [0] * 5, status
assert work(1, 3) == right
print("ok")
"""
    assert children.output(code) == "ok\n"


@needs_fork
@needs_native
def test_children_forked_in_the_middle_of_calls_use_the_same_network():
    """Another thread may hold any lock of the engine at the moment of the fork, for good."""
    code = """
import os, signal, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: fork beside threads
from test_threads import data, make
net, images = make(), data().images[:1]
right = net.predict_proba(images).tobytes()
stop = threading.Event()
def predict():
    while not stop.is_set():
        net.engine.predict(net.flat, images, 1)
callers = [threading.Thread(target=predict) for _ in range(2)]
for caller in callers:
    caller.start()
status = []
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        signal.alarm(100)  # ends a child that waits
        os._exit(0 if net.predict_proba(images).tobytes() == right else 1)
    status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if status[-1]:
        break
stop.set()
for caller in callers:
    caller.join()
assert not any(status), status
print("ok")
"""
    assert children.output(code) == "ok\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("default_signals")
def test_multiprocessing(method):
    right = work(4, 2)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    started = [context.Process(target=in_child, args=(queue, 4, team)) for team in (1, 3)]
    for child in started:
        child.start()
    results = [queue.get(timeout=children.PATIENCE) for _ in started]
    for child in started:
        child.join(children.PATIENCE)
        assert child.exitcode == 0
    assert results == [right, right]


# --------------------------------------------------------------------------- several Python threads


def at_once(*functions) -> list:
    results, errors = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def call(place, function):
        try:
            barrier.wait()
            results[place] = function()
        except BaseException as error:
            errors.append(error)

    callers = [
        threading.Thread(target=call, args=(place, function))
        for place, function in enumerate(functions)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not errors, errors
    return results


def test_different_networks_train_at_once_with_the_bits_of_alone():
    alone = [work(seed, 1) for seed in range(4)]
    together = at_once(*(lambda seed=seed: work(seed, 1 + seed) for seed in range(4)))
    assert together == alone


def test_one_network_predicts_in_many_threads_at_once():
    net, images = make(), data(count=300).images
    right = net.predict_proba(images, threads=1).tobytes()
    calls = [
        lambda team=team: {net.predict_proba(images, threads=team).tobytes() for _ in range(10)}
        for team in (1, 2, 3, 2, 1, 4)
    ]
    assert at_once(*calls) == [{right}] * 6


@needs_native
def test_one_network_differentiates_and_trains_copies_at_once():
    """One engine, its workspaces lent to whoever calls."""
    net, batch = make(), data()
    order = np.arange(COUNT)

    def train(team):
        flat = net.flat.copy()
        take_steps(net.engine, flat, batch, order, 32, 0.1, team)
        return flat.tobytes()

    def gradient(team):
        return net.engine.gradients(net.flat, batch, team)[1].tobytes()

    calls = [lambda f=f, team=team: f(team) for f in (train, gradient) for team in (1, 2, 3)]
    alone = [call() for call in calls]
    assert at_once(*calls) == alone
    assert len(set(alone)) == 2


@needs_native
@pytest.mark.parametrize("team", [1, 2])
def test_other_python_threads_run_during_a_long_call(team):
    """One of them meets the costs of some steps, while those of others are not there yet.

    A call that held the interpreter's lock would show all of them or none.
    """
    net, batch = make(), data()
    order, rates = np.tile(np.arange(COUNT), 40), np.full(200, 0.01, np.float32)
    calls, met, ended = [np.full(200, -1.0)], threading.Event(), threading.Event()

    def look():
        while not ended.is_set():
            if 0 < (calls[-1] >= 0).sum() < 200:
                met.set()
            time.sleep(0)

    other = threading.Thread(target=look)
    other.start()
    while not met.is_set() and len(calls) < 200:  # it may have no processor for a while
        calls.append(np.full(200, -1.0))
        core_train(net, batch, order, 32, rates, calls[-1], team)
    ended.set()
    other.join()
    assert met.is_set()


# ----------------------------------------------------------------------------------------- signals

INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from engines import take_steps
from test_threads import core_train, data, make
net, batch = make(), data()
start = net.flat.copy()
order = np.tile(np.arange(len(batch)), 100_000)
{prepare}
sent = []
def interrupt():
    begun = time.process_time()
    while time.process_time() < begun + 0.1 or not ({under_way}):
        time.sleep(0.01)
    sent.append(time.process_time())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    {call}
except KeyboardInterrupt:
    spent = time.process_time() - sent[0]
else:
    raise SystemExit("not interrupted")
{then}
print("ok")
"""


def assert_interrupted(
    call: str,
    prepare: str = "",
    then: str = "assert spent < 2, spent",
    under_way: str = "True",
) -> None:
    """In a new process: SIGINT in the middle of a call, and what must hold then.

    under_way: what must hold before the signal is sent, 0.1 s after the start at the earliest.
    `spent` are seconds of all its threads from the signal to the exception, not those of a clock:
    the machine may be busy.  0.2 s of a clock are promised.
    """
    code = INTERRUPTED.format(prepare=prepare, call=call, then=then, under_way=under_way)
    assert children.output(code) == "ok\n"


@needs_native
@pytest.mark.parametrize(("team", "batch_size"), [(1, 1), (1, 32), (2, 1), (2, 160), (3, 32)])
def test_ctrl_c_in_a_long_call_leaves_whole_steps(team, batch_size):
    assert_interrupted(
        prepare=f"""
costs = np.full(-(-len(order) // {batch_size}), -1.0)
rates = np.full(len(costs), 0.01, np.float32)
""",
        call=f"core_train(net, batch, order, {batch_size}, rates, costs, {team})",
        under_way="costs[2] >= 0",  # two steps are done, however slow the machine is
        then=f"""
assert spent < 2, spent
steps = int((costs >= 0).sum())
done = [steps, steps - 1]  # the cost of a step that was given up is 0
assert steps > 1 and (costs[:steps] >= 0).all()
seen = []
for count in done:
    twin = start.copy()
    take_steps(net.engine, twin, batch, order[: count * {batch_size}], {batch_size}, 0.01, 1)
    seen.append((twin == net.flat).all())
assert any(seen), (steps, seen)
assert (net.flat != start).any()
before = net.flat.copy()
net.fit(batch.images, batch.targets, epochs=1)
assert (net.flat != before).any() and np.isfinite(net.flat).all()
""",
    )


@needs_native
@pytest.mark.parametrize("team", [1, 2])
@pytest.mark.parametrize("method", ["predict(net.flat, images", "gradients(net.flat, many"])
def test_ctrl_c_in_prediction_and_gradients(method, team):
    assert_interrupted(
        prepare="""
from convlet import Network
from convlet.engine import Samples
layers = "conv 16 7 padding 3, relu, conv 16 7 padding 3, relu, conv 16 7 padding 3, flatten, "
net = Network(layers + "dense 5, softmax", (18, 18, 1))
images = np.repeat(batch.images, 50, axis=0)
y = np.repeat(batch.targets, 50)
many, small = Samples(images, y), Samples(images[:9], y[:9])
right = net.engine.gradients(net.flat, small, 1)[1].tobytes()
""",
        call=f"net.engine.{method}, {team})",
        then="""
assert spent < 2, spent
assert net.engine.gradients(net.flat, small, 2)[1].tobytes() == right
""",
    )


@needs_native
@pytest.mark.parametrize("team", [1, 2])
def test_ctrl_c_is_heard_inside_a_chunk_of_long_work(team):
    """Images so large that a chunk of them takes longer than people wait."""
    assert_interrupted(
        prepare=f"""
from convlet import Network
from convlet.engine import Samples
layers = "conv 32 3 padding same, relu, conv 64 3 padding same, relu, pool 4, flatten, "
net = Network(layers + "dense 5, softmax", (160, 160, 1))
big = Samples(np.zeros((32 * {team}, 160, 160, 1), np.uint8), np.zeros(32 * {team}, np.int32))
begin = time.process_time()
net.engine.gradients(net.flat, big, {team})  # one chunk a thread, if they were as large as any
whole = time.process_time() - begin
""",
        call=f"net.engine.gradients(net.flat, big, {team})",
        then=f"assert spent < max(0.2 * {team}, whole / 3), (spent, whole)",
    )


@needs_native
@pytest.mark.parametrize("team", [1, 2])
def test_a_slow_signal_handler_that_raises_is_heard_once(team):
    """The handler takes longer than the core waits between two looks at the signals."""
    assert_interrupted(
        prepare="""
calls = []
def handler(*_):
    calls.append(1)
    time.sleep(0.15)
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, handler)
batch = data(count=1600)
order = np.tile(np.arange(1600), 1000)
costs = np.zeros(1000)
rates = np.full(1000, 0.01, np.float32)
""",
        call=f"core_train(net, batch, order, 1600, rates, costs, {team})",
        then="assert calls == [1]",
    )


@needs_native
def test_a_signal_handler_that_returns_does_not_stop_training():
    assert_interrupted(
        prepare="""
calls = []
signal.signal(signal.SIGINT, lambda *_: calls.append(1))
order = np.tile(np.arange(len(batch)), 200)
twin = start.copy()
take_steps(net.engine, twin, batch, order, 32, 0.01, 1)
""",
        call="""
    while not calls:
        net.flat[...] = start
        take_steps(net.engine, net.flat, batch, order, 32, 0.01, 2)
    raise KeyboardInterrupt
""",
        then="assert (net.flat == twin).all()",
    )


WORKERS = """
import os, threading, time
from pathlib import Path
import numpy
threading.Thread(target=int).start()  # a sanitizer's own thread comes with the first one
tasks = Path("/proc/self/task")
before = set(os.listdir(tasks))
from test_threads import work
work(0, 4)
workers = sorted(set(os.listdir(tasks)) - before)
assert len(workers) == 3, workers
def status(name):  # of every worker
    texts = [Path(tasks, worker, "status").read_text() for worker in workers]
    return [text.split(name + ":")[1].split()[0] for text in texts]
"""


@needs_native
def test_workers_leave_signals_to_the_main_thread():
    """Every thread but those of Python blocks SIGINT, SIGTERM, SIGALRM ..."""
    code = """
for blocked in status("SigBlk"):
    for number in (2, 15, 14, 1, 10):
        assert int(blocked, 16) >> (number - 1) & 1, number
print("ok")
"""
    assert children.output(WORKERS + code) == "ok\n"


# ------------------------------------------------------------------------ a good guest in a process


@needs_native
def test_idle_workers_sleep():
    """Between two looks none of them has got or given back a processor."""
    code = """
def look():
    return status("State"), status("voluntary_ctxt_switches"), status("nonvoluntary_ctxt_switches")
for _ in range(100):  # until the last work is done
    before = look()
    time.sleep(0.3)
    if before == look() and before[0] == ["S"] * 3:
        print("ok")
        break
"""
    assert children.output(WORKERS + code) == "ok\n"


@needs_native
def test_import_and_work_leave_the_floating_point_mode():
    """Subnormal numbers stay, in this thread and after work."""
    code = """
import sys
import numpy as np
def subnormal():
    tiny = np.array([1e-40, 1e-310 * 0 + 1e-40], np.float32)
    return float((tiny * np.float32(0.5)).sum()) > 0 and 2.0 ** -1070 * 0.5 > 0
assert subnormal()
import convlet
assert subnormal()
from test_threads import work
work(0, 2)
assert subnormal()
print("ok")
"""
    assert children.output(code) == "ok\n"


@needs_native
@pytest.mark.parametrize("team", [1, 3])
@pytest.mark.usefixtures("any_work_is_shared")
def test_workers_keep_subnormal_numbers(team):
    """A gradient of 2^-140: flushed to zero by a thread in another mode."""
    net = Network("flatten, dense 2, softmax", (1, 1, 1))
    net.flat[...] = 0
    n = 64
    x = np.full((n, 1, 1, 1), 2.0**-139, np.float32)
    _, gradient = net.engine.gradients(net.flat, Samples(x, np.zeros(n, np.int32)), team)
    assert gradient[:2].tolist() == [-(2.0**-140), 2.0**-140]


# ----------------------------------------------------------------------------------- how many


@pytest.fixture
def machine(monkeypatch):
    """A machine with 12 CPUs and no limit."""
    monkeypatch.setattr(threads, "_affinity", lambda: 12)
    monkeypatch.setattr(threads, "_quota", lambda: math.inf)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("given", "blocks", "millions", "chosen"),
    [
        (None, 4, 100, 4),  # no more than blocks
        (None, None, 100, 12),
        (None, 100, 1000, 12),  # no more than CPUs
        (None, 100, 3.7, 3),  # no more than the work is worth
        (None, None, 3.7, 3),
        (None, 100, 1.9, 1),
        (None, 1, 1000, 1),
        (None, 0, 0, 1),
        (1, 100, 1000, 1),
        (7, 1, 1000, 1),  # nor is an explicit number more than these
        (7, None, 0, 1),
        (7, None, 1.9, 1),
        (7, 100, 3.7, 3),
        (64, 100, 1000, 64),  # but for the CPUs
        (64, None, 1000, 64),
    ],
)
def test_choose(given, blocks, millions, chosen):
    assert threads.choose(given, blocks, millions * 1e6, 1_000_000) == chosen
    assert threads.choose(given, blocks, millions * 500, 500) == chosen


@needs_native
def test_a_call_of_little_work_works_alone(monkeypatch):
    """Whatever number of threads it was given."""
    net = make()
    given = []

    class Core:
        def predict(self, *arguments):
            given.append(arguments[-1])

        def gradients(self, *arguments):
            given.append(arguments[-1])
            return 0.0

    monkeypatch.setattr(net.engine, "core", Core())
    for count in (1, 7, 17, 40):
        net.engine.predict(net.flat, data(count=count).images, 8)
        net.engine.gradients(net.flat, data(count=count), 8)
    assert net.engine.multiply_adds == 62_884
    assert given == [1, 1, 1, 1, 2, 3, 5, 5]


@pytest.mark.parametrize(
    ("cpus", "quota", "available"),
    [(12, math.inf, 12), (12, 2.0, 2), (12, 2.5, 3), (12, 0.5, 1), (1, 4.0, 1), (3, 3.0, 3)],
)
def test_available_is_the_lesser_of_affinity_and_quota(monkeypatch, cpus, quota, available):
    monkeypatch.setattr(threads, "_affinity", lambda: cpus)
    monkeypatch.setattr(threads, "_quota", lambda: quota)
    assert threads.available() == available
    team, why = threads.explain()
    assert team == available
    assert ("quota" in why) == (quota < cpus)


def test_affinity_is_obeyed():
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from convlet import threads
print(threads.available())
"""
    assert children.output(code) == "1\n"


class Files:
    """Files of a made-up machine in the place of /proc and /sys."""

    def __init__(self, monkeypatch, files: dict[str, str]) -> None:
        def read_text(path, *_, **__):
            try:
                return files[str(path)]
            except KeyError:
                raise FileNotFoundError(path) from None

        monkeypatch.setattr(Path, "read_text", read_text)


V1 = "/sys/fs/cgroup/cpu/cpu.cfs_"
QUOTAS = {
    "no cgroup": ({}, math.inf),
    "v2 without a limit": (
        {"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"},
        math.inf,
    ),
    "v2 in a container": (
        {"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "v2, the least on the way up": (
        {
            "/proc/self/cgroup": "0::/user.slice/app.scope\n",
            "/sys/fs/cgroup/user.slice/app.scope/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/user.slice/cpu.max": "200000 100000\n",
            "/sys/fs/cgroup/cpu.max": "800000 100000\n",
        },
        2.0,
    ),
    "v2, a group that is not mounted here": (
        {"/proc/self/cgroup": "0::/../../other\n", "/sys/fs/cgroup/cpu.max": "300000 100000\n"},
        3.0,
    ),
    "v1": (
        {
            "/proc/self/cgroup": "3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
            f"{V1}quota_us": "250000\n",
            f"{V1}period_us": "100000\n",
        },
        2.5,
    ),
    "v1 without a limit": (
        {
            "/proc/self/cgroup": "3:cpu,cpuacct:/\n",
            f"{V1}quota_us": "-1\n",
            f"{V1}period_us": "100000\n",
        },
        math.inf,
    ),
    "nonsense": (
        {
            "/proc/self/cgroup": "what\n0::/a:b\n",
            "/sys/fs/cgroup/a:b/cpu.max": "what is this\n",
            "/sys/fs/cgroup/cpu.max": "100 0\n",
            f"{V1}quota_us": "x\n",
        },
        math.inf,
    ),
}


@pytest.mark.parametrize(("files", "quota"), QUOTAS.values(), ids=QUOTAS)
def test_quota_of_the_cgroup(monkeypatch, files, quota):
    Files(monkeypatch, files)
    assert threads._quota.__wrapped__() == quota


def test_inside_a_worker():
    assert not threads.inside_a_worker()
    assert at_once_named("Dask-Default-Threads-1") is True
    assert at_once_named("0-Dask-Default-Threads-25573-0") is True
    assert at_once_named("MainThread-2") is False


def test_threads_of_dask_are_workers(monkeypatch):
    """Its scheduler of threads uses a ThreadPoolExecutor without a name; others may be alone."""
    assert at_once_named("ThreadPoolExecutor-0_1") is ("dask.threaded" in sys.modules)
    monkeypatch.setitem(sys.modules, "dask.threaded", threading)
    assert at_once_named("ThreadPoolExecutor-0_1") is True
    assert at_once_named("asyncio_0") is False


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("default_signals")
def test_workers_of_a_process_pool_use_one_thread(method):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as executor, context.Pool(1) as pool:
        assert executor.submit(threads.inside_a_worker).result(children.PATIENCE) is True
        assert pool.apply(threads.inside_a_worker) is True


def test_a_process_of_its_own_is_no_worker():
    code = """
import multiprocessing
from convlet import threads
def main():
    assert not threads.inside_a_worker()
if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=main)
    process.start()
    process.join()
    print(process.exitcode)
"""
    assert children.output(code) == "0\n"


def at_once_named(name: str) -> bool:
    """What a thread of this name finds."""
    found = []
    thread = threading.Thread(target=lambda: found.append(threads.inside_a_worker()), name=name)
    thread.start()
    thread.join()
    return found[0]


def test_a_daemon_process_is_a_worker(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": True})
    assert threads.inside_a_worker()
    assert threads.choose(None, 100, 1e9, 1000) == 1
    assert threads.choose(3, 100, 1e9, 1000) == 3
    assert threads.explain()[0] == 1


@pytest.mark.parametrize("name", ["LokyProcess-3", "Dask Worker process (from Nanny)"])
def test_processes_of_loky_and_dask_are_workers(monkeypatch, name):
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {})
    monkeypatch.setattr(multiprocessing.current_process(), "_name", name)
    assert threads.inside_a_worker()


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("default_signals")
def test_joblib_workers_use_one_thread(monkeypatch, backend):
    joblib = pytest.importorskip("joblib")
    monkeypatch.setattr(threads, "available", lambda: 12)
    assert threads.choose(None, 100, 1e9, 1000) == 12
    calls = (joblib.delayed(threads.choose)(None, 100, 1e9, 1000) for _ in range(4))
    assert joblib.Parallel(2, backend=backend)(calls) == [1] * 4
    assert threads.choose(None, 100, 1e9, 1000) == 12


# -------------------------------------------------------------------------------------- the target


@pytest.mark.parametrize("name", ["sse9", "AVX2", "reference"])
def test_an_unknown_target_is_one_line_of_error(name):
    done = children.python("import convlet\nconvlet.Network()", CONVLET_TARGET=name)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"convlet.errors.InputError: CONVLET_TARGET is {name!r}, no such target")
    assert "in this build: expected one of:" in last


@pytest.mark.parametrize("name", TARGETS)
def test_a_forced_target_is_used(name):
    code = "import convlet\nprint(convlet.Network().engine.core.target)"
    assert children.output(code, CONVLET_TARGET=name) == f"{name}\n"


def test_an_empty_variable_is_no_wish():
    code = "import convlet\nprint(convlet.Network().engine.core.target)"
    assert children.output(code, CONVLET_TARGET="") == f"{TARGETS[0]}\n"


def test_a_target_that_this_cpu_lacks_is_an_error(monkeypatch):
    monkeypatch.setattr(native._native, "targets", lambda: [("avx512", False), ("avx2", True)])
    target = native.choose_target("avx512")
    assert target.error
    assert target.name is None
    assert target.why == "is 'avx512', this CPU does not have it: expected one of: avx2"
    assert native.choose_target(None).name == "avx2"


def test_a_cpu_without_any_target_gets_the_reference_engine_and_one_warning(monkeypatch):
    monkeypatch.setattr(native._native, "targets", lambda: [("avx512", False), ("avx2", False)])
    target = native.choose_target(None)
    assert target == native.Target(None, "this CPU has none of: avx512, avx2")
    monkeypatch.setattr(native, "TARGET", target)
    monkeypatch.setattr(engines, "_said", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nets = [make(), make()]
        batch = data(count=8)
        nets[0].fit(batch.images, batch.targets, epochs=1)
        nets[1].predict(batch.images)
    assert [net.engine.name for net in nets] == ["reference"] * 2
    assert len(caught) == 1, [str(w.message) for w in caught]
    assert "this CPU has none of: avx512, avx2" in str(caught[0].message)
    assert "reference engine" in str(caught[0].message)
    with pytest.raises(InputError, match="this CPU has none of"):
        Network(LAYERS, SHAPE, engine="native")


def test_a_wrong_wish_is_an_error_and_no_warning(monkeypatch):
    stages = Network(LAYERS, SHAPE, engine="reference").stages
    monkeypatch.setattr(native, "TARGET", native.choose_target("sse9"))
    for name in ("auto", "native"):
        with pytest.raises(InputError, match="CONVLET_TARGET is 'sse9'"):
            engines.make_engine(name, stages)
    assert engines.make_engine("reference", stages).name == "reference"
