"""The estimator: its parameters as they are given, and what scikit-learn asks of a classifier."""

from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin

from convlet.estimator import fitting, saving
from convlet.estimator.predicting import Predicting
from convlet.estimator.telling import CallbackSupportMixin, with_callbacks


class CNNClassifier(Predicting, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Convolutional network for images of any size, as an estimator of scikit-learn.

    ``X`` is a table whose rows are images in the order (row, column, channel), or an array of
    images ``(n, rows, columns)`` or ``(n, rows, columns, channels)``. ``fit`` divides its numbers
    by their greatest absolute value, or by 1, 255 or 65535 where that is the white of such levels,
    and predictions divide by the same. Columns of different kinds need a ``StandardScaler``.

    Parameters
    ----------
    layers : str or sequence of layers, default="auto"
        The layers, as for ``convlet.Network``, the last ones a dense layer with one unit for each
        class and the softmax. "auto" takes those of the recipe; without one, two convolutions and
        a hidden layer of 128 units that fit images of any shape.

    image_shape : tuple of int or None, default=None
        (rows, columns, channels) or (rows, columns) of a row of ``X``. None takes the shape of
        the images in ``X``; of a table a square if the number of features is one, else one row.

    epochs : int or None, default=None
        How often each image is used. None takes the number of the recipe, or 20.

    batch_size : int or None, default=None
        Images of a step. None takes the number of the recipe, or 32.

    learning_rate : float or None, default=None
        The rate of the first step. None takes that of the recipe, or the usual one of the
        optimiser.

    optimizer : str or convlet.SGD or convlet.Adam, default=None
        "sgd", "momentum", "nesterov", "adam", "adamw", or an object with other numbers. None
        takes that of the recipe, or "adam".

    schedule : str or schedule or None, default=None
        How the rate changes, as "cosine" or "one-cycle". None takes that of the recipe, or
        "constant".

    augmentation : str or convlet.Augmentation or None, default=None
        Random changes of the images in training, as "shift 2, rotation 10", or "none". None
        takes those of the recipe, or none.

    label_smoothing : float or None, default=None
        The share s in (1 - s) y + s / classes. None takes that of the recipe, or 0.

    clip_norm : float or None, default=None
        The greatest norm of the gradient of a step.

    recipe : {"plain", "default", "best", ...} or None, default=None
        Settings that belong together, fitted to the size and the number of the images: see
        ``convlet.recipes``. What is given beside it comes first.

    class_weight : dict, "balanced" or None, default=None
        The weight of each label. "balanced" gives all classes the same weight in sum.

    early_stopping : bool or int, default=False
        Ends training when the validation loss no longer falls, and takes the weights of the best
        epoch. A number is the patience in epochs; True is 5.

    validation_fraction : float, default=0.1
        The share of the rows, of each class its share, that early stopping holds out, where
        ``fit`` is given no ``X_val``.

    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the order of the images, augmentation, dropout and what is
        held out. A whole number is the seed of the network itself.

    n_jobs : int or None, default=None
        Threads; -1 is all CPUs, None as many as the work is worth. Inside a worker of joblib,
        Dask or another pool it is one thread. The result does not depend on it.

    verbose : bool or int, default=0
        Whether to show the progress of ``fit``.

    callbacks : sequence of convlet.Callback or None, default=None
        Told how ``fit`` goes. (The callbacks of scikit-learn 1.9 are set by ``set_callbacks``.)

    checkpoint : path or None, default=None
        A folder for checkpoints of ``fit``.

    resume : bool, default=False
        Go on from the newest checkpoint in that folder, with the same data and parameters.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    n_features_in_ : int
        Numbers of an image.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` had names that are all strings.

    image_shape_ : tuple of int
        (rows, columns, channels) of an image.

    divisor_ : float
        By what the numbers of ``X`` are divided.

    network_ : convlet.Network
        What was trained, on images whose numbers are divided.

    history_ : convlet.History
        A row for each epoch.

    n_iter_ : int
        Epochs trained.

    loss_curve_ : list of float
        The training loss of each epoch.

    See Also
    --------
    convlet.Network : The network itself, without scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from convlet import CNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = CNNClassifier(random_state=0).fit(X[:1500], y[:1500])
    >>> classifier.predict(X[1500:1504])
    array([1, 7, 4, 6])
    """

    # The help of each parameter is shown beside a link only; this one leads to the page itself.
    _doc_link_module = "convlet"
    _doc_link_template = "#"

    def __init__(
        self,
        layers: Any = "auto",
        image_shape: Any = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        optimizer: Any = None,
        schedule: Any = None,
        augmentation: Any = None,
        label_smoothing: float | None = None,
        clip_norm: float | None = None,
        recipe: str | None = None,
        class_weight: Any = None,
        early_stopping: bool | int = False,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = 0,
        callbacks: Any = None,
        checkpoint: Any = None,
        resume: bool = False,
    ) -> None:
        self.layers = layers
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.schedule = schedule
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.clip_norm = clip_norm
        self.recipe = recipe
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.resume = resume

    @with_callbacks
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> "CNNClassifier":
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, rows, columns) or (n, rows, columns, channels)
            Images, see the class.
        y : array-like of shape (n,)
            Labels of any kind.
        sample_weight : array-like of shape (n,), default=None
            The weight of each image in the loss; one with weight 0 is left out.
        X_val, y_val : array-like, default=None
            Images and labels to evaluate after each epoch.

        Returns
        -------
        self : CNNClassifier
        """
        fitting.fit(self, CNNClassifier, X, y, sample_weight, X_val, y_val)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "CNNClassifier":
        """Train one epoch on these images, going on with the network and its optimiser's state.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, rows, columns) or (n, rows, columns, channels)
            Images, see the class. The divisor is that of the first call.
        y : array-like of shape (n,)
            Labels, each one of the classes.
        classes : array-like of shape (n_classes,), default=None
            All labels that there will be; for the first call, where ``fit`` was none.
        sample_weight : array-like of shape (n,), default=None
            The weight of each image in the loss.

        Returns
        -------
        self : CNNClassifier
        """
        fitting.partial_fit(self, CNNClassifier, X, y, classes, sample_weight)
        return self

    def save(self, path: Any) -> None:
        """Write the fitted estimator to one model file, which ``load`` reads.

        ``convlet.load`` takes the network alone from it. Callbacks, ``checkpoint`` and a
        RandomState are left out.

        Parameters
        ----------
        path : path
            An old file stays as it was if this fails.
        """
        saving.save(self, path)

    @classmethod
    def load(cls, path: Any) -> "CNNClassifier":
        """The estimator in a file: it predicts, and goes on with ``partial_fit``, bit for bit.

        Nothing in a file is ever run.

        Parameters
        ----------
        path : path
            A file that ``save`` has written.

        Returns
        -------
        estimator : CNNClassifier
        """
        return saving.load(cls, path)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
