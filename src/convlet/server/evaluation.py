"""What a network makes of its test images: confusions, and the mistakes it is surest of."""

from typing import Any

import numpy as np

from convlet import equations as eq
from convlet.measures import confusion_counts, worst_mistakes
from convlet.reference import quiet
from convlet.run import Answers

MISTAKES = 24
PAIRS = 20
"""The most frequent confusions that are listed."""
WIDEST = 100
"""Classes of a matrix that is sent whole."""


@quiet
def evaluation_of(answers: Answers, of: str, classes: tuple[str, ...], accuracy: float) -> Any:
    """As the page is told.  of: the part of the data that the answers are of."""
    predicted = answers.z.argmax(axis=1)
    counts = confusion_counts(answers.labels, predicted, len(classes))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    probabilities = np.nan_to_num(eq.softmax(answers.z))
    worst = worst_mistakes(probabilities, answers.labels, MISTAKES)
    return {
        "of": of,
        "classes": list(classes),
        "images": len(answers.labels),
        "loss": answers.loss,
        "accuracy": accuracy,
        "confusion": counts.tolist() if len(classes) <= WIDEST else None,
        "pairs": [[i, j, int(wrong[i, j])] for i, j in pairs if wrong[i, j]],
        "mistakes": [
            {
                "ref": {"part": of, "index": int(n)},
                "label": int(answers.labels[n]),
                "predicted": int(predicted[n]),
                "probability": float(probabilities[n, predicted[n]]),
            }
            for n in worst
        ],
    }
