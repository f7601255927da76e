"""What passes through a network: every number on the way there, every error on the way back."""

import numpy as np
import pytest
from hypothesis import example as such_as
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from convlet import InputError, MaxPool2D, Network, backprop
from convlet import equations as eq
from convlet.engine import Engine
from networks import networks, some_levels
from one_example import DELTA, DX, ERROR, IMAGE, POOLED_DELTA, Z, example

ENGINES = ("reference", "native")
SMALL = "conv 3 3, relu, pool 2 stride 1, flatten, dense 5, relu, dropout 0.5, dense 4, softmax"


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def difference(network, image, y, place, h=1e-3):
    """dE^n by one pixel, from the forward equations in float64."""
    parameters = {name: w.astype(float) for name, w in network.parameters.items()}

    def cost(s):
        x = image.astype(float)
        x[place] += s
        traces = backprop.forward(
            network.stages, parameters, x.reshape(1, *network.stages[0].x_shape)
        )
        return float(-(y * np.log(traces[-1].output[0])).sum())  # (14)

    return (8 * (cost(h) - cost(-h)) - (cost(2 * h) - cost(-2 * h))) / (12 * h)


def test_every_number_of_the_example_of_the_derivation(engine):
    network = example(engine=engine)
    conv, dense = network.activations(IMAGE[None])
    assert_array_equal(conv.x[0], IMAGE)
    assert_array_equal(conv.z[0], Z)
    assert_array_equal(conv.outputs[0][0], np.maximum(Z, 0))
    assert_array_equal(conv.outputs[1][0], [0, 3, 1, 0])
    assert conv.layers == ("relu", "flatten")
    assert_array_equal(dense.z[0], [0, 0])
    assert_array_equal(dense.output[0], [0.5, 0.5])
    first, last = network.errors(IMAGE[None], [1])
    assert_array_equal(last.delta[0], [0.5, -0.5])
    assert last.outputs == ()
    assert last.layers == ()
    assert_array_equal(last.x[0], ERROR.ravel())
    assert_array_equal(first.outputs[1][0], ERROR.ravel())
    assert_array_equal(first.outputs[0][0], ERROR)
    assert_array_equal(first.delta[0], DELTA)
    assert_array_equal(first.x[0], DX)
    assert_array_equal(network.input_gradient(IMAGE[None], [1])[0], DX)


def test_the_example_with_a_pool(engine):
    network = example("relu, pool 2, flatten", engine=engine)
    (first, _) = network.errors(IMAGE[None], [1])
    assert_array_equal(first.outputs[0][0], POOLED_DELTA)  # dE by the output of ReLU
    assert_array_equal(first.delta[0], POOLED_DELTA)
    assert first.layers == ("relu", "pool 2", "flatten")


def test_a_stage_without_a_sigma_hands_on_its_z(engine):
    network = Network("flatten, dense 3, dense 2, softmax", (2, 2, 1), engine=engine)
    x = np.random.default_rng(0).random((3, 2, 2, 1), np.float32)
    first, last = network.activations(x)
    assert first.outputs == ()
    assert first.layers == ()
    assert_array_equal(first.output, first.z)
    assert_array_equal(last.x, first.z)
    above, below = network.errors(x, [0, 1, 0])[::-1]
    assert_array_equal(below.delta, above.x)
    assert below.x.shape == (3, 4)
    assert network.input_gradient(x, [0, 1, 0]).shape == x.shape


@given(networks(), st.sampled_from(ENGINES))
def test_each_layer_makes_its_output_of_the_one_before(network, engine):
    network.engine = engine
    x = some_levels(network, 3)
    x_next = (x / np.float32(255)).reshape(3, *network.stages[0].x_shape)
    found = network.activations(x)
    for passed, stage in zip(found, network.stages, strict=True):
        assert passed.stage is stage
        assert_array_equal(passed.x, x_next)
        z = backprop.affine(stage, passed.x.astype(float), network.parameters)
        assert_allclose(passed.z, z, rtol=1e-4, atol=1e-5)
        assert [one.dtype for one in (passed.x, passed.z, *passed.outputs)] == [np.float32] * (
            2 + len(stage.sigma)
        )
        values = passed.z
        for layer, output in zip(stage.sigma, passed.outputs, strict=True):
            assert_allclose(output, backprop.sigma(layer, values), rtol=1e-5)
            values = output
        x_next = passed.output
    assert_allclose(x_next, network.predict_proba(x), rtol=1e-5)


