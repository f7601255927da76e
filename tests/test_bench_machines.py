"""The model of several machines, by hand, and the relay between hosts of one machine."""

import importlib
import os
import socket
import struct
import threading
import time
from math import inf
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def machines(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("machines")


@pytest.fixture
def hosts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("hosts")


def test_a_step_by_hand(machines):
    software = machines.Software(message=1e-3, byte=1e-9, call=0.01)
    link = machines.Link(delay=2e-3, rate=8e6)  # a byte takes a microsecond
    parts = machines.step(0.02, 5, 1000, link, software, fetched=500, slots=2)
    assert parts.exchange == pytest.approx(3 * (1e-3 + 2e-3 + 1000 * (1e-9 + 1e-6)))
    assert parts.images == pytest.approx(500e-6)
    call = 0.01 + 4 * 2e-3 + 3 * 1000 * 1e-6
    taken = 0.02 + parts.exchange + parts.images
    assert parts.caller == pytest.approx(call * taken / (max(0.4, 10 * call) - call))
    assert parts.total == pytest.approx(taken + parts.caller)


def test_one_machine_exchanges_nothing(machines):
    assert machines.step(0.02, 1, 1000, machines.Link(1, 1)).total == 0.02


def test_a_call_has_one_step_at_least(machines):
    software = machines.Software(message=0, byte=0, call=0.01)
    assert machines.step(2.0, 2, 0, machines.Link(0, inf), software).caller == 0.01


@pytest.mark.parametrize(("cost", "expected"), [(0.0, 64), (0.13, 4), (1.0, 1)])
def test_it_ends_where_a_doubling_no_longer_gains(machines, cost, expected):
    times = {2**n: 1 / 2**n + cost * n for n in range(10)}
    assert machines.best(times.__getitem__, 64) == expected


def test_the_least_minibatch_that_pays(machines):
    def time(batch, workers):
        return batch / workers + (workers - 1) * 10

    assert machines.least_batch(time) == 64  # 64 >= 1.5 (32 + 10), 32 < 1.5 (16 + 10)
    assert machines.least_batch(lambda batch, workers: 1.0) is None


def test_quantities_have_units(machines):
    assert machines.delay("0.1ms") == pytest.approx(1e-4)
    assert machines.rate("10 Gbit/s") == 1e10
    for wrong in ("0.1", "3kg", "ms"):
        with pytest.raises(Exception, match="a number and one of"):
            machines.delay(wrong)


def test_every_worker_computes_its_share(machines):
    from convlet import Network

    compute = machines.computing(Network("flatten, dense 3, softmax", (4, 4)), 1)
    assert compute(16, 1) > 0
    assert compute(16, 4) > 0
    assert compute(16, 4) == compute(16, 4)  # measured once


def test_the_relay_passes_packets_to_their_host_after_the_delay(hosts):
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
    reader, writer = os.pipe()
    ends = [far.fileno() for _, far in pairs]
    relay = threading.Thread(target=hosts.relay, args=(ends, reader))
    relay.start()
    try:
        os.write(writer, struct.pack("dd", 0.02, 8e6))
        time.sleep(0.05)
        begun = time.perf_counter()
        packets = [packet(to, content) for to, content in ((2, b"a"), (1, b"b"), (2, b"c"))]
        for one in packets:
            pairs[0][0].send(one)
        pairs[0][0].send(packet(99, b"to nobody"))
        for near, _ in pairs:
            near.settimeout(60)
        assert pairs[1][0].recv(100) == packets[1]
        assert [pairs[2][0].recv(100) for _ in range(2)] == [packets[0], packets[2]]
        assert time.perf_counter() - begun >= 0.02
    finally:
        os.close(writer)
        relay.join(60)
        os.close(reader)
        for pair in pairs:
            for end in pair:
                end.close()


def packet(host: int, content: bytes) -> bytes:
    """Of IPv4 to a host, behind the header of the device."""
    return bytes(10 + 16) + bytes((10, 77, 0, host + 1)) + content


@pytest.fixture
def simulation(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("simulate_machines")


def test_the_time_of_a_call_is_told_from_that_of_its_steps(simulation):
    clock = simulation.Clock()
    clock.calls = {1: [0.03, 0.02], 4: [0.05]}  # 0.01 and 0.01 a step
    assert clock.found() == (pytest.approx(0.0125), 4, pytest.approx(0.01))
    clock.calls = {2: [0.3, 0.2]}
    step, steps, call = clock.found()
    assert (step, steps) == (0.1, 2)
    assert call != call  # nobody knows


def test_software_is_what_is_left_beside_computing(simulation):
    def found(message, step, call):
        return simulation.Found("", 1, 1, message, 1.0, step, 2, call, "")

    two = [found(100, 1.6, 0.2), found(200, 1.7, 0.2), found(200, 1.7, float("nan"))]
    fitted = simulation.software(two)  # 1 + 0.4 + 0.001 m + 0.2 / 2
    assert fitted.message == pytest.approx(0.4)
    assert fitted.byte == pytest.approx(0.001)
    assert fitted.call == 0.2
    alone = simulation.software([found(100, 1.6, 0.2)])
    assert (alone.message, alone.byte) == (pytest.approx(0.5), 0)
