"""`CNNClassifier`: a network as an estimator of scikit-learn, which is imported here and below.

    classifier = convlet.CNNClassifier(epochs=10, random_state=0).fit(X, y)
    classifier.predict_proba(X)

Raises `MissingDependencyError` where scikit-learn is not there, or too old.
"""

from convlet.errors import MissingDependencyError

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  # since 1.6
except ImportError as error:
    raise MissingDependencyError(
        "CNNClassifier needs scikit-learn 1.6 or later, which is not installed:"
        ' pip install "convlet[sklearn]"'
    ) from error

from convlet.estimator.classifier import CNNClassifier

__all__ = ["CNNClassifier"]