@given(networks(), st.sampled_from(ENGINES), st.data())
def test_errors_make_the_gradient_that_the_core_computes(network, engine, data):
    """(21), (18) of each image's own errors, and their mean (13): what training has."""
    network.engine = engine
    x = some_levels(network, 3)
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    y = eq.softmax(rng.normal(size=(3, network.class_count)))
    if data.draw(st.booleans()):
        y = y.argmax(axis=1)
    expected = network.gradients(x, y)
    forward = network.activations(x)
    for passed, found in zip(forward, network.errors(x, y), strict=True):
        stage = found.stage
        w = backprop.affine_dw(stage, found.delta.astype(float), passed.x.astype(float)) / 3
        assert_allclose(expected[stage.w_name], w, rtol=1e-4, atol=1e-5)
        if stage.b_shape is not None:
            b = backprop.affine_db(stage, found.delta.astype(float)) / 3
            assert_allclose(expected[stage.b_name], b, rtol=1e-4, atol=1e-5)


@given(networks(), st.sampled_from(ENGINES))
def test_an_image_has_its_own_errors(network, engine):
    """No 1 / B, and nothing of the others."""
    network.engine = engine
    x, y = some_levels(network, 4), np.arange(4) % network.class_count
    together, alone = network.errors(x, y), network.errors(x[2:3], y[2:3])
    for many, one in zip(together, alone, strict=True):
        assert_allclose(many.delta[2:3], one.delta, rtol=1e-4, atol=1e-6)
        assert_allclose(many.x[2:3], one.x, rtol=1e-4, atol=1e-6)
        for ours, theirs in zip(many.outputs, one.outputs, strict=True):
            assert_allclose(ours[2:3], theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("shape", [(7, 6, 1), (6, 7, 3)])
def test_the_input_gradient_is_a_central_difference(engine, shape, soft):
    network = Network(SMALL, shape, seed=3, engine=engine)
    rng = np.random.default_rng(5)
    x = rng.random((2, *shape), np.float32)
    y = eq.softmax(rng.normal(size=(2, 4))).astype(np.float32) if soft else np.array([3, 0])
    found = network.input_gradient(x, y)
    assert found.dtype == np.float32
    assert found.shape == x.shape
    for n, place in [(0, (0, 0, 0)), (0, (3, 4, shape[2] - 1)), (1, (5, 2, 0)), (1, (2, 2, 0))]:
        label = y[n] if soft else np.eye(4)[y[n]]
        expected = difference(network, x[n], label, place)
        assert_allclose(found[n][place], expected, rtol=2e-4, atol=1e-6)


def test_levels_are_floats_and_classes_are_distributions(engine):
    network = Network(SMALL, (7, 6, 1), engine=engine)
    levels = some_levels(network, 3)
    y = np.array([0, 3, 1])
    found = network.input_gradient(levels, y)
    floats = levels / np.float32(255)
    assert_allclose(found, network.input_gradient(floats, y), rtol=1e-5, atol=1e-8)
    assert_array_equal(found, network.input_gradient(levels[..., 0], y.tolist()))
    assert_allclose(found, network.input_gradient(levels, np.eye(4)[y]), rtol=1e-6, atol=1e-9)


def test_both_engines_give_the_same():
    ours, theirs = (Network(SMALL, (9, 8, 3), seed=4, engine=name) for name in ENGINES)
    x, y = some_levels(ours, 4), [0, 1, 2, 3]
    for a, b in zip(ours.activations(x), theirs.activations(x), strict=True):
        assert_allclose(a.z, b.z, rtol=1e-4, atol=1e-5)
        assert_allclose(a.output, b.output, rtol=1e-4, atol=1e-5)
    for a, b in zip(ours.errors(x, y), theirs.errors(x, y), strict=True):
        assert_allclose(a.delta, b.delta, rtol=1e-4, atol=1e-5)
        assert_allclose(a.x, b.x, rtol=1e-4, atol=1e-5)
    assert isinstance(ours.engine, Engine)
    assert isinstance(theirs.engine, Engine)


def test_what_does_not_fit_is_refused():
    network = Network(SMALL, (7, 6, 1))
    x = np.zeros((2, 7, 6, 1), np.float32)
    for method in (network.errors, network.input_gradient):
        with pytest.raises(InputError, match=r"y has 3 labels for 2 images"):
            method(x, [0, 1, 2])
        with pytest.raises(InputError, match=r"y\[1\] is 4, expected 0 to 3"):
            method(x, [0, 4])
        with pytest.raises(InputError, match="threads is 0"):
            method(x, [0, 1], threads=0)
    with pytest.raises(InputError, match=r"x has shape \(7, 6, 1\).*one image is x\[None\]"):
        network.activations(x[0])
    with pytest.raises(InputError, match="threads is 0"):
        network.activations(x, threads=0)
    network.scale = (0.0, 0.5)
    with pytest.raises(InputError, match="x is on another scale"):
        network.activations(x - 2)
    with pytest.raises(InputError, match="x is on another scale"):
        network.errors(np.repeat(x, 32, axis=0) + 0.001, [0] * 64)


def test_a_network_that_is_not_finite_has_such_errors_and_says_nothing(engine):
    network = Network(SMALL, (7, 6, 1), engine=engine)
    network.parameters["w0"][...] = 1e38
    with np.errstate(all="raise"):
        found = network.errors(np.ones((1, 7, 6, 1), np.float32), [0])
    assert not all(np.isfinite(one.delta).all() for one in found)


WINOGRAD = (
    "conv 16 3 padding same, relu, conv 32 3 padding same, relu, pool 2,"
    " conv 32 5, pool 3 stride 2, relu"
)


@given(networks())
@such_as(Network(f"{WINOGRAD}, flatten, dense 9, relu, dense 4, softmax", (22, 19, 1), seed=2))
def test_what_is_traced_is_what_a_pass_computes(network):
    """Bit for bit: sigma of its z is what the next stage has, its errors are those of a step."""
    network.engine = "native"
    x, stages = some_levels(network, 3), network.stages
    y = np.arange(3, dtype=np.int32) % network.class_count
    images = network.samples(x, y).images
    traced = network.engine.trace(network.flat, images)
    for stage, (z, out) in zip(stages[:-1], traced[:-1], strict=True):
        values = z
        for layer in stage.sigma:
            values = backprop.sigma(layer, values)
        assert_array_equal(out, values)
    logits = traced[-1][0]
    for layer in stages[-1].sigma[:-1]:
        logits = backprop.sigma(layer, logits)
    assert_array_equal(logits, network.engine.logits(network.flat, images))
    assert_array_equal(traced[-1][1], network.engine.predict(network.flat, images))
    found = network.engine.errors(network.flat, images, y)
    for n in range(3):
        one = network.gradients(x[n : n + 1], y[n : n + 1])
        for stage, (delta, _) in zip(stages, found, strict=True):
            if stage.b_shape == stage.z_shape:  # of a dense stage, or one for each position
                assert_array_equal(one[stage.b_name], delta[n])
    for below, (z, _), (delta, _), (_, above) in zip(
        stages, traced, found, found[1:], strict=False
    ):
        if not any(isinstance(layer, MaxPool2D) for layer in below.sigma):
            inputs = [z]
            for layer in below.sigma:
                inputs.append(backprop.sigma(layer, inputs[-1]))
            assert_array_equal(delta, backprop.through_sigma(below.sigma, inputs[:-1], above))
