"""Backpropagation (16)-(25) against central differences and hand values."""

from itertools import product

import numpy as np
import pytest

from convlet import backprop, parse_layers
from convlet import equations as eq
from convlet.stages import group, parameter_shapes

NETWORKS = {
    "this case": (
        "conv 2 3, relu, pool 2, conv 3 3, relu, pool 2, flatten, dense 5, relu, dense 3, softmax",
        (12, 11, 2),
    ),
    "dense only": ("flatten, dense 4, relu, dense 3, softmax", (2, 3, 1)),
    "one stage": ("flatten, dense 3 bias none, softmax", (2, 2, 2)),
    "strides": (
        "conv 3 3x2 stride 2x3, relu, conv 2 2x1 stride 1x2, relu, flatten, dense 3, softmax",
        (8, 10, 2),
    ),
    "stride 3": ("conv 2 1 stride 3, relu, flatten, dense 3, softmax", (9, 8, 1)),
    "position": ("conv 2 3 bias position, relu, pool 2, flatten, dense 3, softmax", (7, 6, 1)),
    "no bias": ("conv 2 3 bias none, relu, pool 2, flatten, dense 3 bias none, softmax", (7, 6, 1)),
    "same": (
        "conv 2 4x3 padding same, relu, pool 2, conv 2 3 stride 2 padding same, "
        "flatten, dense 3, softmax",
        (5, 6, 1),
    ),
    "padding 2": (
        "conv 2 3 padding 2, pool 3 stride 2, relu, flatten, dense 3, softmax",
        (5, 4, 1),
    ),
    "overlap": (
        "conv 2 2, relu, pool 3x2 stride 1x2, conv 2 2, relu, "
        "pool 2 stride 1, flatten, dense 3, softmax",
        (8, 9, 1),
    ),
    "large kernels": ("conv 2 7x5, relu, conv 3 1x7, relu, flatten, dense 3, softmax", (9, 11, 1)),
    "no relu": ("conv 2 2, pool 2, conv 2 2, flatten, dense 4, dense 3, softmax", (7, 7, 1)),
}


def setting(name: str, seed: int = 0):
    """stages, parameters, x (3, ...), soft labels, sample weights; float64."""
    text, input_shape = NETWORKS[name]
    stages = group(parse_layers(text), input_shape)
    rng = np.random.default_rng(seed)
    parameters = {n: rng.normal(size=s) * 0.5 for n, s in parameter_shapes(stages).items()}
    x = rng.normal(size=(3, *stages[0].x_shape))
    y = eq.softmax(rng.normal(size=(3, 3)))
    return stages, parameters, x, y, np.array([0.5, 2, 1])


def cost(stages, parameters, x, y, weight) -> float:
    """(13) from the forward equations only."""
    probabilities = backprop.forward(stages, parameters, x)[-1].output
    y = np.eye(3)[y] if y.ndim == 1 else y
    each = -(y * np.log(probabilities)).sum(axis=1)  # (14), in the form of the derivation
    return float(np.average(each, weights=weight))


def assert_entries_are_differences(stages, parameters, x, y, weight, derivatives) -> None:
    """Every single entry of every derivative, relative to the largest of its array."""
    h = 1e-5
    for name, derivative in derivatives.items():
        array = parameters[name]
        assert derivative.shape == array.shape
        differences = np.zeros_like(array)
        for place in np.ndindex(*array.shape):
            costs = {}
            for step in (-2, -1, 1, 2):
                moved = array.copy()
                moved[place] += step * h
                costs[step] = cost(stages, {**parameters, name: moved}, x, y, weight)
            differences[place] = (8 * (costs[1] - costs[-1]) - (costs[2] - costs[-2])) / (12 * h)
        scale = np.abs(differences).max()
        assert np.abs(derivative - differences).max() < 1e-6 * scale, name


def assert_gradients_are_differences(name: str = "this case") -> None:
    stages, parameters, x, y, weight = setting(name)
    for labels, omega in ((y, weight), (np.array([2, 0, 1]), None)):
        value, derivatives = backprop.gradients(stages, parameters, x, labels, omega)
        assert list(derivatives) == list(parameters)
        assert value == pytest.approx(cost(stages, parameters, x, labels, omega), rel=1e-12)
        assert_entries_are_differences(stages, parameters, x, labels, omega, derivatives)


