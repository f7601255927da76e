"""Predictions, and what they are worth: confusion counts, precision and recall, calibration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlet import equations as eq
from convlet.arrays import as_image_names
from convlet.equations import Float64
from convlet.errors import InputError
from convlet.inference import refuse_not_finite
from convlet.inputs import as_threads
from convlet.network import Network
from convlet.quantised.network import QuantizedNetwork
from convlet.reference import quiet

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Images (n, rows, columns, channels), their classes (n,), probabilities (n, M), and loss.

    The loss is that of `Network.evaluate`; the class of a distribution is its most probable one.
    names: of the images (n), or None.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    probabilities: Float64
    loss: float
    names: tuple[str, ...] | None = None

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class of each image, (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def accuracy(self) -> float:
        """Share of images whose most probable class is right, as of `Network.evaluate`."""
        return float((self.predicted == self.labels).mean())

    def name(self, n: int) -> str:
        """What to call image n: its name, or else its number, from 0."""
        return f"image {n}" if self.names is None else self.names[n]


def as_network(network: Any) -> Network:
    """A network.  Raises `InputError` for anything else."""
    if not isinstance(network, Network):
        hint = "convlet.load(path) reads one from a file"
        raise InputError("network", network, "a convlet.Network", hint)
    return network


def as_either(network: Any) -> Network | QuantizedNetwork:
    """A network, in whole numbers or not.  Raises `InputError` for anything else."""
    return network if isinstance(network, QuantizedNetwork) else as_network(network)


def predict(
    network: Network | QuantizedNetwork,
    x: Any,
    y: Any,
    threads: int | None = None,
    *,
    names: Any = None,
) -> Predictions:
    """Predictions for x; y and threads as for `Network.evaluate`.

    names: a str for each image, or None.  Raises `InputError`, also for a network whose outputs are
    not finite: it has no most probable class.
    """
    data = as_either(network).samples(x, y)
    threads, names = as_threads(threads), as_image_names(names, len(data))
    seen = network.seen(data, threads)
    refuse_not_finite(seen.z)
    probabilities = quiet(eq.softmax)(seen.z)
    return Predictions(data.images, seen.labels, probabilities, seen.loss, names)


def confusion_counts(labels: Any, predicted: Any, classes: int) -> Counts:
    """How often class i was taken for class j.  labels, predicted (n,) classes -> (M, M)."""
    places = np.asarray(labels, np.int64) * classes + np.asarray(predicted, np.int64)
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

    edges: Float64
    count: Counts
    confidence: Float64
    accuracy: Float64
    error: float


def calibration(probabilities: Any, labels: Any, bins: int = 10) -> Calibration:
    """Bins of equal width, each without its lower edge but the first.

    probabilities (n, M), labels (n,) classes.
    """
    p = np.asarray(probabilities, np.float64)
    best, right = p.max(axis=1), p.argmax(axis=1) == np.asarray(labels)
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


def worst_mistakes(probabilities: Any, labels: Any, count: int) -> NDArray[np.int64]:
    """Positions of the wrong predictions, the most confident first, at most count of them.

    Equal ones stay in order.  probabilities (n, M), labels (n,) classes.
    """
    p = np.asarray(probabilities)
    wrong = np.flatnonzero(p.argmax(axis=1) != np.asarray(labels))
    order = np.argsort(-p[wrong].max(axis=1), kind="stable")
    return np.asarray(wrong[order[:count]], np.int64)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
