"""Training on a cluster: the bits of one process, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import dask.array
import numpy as np
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

import children
import convlet
from clusters import (
    LARGE,
    LAYERS,
    SHAPE,
    Once,
    assert_nothing_is_left,
    cluster_of,
    fill,
    images,
    processes,
    trained,
    until,
)
from convlet.cluster import blocks, caller, members, probing
from convlet.errors import ClusterError, InputError

DEEP = "flatten, dense 20, dense 20, dense 4, softmax"
KINDS = {
    "plain": {},
    "momentum, schedule, clipping": {
        "optimizer": "momentum",
        "schedule": "one-cycle",
        "clip_norm": 0.3,
        "batch_size": 17,
    },
    "Adam, augmentation, weights": {
        "optimizer": "adam",
        "augmentation": "shift 1, rotation 5",
        "label_smoothing": 0.1,
        "class_weight": "balanced",
        "sample_weight": np.arange(300) % 3,
    },
}


@pytest.fixture(scope="module")
def cluster():
    with cluster_of(3) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: LocalCluster):
    with Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture
def three(cluster: LocalCluster, client: Client):
    """The client, once all three workers are there; nothing may be left afterwards."""
    fill(cluster, client, 3)
    yield client
    assert_nothing_is_left(client)


@pytest.mark.parametrize("kind", KINDS)
def test_three_workers_have_the_bits_of_one_process(three: Client, kind: str) -> None:
    assert trained(cluster=three, **KINDS[kind])[1] == trained(**KINDS[kind])[1]


def test_float_images_distributions_and_the_reference_engine(three: Client) -> None:
    x, y = images(60)
    floats, shares = (x / 255).astype(np.float32), np.eye(4)[y] * 0.8 + 0.05
    flats = []
    for cluster in (three, None):
        network = convlet.Network("flatten, dense 4, softmax", SHAPE, engine="reference")
        network.fit(floats, shares, None, 2, 25, shards=4, cluster=cluster)
        flats.append(network.flat.tobytes())
    assert flats[0] == flats[1]


def test_shards_are_eight_unless_given(three: Client) -> None:
    network, found = trained(cluster=three, shards=None)
    assert network.settings.shards == 8
    assert found == trained(shards=8)[1]
    assert trained(shards=None)[0].settings.shards == 1


def test_a_divergence_is_told_as_here(three: Client) -> None:
    said = []
    for cluster in (three, None):
        with pytest.raises(convlet.DivergedError) as raised:
            trained(cluster=cluster, learning_rate=1e6, layers=DEEP)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_early_stopping_and_checkpoints(three: Client, tmp_path: Path) -> None:
    def run(name: str, cluster: Client | None) -> str:
        stopping = convlet.EarlyStopping(1)
        folder = tmp_path / name
        return trained(cluster=cluster, callbacks=[stopping], epochs=9, checkpoint=folder, every=5)[
            1
        ]

    assert run("there", three) == run("here", None)
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("there", "here")]
    assert names[0] == names[1]


def test_a_run_goes_on_elsewhere(three: Client, tmp_path: Path) -> None:
    trained(cluster=three, epochs=2, checkpoint=tmp_path)
    assert trained(checkpoint=tmp_path, resume=True)[1] == trained()[1]
    assert trained(checkpoint=tmp_path, cluster=three, resume=True)[1] == trained()[1]


def test_two_runs_at_once(three: Client) -> None:
    found = {}

    def run(seed: int) -> None:
        found[seed] = trained(cluster=three, seed=seed)[1]

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: trained(seed=seed)[1] for seed in (1, 2)}


# ------------------------------------------------------------------------------------------- data


def test_a_file_that_the_workers_read(
    three: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = images()
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(caller, "Whole", None)  # nothing is sent
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert trained(mapped[20:], y[20:], cluster=three)[1] == trained(x[20:], y[20:])[1]


def test_a_file_that_a_worker_does_not_have_is_sent(three: Client, tmp_path: Path) -> None:
    x, y = images()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    (tmp_path / "x.npy").unlink()
    with pytest.warns(RuntimeWarning, match=r"does not read .*x\.npy: FileNotFound.*are sent"):
        found = trained(mapped, y, cluster=three)[1]
    assert found == trained()[1]


def test_more_images_than_a_worker_has_room_for(
    three: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "WHOLE_WITHIN", 0)
    monkeypatch.setattr(blocks, "BLOCK", 3000)
    assert trained(cluster=three)[1] == trained()[1]


def test_chunks_of_dask(three: Client, tmp_path: Path) -> None:
    x, y = images()
    chunked = dask.array.from_array(x, chunks=(70, 10, 5, 1))
    labels = dask.array.from_array(y, chunks=50)
    found = trained(chunked, labels, cluster=three, checkpoint=tmp_path, epochs=2)
    here = trained(epochs=2)
    assert found[1] == here[1]
    assert found[0].scale == here[0].scale
    again = trained(chunked, labels, cluster=three, checkpoint=tmp_path, resume=True)
    assert again[1] == trained()[1]
    for same in (x, chunked.rechunk((100, 10, 10, 1))):
        with pytest.raises(InputError, match=r"sha256 .*, and the images of a Dask .* the same:"):
            trained(same, labels, cluster=three, checkpoint=tmp_path, resume=True)
    other = chunked.copy()
    other[3] = 0
    with pytest.raises(InputError, match=r"of a run with .* over 5 chunks: go on"):
        trained(other, labels, cluster=three, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x / 1, "floats from 0 to 2"),
        (lambda x: x.astype(int), "dtype int64"),
        (lambda x: x[:, :9], r"shape \(300, 9, 10, 1\)"),
        (lambda x: x[:0], "at least one image"),
        (lambda x: x[x[:, 0, 0, 0] > 3], "chunks of known sizes"),
        (lambda x: x // 200, "uint8 that never exceeds 1"),
    ],
)
def test_chunks_that_are_no_images(three: Client, change, words: str) -> None:
    x, y = images()
    with pytest.raises(InputError, match=words):
        trained(change(dask.array.from_array(x, chunks=(70, 10, 10, 1))), y, cluster=three)


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
def drawn(images: np.ndarray, folder: str) -> np.ndarray:
    """Other numbers each time: the files of the folder are counted."""
    count = len(os.listdir(folder))
    Path(folder, str(count)).touch()
    return images + np.uint8(count)


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
def test_a_chunk_that_is_made_again_to_other_numbers(three: Client, tmp_path: Path) -> None:
    x, y = images()
    chunked = dask.array.from_array(x, chunks=(40, 10, 10, 1))
    chunked = chunked.map_blocks(drawn, str(tmp_path), dtype=np.uint8)
    victim = next(iter(processes(three).values()))
    once = Once(lambda: (os.kill(victim, signal.SIGKILL), time.sleep(1)))
    with pytest.raises(ClusterError, match="made again to other numbers"):
        trained(chunked, y, cluster=three, callbacks=[once], epochs=30)


def test_levels_are_judged_of_all_chunks_together(three: Client) -> None:
    x, y = images()
    dark = (x > 128).astype(np.uint8)
    dark[:40] = 0
    for levels, words in ((dark, "never exceeds 1"), (dark * 8, "never exceeds 8")):
        with pytest.raises(InputError, match=words):
            trained(dask.array.from_array(levels, chunks=(20, 10, 10, 1)), y, cluster=three)
    x[:60] //= 128  # some dark chunks among others are images
    chunked = dask.array.from_array(x, chunks=(20, 10, 10, 1))
    assert trained(chunked, y, cluster=three)[1] == trained(x, y)[1]
    floats = (x / 255).astype(np.float32)
    floats[77, 3, 4, 0] = np.nan
    with pytest.raises(InputError, match=r"x\[77, 3, 4, 0\] is not finite"):
        trained(dask.array.from_array(floats, chunks=(20, 10, 10, 1)), y, cluster=three)


def test_refused_chunks_leave_nothing(three: Client) -> None:
    x, y = images()
    with pytest.raises(InputError, match="shards"):
        trained(dask.array.from_array(x, chunks=(20, 10, 10, 1)), y, cluster=three, shards=2)


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
def test_chunks_of_a_worker_that_is_stopped_are_made_again(three: Client) -> None:
    x, y = images()
    chunked = dask.array.from_array(x, chunks=(40, 10, 10, 1))
    victim = next(iter(processes(three).values()))
    once = Once(lambda: os.kill(victim, signal.SIGSTOP))
    try:
        found = trained(chunked, y, cluster=three, callbacks=[once], silence=2)[1]
    finally:
        os.kill(victim, signal.SIGCONT)
    assert found == trained()[1]


def test_a_dask_array_and_a_cluster_without_workers() -> None:
    x, y = images()
    chunked = dask.array.from_array(x, chunks=(90, 10, 10, 1))
    with (
        cluster_of(0) as empty,
        Client(empty, set_as_default=False) as client,
        pytest.raises(InputError, match="no workers, for 1 second"),
    ):
        trained(chunked, y, cluster=client, silence=1)


def test_a_client_that_was_closed_meanwhile() -> None:
    with cluster_of(1) as cluster:
        client = Client(cluster, set_as_default=False)
        with pytest.raises(ClusterError, match="client of the cluster is clos"):
            trained(cluster=client, callbacks=[Once(client.close)])


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
def test_a_lost_chunk_is_made_again(three: Client) -> None:
    x, y = images()
    chunked = dask.array.from_array(x, chunks=(40, 10, 10, 1))
    victim = next(iter(processes(three).values()))
    once = Once(lambda: os.kill(victim, signal.SIGKILL))
    assert trained(chunked, y, cluster=three, callbacks=[once])[1] == trained()[1]


# ----------------------------------------------------------------------------------------- faults


def test_a_worker_that_is_killed(three: Client) -> None:
    victim = next(iter(processes(three).values()))
    once = Once(lambda: os.kill(victim, signal.SIGKILL))
    with pytest.warns(RuntimeWarning, match="the worker tcp://.* is lost: training goes on"):
        found = trained(cluster=three, callbacks=[once])[1]
    assert found == trained()[1]


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
@pytest.mark.parametrize("layers", [LAYERS, LARGE])
def test_a_worker_that_is_stopped_and_goes_on(three: Client, layers: str) -> None:
    """The sums of the larger network are more than a connection takes in while nobody reads."""
    victim = next(iter(processes(three).values()))
    once = Once(lambda: os.kill(victim, signal.SIGSTOP))
    try:
        found = trained(layers=layers, cluster=three, callbacks=[once], silence=2)[1]
        assert found == trained(layers=layers)[1]
    finally:
        os.kill(victim, signal.SIGCONT)


def swallow(dask_worker: object) -> None:
    """On a worker: what others send it is lost, as by a network that is broken one way."""

    async def sums(comm, run: str, sender: str, raw: bool) -> str:
        try:
            while True:
                await comm.read()
        except OSError:
            return "dont-reply"

    dask_worker.handlers["convlet_sums"] = sums


def hear_again(dask_worker: object) -> None:
    del dask_worker.handlers["convlet_sums"]  # the next run brings it


def test_a_worker_that_others_do_not_reach(three: Client) -> None:
    trained(cluster=three, epochs=1)  # brings the handlers
    deaf = next(iter(three.nthreads()))
    three.run(swallow, workers=[deaf])
    try:
        with pytest.warns(RuntimeWarning, match="the worker tcp://.* is left out: others do not"):
            found = trained(cluster=three, epochs=2, silence=1)[1]
    finally:
        three.run(hear_again, workers=[deaf])
    assert found == trained(epochs=2)[1]


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
def test_a_worker_that_joins_and_one_that_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "BEAT", 0.05)
    teams = set()
    real = caller.Cluster._calls

    def calls(self, team, *rest):
        teams.add(len(team))
        return real(self, team, *rest)

    monkeypatch.setattr(caller.Cluster, "_calls", calls)
    with cluster_of(1) as cluster, Client(cluster, set_as_default=False) as client:

        class Waiting(convlet.Callback):
            def on_epoch(self, run: convlet.Run, row: convlet.Row) -> None:
                wanted = {1: 2, 2: 1}.get(run.epoch)
                if wanted is not None:
                    cluster.scale(wanted)
                    until(lambda: len(client.nthreads()) == wanted)
                    until(lambda: all(client.has_what().values()))
                    # of a key on two workers Dask drops one, any, a moment later
                    assert all(len(where) < 2 for where in client.who_has().values())
                    time.sleep(0.3)

        assert trained(cluster=cluster.scheduler_address)[1] == trained()[1]
        assert teams == {1}
        assert trained(cluster=cluster, callbacks=[Waiting()], epochs=4)[1] == trained()[1]
        assert teams == {1, 2}
        assert_nothing_is_left(client)


@pytest.mark.filterwarnings("ignore:the worker .* is lost:RuntimeWarning")
def test_no_worker_left(tmp_path: Path) -> None:
    with cluster_of(2) as cluster, Client(cluster, set_as_default=False) as client:
        once = Once(lambda: cluster.scale(0))
        with pytest.raises(ClusterError, match="no worker of the cluster is left"):
            trained(cluster=client, callbacks=[once], checkpoint=tmp_path, silence=1)
        with pytest.raises(InputError, match="it has no workers, for 1 seconds: start some"):
            trained(cluster=client, silence=1)
    once = Once(lambda: None)  # of a run that is resumed it is no part
    found = trained(checkpoint=tmp_path, resume=True, callbacks=[once])[1]
    assert found == trained()[1]


def test_ctrl_c_ends_the_run_on_the_workers(three: Client, tmp_path: Path) -> None:
    class Stop(convlet.Callback):
        def on_progress(self, run: convlet.Run) -> None:
            if run.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(cluster=three, callbacks=[Stop()], checkpoint=tmp_path)
    assert_nothing_is_left(three)
    assert trained(cluster=three, checkpoint=tmp_path, resume=True)[1] == trained()[1]


def test_a_run_ends_though_a_cancellation_is_lost() -> None:
    """As `asyncio.wait_for` of Python 3.11 loses one that comes with the answer."""

    class Client:
        losses = 2

        async def nthreads(self) -> dict[str, int]:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.losses -= 1
                if self.losses < 0:
                    raise
            return {}

    async def begin_and_close() -> bool:
        run = members.Members(Client(), "name", None, 1.0, None)
        run.watcher = asyncio.create_task(run._watch())
        await asyncio.sleep(0.01)
        await run.close()
        return run.watcher.done()

    assert asyncio.run(begin_and_close())


def test_a_caller_that_is_killed_and_resumed(three: Client, tmp_path: Path) -> None:
    code = f"""
