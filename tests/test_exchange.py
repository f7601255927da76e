"""Sums that meet: every worker ends with those of the tree, and nobody waits longer than need."""

import queue
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet.cluster.exchange import Exchange, edges_of, middle_of
from convlet.cluster.mpi import _tag
from convlet.engine import shard_nodes


def tree_sum(parts: np.ndarray, start: int, end: int) -> np.ndarray:
    if end - start == 1:
        return parts[start]
    middle = middle_of((start, end))
    return tree_sum(parts, start, middle) + tree_sum(parts, middle, end)


def meet(edges, parts, costs):
    """Workers as threads -> what each has, and the longest chain of messages."""
    boxes = {}  # by sender, receiver and node
    depth = [0] * (len(edges) - 1)  # of what a worker has received so far
    found = {}

    def work(worker):
        def box(*key):
            return boxes.setdefault(key, queue.SimpleQueue())

        def send(other, node, some, values):
            box(worker, other, node).put((some.copy(), values, depth[worker]))

        def receive(other, node):
            some, values, before = box(other, worker, node).get(timeout=60)
            depth[worker] = max(depth[worker], before + 1)
            return some, values

        first, last = edges[worker], edges[worker + 1]
        sums = np.array([tree_sum(parts, *node) for node in shard_nodes(edges[-1], first, last)])
        own = np.zeros(edges[-1])
        own[first:last] = costs[first:last]
        gradient = np.empty_like(parts[0])
        Exchange(edges, worker, send, receive)(sums, own, gradient)
        sums[:] = np.nan  # the core writes to them again
        found[worker] = gradient, own

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(edges) - 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found, max(depth)


@given(st.integers(1, 40), st.data())
def test_every_worker_has_the_bits_of_the_tree(shards, data):
    workers = data.draw(st.integers(1, min(shards, 7)))
    edges = edges_of(
        shards, data.draw(st.lists(st.integers(1, 9), min_size=workers, max_size=workers))
    )
    draws = np.random.default_rng(shards)
    parts, costs = draws.standard_normal((shards, 5), np.float32), draws.random(shards)
    found, _ = meet(edges, parts, costs)
    assert len(found) == workers
    for gradient, own in found.values():
        assert gradient.tobytes() == tree_sum(parts, 0, shards).tobytes()
        assert own.tobytes() == costs.tobytes()


@pytest.mark.parametrize(
    ("shards", "workers", "longest"),
    [(8, 1, 0), (8, 2, 1), (8, 3, 2), (8, 4, 2), (8, 6, 3), (8, 8, 3), (64, 3, 2), (64, 16, 4)],
)
def test_the_longest_chain_of_messages(shards, workers, longest):
    parts = np.ones((shards, 1), np.float32)
    _, depth = meet(edges_of(shards, [1] * workers), parts, np.ones(shards))
    assert depth == longest


@pytest.mark.parametrize("shards", [1, 2, 3, 8, 13, 64])
def test_every_node_has_a_tag_of_its_own(shards):
    def nodes(start, end):
        yield start, end
        if end - start > 1:
            middle = middle_of((start, end))
            yield from nodes(start, middle)
            yield from nodes(middle, end)

    tags = [_tag(node) for node in nodes(0, shards)]
    assert sorted(tags) == list(range(2 * shards - 1))
