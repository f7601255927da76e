"""convlet beside the fastest peer for each case of the families, worst first, as Markdown."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from families import FAMILIES
from measure import DISTURBED, Row
from tables import digits, factors

TRAINERS = ("torch-eager", "torch-channels-last", "torch-compile")
"""Of which the fastest counts: they shuffle, as convlet does."""
WORTH_SHARING = 5e-3
"""Seconds of a step or call on one thread, from which two must be faster."""

LEAST = {
    "training, with a pool": 4.5,
    "training, strided without a pool": 3.0,
    "training, dense only": 4.0,
    "one image": 1.2,
    "1,000 images": 1.8,
    "1,000 images, dense only": 1.2,
    "two threads against one": 1.7,
}
"""What convlet promises: the least median of the ratio."""
PROMISED_BATCHES = (32, 128)


def promise(what: str, kind: str, size: int) -> str | None:
    """The name of what is promised of a case, if anything is.  what: as in a `Case`."""
    if what == "training":
        return f"training, {kind}" if size in PROMISED_BATCHES else None
    if size == 1000:
        return f"1,000 images, {kind}" if kind == "dense only" else "1,000 images"
    return "one image" if size == 1 else None


def comparisons(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """What is compared of one case: with the fastest peer on as many threads; with one thread.

    rows: convlet on all threads first.
    """
    case, kind = rows[0].case, FAMILIES[rows[0].case.net.name].kind
    own = {row.threads: row for row in rows if row.contender == "convlet"}
    for threads, ours in own.items():
        peers = [row for row in rows if row.threads == threads and _counts(row)]
        if peers:
            fastest = min(peers, key=lambda row: median(row.seconds))
            yield compared("peer", ours, fastest, promise(case.what, kind, case.size))
    if len(own) == 2:
        many, one = own.values()
        shared = many.threads == 2 and case.size * median(one.seconds) > WORTH_SHARING
        yield compared("threads", many, one, "two threads against one" if shared else None)


def _counts(row: Row) -> bool:
    return row.contender in (TRAINERS if row.case.what == "training" else ("onnxruntime",))


def compared(what: str, ours: Row, theirs: Row, promised: str | None) -> dict[str, Any]:
    """ratio: time of theirs by time of ours, round by round; seconds: of a step or a call."""
    case = ours.case
    factors = [t / o for t, o in zip(theirs.seconds, ours.seconds, strict=True)]
    middle = median(factors)
    return {
        "compared": what,
        "family": case.net.name,
        "what": case.what,
        "size": case.size,
        "dtype": case.dtype,
        "threads": ours.threads,
        "peer": theirs.contender,
        "peer_threads": theirs.threads,
        "peer_chose": theirs.chosen,
        "seconds": case.size * median(ours.seconds),
        "peer_seconds": case.size * median(theirs.seconds),
        "tail": median(ours.tails) if ours.tails else None,
        "peer_tail": median(theirs.tails) if theirs.tails else None,
        "ratio": {"median": middle, "min": min(factors), "max": max(factors)},
        "promise": promised,
        "kept": None if promised is None else middle >= LEAST[promised],
        "others": max(*ours.others, *theirs.others),
    }


def rounds(row: Row) -> dict[str, Any]:
    """All that is known of one contender: seconds of a step or a call, a number a round."""
    case = row.case
    return {
        "family": case.net.name,
        "what": case.what,
        "size": case.size,
        "dtype": case.dtype,
        "contender": row.contender,
        "threads": row.threads,
        "chosen": row.chosen,
        "difference": row.difference,
        "rounds": [case.size * seconds for seconds in row.seconds],
        "tails": row.tails,
        "others": row.others,
    }


def markdown(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lines of the part of the report that is about families."""
    worst_first = sorted(found, key=lambda one: one["ratio"]["median"])
    yield "Each family has images of its own, made from a seed; everybody starts from the weights"
    yield "that convlet has after some epochs of them. Training is compared with the fastest mode"
    yield "of PyTorch that shuffles, prediction with onnxruntime given the same type of numbers,"
    yield "both on as many threads. A promise is kept where the median of the ratio reaches it."
    yield ""
    yield "| promise | at least | kept | of | worst | where |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for name, least in LEAST.items():
        if mine := [one for one in worst_first if one["promise"] == name]:
            kept, worst = sum(one["kept"] for one in mine), mine[0]
            ratio = f"{worst['ratio']['median']:.2f}"
            yield f"| {name} | {least:g} | {kept} | {len(mine)} | {ratio} | {_where(worst)} |"
    for title, rows in (
        ("Training", [one for one in worst_first if _is(one, "peer", "training")]),
        ("One image", [one for one in worst_first if _is(one, "peer", "latency")]),
        ("Several images", [one for one in worst_first if _is(one, "peer", "prediction")]),
        ("All threads against one", [one for one in worst_first if one["compared"] == "threads"]),
    ):
        if rows:
            yield from ("", f"### {title}, worst first", "", *_table(rows))


def _is(one: dict[str, Any], compared: str, what: str) -> bool:
    return one["compared"] == compared and one["what"] == what


def _where(one: dict[str, Any]) -> str:
    what = "training by" if one["what"] == "training" else one["dtype"] + ","
    return f"{one['family']}, {what} {one['size']:,}, threads {one['threads']}"


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield (
        "| ratio | family | images | of | threads | convlet, ms | 99 % | against | ms | 99 % |"
        " promise |"
    )
    yield "| ---: | --- | ---: | --- | ---: | ---: | ---: | --- | ---: | ---: | --- |"
    for one in rows:
        against = one["peer"]
        if one["compared"] == "threads":
            against = "one thread"
        elif one["what"] == "training":
            against += f" ({one['peer_chose']})"
        elif one["peer_chose"] not in (None, one["size"]):
            against += f" (by {one['peer_chose']})"
        verdict = "" if one["promise"] is None else ("kept" if one["kept"] else "short")
        mark = " *" if one["others"] > DISTURBED else ""
        cells = (
            factors(one["ratio"]) + mark,
            one["family"],
            f"{one['size']:,}",
            one["dtype"] or "a step",
            str(one["threads"]),
            digits(1e3 * one["seconds"]),
            digits(1e3 * one["tail"]) if one["tail"] else "",
            against,
            digits(1e3 * one["peer_seconds"]),
            digits(1e3 * one["peer_tail"]) if one["peer_tail"] else "",
            verdict,
        )
        yield f"| {' | '.join(cells)} |"
    if any(one["others"] > DISTURBED for one in rows):
        yield ""
        yield f"\\* others used more than {DISTURBED:.0%} of the CPUs in one of the rounds."