def assert_four_stages_are_differences() -> None:
    stages, parameters, x, _, _ = setting("this case")
    labels = np.array([2, 0, 1])
    derivatives = backprop.four_stages(parameters, x, labels)
    assert set(derivatives) == set(parameters)
    assert_entries_are_differences(stages, parameters, x, labels, None, derivatives)


def assert_four_stages_are_the_recursion() -> None:
    """(22)-(25) are one instance of (16)-(21): on whole numbers before the softmax, bit for bit."""
    stages, parameters, x, _, _ = setting("this case")
    labels = np.array([2, 0, 1, 1])
    x = np.concatenate([x, np.zeros_like(x[:1])])  # 4 samples: dividing by B is exact
    _, general = backprop.gradients(stages, parameters, x, labels)
    for name, written_out in backprop.four_stages(parameters, x, labels).items():
        np.testing.assert_array_equal(written_out, general[name])


def assert_stage_forward_by_hand() -> None:
    """x^1 = P(R(z^0)), z^0 = C(x^0, w^0) + b^0 on numbers that fit on a page."""
    stages = group(parse_layers("conv 1 1x2, relu, pool 2, flatten, dense 2, softmax"), (2, 3, 1))
    parameters = {
        "w0": np.array([1.0, 2]).reshape(1, 2, 1, 1),
        "b0": np.array([-10.0]),
        "w1": np.array([[1.0, 3]]),
        "b1": np.array([0.5, -0.5]),
    }
    x = np.array([[1.0, 2, 3], [4, 5, 0]]).reshape(1, 2, 3, 1)
    first, last = backprop.forward(stages, parameters, x)
    # z = 2 x_j + x_{j+1} - 10: the kernel is flipped
    assert first.inputs[0].ravel().tolist() == [-6, -3, 3, 0]
    assert first.output.ravel().tolist() == [3]
    assert last.x.tolist() == [[3]]
    assert last.inputs[0].tolist() == [[3.5, 8.5]]
    assert backprop.logits([first, last]).tolist() == [[3.5, 8.5]]
    np.testing.assert_allclose(last.output, [[1 / (1 + np.exp(5)), 1 / (1 + np.exp(-5))]])


def kinked(x: list[list[float]], bias: float) -> dict[str, np.ndarray]:
    """Derivatives of conv 1 1 (w0 = 1), relu, pool 2, dense 2 (w1 = (2, -4)) for one 2x2 image.

    With label 0 and probabilities (s, 1 - s) the error of the pooled unit is
    2 (s - 1) - 4 (1 - s) = -6 (1 - s).
    """
    stages = group(parse_layers("conv 1 1, relu, pool 2, flatten, dense 2, softmax"), (2, 2, 1))
    parameters = {
        "w0": np.ones((1, 1, 1, 1)),
        "b0": np.array([bias]),
        "w1": np.array([[2.0, -4]]),
        "b1": np.zeros(2),
    }
    image = np.array(x).reshape(1, 2, 2, 1)
    return backprop.gradients(stages, parameters, image, np.array([0]))[1]


def assert_kinks_by_hand() -> None:
    # blank image, no bias: z = 0 everywhere, s = 1/2, the factor is R'(0) = 1/2 of the first place
    blank = kinked([[0, 0], [0, 0]], 0)
    assert blank["b0"].tolist() == [-3 / 2]
    assert blank["w0"].ravel().tolist() == [0]
    # R(z) is 0 in the whole window: the winner is its first position, whose z = -1 has R' = 0,
    # though the second has z = 0
    dead = kinked([[-1, 0], [0, 0]], 0)
    assert dead["b0"].tolist() == [0]
    # ... and the other way round: the first has z = 0, so the factor is 1/2; x there is 7
    half = kinked([[7, -1], [-1, -1]], -7)
    assert half["b0"].tolist() == [-3 / 2]
    assert half["w0"].ravel().tolist() == [-3 / 2 * 7]
    # equal maxima: z = (1, 1, 1, 1), x = 3 all over: the error is sent once, not four times
    s = 1 / (1 + np.exp(-6))
    tied = kinked([[3, 3], [3, 3]], -2)
    np.testing.assert_allclose(tied["b0"], [-6 * (1 - s)], rtol=1e-12)
    np.testing.assert_allclose(tied["w0"].ravel(), [-6 * (1 - s) * 3], rtol=1e-12)


