"""One call of all workers: their answers, or why there are none, within a time that has an end."""

import asyncio
from time import monotonic
from typing import Any

from convlet.cluster import worker
from convlet.cluster.calls import Answer, Call, Failure
from convlet.cluster.members import ANSWER, Member, Members

SILENT = Failure("gone", "it does not answer")


async def ask(members: Members, team: list[Member], calls: list[Call]) -> list[Answer | Failure]:
    """The answers of all; once one fails the others are told to end."""
    for member in team:
        member.waiting = None  # that of an earlier call
    tasks = [
        asyncio.create_task(_one(members, member, call))
        for member, call in zip(team, calls, strict=True)
    ]
    try:
        pending = set(tasks)
        ending = None  # when those that were told to end are waited for no longer
        stuck: dict[str, str] = {}  # for whom each waits, where nobody goes on
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=0.2, return_when=asyncio.FIRST_COMPLETED
            )
            stuck = stuck or _stuck(members, team, tasks)
            failed = any(isinstance(task.result(), Failure) for task in done)
            if ending is None and (failed or stuck or _missing(members, team, tasks)):
                ending = monotonic() + members.silence
                alive = [m for m, t in zip(team, tasks, strict=True) if t in pending]
                await asyncio.gather(
                    *(
                        members.ask(m.address, worker.abort, calls[0].number, limit=ANSWER)
                        for m in alive
                        if not members.silent(m, monotonic())
                    )
                )
            if ending is not None:
                now = monotonic()
                left = [m for m, t in zip(team, tasks, strict=True) if t in pending]
                if now > ending or all(members.silent(m, now) for m in left):
                    break
        return [
            _blaming(task.result() if task.done() else SILENT, stuck.get(member.address))
            for member, task in zip(team, tasks, strict=True)
        ]
    finally:
        for task in tasks:
            task.cancel()


async def _one(members: Members, member: Member, call: Call) -> Answer | Failure:
    found = await members.ask(member.address, worker.work, call)
    if isinstance(found, Answer | Failure):
        return found
    return Failure("gone", f"{type(found).__name__}: {found}")


def _missing(members: Members, team: list[Member], tasks: list[Any]) -> bool:
    """Whether a worker that has not answered is silent or lost."""
    now = monotonic()
    return any(
        not task.done() and (members.silent(m, now) or m.address not in members.members)
        for m, task in zip(team, tasks, strict=True)
    )


def _stuck(members: Members, team: list[Member], tasks: list[Any]) -> dict[str, str]:
    """For whom each waits, where all wait for one another and none computes."""
    pending = [m for m, t in zip(team, tasks, strict=True) if not t.done()]
    waiting = {m.address: m.waiting for m in pending}
    if any(found is None or found[1] <= members.silence for found in waiting.values()):
        return {}
    return {address: found[0] for address, found in waiting.items() if found is not None}


def _blaming(found: Answer | Failure, other: str | None) -> Answer | Failure:
    """Where all waited for one another a failure blames whom its worker waited for."""
    if other is None or not isinstance(found, Failure) or found.kind != "aborted":
        return found
    return Failure("peer", f"nothing comes from {other}", other)
