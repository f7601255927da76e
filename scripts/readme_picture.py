"""Draw the picture of the README from the output of `convlet train --json`.

    convlet train mnist --json > docs/images/training.jsonl
    python scripts/readme_picture.py docs/images/training.jsonl docs/images/training.svg

The same input gives the same bytes with the same matplotlib.  Needs matplotlib (the dev extra).
"""

import argparse
import json
from pathlib import Path
from typing import Any

BLUE, ORANGE, GREY = "#1f6fb4", "#d9761a", "#5f6b76"
FIELDS = ("epoch", "train_loss", "test_loss", "test_accuracy")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the epochs; the last line of a run, which names the model, is skipped."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        if "model" in row:
            continue
        missing = [field for field in FIELDS if row.get(field) is None]
        if missing:
            raise SystemExit(f"{path}, line {number}: no {', '.join(missing)}, expected an epoch")
        rows.append(row)
    if not rows:
        raise SystemExit(f"{path}: no epochs, expected the output of convlet train --json")
    return rows


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """Two panels side by side: losses, and the share of test images that are right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    plt.rcParams.update({"svg.hashsalt": "convlet", "svg.fonttype": "path", "font.size": 11})
    epochs = [row["epoch"] for row in rows]
    accuracy = [100 * row["test_accuracy"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")

    for field, colour, label in (
        ("train_loss", ORANGE, "training, while it went on"),
        ("test_loss", BLUE, "test, after the epoch"),
    ):
        left.plot(epochs, [row[field] for row in rows], "o-", color=colour, label=label)
    left.set(title="cross-entropy", xlabel="epoch")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)

    right.plot(epochs, accuracy, "o-", color=BLUE)
    right.set(title="test images right, %", xlabel="epoch")
    right.margins(x=0.12, y=0.25)
    for epoch, value in zip(epochs, accuracy, strict=True):
        if len(epochs) <= 8 or epoch == epochs[-1]:
            right.annotate(
                f"{value:.2f}", (epoch, value), (4, -17), textcoords="offset points", ha="center"
            )
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=GREY, alpha=0.2)
        axes.tick_params(colors=GREY)
    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if out.suffix == ".svg" else None
    figure.savefig(out, metadata=metadata, facecolor="white", dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a training run.")
    parser.add_argument("run", type=Path, help="output of convlet train --json")
    parser.add_argument("picture", type=Path, help=".svg or .png")
    arguments = parser.parse_args()
    draw(read_rows(arguments.run), arguments.picture)


if __name__ == "__main__":
    main()
