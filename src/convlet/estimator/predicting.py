"""Predictions of the estimator: each image by itself, whatever stands beside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from convlet.equations import Float64, softmax
from convlet.estimator import pixels
from convlet.estimator.choices import threads_of
from convlet.inference import refuse_not_finite


class Predicting:
    """The methods of a fitted classifier.

    X is as in ``fit``.
    """

    classes_: NDArray[Any]

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each image, (n,)."""
        z = logits(self, X)
        return np.asarray(self.classes_[z.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Float64:
        """The probability of each class, (n, n_classes), in the order of ``classes_``."""
        return softmax(logits(self, X))

    def predict_log_proba(self, X: Any) -> Float64:
        """The logarithm of each probability, (n, n_classes), from which no small one is lost."""
        z = logits(self, X)
        z -= z.max(axis=1, keepdims=True)
        return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))

    def decision_function(self, X: Any) -> Float64:
        """What enters the softmax, (n, n_classes); of two classes the difference, (n,)."""
        z = logits(self, X)
        return np.asarray(z[:, 1] - z[:, 0]) if z.shape[1] == 2 else z


def logits(estimator: Any, X: Any) -> Float64:
    """What enters the softmax (n, classes), of each image by itself.  Raises `ValueError`."""
    check_is_fitted(estimator)
    table, _, found = pixels.table_of(estimator, X, begins=False)
    network, shape = estimator.network_, estimator.image_shape_
    pixels.refuse_other_shape(found, shape)
    threads = threads_of(getattr(estimator, "n_jobs", None))
    out = np.empty((len(table), network.class_count))
    for start in range(0, len(table), pixels.PIECE):
        part = slice(start, start + pixels.PIECE)
        images = pixels.images_of(table[part], shape, estimator.divisor_)
        pixels.warn_of_scale(images, estimator._scale)
        out[part] = network.engine.logits(network.flat, images, threads)
    refuse_not_finite(out)
    return out
