"""Who gets which images, and from whom: with a client that only remembers what it was asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convlet.cluster import blocks
from convlet.cluster.blocks import Blocks, Divided, Whole, finished

IMAGES = np.arange(7 * 4, dtype=np.uint8).reshape(7, 2, 2, 1)
ALIVE = {"a", "b", "c"}


def future(key: str, status: str = "finished") -> SimpleNamespace:
    made = SimpleNamespace(key=key, status=status, released=False)
    made.release = lambda: setattr(made, "released", True)
    return made


class Client:
    """Scatters to the workers that are there; what it holds is where it was put."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.given: list[tuple[str, Any]] = []  # by whom, or to whom, and what
        self.where: dict[str, list[str]] = {}

    async def scatter(self, part: Any, workers: list[str], **_: Any) -> SimpleNamespace:
        if workers[0] in self.gone:
            raise ValueError("no such worker")
        await asyncio.sleep(0.001)  # others go on meanwhile
        self.given.append((workers[0], part))
        made = future(f"key {len(self.given)}")
        self.where[made.key] = list(workers)
        return made

    def submit(
        self, function: Any, giver: str, key: str, workers: list[str], **_: Any
    ) -> SimpleNamespace:
        assert giver in self.where[key]
        self.given.append((workers[0], key))
        made = future(f"key {len(self.given)}")
        self.where[made.key] = list(workers)
        return made

    async def who_has(self, futures: list[Any]) -> dict[str, list[str]]:
        return {one.key: self.where[one.key] for one in futures}


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> Divided:
    monkeypatch.setattr(blocks, "BLOCK", 8)  # two images
    return Divided(Client(), IMAGES)


def repaired(kept: Blocks, team: list[str], alive: set[str] = ALIVE) -> list[str]:
    """Who holds each block afterwards."""
    asyncio.run(kept.repair([], team, alive.__contains__))
    return [",".join(block.holders) for block in kept.blocks("")]


def test_blocks_are_dealt_in_turns(divided: Divided) -> None:
    assert [(one.start, one.stop) for one in divided.blocks("")] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert repaired(divided, ["a", "b", "c"]) == ["a", "b", "c", "a"]
    whole = np.concatenate([part for _, part in divided.client.given])
    np.testing.assert_array_equal(whole, IMAGES)
    assert repaired(divided, ["a", "b", "c"]) == ["a", "b", "c", "a"]
    assert len(divided.client.given) == 4  # nothing again


def test_blocks_of_a_silent_worker_are_dealt_again(divided: Divided) -> None:
    repaired(divided, ["a", "b", "c"])
    assert repaired(divided, ["a", "c"], {"a", "c"}) == ["a", "c", "c", "a"]


def test_a_block_goes_to_whoever_takes_it(divided: Divided) -> None:
    divided.client.gone = {"b"}
    assert repaired(divided, ["a", "b", "c"]) == ["a", "c", "c", "a"]
    divided.client.gone = ALIVE
    divided.owners = [""] * 4
    with pytest.raises(OSError, match="no worker takes the images: ValueError: no such worker"):
        repaired(divided, ["a", "b", "c"])


def test_blocks_that_nobody_took_are_released_too(divided: Divided) -> None:
    divided.client.gone = {"a", "b"}
    with pytest.raises(OSError, match="no worker"):
        repaired(divided, ["a", "b"])
    divided.release()
    taken = future("other")
    divided.futures = [None, taken]
    divided.release()
    assert taken.released


def test_a_silent_worker_holds_nothing() -> None:
    client = Client()
    client.where = {"x": ["a", "b"], "y": ["b"]}
    kept = Blocks(client, [future("x"), future("y")], [3, 4])
    assert repaired(kept, ["a"], {"a"}) == ["a", ""]


async def soon(waiting: Any) -> None:
    """Ten seconds at most, which what is tested does not need."""
    await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize(
    ("status", "again", "words"),
    [
        ("lost", False, "the images are lost on the cluster"),
        ("error", True, "the images are error on the cluster"),
        ("lost", True, "do not come within 0.1 seconds"),
        ("pending", False, "do not come within 0.1 seconds"),
    ],
)
def test_what_does_not_come_is_waited_for_no_longer(
    status: str, again: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LIMIT", 0.1)
    with pytest.raises(OSError, match=words):
        asyncio.run(soon(finished([future("x"), future("y", status)], again)))


def test_who_gives_images_is_waited_for_while_it_is_alive() -> None:
    with pytest.raises(OSError, match="should give the images is silent"):
        asyncio.run(soon(finished([future("x", "pending")], False, lambda: False)))
    asyncio.run(soon(finished([future("x")], False, lambda: False)))


def test_the_caller_sends_images_once_and_workers_hand_them_on() -> None:
    client = Client()
    kept = Whole(client, IMAGES)

    async def provide(addresses: str, alive: set[str]) -> None:
        await asyncio.gather(*(kept.provide(one, alive.__contains__) for one in addresses))

    asyncio.run(provide("abc", ALIVE))
    (first, sent), *rest = client.given
    assert (first, sent is IMAGES) == ("a", True)
    assert rest == [("b", "key 1"), ("c", "key 1")]
    assert {kept.blocks(one)[0].key for one in "abc"} == {"key 1", "key 2", "key 3"}
    assert kept.blocks("d")[0].key is None
    asyncio.run(provide("d", {"c", "d"}))
    assert client.given[-1] == ("d", "key 3")
    asyncio.run(provide("d", {"d"}))  # its own copy is lost: it is no source
    assert client.given[-1][1] is IMAGES
