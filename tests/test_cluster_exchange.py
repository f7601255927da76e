"""Sums meet along the tree whoever owns which shards; workers are threads here."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet.cluster.exchange import Exchange, edges_of, places_of, rounds_of, totals_of
from convlet.engine import shard_nodes, shard_start

PARAMETERS = 5


def tree_sum(leaves: np.ndarray, start: int, end: int) -> np.ndarray:
    """By the definition: the left half, the greatest power of two below, and the rest."""
    if end - start == 1:
        return leaves[start]
    half = 1
    while 2 * half < end - start:
        half *= 2
    return tree_sum(leaves, start, start + half) + tree_sum(leaves, start + half, end)


@st.composite
def owned(draw: st.DrawFn) -> tuple[int, ...]:
    shards = draw(st.integers(1, 40))
    cuts = draw(st.sets(st.integers(1, shards), max_size=9))
    return tuple(sorted({0, *cuts, shards}))


def meet(edges: tuple[int, ...], leaves: np.ndarray) -> tuple[dict, int]:
    """What each worker has after each step, and the longest chain of messages of a step."""
    steps, shards, workers = *leaves.shape[:2], len(edges) - 1
    boxes: dict[object, SimpleQueue] = {}  # by sender, receiver, step and node
    found: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    chains = np.zeros((steps, workers), int)  # of messages that a worker has waited for

    def work(me: int) -> None:
        def send(other: int, node: tuple[int, int], costs: np.ndarray, values: np.ndarray) -> None:
            box = boxes.setdefault((me, other, step, node), SimpleQueue())
            box.put((costs.copy(), values.copy(), chains[step, me]))

        def receive(other: int, node: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
            box = boxes.setdefault((other, me, step, node), SimpleQueue())
            costs, values, before = box.get(timeout=60)
            chains[step, me] = max(chains[step, me], before + 1)
            return costs, values

        exchange = Exchange(edges, me, send, receive)
        nodes = shard_nodes(shards, edges[me], edges[me + 1])
        sums = np.empty((len(nodes), PARAMETERS), np.float32)  # written to at every step
        for step in range(steps):
            for n, node in enumerate(nodes):
                sums[n] = tree_sum(leaves[step], *node)
            costs, gradient = np.full(shards, np.nan), np.empty(PARAMETERS, np.float32)
            costs[edges[me] : edges[me + 1]] = np.arange(edges[me], edges[me + 1])
            exchange(sums, costs, gradient)
            found[me, step] = gradient, costs

    threads = [threading.Thread(target=work, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, int(chains.max())


@given(owned(), st.integers(0, 99))
def test_every_worker_has_the_sum_of_the_tree(edges: tuple[int, ...], seed: int) -> None:
    shards, workers, steps = edges[-1], len(edges) - 1, 3
    rng = np.random.default_rng(seed)
    leaves = rng.standard_normal((steps, shards, PARAMETERS)).astype(np.float32)
    found, _ = meet(edges, leaves)
    assert len(found) == workers * steps
    for (_, step), (gradient, costs) in found.items():
        assert gradient.tobytes() == tree_sum(leaves[step], 0, shards).tobytes()
        np.testing.assert_array_equal(costs, np.arange(shards))


@pytest.mark.parametrize(
    ("shards", "workers", "longest"),
    [(8, 1, 0), (8, 2, 1), (8, 3, 2), (8, 4, 2), (8, 6, 3), (8, 8, 3), (64, 3, 2), (64, 16, 4)],
)
def test_nobody_waits_for_a_longer_chain(shards: int, workers: int, longest: int) -> None:
    leaves = np.ones((1, shards, PARAMETERS), np.float32)
    assert meet(edges_of(shards, [1] * workers), leaves)[1] == longest


def test_equal_halves_swap() -> None:
    edges = (0, 2, 4, 6, 8)
    for worker in range(4):
        first, second = rounds_of(edges, worker)
        near, far = worker ^ 1, worker ^ 2
        assert [other for other, _ in first.sends] == [near]
        assert first.receives is not None
        assert first.receives[0] == near
        assert [other for other, _ in second.sends] == [far]
        assert second.receives is not None
        assert second.receives[0] == far


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 30))
def test_shards_go_by_weight_and_everybody_has_one(weights: list[int], more: int) -> None:
    shards = len(weights) + more
    edges = edges_of(shards, weights)
    assert (edges[0], edges[-1], len(edges)) == (0, shards, len(weights) + 1)
    assert (np.diff(edges) >= 1).all()


def test_twice_the_threads_are_twice_the_shards() -> None:
    assert edges_of(9, [1, 2]) == (0, 3, 9)
    assert edges_of(8, [1, 1, 1]) == (0, 3, 5, 8)


@given(st.integers(1, 60), st.integers(1, 20), st.data())
def test_places_are_those_of_the_shards(count: int, size: int, data: st.DataObject) -> None:
    shards = data.draw(st.integers(1, size))
    first = data.draw(st.integers(0, shards - 1))
    last = data.draw(st.integers(first + 1, shards))
    expected = [
        start + b
        for start in range(0, count, size)
        for here in [min(size, count - start)]
        for b in range(shard_start(first, shards, here), shard_start(last, shards, here))
    ]
    assert places_of(count, size, shards, first, last).tolist() == expected


def test_weights_of_a_minibatch_are_added_up() -> None:
    order, weight = np.array([3, 0, 2, 1, 3]), np.array([0.5, 1, 0, 2], np.float32)
    assert totals_of(order, weight, 2).tolist() == [2.5, 1.0, 2.0]
    assert totals_of(order, None, 2).tolist() == [2.0, 2.0, 1.0]
    small = np.array([1, 2**-30], np.float32)  # more than float32 can add up
    assert totals_of(np.array([0, 1]), small, 2).tolist() == [1 + 2**-30]
