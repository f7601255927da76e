"""The runs of a session, for curves beside each other."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from convlet.run import Row

MOST_POINTS = 2_000
MOST_ROWS = 500
"""Epochs of a run that pages are told; the file of the history has all of the run that is there."""
LAST_ROWS = 200
"""Of these, the last, of which none is left out."""
MOST_RUNS = 20
"""Those shown beside each other; the oldest goes."""


@dataclass
class Curve:
    """At most so many points (x, loss); where more come, two neighbours become their mean."""

    points: list[tuple[float, float]] = field(default_factory=list)
    each: int = 1  # points that one stands for
    waiting: list[tuple[float, float]] = field(default_factory=list)

    def add(self, x: float, loss: float) -> tuple[float, float] | None:
        """-> the point that pages draw, None where it waits to be part of one.

        A page that has all of them keeps this very curve: it makes the same means.
        """
        self.waiting.append((x, loss))
        if len(self.waiting) < self.each:
            return None
        point = _mean(self.waiting)
        self.points.append(point)
        self.waiting = []
        if len(self.points) > MOST_POINTS:
            self.points = halved(self.points)
            self.each *= 2
        return point


def halved(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each two neighbours as their mean; events.js does the same."""
    last = points[len(points) // 2 * 2 :]
    return [_mean([*pair]) for pair in zip(points[::2], points[1::2], strict=False)] + last


def _thinned(rows: list[Row]) -> list[Row]:
    """At most so many, of which the table of the page has the last ones, each."""
    before, last = rows[:-LAST_ROWS], rows[-LAST_ROWS:]
    each = -(-len(before) // (MOST_ROWS - LAST_ROWS)) or 1
    return before[::-1][::each][::-1] + last


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    """The last place, the mean loss."""
    return points[-1][0], sum(loss for _, loss in points) / len(points)


@dataclass
class Record:
    """One run: a network from its first weights on.  settings: as the page knows them.

    learned: images that somebody labelled: from the first on, the bits are not those of `fit`.
    """

    id: int
    name: str
    settings: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    curve: Curve = field(default_factory=Curve)
    learned: int = 0

    def close(self) -> None:
        """It is only shown from now on."""
        self.rows = _thinned(self.rows)

    def as_json(self, current: bool) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "settings": self.settings,
            "rows": [asdict(row) for row in _thinned(self.rows)],
            "points": [list(point) for point in list(self.curve.points)],
            "current": current,
        }
