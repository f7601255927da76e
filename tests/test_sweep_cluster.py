"""`convlet sweep` on a Dask cluster: the same outcomes, one trial at a time on each worker."""

import json
import os
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster, get_worker

import convlet
from command_line import assert_refused
from convlet.cli import main, placed_trials
from convlet.cli.choices import Choices
from convlet.cli.placed_trials import Source, run_on_worker
from convlet.cli.train_options import TrainOptions
from convlet.cli.trials import Plan, _parts, marks
from convlet.cluster import connecting, probing
from convlet.cluster.placing import Placed
from convlet.sweeps.outcomes import Trial

LAYERS = "conv 3 3, relu, pool 2, flatten, dense 3, softmax"
GRID = "learning_rate=0.002,0.02; batch_size=8,16"
HOW = ["--layers", LAYERS, "--recipe", "default", "--epochs", "2", "--folds", "2", "--json"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
        local_directory=tmp_path_factory.mktemp("dask"),
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture(autouse=True)
def _in_a_new_folder(plain_terminal):
    pass


def trials(capsys):
    """What the trials came to, without the time that they took."""
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()][:-1]
    for row in rows:
        del row["seconds"]
    return sorted(rows, key=repr)


def sweep(data, *arguments):
    return main(["sweep", str(data), "--grid", GRID, *HOW, *arguments])


def held():
    return sum(one.cache_info().currsize for one in (placed_trials.opened, marks, _parts))


def test_the_outcomes_are_those_of_one_process(images, cluster, client, capsys):
    assert sweep(images, "--out", "here") == 0
    here = trials(capsys)
    assert len(here) == 8
    assert sweep(images, "--out", "there", "--cluster", cluster.scheduler_address) == 0
    assert trials(capsys) == here
    assert set(client.run(held).values()) == {0}


def test_a_worker_without_the_data_gets_them(images, cluster, capsys, monkeypatch):
    """Its name leads to other images there: here it does from now on."""
    content = images.read_bytes()
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 6, 6), dtype=np.uint8), rng.integers(0, 3, 40)
    assert sweep(images, "--out", "here") == 0
    here = trials(capsys)
    load = convlet.datasets.load

    def loaded(*given, **more):
        found = load(*given, **more)
        np.savez("moved.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        return found

    Path("moved.npz").write_bytes(content)
    monkeypatch.setattr(convlet.datasets, "load", loaded)
    assert sweep("moved.npz", "--out", "there", "--cluster", cluster.scheduler_address) == 0
    out, err = capsys.readouterr()
    assert err.count("the data are sent to workers that cannot open them") == 1
    assert "holds other images there" in err
    rows = [json.loads(line) for line in out.splitlines()][:-1]
    assert (
        sorted([{n: v for n, v in row.items() if n != "seconds"} for row in rows], key=repr) == here
    )


class Killer:
    """Ends the process of the first worker that has a task, once."""

    def __init__(self, client):
        self.client, self.killed = client, []

    def start(self, task, worker):
        future = self.client.submit(slow, task, workers=[worker], pure=False)
        if not self.killed:
            self.killed.append(worker)
            os.kill(self.client.run(os.getpid, workers=[worker])[worker], signal.SIGKILL)
        return future


def slow(task):
    begin = time.monotonic()
    time.sleep(0.3)
    return task, get_worker().address, begin, time.monotonic()


def test_one_task_at_a_time_on_a_worker_and_none_is_lost_with_one(client):
    killer, counts = Killer(client), []
    ended = list(Placed(client, range(8), killer.start).ended(counts.append))
    assert sorted(one.task for one in ended) == list(range(8))
    assert all(one.why == "" and one.returned[0] == one.task for one in ended)
    assert killer.killed[0] not in [one.returned[1] for one in ended]
    by_worker = {}
    for one in ended:
        by_worker.setdefault(one.returned[1], []).append(one.returned[2:])
    for times in by_worker.values():
        ordered = sorted(times)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))
    assert {*counts} <= {1, 2}


def dies(task):
    os._exit(1)


def test_a_task_that_ends_its_workers_is_given_up(client):
    def start(task, worker):
        return client.submit(dies if task == "bad" else slow, task, workers=[worker], pure=False)

    ended = {one.task: one.why for one in Placed(client, ["bad", "good"], start).ended(id)}
    assert ended == {"bad": "3 workers ended while they worked on it", "good": ""}


def fails(task):
    raise OSError("no room")


def test_a_task_that_fails_says_why(client):
    def start(task, worker):
        return client.submit(fails, task, workers=[worker], pure=False)

    (one,) = Placed(client, ["it"], start).ended(id)
    assert one.why == "OSError: no room"


def one_trial(images, epochs):
    """A plan of one trial, and where its data are."""
    options = dict.fromkeys(Choices.__dataclass_fields__)
    options |= {"data": str(images), "layers": LAYERS, "recipe": "plain", "seed": 0}
    options |= {"engine": "auto", "label_smoothing": 0.0}
    training = TrainOptions(
        **{**dict.fromkeys(TrainOptions.__dataclass_fields__), "epochs": epochs}
    )
    plan = Plan({0: (Choices(**options), training)}, (0,), None, 10, None)
    return plan, Source.of(str(images), {}, convlet.datasets.load(images))


