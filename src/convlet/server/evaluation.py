"""What a network makes of its test images: confusions, and the mistakes it is surest of."""

from collections.abc import Sequence

import numpy as np

from convlet import equations as eq
from convlet.measures import confusion_counts, worst_mistakes
from convlet.reference import quiet
from convlet.run import Answers
from convlet.server.description import Data, Json
from convlet.server.wire import encoded, pixels

MISTAKES = 24
PAIRS = 20
"""The most frequent confusions that are listed."""
MOST_PIXELS = 1 << 19
"""Of all mistakes that are sent with theirs."""
WIDEST = 100
"""Classes of a matrix that is sent whole."""


@quiet
def evaluation_of(
    answers: Answers, data: Data, of: str, classes: Sequence[str], accuracy: float
) -> Json:
    """As the page is told.  of: the part of the data that the answers are of."""
    predicted = answers.z.argmax(axis=1)
    counts = confusion_counts(answers.labels, predicted, len(classes))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    probabilities = np.nan_to_num(eq.softmax(answers.z))
    worst = worst_mistakes(probabilities, answers.labels, MISTAKES)
    images = data.parts[of].images
    shown = images[0].size * MISTAKES <= MOST_PIXELS
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
                "pixels": encoded(pixels(np.asarray(images[n]), data.levels)) if shown else None,
            }
            for n in worst
        ],
        "shape": list(images.shape[1:]),
    }