import convlet, os, signal, sys
from clusters import trained
class Kill(convlet.Callback):
    def on_progress(self, run):
        if run.epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)
trained(cluster={three.scheduler.address!r}, callbacks=[Kill()], checkpoint={str(tmp_path)!r},
        silence=2)
"""
    assert children.python(code).returncode == -signal.SIGKILL
    assert_nothing_is_left(three)
    assert trained(cluster=three, checkpoint=tmp_path, resume=True)[1] == trained()[1]


# --------------------------------------------------------------------------------------- refusals


def test_what_is_no_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="cluster is 7, expected a client or a cluster of Dask"):
        trained(cluster=7)
    with pytest.raises(InputError, match="cluster is 'foo://x', expected a client"):
        trained(cluster="foo://x")
    for cluster in (None, "mpi"):
        with pytest.raises(InputError, match="silence is 0"):
            trained(silence=0, cluster=cluster)


def test_no_cluster_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from convlet.cluster import connecting

    monkeypatch.setattr(connecting, "LIMIT", 0.5)
    with pytest.raises(ClusterError, match=r"no cluster at tcp://127.0.0.1:9, within 0.5 sec"):
        trained(cluster="tcp://127.0.0.1:9")


def test_more_workers_than_shards(three: Client) -> None:
    with pytest.raises(InputError, match="shards is 2, but the cluster has 3 workers"):
        trained(cluster=three, shards=2)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"missing": "No module named 'convlet'"}, "it has no convlet .*pip install convlet=="),
        ({"convlet": "0.0.1"}, "it has convlet 0.0.1, this is .*pip install convlet=="),
    ],
)
def test_workers_that_cannot_take_part(
    three: Client, monkeypatch: pytest.MonkeyPatch, about: dict[str, str], words: str
) -> None:
    def prober():
        return lambda: about

    monkeypatch.setattr(probing, "prober", prober)
    with pytest.raises(InputError, match=f"cluster has the worker tcp://.*, but {words}"):
        trained(cluster=three)


def test_a_worker_without_a_limit_has_the_memory_of_its_machine() -> None:
    with (
        cluster_of(1, processes=False, memory_limit=0) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        (address,) = client.nthreads()
        about = client.sync(probing.probe, client, address)
    assert about["memory"] == MEMORY_LIMIT


def test_another_numpy_is_told(three: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "9.9")
    with pytest.warns(RuntimeWarning, match=r"has NumPy .*, this is 9.9: the bits are the same"):
        found = trained(cluster=three, epochs=1)[1]
    assert found == trained(epochs=1)[1]


def test_workers_that_differ_are_an_error(three: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    real = caller.Cluster._taken

    def taken(self, team, vectors, found):
        found[1] = replace(found[1], digest="other")
        return real(self, team, vectors, found)

    monkeypatch.setattr(caller.Cluster, "_taken", taken)
    with pytest.raises(ClusterError, match="different parameters after the same steps: tcp://"):
        trained(cluster=three)


def test_encryption() -> None:
    security = Security.temporary()
    with cluster_of(2, security=security) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        with Client(cluster, security=security, set_as_default=False) as client:
            assert trained(cluster=client, epochs=2)[1] == trained(epochs=2)[1]
        with pytest.raises(ClusterError, match="no cluster at tls://"):
            trained(cluster=cluster.scheduler_address)


def listening(dask_worker: object) -> set[int]:
    """On a worker: the ports on which its process listens."""
    import psutil

    found = psutil.Process().net_connections(kind="inet")
    return {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}


def test_nothing_listens_but_dask() -> None:
    ports: list[dict[str, set[int]]] = []

    class Look(convlet.Callback):
        def on_epoch(self, run: convlet.Run, row: convlet.Row) -> None:
            ports.append(client.run(listening))

    with cluster_of(2) as cluster, Client(cluster, set_as_default=False) as client:
        before = client.run(listening)
        trained(cluster=client, epochs=2, callbacks=[Look()])
    assert all(before.values())
    assert ports == [before, before]
