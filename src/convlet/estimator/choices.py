"""What the parameters of the estimator choose: settings of training, layers, threads, a seed."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from convlet.balance import BALANCED
from convlet.callbacks import as_callbacks
from convlet.datasets import Dataset, Split
from convlet.engine import Samples
from convlet.errors import ArchitectureError, InputError
from convlet.estimator.architecture import ImageShape, layers_for
from convlet.inputs import as_count, as_number_below, check_checkpoint, plain
from convlet.layers import Layer
from convlet.recipes import Recipe, recipe
from convlet.schedules import Constant
from convlet.settings import Settings
from convlet.stages import group
from convlet.stopping import EarlyStopping
from convlet.text import as_layers, parse_layers
from convlet.threads import available, inside_a_worker

USUAL = {"epochs": 20, "batch_size": 32, "optimizer": "adam"}
"""Where neither a parameter nor a recipe says another thing; the rest is that of `Settings`."""
FREE = (
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "schedule",
    "augmentation",
    "label_smoothing",
    "clip_norm",
)
"""Parameters of which None leaves the choice to the recipe."""
OF_NETWORK = ("layers", "image_shape")
"""Parameters that a network is made by."""


def recipe_of(name: Any, data: Samples, classes: Sequence[str]) -> Recipe | None:
    """The recipe of that name for these images, or None.  Raises `InputError`."""
    if name is None:
        return None
    train = Split(data.images, data.targets.astype(np.int64))
    return recipe(name, Dataset("X", train, train, tuple(classes)))


def settings_of(parameters: dict[str, Any], chosen: Recipe | None, seed: int) -> Settings:
    """How to train: what is given, then what the recipe says, then what is usual.

    The rate of a recipe is for its optimiser: with another one it is the usual one of that.
    Raises `InputError`.
    """
    base: dict[str, Any] = {**USUAL} if chosen is None else chosen.settings()
    given = {name: parameters[name] for name in FREE if parameters[name] is not None}
    if "optimizer" in given:
        base.pop("learning_rate", None)
    return Settings(**{**base, **given, "seed": seed, "class_weight": parameters["class_weight"]})


def given_to(estimator: Any, of: type) -> dict[str, Any]:
    """What an estimator of that class, or of one below it with other parameters, trains by."""
    known = signature(of).parameters.values()  # of __init__, without self
    return {one.name: getattr(estimator, one.name, one.default) for one in known}


def refuse_other_network(parameters: dict[str, Any], begun: dict[str, Any]) -> None:
    """Raise `InputError` for parameters of a network that differ from those it was begun with."""
    for name, value in begun.items():
        if not np.array_equal(np.array(value, object), np.array(parameters[name], object)):
            but = f"the network that partial_fit goes on with was begun with {value!r:.80}"
            raise InputError(name, parameters[name], but=but, hint="call fit, or give that")


def check(parameters: dict[str, Any]) -> None:
    """Refuse values that are wrong whatever the data, before any work.  Raises `InputError`."""
    check_checkpoint(parameters["checkpoint"], None, parameters["resume"])
    as_callbacks(parameters["callbacks"] or ())
    stopping_of(parameters["early_stopping"])
    threads_of(parameters["n_jobs"])
    settings_of({**parameters, "class_weight": None}, None, seed=0)


def refuse_whole(parameters: dict[str, Any]) -> None:
    """Raise `InputError` for parameters that belong to a whole training, and not to one epoch."""
    whole: dict[str, tuple[Any, ...]] = {
        "recipe": (None,),
        "early_stopping": (False,),
        "checkpoint": (None,),
        "resume": (False,),
        "schedule": (None, "constant", Constant()),
    }
    for name, allowed in whole.items():
        if parameters[name] not in allowed:
            but = "partial_fit does not know how many epochs there will be"
            raise InputError(
                name, parameters[name], but=but, hint=f"give {allowed[-1]}, or call fit"
            )
    if parameters["class_weight"] == BALANCED:
        but = "partial_fit does not know all labels"
        raise InputError("class_weight", BALANCED, but=but, hint="give a dict, or sample_weight")


def layers_of(
    value: Sequence[Layer] | str | None, shape: ImageShape, classes: int, chosen: Recipe | None
) -> tuple[Layer, ...]:
    """The layers that are asked for; "auto" takes those of the recipe, or such that fit the shape.

    Raises `InputError` for layers that do not fit the images, or the classes.
    """
    if not isinstance(value, str) or value != "auto":
        layers = as_layers(value, classes)
        units = group(layers, shape)[-1].output_shape[0]
        if units != classes:
            expected = f"{classes}, one for each class"
            raise InputError("layers", value, expected, found=f"end with {units} units")
        return layers
    if chosen is None:
        return parse_layers(layers_for(shape, classes))
    layers = chosen.layers(classes)
    try:
        group(layers, shape)
    except ArchitectureError:
        but = f"its layers do not fit images of {shape[0]}x{shape[1]} pixels"
        raise InputError("recipe", chosen.name, but=but, hint="give layers, or no recipe") from None
    return layers


def seed_of(random_state: Any) -> int:
    """A whole number is the seed itself; a RandomState, or NumPy's own for None, draws one."""
    value = plain(random_state)
    if isinstance(value, int) and not isinstance(value, bool):
        return as_count(value, "random_state", 0, (1 << 32) - 1)
    return int(check_random_state(value).randint(np.iinfo(np.int32).max))


def threads_of(n_jobs: Any) -> int | None:
    """Threads for `n_jobs`; None is the engine's choice.  Inside a worker of a pool it is one.

    Negative numbers count from the CPUs down, so that -1 is all of them.  Raises `InputError`.
    """
    value = plain(n_jobs)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value == 0):
        expected = "a number of threads, -1 for all CPUs, or None"
        raise InputError("n_jobs", n_jobs, expected)
    if inside_a_worker():
        return 1
    return max(1, available() + 1 + value) if value is not None and value < 0 else value


def stopping_of(value: Any) -> EarlyStopping | None:
    """For `early_stopping`: False, True, or epochs of patience.  Raises `InputError`."""
    value = plain(value)
    if isinstance(value, bool):
        return EarlyStopping() if value else None
    try:
        return EarlyStopping(as_count(value, "early_stopping"))
    except InputError:
        expected = "True, False, or a number of epochs to wait"
        raise InputError("early_stopping", value, expected) from None


def held_out(fraction: Any, count: int) -> int:
    """How many of `count` rows a fraction holds out: one at least.  Raises `InputError`."""
    share = as_number_below(fraction, "validation_fraction", 0, 1)
    if not share or count < 2:
        expected = "a number above 0, below 1" if count >= 2 else "two rows of X or more"
        raise InputError("validation_fraction", fraction, expected)
    return min(count - 1, max(1, round(share * count)))
