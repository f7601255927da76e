"""How `convlet predict` says what images are: as a table, CSV or JSON."""

import csv
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from convlet.cli.console import print_table, say, say_json
from convlet.wording import percent

MOST_SAID = 5  # lines about what was done with images
MOST_ROWS = 3_000  # of a table; more images have another one, and are not in memory


class Answer(NamedTuple):
    """What an image is: its name, classes with probabilities, and what was done with it."""

    image: str
    classes: list[tuple[str, float]]
    done: str


class Json:
    """An object a line, at once."""

    def write(self, answer: Answer) -> None:
        classes = [{"class": name, "probability": share} for name, share in answer.classes]
        done = {"done": answer.done} if answer.done else {}
        say_json({"image": answer.image, "classes": classes, **done})

    def end(self) -> None:
        pass


class Csv:
    """A row for each class of each image, at once."""

    def __init__(self) -> None:
        self.write_row: Callable[[Sequence[object]], object] = csv.writer(
            sys.stdout, lineterminator="\n"
        ).writerow
        self.write_row(("image", "class", "probability", "done"))

    def write(self, answer: Answer) -> None:
        for name, share in answer.classes:
            self.write_row((answer.image, name, repr(share), answer.done))

    def end(self) -> None:
        pass


class AnswerTable:
    """A table, of many images one after the other, and in words what was done with them."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.done: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def write(self, answer: Answer) -> None:
        for place, (name, share) in enumerate(answer.classes):
            self.rows.append((answer.image if place == 0 else "", name, percent(share)))
        if answer.done:
            self.done[answer.done] += 1
            self.first.setdefault(answer.done, answer.image)
        if len(self.rows) >= MOST_ROWS:
            self.print_rows()

    def print_rows(self) -> None:
        if self.rows:
            print_table(("image", "class", "probability"), self.rows, "<<>")
        self.rows = []

    def end(self) -> None:
        self.print_rows()
        if self.done:
            say()
        for done, count in self.done.most_common(MOST_SAID):
            say(f"{self.first[done] if count == 1 else f'{count:,} images'}: {done}")
        rest = sum(self.done.values()) - sum(n for _, n in self.done.most_common(MOST_SAID))
        if rest:
            say(f"{rest:,} images: resized or placed in other ways")
