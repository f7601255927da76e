"""Networks to Keras and from it.  Keras is not installed with the tests: these run where it is.

scripts/interchange_peers runs them in an environment that has it, with PyTorch as the backend.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings

import convlet
from convlet import ArchitectureError, InputError, Network
from made_data import bright_rows
from networks import networks, some_levels, with_biases

keras = pytest.importorskip("keras", reason="Keras is not among the test requirements")
layers, Input = keras.layers, keras.Input
# Keras warns of what it does with PyTorch and NumPy itself
pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

LAYERS = (
    "conv 4 3x2 padding same stride 2x1 bias position, relu, pool 2 stride 1, dropout 0.3,"
    " conv 3 2 padding 1 bias none, relu, flatten, dropout 0.5, dense 8, relu, dense 3, softmax"
)


@pytest.fixture(autouse=True)
def _without_onednn():
    """PyTorch 2.13 computes some convolutions of one channel wrongly with it, channels last."""
    if keras.backend.backend() != "torch":
        return
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.mkldnn.set_flags(_enabled=False)


def predicted(model, images: np.ndarray) -> np.ndarray:
    floats = images / np.float32(255) if images.dtype == np.uint8 else images
    return model.predict(floats, verbose=0)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((6, *shape)).astype(np.float32)


@given(networks())
@settings(max_examples=15)
def test_any_network_goes_there_and_comes_back(network):
    images = some_levels(network)
    expected = network.predict_proba(images)
    model = network.to_keras()
    assert_close(predicted(model, images), expected)
    assert_close(convlet.from_keras(model).predict_proba(images), expected)


def test_trained_on_either_side_and_brought_over():
    x, y = bright_rows(80, seed=0)
    network = Network(LAYERS, x.shape[1:], seed=0)
    network.fit(x, y, epochs=2, batch_size=16)
    model = network.to_keras()
    before = network.predict_proba(x)
    assert_close(predicted(model, x), before)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(x / np.float32(255), y, batch_size=16, epochs=3, verbose=0)
    found = convlet.from_keras(model)
    assert_close(found.predict_proba(x), predicted(model, x))
    assert np.abs(found.predict_proba(x) - before).max() > 0.01
    assert {*found.layers} == {*network.layers}  # flatten may stand elsewhere


def test_a_model_with_a_layer_of_convlet_is_saved_and_loaded(tmp_path):
    network = with_biases(Network(LAYERS, (9, 8, 1), seed=0))
    network.to_keras().save(tmp_path / "model.keras")
    images = some_levels(network)
    found = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(predicted(found, images), network.predict_proba(images))


def functional():
    images = Input((8, 7, 2))
    inner = keras.Sequential([Input((6, 5, 3)), layers.ReLU(), layers.Conv2D(2, 2)])
    x = inner(layers.Conv2D(3, 3)(images))
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(x)))


def sequential(*made, shape=(8, 7, 2)):
    return keras.Sequential([Input(shape), *made, layers.Flatten(), layers.Dense(3)])


def twice():
    images, again = Input((8, 7, 2)), layers.Conv2D(2, 2, activation="relu")
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(again(again(images)))))


OTHERS = {
    "twice": twice,
    "mnist convnet": lambda: keras.Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    ),
    "functional": functional,
    "same": lambda: sequential(
        layers.Conv2D(3, (3, 2), (2, 1), "same", activation="relu"),
        layers.DepthwiseConv2D(2, depth_multiplier=2, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.AveragePooling2D(2, padding="same"),
    ),
    "apart": lambda: sequential(
        layers.ZeroPadding2D(((1, 0), (2, 1))),
        layers.SeparableConv2D(4, 3, use_bias=False, depth_multiplier=2),
        layers.BatchNormalization(scale=False, center=False),
        layers.Activation("relu"),
        layers.Conv2D(4, 2, dilation_rate=2, groups=2),
        layers.SpatialDropout2D(0.2),
        layers.GlobalAveragePooling2D(),
    ),
    "greatest": lambda: sequential(
        layers.Conv2D(3, 2, activation="relu"), layers.GlobalMaxPooling2D(keepdims=True)
    ),
    "normalised": lambda: sequential(
        layers.Normalization(mean=[0.4, 0.6], variance=[0.04, 0.09]),
        layers.RandomFlip(),
        layers.Conv2D(3, 2),
    ),
    "grey": lambda: keras.Sequential(
        [
            Input((5, 6)),
            layers.Reshape((5, 6, 1)),
            layers.Conv2D(2, 3),
            layers.Reshape((24,)),
            layers.Dense(1, activation="sigmoid"),
        ]
    ),
    "line": lambda: keras.Sequential(
        [Input((7,)), layers.Dense(5, activation="relu"), layers.Identity(), layers.Dense(3)]
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_models_of_others_give_the_same(name):
    keras.utils.set_random_seed(1)
    model = OTHERS[name]()
    rng = np.random.default_rng(1)
    model.set_weights(  # biases and moments, too
        [w + rng.uniform(-0.05, 0.05, w.shape).astype(w.dtype) for w in model.get_weights()]
    )
    network = convlet.from_keras(model)
    images = random_images(*network.input_shape)
    expected = predicted(model, images.reshape(-1, *model.input_shape[1:]))
    found = network.predict_proba(images)
    if name == "mnist convnet":
        assert network.said == ()
    elif name == "grey":
        assert_close(found[:, 1:], expected)
        return
    else:
        assert any("softmax was added" in one for one in network.said)
        expected = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    assert_close(found, expected)


def test_what_was_folded_is_said():
    said = "\n".join(convlet.from_keras(OTHERS["apart"]()).said)
    for part in ("SpatialDropout2D) drops whole channels", "BatchNormalization", "dilation 2x2"):
        assert part in said
    said = "\n".join(convlet.from_keras(OTHERS["normalised"]()).said)
    assert "RandomFlip) is left out: it changes images in training only" in said


def test_a_model_that_takes_levels():
    model = sequential(layers.Rescaling(1 / 127.5, offset=-1), layers.Conv2D(2, 3))
    network = convlet.from_keras(model)
    images = some_levels(network)
    expected = model.predict(images.astype(np.float32), verbose=0)
    expected = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    assert "the model takes 255 for white, the network 1: give it uint8" in network.said[0]
    assert_close(network.predict_proba(images), expected)


class Subclass(keras.Model):
    def call(self, x):
        return x


class Own(layers.Layer):
    def call(self, x):
        return x


def branching():
    images = Input((5, 5, 1))
    return keras.Model(images, layers.Flatten()(layers.Add()([images, layers.ReLU()(images)])))


def two():
    images = Input((5, 5, 1))
    x = layers.Flatten()(images)
    return keras.Model(images, [x, layers.Dense(3)(x)])


def quantised():
    model = flat()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that stay in floats
        model.quantize("int8")
    return model


def relu(x):
    return keras.ops.maximum(x, 0.3)


def flat(*made):
    return sequential(*made, shape=(5, 5, 1))


REFUSED = {
    "subclass": (Subclass, r"the model does not know its images: keras\.Input"),
    "no input": (lambda: keras.Sequential([layers.Dense(3)]), "the model does not know its images"),
    "free": (
        lambda: keras.Sequential([Input((None, None, 1)), layers.GlobalAveragePooling2D()]),
        r"takes \(None, None, None, 1\)",
    ),
    "branch": (branching, r"layer 'add\w*' \(Add\) reads 2 values: a chain, without branches"),
    "two": (two, r"has 1 inputs and 2 outputs: one of each"),
    "own": (lambda: flat(Own()), r"\(Own\) is no layer of convlet: Conv2D, Dense"),
    "gelu": (lambda: flat(layers.Conv2D(1, 2, activation="gelu")), "has the activation gelu: relu"),
    "own activation": (
        lambda: flat(layers.Conv2D(1, 2, activation=lambda x: x)),
        "has an activation of its own: relu",
    ),
    "transposed": (lambda: flat(layers.Conv2DTranspose(1, 2)), "Conv2DTranspose"),
    "same pool": (lambda: flat(layers.MaxPooling2D(2, padding="same")), "has margins"),
    "first": (lambda: flat(layers.Conv2D(1, 1, data_format="channels_first")), "channels first"),
    "relu6": (lambda: flat(layers.ReLU(6)), r"has another form than max\(x, 0\)"),
    "noise shape": (lambda: flat(layers.Dropout(0.5, (None, 1, 1, 1))), "drops units together"),
    "norm": (lambda: flat(layers.BatchNormalization(axis=1)), "normalises along axis 1"),
    "lined up channels first": (
        lambda: keras.Sequential(
            [Input((5, 5, 2)), layers.Flatten(data_format="channels_first"), layers.Dense(3)]
        ),
        r"\(Flatten\) has its channels first",
    ),
    "quantised": (quantised, r"\(Dense\) is quantised, int8: the model in floats, before"),
    "a relu of one's own": (
        lambda: flat(layers.Conv2D(1, 2, activation=relu)),
        "has an activation of its own: relu",
    ),
    "reshape": (lambda: flat(layers.Reshape((25, 1, 1))), r"makes \(25, 1, 1\) of \(5, 5, 1\)"),
    "pixels": (
        lambda: keras.Sequential([Input((5, 5, 2)), layers.Dense(3)]),
        "is a dense map of images 5x5x2, which leaves each pixel where it is",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_of_layers_is_refused_by_its_name(name):
    made, sentence = REFUSED[name]
    with pytest.raises(ArchitectureError, match=sentence) as caught:
        convlet.from_keras(made())
    assert caught.value.parameter == "model"


def test_what_is_no_model_is_refused():
    with pytest.raises(InputError, match=r"model is 3, expected a keras\.Sequential"):
        convlet.from_keras(3)
    with pytest.raises(InputError, match="white is 0, expected a number above 0"):
        convlet.from_keras(flat(), white=0)
