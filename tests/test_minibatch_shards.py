"""Minibatches in shards: whoever sums which of them, the bits are the same.

Several workers are threads here, whose exchange sums along the tree by itself; the reference engine
and small integers, whose sums are exact in any order, say that the sums are right.
"""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import Network, Settings
from convlet.engine import Samples, Share, Steps, shard_nodes, shard_start
from convlet.errors import InputError
from convlet.settings import MOST_SHARDS
from engines import take_steps

LAYERS = {
    "pools": "conv 3 3, relu, pool 2, conv 5 3 bias position, relu, pool 2, flatten, dense 7, relu,"
    " dense 4, softmax",
    "no pools": "conv 3 3 stride 2, relu, dropout 0.3, conv 4 3 padding same, flatten, dense 4,"
    " softmax",
    "dense": "flatten, dense 40, relu, dropout 0.5, dense 4, softmax",
}
SIDE = 14


def data_of(count: int, weighted: bool = False, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, SIDE, SIDE, 1), dtype=np.uint8)
    weight = rng.integers(0, 3, count).astype(np.float32) if weighted else None
    return Samples(images, rng.integers(0, 4, count).astype(np.int32), weight)


def network(name: str, engine: str = "native") -> Network:
    return Network(LAYERS[name], input_shape=(SIDE, SIDE, 1), seed=3, engine=engine)


class Exchange:
    """What a wire and a tree of sums do: all shards' nodes on one table."""

    def __init__(self, shards: int, workers: int) -> None:
        self.shards, self.barrier = shards, threading.Barrier(workers, timeout=60)
        self.table: dict[tuple[int, int], np.ndarray] = {}
        self.costs = np.zeros(shards)

    def of(self, first: int, last: int):
        def exchange(sums: np.ndarray, costs: np.ndarray, gradient: np.ndarray) -> None:
            for node, values in zip(
                shard_nodes(self.shards, first, last), sums.copy(), strict=True
            ):
                self.table[node] = values
            self.costs[first:last] = costs[first:last]
            self.barrier.wait()
            gradient[:] = self.sum(0, self.shards)
            costs[:] = self.costs
            if self.barrier.wait() == 0:
                self.table.clear()
            self.barrier.wait()

        return exchange

    def sum(self, start: int, end: int) -> np.ndarray:
        if (start, end) in self.table:
            return self.table[start, end]
        half = start + (1 << (end - start - 1).bit_length() - 1)
        return self.sum(start, half) + self.sum(half, end)


