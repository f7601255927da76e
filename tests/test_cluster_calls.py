"""What the caller asks of workers and makes of their answers, and what a call waits for on one."""

from __future__ import annotations

import asyncio
from collections import Counter
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convlet import Settings
from convlet.cluster import caller, exchanging
from convlet.cluster.calls import Answer, Failure
from convlet.cluster.exchanging import AbortedError, Exchanging
from convlet.cluster.links import Links, Lost
from convlet.cluster.members import Member
from convlet.engine import Samples, Steps
from convlet.errors import ClusterError

IMAGES = np.zeros((20, 5, 5, 1), np.uint8)  # 500 bytes
DATA = Samples(IMAGES, np.arange(20, dtype=np.int32), np.arange(20, dtype=np.float32))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> caller.Cluster:
    """Without a cluster: what would run on the loop of its client runs at once."""
    made = caller.Cluster(None, None, DATA, 4, 1.0)
    monkeypatch.setattr(made, "_on_loop", lambda function, *rest: asyncio.run(function(*rest)))
    made.kept = SimpleNamespace(blocks=lambda address: ())
    return made


def team_of(*addresses: str) -> list[Member]:
    return [Member(address, {"threads": 1}) for address in addresses]


# ---------------------------------------------------------------------------------- the caller


@pytest.mark.parametrize(("memory", "kind"), [(1999, "Divided"), (2000, "Whole")])
def test_all_images_go_to_workers_that_all_have_room(
    cluster: caller.Cluster, memory: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Whole", "Divided"):
        monkeypatch.setattr(caller, name, lambda client, images, name=name: name)
    cluster.kept = None
    asyncio.run(cluster._choose({"a": {"memory": 10**9}, "b": {"memory": memory}}))
    assert cluster.kept == kind


def test_a_call_is_ten_times_what_calls_cost(cluster: caller.Cluster) -> None:
    assert cluster.seconds_per_call == 0.4
    cluster.costs.append(0.05)
    assert cluster.seconds_per_call == 0.5
    cluster.costs.append(0.02)
    assert cluster.seconds_per_call == 0.4
    cluster.costs.extend([1.0, 1.0, 1.0, 1.0])
    assert cluster.seconds_per_call == 10.0
    cluster.costs.extend([9.0] * 4)
    assert cluster.seconds_per_call == 20.0


def test_a_call_costs_what_its_steps_do_not_take(
    cluster: caller.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([5.0, 8.0])
    monkeypatch.setattr(caller, "monotonic", lambda: next(clock))
    monkeypatch.setattr(cluster, "_team", lambda most: team_of("a", "b"))

    async def ask(*_: Any) -> list[Answer]:
        flat = np.ones(3, np.float32)
        seconds = [1.0, 2.5]
        return [Answer(np.zeros(5), False, "after", (flat,), one) for one in seconds]

    monkeypatch.setattr(caller, "ask", ask)
    flat = np.zeros(3, np.float32)
    cluster.train(flat, (), DATA, STEPS, SETTINGS)
    assert list(cluster.costs) == [0.5]
    assert flat.tolist() == [1, 1, 1]


SETTINGS = Settings(batch_size=8, shards=4)
STEPS = Steps(np.arange(20)[::-1], np.ones(3, np.float32), 7, 2)


def test_workers_that_differ_change_nothing(cluster: caller.Cluster) -> None:
    def answer(digest: str) -> Answer:
        return Answer(np.zeros(5), False, digest, (np.ones(3, np.float32),), 0.0)

    flat, found = np.zeros(3, np.float32), [answer("one"), answer("two"), answer("one")]
    with pytest.raises(ClusterError, match="after the same steps: b differ from the others"):
        cluster._taken(team_of("a", "b", "c"), (flat,), found)
    assert flat.tolist() == [0, 0, 0]


def test_the_images_go_with_the_run(cluster: caller.Cluster) -> None:
    released: list[int] = []
    cluster.kept.release = lambda: released.append(1)
    cluster._on_loop = None  # nothing answers
    cluster.close()
    assert released == [1]


def test_a_call_has_what_a_worker_needs_and_no_more(cluster: caller.Cluster) -> None:
    team, vectors = team_of("a", "b"), (np.zeros(3, np.float32),)
    team[1].digest = "now"
    calls = cluster._calls(team, vectors, "now", DATA, STEPS, SETTINGS, None)
    assert [call.vectors is None for call in calls] == [False, True]
    assert [call.answers for call in calls] == [True, False]
    assert [call.edges for call in calls] == [(0, 2, 4)] * 2
    # 8, 8 and 4 images: half of each for either, in the order of the steps
    assert calls[0].numbers.tolist() == [19, 18, 17, 16, 11, 10, 9, 8, 3, 2]
    assert calls[1].numbers.tolist() == [15, 14, 13, 12, 7, 6, 5, 4, 1, 0]
    for call in calls:
        assert call.targets.tolist() == call.numbers.tolist() == call.weight.tolist()
        assert call.totals.tolist() == [sum(range(12, 20)), sum(range(4, 12)), sum(range(4))]
    again = cluster._calls(team, vectors, "now", DATA, STEPS, SETTINGS, 3)
    assert [call.number for call in again] == [calls[0].number + 1] * 2
    assert [call.threads for call in (*calls, *again)] == [None, None, 3, 3]


def failing(cluster: caller.Cluster, *calls: tuple[Any, ...]) -> list[str]:
    """Who is left out after calls of a, b and c that failed so, one after the other."""
    team, blamed = team_of("a", "b", "c"), Counter()
    cluster.members.members = {one.address: one for one in team}
    for found in calls:
        for one in team:
            one.digest = "old"
        cluster._repair(team, list(found), blamed)
        assert [one.digest for one in team] == ["", "", ""]
    return [one for one in "abc" if one in cluster.members.unfit]


ABORTED = Failure("aborted")


BY_ONE = Failure("peer", "no", "c"), ABORTED, ABORTED
BY_TWO = Failure("peer", "no", "c"), Failure("peer", "no", "c"), Failure("peer", "no", "a")
WITHOUT_B = Failure("peer", "no", "c"), Failure("gone"), Failure("peer", "no", "c")


def test_who_is_blamed_most_is_left_out_after_three_failures(cluster: caller.Cluster) -> None:
    assert failing(cluster, BY_TWO) == ["c"]
    assert "others do not reach it" in str(cluster.members.unfit["c"])


def test_two_failures_are_forgiven(cluster: caller.Cluster) -> None:
    assert failing(cluster, BY_ONE, BY_ONE) == []
    assert failing(cluster, BY_ONE, BY_ONE, BY_ONE) == ["c"]


def test_nobody_is_blamed_where_a_worker_is_gone(cluster: caller.Cluster) -> None:
    assert failing(cluster, WITHOUT_B, WITHOUT_B, BY_ONE, BY_ONE) == []
    assert set(cluster.members.members) == {"a", "c"}


def test_a_worker_that_fails_ends_the_run(cluster: caller.Cluster) -> None:
    with pytest.raises(ClusterError, match="the worker b failed: MemoryError: no room"):
        failing(cluster, (ABORTED, Failure("failed", "MemoryError: no room"), ABORTED))


# --------------------------------------------------------------------------------- on a worker


class Run:
    """A worker of two, and what it sent."""

    def __init__(self) -> None:
        self.box: SimpleQueue[Any] = SimpleQueue()
        self.waiting: tuple[str, float] | None = None
        self.over = False
        self.sent: list[Any] = []
        self.links = SimpleNamespace(send=self.send)

    def send(self, address: str, tag: Any, costs: bytes, values: Any, look: Any) -> None:
        self.sent.append((address, tag, values.tolist()))

    def inbox(self, number: int) -> SimpleQueue[Any]:
        return self.box


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(exchanging, "TICK", 0.02)
    return Run()


def exchanges(run: Run) -> Exchanging:
    """Those of worker a, which has the first of two shards."""
    call = SimpleNamespace(number=4, team=("a", "b"), edges=(0, 1, 2), worker=0)
    return Exchanging(run, call)


def came(step: int, value: float) -> Any:
    return (4, step, 1, 2), np.array([value]).tobytes(), np.full(3, value, np.float32)


def step(exchange: Exchanging) -> tuple[list[float], list[float]]:
    costs, gradient = np.array([5.0, np.nan]), np.zeros(3, np.float32)
    exchange.step(np.ones((1, 3), np.float32), costs, gradient)
    return costs.tolist(), gradient.tolist()


def test_a_sum_that_comes_early_is_kept_for_its_step(run: Run) -> None:
    exchange = exchanges(run)
    for number, value in ((1, 20.0), (0, 10.0)):
        run.box.put(came(number, value))
    assert step(exchange) == ([5.0, 10.0], [11.0] * 3)
    assert step(exchange) == ([5.0, 20.0], [21.0] * 3)
    assert run.sent == [("b", (4, number, 0, 1), [1.0] * 3) for number in (0, 1)]


def test_who_was_left_behind_before_does_not_matter(run: Run) -> None:
    run.box.put(Lost("c", "is gone"))
    run.box.put(came(0, 10.0))
    assert step(exchanges(run)) == ([5.0, 10.0], [11.0] * 3)
    run.box.put(Lost("b", "is gone"))
    with pytest.raises(Lost, match="b: is gone"):
        step(exchanges(run))


def test_a_run_that_is_over_takes_no_step_and_waits_no_longer(run: Run) -> None:
    exchange = exchanges(run)

    class Late(SimpleQueue):
        def get(self, *rest: Any, **more: Any) -> Any:
            run.over = True
            return super().get(*rest, **more)

    run.box = exchange.inbox = Late()
    with pytest.raises(AbortedError):
        step(exchange)
    sent = len(run.sent)
    with pytest.raises(AbortedError):
        step(exchange)
    assert len(run.sent) == sent


def test_it_is_told_for_whom_it_waits_and_since_when(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, seen = exchanges(run), []
    clock = iter(range(100, 200))
    monkeypatch.setattr(exchanging, "monotonic", lambda: next(clock))

    class Third(SimpleQueue):
        def get(self, *rest: Any, **more: Any) -> Any:
            seen.append(run.waiting)
            if len(seen) == 3:
                self.put(came(0, 10.0))
            return super().get(*rest, **more)

    run.box = exchange.inbox = Third()
    step(exchange)
    assert seen == [("b", 100)] * 3
    assert run.waiting is None


def test_what_comes_is_looked_at_while_a_sum_does_not_go_out(run: Run) -> None:
    exchange = exchanges(run)

    def send(address: str, tag: Any, costs: bytes, values: Any, look: Any) -> None:
        look()
        assert run.waiting is not None
        assert run.waiting[0] == "b"
        run.box.put(Lost("b", "is gone"))
        look()
        raise AssertionError("it goes on")

    run.links.send = send
    with pytest.raises(Lost, match="b: is gone"):
        step(exchange)
    run.over = True
    run.links.send = lambda address, tag, costs, values, look: look()
    with pytest.raises(AbortedError):
        exchange._send(1, (0, 1), np.zeros(1), np.zeros(3, np.float32))


def test_half_of_a_sum_is_never_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Any] = []
    loop = SimpleNamespace(add_callback=lambda function: function())
    links = Links(SimpleNamespace(loop=loop), "run")

    def opened(address: str, look: Any) -> Any:
        def write(*_: Any) -> None:
            raise OSError("broken")

        return SimpleNamespace(write=write, close=lambda: ended.append(address))

    monkeypatch.setattr(links, "_open", opened)
    for times in (1, 2):
        with pytest.raises(Lost, match="b: OSError: broken"):
            links.send("b", (0, 0, 0, 1), b"", np.zeros(1, np.float32), lambda: None)
        assert ended == ["b"] * times
        assert links.links == {}
