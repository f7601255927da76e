"""Sums on the sockets between workers: whole, in order, and never waited for without an end."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from clusters import LARGE, cluster_of, trained
from convlet.cluster import links

SIZE = 300_000
"""Parameters whose sum is more than a connection takes in at once."""


class Gone(Exception):
    pass


def give_up() -> None:
    raise Gone


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[links._Socket, socket.socket]]:
    """One end as a worker writes to it, and the other one."""
    monkeypatch.setattr(links, "TICK", 0.05)
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(0.05)
        yield links._Socket(None, "tcp://there", None, here), there


def run_of(parameters: int) -> SimpleNamespace:
    box: SimpleQueue = SimpleQueue()
    return SimpleNamespace(parameters=parameters, inbox=lambda number: box, box=box)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(1, 4)), max_size=6))
def test_sums_arrive_as_they_were(tags: list[tuple[int, int, int]]) -> None:
    here, there = socket.socketpair()
    run, rng = run_of(7), np.random.default_rng(len(tags))
    with here, there:
        link = links._Socket(None, "", None, here)
        sent = []
        for call, start, count in tags:
            tag, costs = (call, 3, start, start + count), rng.standard_normal(count)
            sums = rng.standard_normal(7).astype(np.float32)
            link.write(tag, costs.tobytes(), sums, give_up)
            sent.append((tag, costs.tobytes(), sums))
        here.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionError, match="ended"):
            links._read_sums(there, lambda: run)
    came = [run.box.get_nowait() for _ in range(run.box.qsize())]
    assert [(tag, bytes(costs)) for tag, costs, _ in came] == [one[:2] for one in sent]
    for n, (_, _, sums) in enumerate(came):
        later = [tag[2:] for tag, _, _ in sent[n + 1 :]].count(sent[n][0][2:])
        if later < 2:  # its array is used again by the next but one
            np.testing.assert_array_equal(sums, sent[n][2])


def test_a_sum_that_nobody_reads_is_given_up(ends: tuple[links._Socket, socket.socket]) -> None:
    with pytest.raises(Gone):
        ends[0].write((0, 0, 0, 1), bytes(8), np.zeros(20 * SIZE, np.float32), give_up)


def test_a_sum_larger_than_the_buffers(ends: tuple[links._Socket, socket.socket]) -> None:
    link, there = ends
    run, sums = run_of(SIZE), np.arange(SIZE, dtype=np.float32)
    reader = threading.Thread(target=lambda: _until_it_ends(there, run))
    reader.start()
    link.write((1, 2, 3, 4), bytes(8), sums, lambda: None)
    np.testing.assert_array_equal(run.box.get(timeout=30)[2], sums)
    link.socket.shutdown(socket.SHUT_RDWR)
    reader.join()


def _until_it_ends(there: socket.socket, run: SimpleNamespace) -> None:
    with pytest.raises(ConnectionError):
        links._read_sums(there, lambda: run)


@pytest.mark.parametrize("head", [(0, 0, 0, 1, 8), (0, 0, 2, 2, 7), (0, 0, 0, 1 << 40, 7)])
def test_a_sum_of_another_network_is_refused(
    ends: tuple[links._Socket, socket.socket], head: tuple[int, ...]
) -> None:
    link, there = ends
    link.socket.sendall(links.HEAD.pack(*head))
    runs = iter([run_of(7)])
    with pytest.raises(OSError, match="expected 7"):
        links._read_sums(there, lambda: next(runs, None))


def test_a_reader_ends_with_its_run(ends: tuple[links._Socket, socket.socket]) -> None:
    link, there = ends
    late = threading.Timer(10, link.socket.shutdown, [socket.SHUT_RDWR])
    late.start()
    with pytest.raises(links._OverError):
        links._read_sums(there, lambda: None)
    late.cancel()


def test_a_message_holds_the_sum_as_it_was() -> None:
    messages, loop = [], asyncio.new_event_loop()

    class Comm:
        async def write(self, message: dict) -> None:
            await asyncio.sleep(0.05)
            messages.append((message["tag"], message["sum"].data.tolist()))

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    link = links._Messages(SimpleNamespace(loop=SimpleNamespace(asyncio_loop=loop)), "b", Comm())
    sums = np.zeros(2, np.float32)
    for step in range(3):
        sums[:] = step
        link.write((0, step, 0, 1), bytes(8), sums, lambda: None)
    sums[:] = 9
    link.sending.result(timeout=30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert messages == [((0, step, 0, 1), [step, step]) for step in range(3)]


class Garbled:
    """A connection of Dask on which no message comes."""

    async def read(self) -> None:
        raise ValueError("no message")

    def abort(self) -> None:
        self.ended = True


def test_a_message_that_cannot_be_read_is_its_senders_fault() -> None:
    comm, lost = Garbled(), []
    run = SimpleNamespace(lost=lambda *words: lost.append(words))
    asyncio.run(links.listen(comm, lambda: run, "tcp://there", False))
    assert comm.ended
    assert lost == [("tcp://there", "ValueError: no message")]


def test_large_sums_between_processes() -> None:
    with cluster_of(3) as cluster, Client(cluster, set_as_default=False) as client:
        found = trained(layers=LARGE, cluster=client, epochs=2)[1]
    assert found == trained(layers=LARGE, epochs=2)[1]


def test_workers_of_one_process() -> None:
    """Dask's connections have no sockets there: its messages carry the sums."""
    with cluster_of(2, processes=False) as cluster:
        assert cluster.scheduler_address.startswith("inproc://")
        with Client(cluster, set_as_default=False) as client:
            assert trained(cluster=client, epochs=2)[1] == trained(epochs=2)[1]