def together(net: Network, data: Samples, order: np.ndarray, settings: Settings, cuts: list[int]):
    """Train by workers that own the shards between cuts -> the flat vector and costs of each."""
    edges = [0, *cuts, settings.shards]
    meeting = Exchange(settings.shards, len(edges) - 1)
    size, count = settings.batch_size, -(-len(order) // settings.batch_size)
    rates = np.full(count, settings.learning_rate, np.float32)
    ones = np.ones(len(data)) if data.weight is None else data.weight.astype(np.float64)
    totals = np.add.reduceat(ones[order], np.arange(0, len(order), size))
    found = []

    def work(first: int, last: int) -> None:
        mine = np.concatenate(
            [
                np.arange(
                    *(
                        at + shard_start(n, settings.shards, len(order[at : at + size]))
                        for n in (first, last)
                    )
                )
                for at in range(0, len(order), size)
            ]
        ).astype(int)
        here, back = np.unique(order[mine], return_inverse=True)
        rows = np.full(len(order), -1)
        rows[mine] = back
        weight = None if data.weight is None else data.weight[here]
        own = Samples(data.images[here], data.targets[here], weight)
        flat = net.flat.copy()
        slots = tuple(np.zeros_like(flat) for _ in range(settings.optimizer.slots))
        share = Share(first, last, rows, totals, meeting.of(first, last))
        copy = Network(net.layers, net.input_shape, engine=net.engine.name)
        done = copy.engine.train(flat, slots, own, Steps(order, rates, 0, 2), settings, 1, share)
        found.append((flat, *slots, done.costs))

    threads = [threading.Thread(target=work, args=pair) for pair in itertools.pairwise(edges)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    return found


@pytest.mark.parametrize("name", LAYERS)
@given(st.data())
def test_any_workers_have_the_bits_of_one_process(name: str, data: st.DataObject) -> None:
    shards = data.draw(st.integers(2, 9))
    size = data.draw(st.integers(shards, 41))
    count = data.draw(st.integers(1, 60))
    workers = data.draw(st.integers(1, min(shards, 4)))
    cuts = sorted(data.draw(st.sets(st.integers(1, shards - 1), max_size=workers - 1)))
    settings = Settings(
        batch_size=size,
        shards=shards,
        learning_rate=0.05,
        optimizer=data.draw(st.sampled_from(["sgd", "momentum", "adam"])),
        clip_norm=data.draw(st.sampled_from([None, 0.1])),
        label_smoothing=data.draw(st.sampled_from([0.0, 0.1])),
        augmentation=data.draw(st.sampled_from([None, "shift 2, rotation 10"])),
    )
    net, samples = network(name), data_of(max(count, 5), data.draw(st.booleans()))
    order = np.random.default_rng(count).permutation(len(samples))[:count]
    flat = net.flat.copy()
    slots = tuple(np.zeros_like(flat) for _ in range(settings.optimizer.slots))
    costs = take_steps(
        net.engine,
        flat,
        samples,
        order,
        size,
        settings.learning_rate,
        data.draw(st.sampled_from([1, 2, 3])),
        slots=slots,
        epoch=2,
        **{
            k: v
            for k, v in settings.arguments().items()
            if k not in ("batch_size", "learning_rate")
        },
    )
    for result in together(net, samples, order, settings, cuts):
        for mine, other in zip(result, (flat, *slots, costs), strict=True):
            assert mine.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ["pools", "no pools", "dense"])
@pytest.mark.parametrize("shards", [2, 5, 8])
def test_shards_follow_the_reference_engine(name: str, shards: int) -> None:
    samples, order = data_of(50, weighted=True), np.arange(50)
    found = []
    for engine in ("native", "reference"):
        net = network(name, engine)
        costs = take_steps(net.engine, net.flat, samples, order, 19, 0.05, shards=shards)
        found.append((net.flat, costs))
    np.testing.assert_allclose(*[flat for flat, _ in found], rtol=0, atol=2e-6)
    np.testing.assert_allclose(*[costs for _, costs in found], rtol=1e-5)


def test_large_frames_go_there_and_back_a_few_at_a_time() -> None:
    """A chunk is a block then, of one shard: as many chunks as shards, and more."""
    layers = "conv 4 5 stride 5, relu, pool 4, flatten, dense 3, relu, dense 4, softmax"
    x = np.random.default_rng(1).integers(0, 256, (13, 600, 604, 3), dtype=np.uint8)
    data = Samples(x, np.arange(13, dtype=np.int32) % 4)
    flats = []
    for engine in ("native", "reference"):
        net = Network(layers, input_shape=(600, 604, 3), seed=3, engine=engine)
        take_steps(net.engine, net.flat, data, np.arange(13), 13, 0.05, 2, shards=4)
        flats.append(net.flat)
    np.testing.assert_allclose(*flats, rtol=0, atol=5e-6)


@pytest.mark.parametrize("shards", [2, 3, 16])
def test_shards_of_several_chunks_follow_the_reference_engine(shards: int) -> None:
    samples, order = data_of(250), np.arange(250)
    found = []
    for engine in ("native", "reference"):
        net = network("pools", engine)
        take_steps(net.engine, net.flat, samples, order, 250, 0.05, 2, shards=shards)
        found.append(net.flat)
    np.testing.assert_allclose(*found, rtol=0, atol=2e-6)


def test_shards_change_rounding_only() -> None:
    samples, order = data_of(64), np.arange(64)
    flats = []
    for shards in (1, 8):
        net = network("pools")
        take_steps(net.engine, net.flat, samples, order, 64, 0.05, shards=shards)
        flats.append(net.flat)
    assert 0 < np.abs(flats[0] - flats[1]).max() < 1e-6


@given(st.integers(1, 70), st.data())
def test_nodes_cover_what_is_owned(shards: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, shards - 1))
    last = data.draw(st.integers(first + 1, shards))
    nodes = shard_nodes(shards, first, last)
    assert [n for start, end in nodes for n in range(start, end)] == list(range(first, last))
    tree = set(all_nodes(0, shards))
    assert set(nodes) <= tree
    wider = [(a, b) for a, b in tree if first <= a and b <= last]
    for start, end in wider:  # none of a larger whole node is given in parts
        assert any(a <= start and end <= b for a, b in nodes)


def all_nodes(start: int, end: int):
    yield start, end
    if end - start > 1:
        half = start + (1 << (end - start - 1).bit_length() - 1)
        yield from all_nodes(start, half)
        yield from all_nodes(half, end)


def test_an_exchange_that_fails_ends_before_the_step() -> None:
    net, samples = network("pools"), data_of(40)
    before, calls = net.flat.copy(), []

    def exchange(sums: np.ndarray, costs: np.ndarray, gradient: np.ndarray) -> None:
        calls.append(costs.copy())
        raise ConnectionError("gone")

    steps = Steps(np.arange(40), np.full(2, 0.1, np.float32))
    share = Share(0, 2, np.arange(40), np.full(2, 20.0), exchange)
    settings = Settings(batch_size=20, shards=4)
    with pytest.raises(ConnectionError, match="gone"):
        net.engine.train(net.flat, (), samples, steps, settings, None, share)
    assert len(calls) == 1
    assert (calls[0][:2] > 0).all()
    assert net.flat.tobytes() == before.tobytes()


def test_a_share_is_checked() -> None:
    net, samples = network("pools"), data_of(10)
    steps = Steps(np.arange(10), np.full(1, 0.1, np.float32))
    settings = Settings(batch_size=10, shards=2)
    good = Share(0, 1, np.arange(10), np.full(1, 10.0), lambda sums, costs, gradient: None)
    for wrong in (
        replace(good, rows=np.full(10, 99)),
        replace(good, rows=np.arange(9)),
        replace(good, totals=np.ones(2)),
    ):
        with pytest.raises(ValueError, match="share"):
            net.engine.train(net.flat, (), samples, steps, settings, None, wrong)


def test_more_shards_than_images_of_a_minibatch_are_refused() -> None:
    with pytest.raises(InputError, match=r"shards.*9.*minibatch has 8 images"):
        Settings(batch_size=8, shards=9)
    with pytest.raises(InputError, match="shards"):
        Settings(shards=0)


def test_the_core_takes_as_many_shards_as_the_settings() -> None:
    kernels = (Path(__file__).parents[1] / "native" / "kernels.h").read_text(encoding="utf-8")
    levels = re.search(r"most_shard_levels = (\d+);", kernels)
    assert levels is not None
    assert "most_shards = 1 << most_shard_levels;" in kernels
    assert 1 << int(levels[1]) == MOST_SHARDS