def test_a_trial_that_nobody_waits_for_ends(images, client):
    plan, source = one_trial(images, epochs=10**6)
    worker = next(iter(client.nthreads()))
    future = client.submit(
        run_on_worker, plan, Trial(0, 0), source, None, workers=[worker], pure=False
    )
    deadline = time.monotonic() + 60
    while not client.processing()[worker]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    assert client.run(executing, workers=[worker])[worker] == 1
    future.cancel()
    while client.run(executing, workers=[worker])[worker]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def executing(dask_worker):
    return len(dask_worker.active_threads)  # also a task that was cancelled and still runs


def test_a_cluster_that_is_none_is_refused(images, cluster, capsys, monkeypatch):
    monkeypatch.setattr(connecting, "LIMIT", 0.5)
    command = ["sweep", str(images), "--grid", GRID, "--cluster"]
    assert_refused([*command, "tcp://127.0.0.1:1"], capsys, "--cluster: there is no cluster at")
    assert_refused([*command, "here"], capsys, "--cluster is 'here', expected")
    worker = next(iter(cluster.scheduler_info["workers"]))
    assert_refused([*command, worker], capsys, "a worker is there", "name its scheduler")
    monkeypatch.setattr(probing, "__version__", "99")
    words = f"has convlet {convlet.__version__}", "pip install convlet==99 there"
    assert_refused([*command, cluster.scheduler_address], capsys, *words)


def test_a_cluster_without_workers_is_refused(images, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["convlet.cli.sweep"], "USUAL_SILENCE", 0.5)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as empty:
        command = ["sweep", str(images), "--grid", GRID, "--cluster", empty.scheduler_address]
        assert_refused(command, capsys, "has no workers", "dask worker ADDRESS")


def test_a_dask_array_is_predicted_where_its_chunks_are(client):
    network = convlet.Network(LAYERS, (6, 6, 1), seed=1)
    x = np.random.default_rng(0).integers(0, 256, (100, 6, 6, 1), dtype=np.uint8)
    y = np.arange(100) % 3
    with client.as_current():
        lazy = da.from_array(x, chunks=30).persist()
        found = network.predict_proba(lazy)
        assert found.compute().tobytes() == network.predict_proba(x).tobytes()
        assert network.evaluate(lazy, y) == network.evaluate(x, y)
        broken = da.from_array((x / 255 * np.nan).astype(np.float32), chunks=30)
        with pytest.raises(convlet.InputError, match=r"x\[\d+:\d+\]\[0, 0, 0, 0\] is nan") as error:
            network.evaluate(broken, y)
    assert error.value.parameter == "x"


def test_a_worker_that_does_not_answer_has_no_part(images, cluster, client, capsys, monkeypatch):
    for module in ("sweep", "placed_trials"):
        monkeypatch.setattr(sys.modules[f"convlet.cli.{module}"], "USUAL_SILENCE", 0.5)
    worker, process = next(iter(client.run(os.getpid).items()))
    os.kill(process, signal.SIGSTOP)
    try:
        assert sweep(images, "--cluster", cluster.scheduler_address) == 0
    finally:
        os.kill(process, signal.SIGCONT)
    out, err = capsys.readouterr()
    assert err.count(f"the worker {worker} takes no part for now: it does not answer") == 1
    assert len(out.splitlines()) == 8 + 1
    assert client.run(os.getpid, workers=[worker]) == {worker: process}


def test_a_worker_of_another_version_that_joins_has_no_part(client, monkeypatch):
    said = []
    fit = probing.Fit(client, 5.0, said.append)
    first, second = client.nthreads()
    assert fit(first)
    monkeypatch.setattr(probing, "prober", lambda: lambda: {"convlet": "0.0.1"})
    assert fit(first)
    assert not fit(second)
    assert not fit(second)
    (line,) = said
    assert line.startswith(f"the worker {second} takes no part: it has convlet 0.0.1")


def test_data_that_are_too_large_are_not_sent(images, cluster, capsys, monkeypatch):
    monkeypatch.setattr(placed_trials, "MOST_SENT", 60 * 36 - 1)
    load = convlet.datasets.load

    def loaded(*given, **more):
        found = load(*given, **more)
        Path("moved.npz").unlink()
        return found

    Path("moved.npz").write_bytes(images.read_bytes())
    monkeypatch.setattr(convlet.datasets, "load", loaded)
    command = ["sweep", "moved.npz", "--grid", GRID, *HOW, "--cluster", cluster.scheduler_address]
    words = "--cluster has the worker", "cannot open the data (", "GB of images are more than"
    assert_refused(command, capsys, *words, "put DATA where the workers find it")


def test_a_worker_keeps_the_data_for_the_next_trial_and_no_longer(images, monkeypatch):
    """Whatever becomes of the caller: nobody tells the worker here."""
    plan, source = one_trial(images, epochs=1)
    loads, load = [], convlet.datasets.load
    monkeypatch.setattr(
        convlet.datasets, "load", lambda *given, **more: loads.append(1) or load(*given, **more)
    )
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0", silence_logs=50) as here,
        Client(here, set_as_default=False) as client,
    ):
        for kept in (60.0, 0.2):
            monkeypatch.setattr(placed_trials, "KEPT", kept)
            client.submit(run_on_worker, plan, Trial(0, 0), source, None, pure=False).result()
            assert placed_trials.opened.cache_info().currsize == 1
        assert len(loads) == 1
        deadline = time.monotonic() + 30
        while held():
            assert time.monotonic() < deadline
            time.sleep(0.05)
