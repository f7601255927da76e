"""`Network`: parameters, prediction, evaluation, gradients, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest

import convlet
from convlet import (
    ArchitectureError,
    Callback,
    Conv2D,
    ConvletError,
    Dense,
    Flatten,
    InputError,
    Network,
    Softmax,
    backprop,
)

LAYERS = "conv 2 3, relu, pool 2, flatten, dense 3, softmax"
SHAPE = (6, 7, 2)


def network(**options) -> Network:
    return Network(LAYERS, SHAPE, **{"engine": "reference", **options})


def samples(count: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *SHAPE), np.uint8), rng.integers(0, 3, count)


# --------------------------------------------------------------------------------------- parameters


def test_default_network():
    net = Network()
    assert net.input_shape == (28, 28, 1)
    assert net.flat.size == 37610
    assert list(net.parameters) == ["w0", "b0", "w1", "b1", "w2", "b2", "w3", "b3"]
    assert net.epochs == 0


def test_text_and_layers_describe_the_same_network():
    layers = [Flatten(), Dense(3), Softmax()]
    a, b = Network(layers, SHAPE), Network("flatten, dense 3, softmax", SHAPE)
    assert a.layers == b.layers
    assert a.flat.tobytes() == b.flat.tobytes()


def test_parameters_are_views_that_write_through():
    net = network()
    x, _ = samples()
    before = net.predict_proba(x)
    net.parameters["b1"][:] = [0, 100, 0]
    assert net.flat[-3:].tolist() == [0, 100, 0]
    assert net.predict(x).tolist() == [1] * 5
    assert not np.array_equal(net.predict_proba(x), before)
    net.flat[:] = 0
    assert not any(array.any() for array in net.parameters.values())


def test_the_seed_decides_the_weights():
    assert network(seed=1).flat.tobytes() == network(seed=1).flat.tobytes()
    assert network(seed=1).flat.tobytes() != network(seed=2).flat.tobytes()
    assert network(seed=2**63).flat.tobytes() != network(seed=2**63 + 1).flat.tobytes()


# --------------------------------------------------------------------------------------- prediction


def test_prediction_is_the_forward_pass_in_float64():
    net, (x, _) = network(), samples(300)  # more than one chunk
    double = {name: array.astype(np.float64) for name, array in net.parameters.items()}
    expected = backprop.forward(net.stages, double, x / 255)[-1].output
    found = net.predict_proba(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert net.predict(x).tolist() == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize(
    "same",
    [
        lambda x: x / np.float32(255),
        lambda x: (x / np.float32(255)).astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1][::-1],
        lambda x: (x / np.float32(255)).astype(">f4"),
    ],
)
def test_the_same_images_in_another_form_give_the_same_bits(same):
    net, (x, _) = network(), samples()
    assert net.predict_proba(same(x)).tobytes() == net.predict_proba(x).tobytes()


def test_float16_images():
    net, (x, _) = network(), samples()
    x = (x / 255).astype(np.float16)
    expected = net.predict_proba(x.astype(np.float32))
    assert net.predict_proba(x).tobytes() == expected.tobytes()


def test_inputs_are_not_written_to():
    net, (x, y) = network(), samples()
    x, y = x / 255, y.astype(np.float64)
    weight = np.ones(5)
    for array in (x, y, weight):
        array.flags.writeable = False
    net.evaluate(x, y, weight)
    net.gradients(x, y, weight)
    net.fit(x, y, epochs=1, sample_weight=weight)
    np.testing.assert_array_equal(x, samples()[0] / 255)


def test_images_of_one_channel_may_leave_it_out():
    net = Network("flatten, dense 2, softmax", (4, 5))
    x = np.random.default_rng(0).random((3, 4, 5))
    assert net.predict_proba(x).tobytes() == net.predict_proba(x[..., None]).tobytes()


def test_parameters_of_another_network_are_copied():
    other = network(seed=5)
    net = network(flat=other.flat)
    assert net.flat.tobytes() == other.flat.tobytes()
    assert net.flat.dtype == np.float32
    assert not np.shares_memory(net.flat, other.flat)
    for wrong in (other.flat[1:], other.flat[None], ["a"]):
        with pytest.raises(InputError, match=r"flat has shape .*, expected \(\d+,\) numbers"):
            network(flat=wrong)


def test_a_parameter_is_written_to_and_not_replaced():
    net = network()
    net.parameters["w0"][...] = 7
    assert (net.parameters["w0"] == 7).all()
    with pytest.raises(TypeError, match="does not support item assignment"):
        net.parameters["w0"] = np.zeros_like(net.parameters["w0"])


# --------------------------------------------------------------------------- evaluation, gradients


@pytest.mark.equation(13, 14)
def test_evaluation_by_hand():
    net = Network("flatten, dense 2 bias none, softmax", (1, 1, 2))
    net.parameters["w0"][:] = np.eye(2) * np.log(3)
    x = np.array([[1.0, 0], [1, 0], [0, 1]]).reshape(3, 1, 1, 2)  # probabilities 3/4, 1/4
    loss, accuracy = net.evaluate(x, [0, 1, 1])
    assert loss == pytest.approx((2 * np.log(4 / 3) + np.log(4)) / 3, rel=1e-6)
    assert accuracy == pytest.approx(2 / 3)
    loss, accuracy = net.evaluate(x, [0, 1, 1], sample_weight=[1, 3, 0])
    assert loss == pytest.approx((np.log(4 / 3) + 3 * np.log(4)) / 4, rel=1e-6)
    assert accuracy == pytest.approx(1 / 4)
    loss, accuracy = net.evaluate(x, [[1, 0], [0.5, 0.5], [0.25, 0.75]])
    mean = [np.log(4 / 3), np.log(16 / 3) / 2, 0.25 * np.log(4) + 0.75 * np.log(4 / 3)]
    assert loss == pytest.approx(np.mean(mean), rel=1e-6)
    assert accuracy == 1


def test_gradients_are_those_of_the_recursion():
    net, (x, y) = network(), samples()
    weight = np.array([1.0, 0, 2, 0.5, 1])
    double = {name: array.astype(np.float64) for name, array in net.parameters.items()}
    _, expected = backprop.gradients(net.stages, double, x / 255, y, weight)
    found = net.gradients(x, y, weight)
    assert list(found) == list(net.parameters)
    for name, derivative in found.items():
        assert derivative.dtype == np.float32
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(derivative, expected[name], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_weights_whose_sum_is_no_float32_are_shares(engine):
    net, (x, y) = network(engine=engine), samples()
    large = np.full(len(y), 3e38)
    for name, derivative in net.gradients(x, y, large).items():
        np.testing.assert_allclose(derivative, net.gradients(x, y)[name], atol=1e-6)
    assert net.evaluate(x, y, large) == pytest.approx(net.evaluate(x, y))


# ------------------------------------------------------------------------------------ refused input

WRONG_LAYERS = [
    ("conv 2 9, relu, flatten, dense 3, softmax", r"kernel 9 is larger than its input, 6x7 pixels"),
    ("flatten, dense 3", r"the last layer is dense 3, expected softmax"),
    ("flatten, softmax, dense 3, softmax", r"layers\[1\] is softmax, but softmax is for the last"),
    ("flatten, sigmoid, softmax", r"layers\[1\] is 'sigmoid', expected one of: conv, pool"),
    ("", r"layers\[0\] is empty"),
    ([], r"layers is empty, expected at least one conv or dense"),
    (5, r"layers is 5, expected a sequence of layers or their text form"),
    (Conv2D(2, 3), r"layers is Conv2D\(.*, expected a sequence of layers"),
    ([Flatten(), "dense 3", Softmax()], r"layers\[1\] is 'dense 3', expected Conv2D"),
    (
        "flatten, dense 1000000, dense 1000, softmax",
        r"need 1085001000 parameters, expected at most",
    ),
]


@pytest.mark.parametrize(("layers", "message"), WRONG_LAYERS)
def test_wrong_layers_are_refused(layers, message):
    with pytest.raises(ArchitectureError, match=message):
        Network(layers, SHAPE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, r"seed is -1, expected a whole number from 0 to 18446744073709551615"),
        ({"seed": 1.5}, r"seed is 1.5, expected a whole number"),
        ({"seed": 2**64}, r"seed is 18446744073709551616, expected a whole number"),
        ({"engine": "fast"}, r"engine is 'fast', expected one of: auto, native, reference"),
        ({"classes": ["a", "b"]}, r"classes has 2 names, expected 3: the last layer has 3 units"),
        ({"classes": "abc"}, r"classes is 'abc', expected one name \(str\) for each class"),
        ({"classes": [1, 2, 3]}, r"classes is \[1, 2, 3\], expected one name"),
        ({"classes": 3}, r"classes is 3, expected one name"),
        (
            {"classes": ["a", "b\udcff", "c"]},
            r"classes\[1\] is 'b\\udcff', expected valid Unicode: rename that class",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Network(**{"layers": LAYERS, "input_shape": SHAPE, **options})


def test_classes_without_layers_size_the_last_layer():
    assert Network(classes=["a", "b", "c"]).class_count == 3
    with pytest.raises(InputError, match=r"classes is 3, expected one name \(str\) for each class"):
        Network(classes=3)
    with pytest.raises(InputError, match=r"input_shape is \(28,\), expected \(rows, columns"):
        Network(input_shape=(28,))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_wrong_images_are_refused_by_prediction(method):
    net, (x, _) = network(), samples()
    for wrong, message in (
        (x[0], r"x has shape \(6, 7, 2\), expected \(n, 6, 7, 2\)"),
        (x[:0], r"x has shape \(0, 6, 7, 2\), expected at least one image"),
        (x.astype(int), r"x has dtype int64, expected uint8"),
        (np.full(x.shape, np.nan), r"x\[0, 0, 0, 0\] is nan, expected finite"),
    ):
        with pytest.raises(InputError, match=message):
            getattr(net, method)(wrong)


@pytest.mark.parametrize("method", ["evaluate", "gradients", "fit"])
def test_wrong_samples_are_refused_before_any_work(method):
    net, (x, y) = network(), samples()
    before = net.flat.tobytes()
    call = getattr(net, method)
    for arguments, options, message in (
        ((x[:, 1:], y), {}, r"x has shape \(5, 5, 7, 2\), expected \(n, 6, 7, 2\)"),
        ((x, y[1:]), {}, r"y has 4 labels for 5 images"),
        ((x, y + 3), {}, r"y\[0\] is \d, expected 0 to 2: the network has 3 classes"),
        ((x, y - 3), {}, r"y\[0\] is -\d, expected 0 to 2"),
        ((x, y + 0.5), {}, r"y\[0\] is \d.5, expected a whole number"),
        ((x, np.ones((5, 3))), {}, r"y\[0\] adds up to 3, expected 1"),
        ((x, y), {"sample_weight": np.ones(4)}, r"sample_weight has shape \(4,\)"),
        ((x, y), {"sample_weight": -np.ones(5)}, r"sample_weight\[0\] is -1.0, expected a finite"),
        ((x, y), {"sample_weight": np.zeros(5)}, r"sample_weight is zero everywhere"),
        ((x, y), {"sample_weight": np.full(5, np.nan)}, r"sample_weight\[0\] is nan"),
    ):
        with pytest.raises(InputError, match=message):
            call(*arguments, **options)
    assert net.flat.tobytes() == before
    assert net.epochs == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"epochs is 0, expected a whole number from 1"),
        ({"epochs": 1.0}, r"epochs is 1.0, expected a whole number from 1"),
        ({"batch_size": 0}, r"batch_size is 0, expected a whole number from 1"),
        ({"batch_size": -32}, r"batch_size is -32, expected a whole number from 1"),
        ({"batch_size": 2.5}, r"batch_size is 2.5, expected a whole number from 1"),
        ({"batch_size": None}, r"batch_size is None, expected a whole number from 1"),
        ({"learning_rate": 0}, r"learning_rate is 0, expected a number above 0, at most 1e\+06"),
        ({"learning_rate": -0.1}, r"learning_rate is -0.1, expected a number above 0"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan, expected a number above 0"),
        ({"learning_rate": float("inf")}, r"learning_rate is inf, expected a number above 0"),
        ({"learning_rate": 1e9}, r"learning_rate is 1000000000.0, expected .* at most 1e\+06"),
        ({"learning_rate": "fast"}, r"learning_rate is 'fast', expected a number above 0"),
        ({"seed": -1}, r"seed is -1, expected a whole number from 0"),
        ({"validation": 3}, r"validation is a int, expected a pair \(x, y\) or None"),
        ({"validation": (1, 2, 3)}, r"validation is a tuple with 3 in it, expected a pair"),
        ({"validation": (samples()[0],)}, r"validation is a tuple with 1 in it, expected a pair"),
        ({"callbacks": None}, r"callbacks is None, expected a sequence of convlet.Callback: \[cal"),
        ({"callbacks": Callback()}, r"callbacks is <.*Callback .*, expected a sequence of convlet"),
        ({"callbacks": [Callback(), print]}, r"callbacks\[1\] is <built.*>, expected .* on_begin"),
        ({"callbacks": [Callback]}, r"callbacks\[0\] is <class .*make an object of that class"),
        ({"callbacks": "bar"}, r"callbacks\[0\] is 'b', expected a convlet.Callback"),
        ({"validation": (np.ones((1, 2)), [0])}, r"validation x has shape \(1, 2\), expected \(n,"),
        ({"validation": (samples()[0], [0])}, r"validation y has 1 labels for 5 images"),
    ],
)
def test_wrong_training_options_are_refused_before_any_work(options, message):
    net, (x, y) = network(), samples()
    before = net.flat.tobytes()
    with pytest.raises(InputError, match=message):
        net.fit(x, y, **options)
    assert net.flat.tobytes() == before


def test_refusals_are_value_errors_and_convlet_errors():
    with pytest.raises(ValueError, match="seed") as caught:
        network(seed=-1)
    assert isinstance(caught.value, ConvletError)


# ----------------------------------------------------------------------------------------- printing


def test_summary_and_repr():
    text = Network(LAYERS, SHAPE, engine="reference").summary()
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines] == ["stage", "0", "1", "all"]
    assert lines[1][1:-2] == ["conv", "2", "3,", "relu,", "pool", "2,", "flatten", "8"]
    assert lines[1][-2:] == ["38", "720"]  # 3 x 3 x 2 x 2 + 2, and 4 x 5 x 2 outputs of 18 taps
    assert lines[2][-2:] == ["27", "24"]  # 8 x 3 + 3
    assert lines[3][-2:] == ["65", "744"]
    assert repr(network()) == (
        "Network('conv 2 3, relu, pool 2, flatten, dense 3, softmax', input_shape=(6, 7, 2), "
        "engine='reference')"
    )


def test_the_shape_of_the_images_cannot_be_changed():
    network = Network("flatten, dense 2, softmax", (2, 2))
    with pytest.raises(AttributeError):
        network.input_shape = (3, 3, 1)
    assert network.input_shape == (2, 2, 1)


# --------------------------------------------------------------------------- what decides meaning


@pytest.mark.parametrize("name", ["layers", "stages", "class_count", "shapes", "input_shape"])
def test_what_a_network_is_cannot_be_set(name):
    network = convlet.Network("flatten, dense 3, softmax", (4, 4))
    with pytest.raises(AttributeError):
        setattr(network, name, getattr(network, name))


def test_parameters_are_set_whole_and_finite(tmp_path):
    network = convlet.Network("flatten, dense 3, softmax", (4, 4), seed=1)
    memory, other = network.flat, convlet.Network("flatten, dense 3, softmax", (4, 4), seed=2)
    network.flat = other.flat.astype(np.float64)
    assert network.flat is memory
    assert network.flat.tobytes() == other.flat.tobytes()
    network.save(tmp_path / "m")
    assert convlet.load(tmp_path / "m").flat.tobytes() == other.flat.tobytes()
    for wrong in (np.zeros(3), np.full(51, np.nan), "zeros"):
        with pytest.raises(convlet.InputError, match="flat"):
            network.flat = wrong
    assert network.flat.tobytes() == other.flat.tobytes()


def test_an_engine_is_one_or_the_name_of_one():
    network = convlet.Network("flatten, dense 3, softmax", (4, 4))
    network.engine = "reference"
    assert network.engine.name == "reference"
    with pytest.raises(convlet.InputError, match="engine is 'turbo', expected one of"):
        network.engine = "turbo"


def test_flat_vectors_begin_with_a_cache_line(tmp_path):
    """Also of a copy, of a model file, and the slots of an optimiser: a matter of speed alone."""
    made = Network("flatten, dense 3, softmax", (2, 2, 1))
    made.save(tmp_path / "model.npz")
    slots = []

    class Keeps(Callback):
        def on_begin(self, run):
            slots.extend(run.slots)

    x, y = np.full((4, 2, 2, 1), 0.5, np.float32), np.arange(4) % 3
    made.fit(x, y, epochs=1, optimizer=convlet.Adam(), callbacks=[Keeps()])
    copies = [copy.deepcopy(made), pickle.loads(pickle.dumps(made))]
    copies += [
        convlet.load(tmp_path / "model.npz"),
        Network(made.layers, (2, 2, 1), flat=made.flat),
    ]
    vectors = [made.flat, *(one.flat for one in copies), *slots]
    assert len(vectors) == 7
    assert [vector.ctypes.data % 64 for vector in vectors] == [0] * 7
    assert all(np.array_equal(one.flat, made.flat) for one in copies[:2])
