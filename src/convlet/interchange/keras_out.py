"""A network as a keras.Sequential."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from convlet.equations import Array
from convlet.formats.model import Saveable
from convlet.interchange import chain
from convlet.interchange.unfolding import OwnStep, steps_of
from convlet.libraries import library, quiet

if TYPE_CHECKING:
    import keras

Made = tuple[Any, list[Array]]
"""A layer, and its weights."""


def to_keras(network: Saveable) -> "keras.Sequential":
    """A network as layers of Keras; see `Exports.to_keras`.

    Raises `InputError`, `MissingDependencyError`.
    """
    keras = library("keras", "to_keras needs", "keras")
    made = [one for step in steps_of(network, "hwc") for one in _layers(keras, step)]
    model = keras.Sequential([keras.Input(network.input_shape), *(layer for layer, _ in made)])
    with quiet():
        for layer, weights in made:
            layer.set_weights(weights)
    return model


def _layers(keras: Any, step: OwnStep) -> Iterator[Made]:
    from convlet.interchange.keras_modules import PositionBias

    kinds = keras.layers
    match step:
        case chain.Conv(w=w, bias=bias, stride=stride, margins=margins):
            if margins != chain.NO_MARGINS:
                yield kinds.ZeroPadding2D(margins), []
            kernel = np.ascontiguousarray(w.transpose(2, 3, 1, 0))
            layer = kinds.Conv2D(len(w), w.shape[2:], stride, use_bias=bias is not None)
            yield layer, [kernel] if bias is None else [kernel, bias]
        case chain.Dense(w=w, bias=bias):
            layer = kinds.Dense(w.shape[1], use_bias=bias is not None)
            yield layer, [w] if bias is None else [w, bias]
        case chain.Affine(shift=shift):
            yield PositionBias(), [np.asarray(shift)]
        case chain.MaxPool(size=size, stride=stride):
            yield kinds.MaxPooling2D(size, stride), []
        case chain.ReLU():
            yield kinds.ReLU(), []
        case chain.Dropout(rate=rate):
            yield kinds.Dropout(rate), []
        case chain.Flatten():
            yield kinds.Flatten(), []
        case chain.Softmax():
            yield kinds.Softmax(), []
        case _:
            assert_never(step)
