"""`convlet data`."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from convlet import plots
from convlet.cli import lines, options, places, reading
from convlet.cli.console import print_table, say, say_json
from convlet.cli.help import Command
from convlet.cli.models import load_data
from convlet.cli.pictures import PictureFile
from convlet.cli.reading import Reading
from convlet.datasets import Dataset
from convlet.datasets.census import Census, census
from convlet.datasets.survey import Survey
from convlet.wording import listed, size

TWINS = 10  # named in the answer


@click.command(cls=Command, epilog="Example: convlet data photos --out sheet.png")
@options.DATA
@reading.OPTIONS
@options.file("--out", help="Draw images of every class: a .png, .svg or .pdf file.")
@options.JSON
def data(data: str, reading: Reading, out: Path | None, json: bool) -> None:
    """Say what is in a data set, and what is wrong with it.

    Images by class and part, sizes and kinds, mean and spread, copies between parts, labels that
    disagree.
    """
    reading.check()
    places.refuse_inside(out, data)
    picture = None if out is None else PictureFile(out)
    dataset = load_data(data, json, **reading.arguments())
    found = census(dataset)
    problems = list(found.problems(dataset.classes))
    saved = None if picture is None else picture.save(plots.contact_sheet(dataset))
    if json:
        say_json(_record(dataset, found, problems))
        return
    for line in _lines(dataset, found):
        say(line)
    say()
    parts = list(found.counts)
    rows: list[tuple[str, ...]] = [
        (name, *(f"{found.counts[part][k]:,}" for part in parts))
        for k, name in enumerate(dataset.classes)
    ]
    rows += [(), ("all", *(f"{sum(found.counts[part]):,}" for part in parts))]
    print_table(("class", *parts), rows, "<" + ">" * len(parts))
    say()
    for problem in problems or ["no problem found"]:
        say(problem)
    for twin in found.twins[:TWINS]:
        copies = " = ".join(_name(dataset, part, n) for part, n in twin.places)
        names = dict.fromkeys(dataset.classes[k] for k in twin.labels)
        say(f"  {copies} ({', '.join(names)})")
    if len(found.twins) > TWINS:
        say(f"  and {len(found.twins) - TWINS:,} more: --json has all of them")
    if saved is not None:
        say(saved)


def _lines(dataset: Dataset, found: Census) -> Iterator[str]:
    images = dataset.train.images
    total = sum(map(sum, found.counts.values()))
    yield (
        f"{dataset.name}: {total:,} images {size(images.shape[1:])} {images.dtype},"
        f" {len(dataset.classes)} classes"
    )
    if dataset.survey is not None:
        yield from _kinds(dataset.survey)
    yield from dataset.said
    yield from lines.of_drawn(dataset)
    yield (
        f"values {found.least:.3g} to {found.greatest:.3g}, mean {_numbers(found.mean)}, standard"
        f" deviation {_numbers(found.spread)}; 1 is white"
    )


def _kinds(survey: Survey) -> Iterator[str]:
    """Which files there are, the most frequent first."""
    sizes = [f"{rows}x{columns} ({count:,})" for rows, columns, count in survey.shapes()]
    kinds = sorted(survey.kinds.items(), key=lambda kind: (-kind[1], kind))
    yield f"sizes: {listed(sizes)}"
    yield f"kinds: {listed([f'{name} ({count:,})' for name, count in kinds])}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _name(dataset: Dataset, part: str, n: int) -> str:
    """What to call image n of a part: its file, or its number, from 0."""
    split = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}[
        part
    ]
    names = None if split is None else split.names
    return f"{part} image {n}" if names is None else names[n]


def _record(dataset: Dataset, found: Census, problems: list[str]) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "shape": list(dataset.train.images.shape[1:]),
        "dtype": str(dataset.train.images.dtype),
        "said": [*dataset.said, *lines.of_drawn(dataset)],
        "survey": None if dataset.survey is None else asdict(dataset.survey),
        "classes": [
            {"class": name, **{part: counts[k] for part, counts in found.counts.items()}}
            for k, name in enumerate(dataset.classes)
        ],
        "mean": list(found.mean),
        "spread": list(found.spread),
        "least": found.least,
        "greatest": found.greatest,
        "problems": problems,
        "copies": [
            {
                "images": [_name(dataset, part, n) for part, n in twin.places],
                "parts": [part for part, _ in twin.places],
                "classes": [dataset.classes[k] for k in twin.labels],
            }
            for twin in found.twins
        ],
    }
