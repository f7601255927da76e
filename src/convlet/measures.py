"""What a set of predictions is worth: confusion counts, precision and recall, calibration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion_counts(truth: Any, predicted: Any, classes: int) -> Counts:
    """How often class i was taken for class j.  truth, predicted (n,) classes -> (M, M)."""
    places = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    counts = np.bincount(places, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class ClassScore:
    """One class against the others; None where a share has nothing to be a share of."""

    precision: float | None  # of what was called this class, the share that is
    recall: float | None  # of what is this class, the share that was called so
    f1: float | None  # 2 right / (support + called)
    support: int  # images of this class


def class_scores(counts: Counts) -> list[ClassScore]:
    """Precision, recall, F1 and support of every class.  counts (M, M) as `confusion_counts`."""
    scores = []
    for k in range(len(counts)):
        right, called, support = int(counts[k, k]), int(counts[:, k].sum()), int(counts[k].sum())
        scores.append(
            ClassScore(
                precision=_share(right, called),
                recall=_share(right, support),
                f1=_share(2 * right, called + support),
                support=support,
            )
        )
    return scores


@dataclass(frozen=True)
class Calibration:
    """Predictions sorted into bins by the probability of the predicted class.

    edges (bins + 1,); count, confidence and accuracy (bins,): images, their mean probability and
    the share that is right, NaN in an empty bin.  error: the expected calibration error, the mean
    of |accuracy - confidence| over images (Naeini, Cooper, Hauskrecht, AAAI 2015; Guo, Pleiss,
    Sun, Weinberger, ICML 2017).
    """

    edges: Floats
    count: Counts
    confidence: Floats
    accuracy: Floats
    error: float


def calibration(probabilities: Any, truth: Any, bins: int = 10) -> Calibration:
    """Bins of equal width, each without its lower edge but the first.

    probabilities (n, M), truth (n,) classes.
    """
    p = np.asarray(probabilities, np.float64)
    best, right = p.max(axis=1), p.argmax(axis=1) == np.asarray(truth)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, best, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin
        confidence = np.bincount(place, best, bins) / count
        accuracy = np.bincount(place, right.astype(np.float64), bins) / count
    filled = count > 0
    gaps = np.abs(accuracy - confidence)[filled]
    error = float(np.dot(gaps, count[filled]) / len(p))
    return Calibration(edges, count.astype(np.int64), confidence, accuracy, error)


def worst_mistakes(probabilities: Any, truth: Any, count: int) -> NDArray[np.int64]:
    """Positions of the wrong predictions, the most confident first, at most count of them.

    Equal ones stay in order.  probabilities (n, M), truth (n,) classes.
    """
    p = np.asarray(probabilities)
    wrong = np.flatnonzero(p.argmax(axis=1) != np.asarray(truth))
    order = np.argsort(-p[wrong].max(axis=1), kind="stable")
    return np.asarray(wrong[order[:count]], np.int64)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