def assert_winner_is_the_first_of_equal_maxima() -> None:
    """Two pixels of equal z but different x: dw tells which one won."""
    stages = group(parse_layers("conv 1 1, relu, pool 2, flatten, dense 2, softmax"), (2, 2, 2))
    parameters = {
        "w0": np.ones((1, 1, 2, 1)),
        "b0": np.zeros(1),
        "w1": np.array([[2.0, -4]]),
        "b1": np.zeros(2),
    }
    x = np.array([[[0.0, 0], [1, 2]], [[2, 1], [3, 0]]])[None]  # z = 0, 3, 3, 3
    dw = backprop.gradients(stages, parameters, x, np.array([0]))[1]["w0"].ravel()
    assert dw[1] == pytest.approx(2 * dw[0])
    assert dw[0] < 0


@pytest.mark.equation(16, 17, 18, 19, 20, 21)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_differences(name):
    assert_gradients_are_differences(name)


@pytest.mark.equation(22, 23, 24, 25)
def test_four_stages_are_differences():
    assert_four_stages_are_differences()


@pytest.mark.equation(22, 23, 24, 25)
def test_four_stages_are_the_recursion():
    assert_four_stages_are_the_recursion()


@pytest.mark.equation(16, 17)
def test_stage_forward_by_hand():
    assert_stage_forward_by_hand()


@pytest.mark.equation(4, 10, 20)
def test_kinks_by_hand():
    assert_kinks_by_hand()


@pytest.mark.equation(4, 20)
def test_the_winner_is_the_first_of_equal_maxima():
    assert_winner_is_the_first_of_equal_maxima()


@pytest.mark.equation(13, 21)
def test_a_weight_of_two_is_a_sample_twice_and_a_weight_of_zero_is_no_sample():
    stages, parameters, x, y, _ = setting("strides")
    _, weighted = backprop.gradients(stages, parameters, x, y, np.array([2.0, 0, 1]))
    chosen = [0, 0, 2]
    _, repeated = backprop.gradients(stages, parameters, x[chosen], y[chosen])
    for name in parameters:
        np.testing.assert_allclose(weighted[name], repeated[name], rtol=1e-11, atol=1e-14)


@pytest.mark.equation(13)
def test_gradients_of_a_minibatch_are_the_mean_of_those_of_its_samples():
    stages, parameters, x, y, _ = setting("overlap")
    _, whole = backprop.gradients(stages, parameters, x, y)
    each = [backprop.gradients(stages, parameters, x[b : b + 1], y[b : b + 1])[1] for b in range(3)]
    for name in parameters:
        mean = sum(derivatives[name] for derivatives in each) / 3
        np.testing.assert_allclose(whole[name], mean, rtol=1e-11, atol=1e-14)


@pytest.mark.equation(18)
def test_bias_derivatives_by_position_add_up_to_those_by_channel():
    text = "conv 2 3 bias {}, relu, flatten, dense 3, softmax"
    rng = np.random.default_rng(0)
    x, w0, w1 = (rng.normal(size=s) for s in ((3, 5, 4, 1), (3, 3, 1, 2), (12, 3)))
    found = {}
    for bias, b0 in (("channel", np.zeros(2)), ("position", np.zeros((3, 2, 2)))):
        stages = group(parse_layers(text.format(bias)), (5, 4, 1))
        parameters = {"w0": w0, "b0": b0, "w1": w1, "b1": np.zeros(3)}
        found[bias] = backprop.gradients(stages, parameters, x, np.array([0, 1, 2]))[1]["b0"]
    assert found["position"].shape == (3, 2, 2)
    np.testing.assert_allclose(found["position"].sum(axis=(0, 1)), found["channel"], rtol=1e-12)


def test_float32_gradients_are_those_of_float64_but_for_rounding():
    for name, labels in product(("this case", "overlap"), (np.array([0, 1, 2]),)):
        stages, parameters, x, _, _ = setting(name)
        _, exact = backprop.gradients(stages, parameters, x, labels)
        single = {n: a.astype(np.float32) for n, a in parameters.items()}
        _, rounded = backprop.gradients(stages, single, x.astype(np.float32), labels)
        for n in exact:
            assert rounded[n].dtype == np.float32
            scale = np.abs(exact[n]).max()
            np.testing.assert_allclose(rounded[n], exact[n], rtol=0, atol=1e-5 * scale)
