"""Statistics of the rounds, as Markdown."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import median
from typing import Any

import family_report
from measure import DISTURBED, Row
from tables import digits, factors

EPOCH = 60_000


def ratios(row: Row, convlet: Row) -> list[float]:
    """How many times longer the contender takes than convlet, round by round."""
    return [theirs / ours for theirs, ours in zip(row.seconds, convlet.seconds, strict=True)]


def record(part: str, row: Row, convlet: Row, peak: float) -> dict[str, Any]:
    """The numbers of a row: seconds an epoch (training, scaling) or a call (prediction)."""
    unit = row.case.size if part == "prediction" else EPOCH
    times = [unit * t for t in row.seconds]
    factors = ratios(row, convlet)
    return {
        "what": part,
        "network": row.case.net.name,
        "images" if part == "prediction" else "batch_size": row.case.size,
        "contender": row.contender,
        "threads": row.threads,
        "median": median(times),
        "min": min(times),
        "max": max(times),
        "rounds": times,
        "ratio": {"median": median(factors), "min": min(factors), "max": max(factors)},
        "share_of_peak": row.flops / median(row.seconds) / peak,
        "difference": row.difference,
        "chosen": row.chosen,
        "others": max(row.others),
    }


def markdown(
    records: Sequence[dict[str, Any]],
    memory: Sequence[dict[str, Any]],
    families: Sequence[dict[str, Any]],
    about: dict[str, Any],
) -> str:
    """The whole report.  families: the comparisons of `family_report`."""
    lines = ["# Benchmark", "", *_about(about)]
    for what, title, unit in (
        ("training", "Training: seconds an epoch of 60,000 images", "batch size"),
        ("prediction", "Prediction: milliseconds a call", "images"),
    ):
        rows = [record for record in records if record["what"] == what]
        if rows:
            lines += ["", f"## {title}", "", *_table(rows, what, unit)]
    if rows := [record for record in records if record["what"] == "scaling"]:
        lines += ["", "## Threads: seconds an epoch at batch size 128", "", *_scaling(rows)]
    if about["kernels"]:
        lines += ["", "## Kernels of convlet on one thread", "", *_kernels(about["kernels"])]
    if memory:
        lines += ["", "## Peak memory in training, batch size 128", "", *_memory(memory)]
    if families:
        lines += ["", "## Families", "", *family_report.markdown(families)]
    lines += _disturbed(records)
    if about["left_out"]:
        lines += ["", "## Left out", "", *(f"- {text}" for text in about["left_out"])]
    return "\n".join(lines) + "\n"


def _disturbed(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Says which numbers are not to be trusted."""
    cases = {
        f"{row['what']} {row['network']} {row.get('batch_size', row.get('images'))}": None
        for row in records
        if row["others"] > DISTURBED
    }
    if cases:
        yield ""
        yield f"Others used more than {DISTURBED:.0%} of the CPUs during: {'; '.join(cases)}."


def _about(about: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    yield f"- {about['machine']}; {about['threads']} threads for everybody"
    yield f"- {versions}; Python {about['python']}"
    yield (
        f"- peak: {about['peak']['rate'] / 1e9:.0f} GFLOP/s on these threads, measured with "
        f"{about['peak']['how']}"
    )
    yield (
        f"- {about['rounds']} rounds of {about['seconds']} s, of families {about['family_seconds']}"
        " s, contenders in turns; an epoch is reckoned from the images that a round got through"
    )
    yield (
        "- ratio: time of the contender by time of convlet in the same round: median (least to "
        "most); above 1 convlet is faster"
    )
    yield (
        "- share: dense multiply-adds (in training three times the forward ones) against the peak; "
        "skipped zeros count as done"
    )
    yield (
        "- everybody starts from the same weights, those after an epoch of training: at first more "
        "units are alive, and a step of convlet costs more"
    )
    yield (
        "- torch-in-order is torch-eager without the shuffle: each minibatch is a slice; convlet "
        "and all others gather shuffled images"
    )


def _table(rows: Sequence[dict[str, Any]], what: str, unit: str) -> Iterator[str]:
    size, scale = ("batch_size", 1) if what == "training" else ("images", 1e3)
    yield f"| network | {unit} | contender | median | min | max | ratio | share |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for _, group in groupby(rows, key=lambda row: (row["network"], row[size])):
        for row in group:
            times = " | ".join(digits(scale * row[name]) for name in ("median", "min", "max"))
            name = row["contender"]
            if row["chosen"] not in (None, row[size]):
                name += f" ({row['chosen']})" if what == "training" else f" (by {row['chosen']})"
            yield (
                f"| {row['network']} | {row[size]:,} | {name} | {times} | {_ratio(row)} |"
                f" {row['share_of_peak']:.1%} |"
            )


def _scaling(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| network | all threads | 1 thread | times faster |"
    yield "| --- | ---: | ---: | ---: |"
    for many, one in zip(rows[::2], rows[1::2], strict=True):
        times = f"{digits(many['median'])} | {digits(one['median'])}"
        yield f"| {many['network']} | {times} | {factors(one['ratio'])} |"


def _kernels(kernels: dict[str, Any]) -> Iterator[str]:
    yield f"Dense rates; the peak of one thread is {kernels['peak'] / 1e9:.0f} GFLOP/s."
    yield ""
    yield "| network | stage | kernel | GFLOP/s | share |"
    yield "| --- | ---: | --- | ---: | ---: |"
    for row in kernels["rows"]:
        share = row["rate"] / kernels["peak"]
        yield (
            f"| {row['network']} | {row['stage']} | {row['kernel']} | {row['rate'] / 1e9:.0f} |"
            f" {share:.0%} |"
        )


def _ratio(row: dict[str, Any]) -> str:
    if row["contender"] == "convlet":
        return "1"
    return factors(row["ratio"])


def _memory(memory: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| network | contender | peak | without the data | above the start of training |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for row in memory:
        sizes = " | ".join(
            f"{row[name] / 1e6:.0f} MB" for name in ("peak", "over_data", "over_start")
        )
        yield f"| {row['network']} | {row['contender']} | {sizes} |"
