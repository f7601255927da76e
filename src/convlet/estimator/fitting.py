"""What `fit` and `partial_fit` of the estimator do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlet.arrays import as_sample_weight
from convlet.balance import by_class, omega
from convlet.callbacks import Callback
from convlet.datasets import strata
from convlet.datasets.taking import taken
from convlet.engine import Samples
from convlet.equations import Array
from convlet.errors import InputError
from convlet.estimator import choices, labels, pixels
from convlet.estimator.architecture import ImageShape
from convlet.estimator.telling import Kept, Told
from convlet.network import Network
from convlet.progress import progress_callback
from convlet.settings import Settings
from convlet.stopping import EarlyStopping
from convlet.values import scale_of

NAMES = {"seed": "random_state", "x": "X", "validation x": "X_val", "validation y": "y_val"}
"""What the arguments of `Network.fit` are called here, where that is another name."""


def fit(
    estimator: Any, of: type, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any
) -> None:
    """Train a new network; see `CNNClassifier.fit`.  of: the class that has the parameters."""
    vars(estimator).pop("network_", None)  # whatever goes wrong: the old one is not for the new y
    given = choices.given_to(estimator, of)
    choices.check(given)
    stopping = choices.stopping_of(given["early_stopping"])
    table, y, found = pixels.table_of(estimator, X, y, begins=True)
    classes = labels.classes_in(y)
    codes = labels.codes_of(y, classes)
    table, codes, weight = _with_weight(table, codes, sample_weight)
    labels.refuse_one_class(codes)
    _describe(estimator, given, table, classes, found)
    data = _samples(estimator, table, codes, weight)
    given["seed"] = seed = choices.seed_of(given["random_state"])
    data, validation = _divided(estimator, data, (X_val, y_val), stopping, given)
    names = labels.names_of(classes)
    recipe = choices.recipe_of(given["recipe"], data, names)
    given["class_weight"] = labels.class_weight_of(given["class_weight"], classes)
    settings = choices.settings_of(given, recipe, seed)
    shape = estimator.image_shape_
    layers = choices.layers_of(given["layers"], shape, len(classes), recipe)
    network = Network(layers, shape, seed, classes=names)
    callbacks: list[Callback] = [stopping] if stopping else []
    if hasattr(estimator, "_init_callback_context"):
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        callbacks.append(Told(estimator, X, y, weights))
    folder = {"checkpoint": given["checkpoint"], "resume": given["resume"]}
    _train(estimator, given, network, data, validation, settings, callbacks, Kept(), folder)


def partial_fit(estimator: Any, of: type, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
    """Train one epoch more; see `CNNClassifier.partial_fit`.  of: as for `fit`."""
    given = choices.given_to(estimator, of)
    choices.check(given)
    choices.refuse_whole(given)
    begins = not hasattr(estimator, "network_")
    if not begins:
        choices.refuse_other_network(given, estimator._begun)
    known = labels.classes_of(classes) if begins else estimator.classes_
    if not begins:
        labels.refuse_other(classes, known)
    table, y, found = pixels.table_of(estimator, X, y, begins=begins)
    table, codes, weight = _with_weight(table, labels.codes_of(y, known), sample_weight)
    if begins:
        _describe(estimator, given, table, known, found)
        estimator._seed = choices.seed_of(given["random_state"])
    else:
        pixels.refuse_other_shape(found, estimator.image_shape_)
    seed, shape, kept = estimator._seed, estimator.image_shape_, Kept()
    if begins:
        layers = choices.layers_of(given["layers"], shape, len(known), None)
        network = Network(layers, shape, seed, classes=labels.names_of(known))
    else:
        network, kept = estimator.network_, estimator._kept
    given["class_weight"] = labels.class_weight_of(given["class_weight"], known)
    settings = choices.settings_of({**given, "epochs": 1}, None, seed)
    data = _samples(estimator, table, codes, weight)
    if not begins:
        pixels.warn_of_scale(data.images, estimator._scale)
    _train(estimator, given, network, data, None, settings, [], kept, {})


def _train(
    estimator: Any,
    given: dict[str, Any],
    network: Network,
    data: Samples,
    validation: Samples | None,
    settings: Settings,
    callbacks: Sequence[Callback],
    kept: Kept,
    folder: dict[str, Any],
) -> None:
    """Train, and keep what comes of it, also where an exception ends training after a step."""
    told: list[Callback] = [*(given["callbacks"] or ()), *callbacks, kept]
    if validation is None and any(isinstance(one, EarlyStopping) for one in told):
        hint = "give early_stopping=5, or X_val and y_val"
        raise InputError("callbacks", found="have EarlyStopping and no images to watch", hint=hint)
    if given["verbose"]:
        told.append(progress_callback())
    weights = by_class(settings.class_weight, data.targets, network.class_count, network.classes)
    data = Samples(data.images, data.targets, omega(weights, data.targets, data.weight))
    threads, kept.steps = choices.threads_of(given["n_jobs"]), 0
    if network.scale is None:  # a network refuses images on another scale; the estimator warns
        estimator._scale = scale_of(data.images)
    try:
        network.fit_samples(data, validation, settings, told, threads, **folder)
    except InputError as error:  # of a checkpoint of another run, for one
        if error.parameter not in NAMES:
            raise
        raise error.remade(parameter=NAMES[error.parameter]) from error
    finally:
        if kept.steps:
            network.scale = estimator._scale
            estimator._seed = settings.seed
            kept.put_into(estimator, network)


def _describe(
    estimator: Any,
    given: dict[str, Any],
    table: Array,
    classes: Array,
    found: ImageShape | None,
) -> None:
    """What a new network is for."""
    estimator.classes_ = classes
    estimator.image_shape_ = pixels.shape_in(given["image_shape"], table.shape[1], found)
    estimator.divisor_ = pixels.divisor_of(table)
    estimator._begun = {name: given[name] for name in choices.OF_NETWORK}


def _with_weight(
    table: Array, codes: labels.Codes, sample_weight: Any
) -> tuple[Array, labels.Codes, Array | None]:
    """The rows with a weight above 0, their classes and omega; a row without one is not there."""
    weight = as_sample_weight(sample_weight, len(codes))
    if weight is None or (weight > 0).all():
        return table, codes, weight
    rows = np.flatnonzero(weight > 0)
    return taken(table, rows), codes[rows], weight[rows]


def _samples(estimator: Any, table: Array, codes: labels.Codes, weight: Array | None) -> Samples:
    images = pixels.images_of(table, estimator.image_shape_, estimator.divisor_)
    return Samples(images, codes.astype(np.int32), weight)


def _divided(
    estimator: Any,
    data: Samples,
    given: tuple[Any, Any],
    stopping: EarlyStopping | None,
    parameters: dict[str, Any],
) -> tuple[Samples, Samples | None]:
    """Images to train with and to evaluate: what is given, or a share if training may end early."""
    if any(one is not None for one in given):
        return data, _validation(estimator, data, *given)
    if stopping is None:
        return data, None
    count = choices.held_out(parameters["validation_fraction"], len(data))
    held = strata.chosen(data.targets.astype(np.int64), count, parameters["seed"])
    return _part(data, ~held), _part(data, held)


def _validation(estimator: Any, data: Samples, X: Any, y: Any) -> Samples:
    for name, one in (("X_val", X), ("y_val", y)):
        if one is None:
            raise InputError(name, None, "both X_val and y_val, or neither", found="is missing")
    table, y, found = pixels.table_of(estimator, X, y, begins=False)
    pixels.refuse_other_shape(found, estimator.image_shape_)
    codes = labels.codes_of(y, estimator.classes_, "y_val")
    held = _samples(estimator, table, codes, None)
    pixels.warn_of_scale(held.images, scale_of(data.images))
    return held


def _part(data: Samples, chosen: Array) -> Samples:
    rows = np.flatnonzero(chosen)
    weight = None if data.weight is None else data.weight[rows]
    return Samples(taken(data.images, rows), data.targets[rows], weight)
