"""A model of Keras 3 as a chain, by the configuration and the weights of its layers."""

from typing import Any

from convlet.errors import ArchitectureError, InputError
from convlet.inputs import as_input_shape
from convlet.interchange.chain import Chain, Flatten, Step, refused
from convlet.interchange.keras_layers import Layer, steps_of_layer
from convlet.interchange.levels import with_white
from convlet.libraries import library, quiet


def chain_of_model(model: Any, white: float | None) -> tuple[Chain, tuple[str, ...]]:
    """What a model predicts of images (rows, columns, channels).

    Beside the chain, sentences about what is not as it was.  white: as for `with_white`.  Raises
    `InputError`, `ArchitectureError`, `MissingDependencyError`.
    """
    keras = library("keras", "from_keras needs", "keras")
    if not isinstance(model, keras.Model):
        raise InputError("model", model, "a keras.Sequential")
    try:
        shape, is_flat = _input_shape(model)
        steps: list[Step] = [Flatten("the input")] if is_flat else []
        said: list[str] = []
        with quiet():
            for layer in _layers(keras, model):
                steps += steps_of_layer(layer)
                said += layer.said
    except ArchitectureError as error:
        raise error.remade(parameter="model") from None
    steps, scaled = with_white(steps, white, "the model")
    return Chain(shape, steps), (*scaled, *said)


def _input_shape(model: Any) -> tuple[tuple[int, int, int], bool]:
    """Of an image, and whether the model takes it flat: then it is one row."""
    hint = "keras.Input((rows, columns, channels)) before its layers"
    if not model.built or not isinstance(getattr(model, "input_shape", None), tuple):
        raise refused("the model", "does not know its images", hint)
    sizes = model.input_shape[1:]
    if not 1 <= len(sizes) <= 3 or None in sizes:
        raise refused("the model", f"takes {model.input_shape}", hint)
    return as_input_shape((1, *sizes) if len(sizes) == 1 else sizes), len(sizes) == 1


def _layers(keras: Any, model: Any) -> list[Layer]:
    """One after the other, those of models inside too.  Raises `ArchitectureError`."""
    if not hasattr(model, "inputs"):
        hint = "keras.Sequential, or a functional model without branches"
        raise refused(f"model {model.name!r}", "computes in code of its own", hint)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        found = f"has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise refused(f"model {model.name!r}", found, "one of each")
    found_last_first: list[Layer] = []
    value = model.outputs[0]
    while value is not model.inputs[0]:
        layer, node_index, _ = value._keras_history
        node = layer._inbound_nodes[node_index]
        source = f"layer {layer.name!r} ({type(layer).__name__})"
        if len(node.input_tensors) != 1:
            found = f"reads {len(node.input_tensors)} values"
            raise refused(source, found, "a chain, without branches")
        (before,) = node.input_tensors
        if isinstance(layer, keras.Model):
            found_last_first += reversed(_layers(keras, layer))
        else:
            shapes = tuple(before.shape[1:]), tuple(value.shape[1:])
            found_last_first.append(Layer(source, keras, layer, *shapes))
        value = before
    return found_last_first[::-1]
