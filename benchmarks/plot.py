"""The ratios of a report as a picture.  Needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLOURS = ("#1f6fb4", "#d9761a", "#3a923a", "#8c6bb1", "#5f6b76", "#c03d3e")


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel for training and one for prediction: how many times longer others take."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    parts = [
        (what, rows)
        for what in ("training", "prediction")
        if (rows := [row for row in records if row["what"] == what])
    ]
    figure, axes = plt.subplots(
        len(parts), 1, figsize=(11, 4 * len(parts)), squeeze=False, layout="constrained"
    )
    for (what, rows), axis in zip(parts, axes[:, 0], strict=True):
        _panel(axis, what, rows)
    figure.savefig(path)
    plt.close(figure)


def _panel(axis: Any, what: str, rows: Sequence[dict[str, Any]]) -> None:
    size = "batch_size" if what == "training" else "images"
    cases = list(dict.fromkeys((row["network"], row[size]) for row in rows))
    names = [name for name in dict.fromkeys(row["contender"] for row in rows) if name != "convlet"]
    for number, name in enumerate(names):
        mine = [row for row in rows if row["contender"] == name]
        at = [
            cases.index((row["network"], row[size])) + (number - len(names) / 2 + 0.5) * 0.12
            for row in mine
        ]
        middle = [row["ratio"]["median"] for row in mine]
        below = [row["ratio"]["median"] - row["ratio"]["min"] for row in mine]
        above = [row["ratio"]["max"] - row["ratio"]["median"] for row in mine]
        colour = COLOURS[number % len(COLOURS)]
        axis.errorbar(
            at, middle, [below, above], fmt="o", ms=4, lw=1, capsize=2, color=colour, label=name
        )
    axis.axhline(1, color="black", lw=1)
    axis.set_yscale("log")
    axis.set_ylabel("time / time of convlet")
    axis.set_title(f"{what}: how many times longer than convlet")
    axis.set_xticks(range(len(cases)), [f"{network}\n{n}" for network, n in cases], fontsize=7)
    axis.set_xlabel(f"network and {size.replace('_', ' ')}")
    axis.grid(axis="y", which="both", alpha=0.3)
    if names:
        axis.legend(fontsize=8)
