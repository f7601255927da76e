"""How sums meet: which worker sends what to whom, along the binary tree over shard numbers.

Nothing here knows Dask.  Workers are numbered; worker i owns the shards edges[i]..edges[i+1]-1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlet.engine import middle_of, shard_nodes, shard_start
from convlet.equations import Float32, Float64

Node = tuple[int, int]
"""The shards a..b-1 of the tree that `engine.shard_nodes` describes."""

Send = Callable[[int, Node, Float64, Float32], None]
"""Give a worker the costs and the sum of a node, which stay as they are until the step ends."""

Receive = Callable[[int, Node], tuple[Float64, Float32]]
"""Wait for the costs and the sum of a node from a worker."""


@dataclass(frozen=True)
class Round:
    """What a worker does for a node that several have shards of: left + right, when it has both."""

    left: Node
    right: Node
    sends: tuple[tuple[int, Node], ...]  # to whom, and which of the two
    receives: tuple[int, Node] | None  # from whom

    @property
    def node(self) -> Node:
        return self.left[0], self.right[1]


def edges_of(shards: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Shards for each worker by its weight, one at least: 0 and where the shares end.

    weights: as many as shards at most.
    """
    edges, ends = [0], np.cumsum(weights)
    for n, end in enumerate(ends[:-1], 1):
        at = round(shards * int(end) / int(ends[-1]))
        edges.append(min(max(at, edges[-1] + 1), shards - len(weights) + n))
    return (*edges, shards)


def rounds_of(edges: Sequence[int], worker: int) -> list[Round]:
    """The rounds of a worker, children before parents; what it sends it has by then.

    Who lacks one half gets it from a fixed owner of that half: workers with equal halves swap.
    """
    found: list[Round] = []

    def owners(node: Node) -> list[int]:
        return [n for n in range(len(edges) - 1) if edges[n] < node[1] and edges[n + 1] > node[0]]

    def visit(node: Node) -> None:
        if len(owners(node)) == 1:
            return
        middle = middle_of(node)
        left, right = (node[0], middle), (middle, node[1])
        visit(left)
        visit(right)
        here = owners(left), owners(right)
        if worker not in here[0] and worker not in here[1]:
            return
        sends, receives = [], None
        for own, have, half in ((here[0], here[1], right), (here[1], here[0], left)):
            lacking = [n for n in own if n not in have]
            for n, other in enumerate(lacking):
                source = have[n % len(have)]
                if source == worker:
                    sends.append((other, half))
                if other == worker:
                    receives = source, half
        found.append(Round(left, right, tuple(sends), receives))

    visit((0, edges[-1]))
    return found


class Exchange:
    """`Share.exchange` of a worker: called once a step, it has the sums meet."""

    def __init__(self, edges: Sequence[int], worker: int, send: Send, receive: Receive) -> None:
        self.nodes = shard_nodes(edges[-1], edges[worker], edges[worker + 1])
        self.rounds = rounds_of(edges, worker)
        self.send, self.receive = send, receive
        self.others: dict[Node, list[int]] = {}  # who gets a node from here
        for one in self.rounds:
            for other, node in one.sends:
                self.others.setdefault(node, []).append(other)
        self.arrays: dict[Node, Float32] = {}  # kept: none is asked of the system in a step

    def __call__(self, sums: Float32, costs: Float64, gradient: Float32) -> None:
        held: dict[Node, Float32] = {}

        def hold(node: Node, values: Float32) -> None:
            """What others need goes out at once, before the round it is for: they wait less."""
            held[node] = values
            for other in self.others.get(node, ()):
                self.send(other, node, costs[slice(*node)], values)

        for node, values in zip(self.nodes, sums, strict=True):
            hold(node, values)
        for one in self.rounds:
            if one.receives is not None:
                source, node = one.receives
                costs[slice(*node)], held[node] = self.receive(source, node)
            root = one is self.rounds[-1]
            out = gradient if root else self._array(one.node, gradient)
            hold(one.node, np.add(held.pop(one.left), held.pop(one.right), out=out))
        if not self.rounds:
            gradient[:] = sums[0]

    def _array(self, node: Node, like: Float32) -> Float32:
        if node not in self.arrays:
            self.arrays[node] = np.empty_like(like)
        return self.arrays[node]


def places_of(count: int, size: int, shards: int, first: int, last: int) -> NDArray[np.int64]:
    """Where the samples of the shards first..last-1 stand among count samples, `size` a step."""
    whole, rest = divmod(count, size)
    offsets = np.arange(shard_start(first, shards, size), shard_start(last, shards, size))
    places = (np.arange(whole)[:, None] * size + offsets).reshape(-1)
    tail = np.arange(shard_start(first, shards, rest), shard_start(last, shards, rest))
    return np.concatenate([places, whole * size + tail]).astype(np.int64)


def totals_of(order: NDArray[np.int64], weight: Float32 | None, size: int) -> Float64:
    """Of the weights of each minibatch, `size` samples of the order."""
    each = np.ones(len(order)) if weight is None else weight[order].astype(np.float64)
    return np.add.reduceat(each, np.arange(0, len(order), size))
