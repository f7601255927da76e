"""Weights of classes: omega of (13)."""

import numpy as np
import pytest

from convlet import InputError, Network, load
from convlet.balance import BALANCED, as_class_weight, by_class, omega, parsed

LAYERS = "flatten, dense 3, softmax"
Y = np.array([0, 0, 0, 0, 1, 1, 2, 0])


def network(names=None):
    return Network(LAYERS, (2, 2, 1), seed=1, classes=names)


def images(count=8):
    return np.random.default_rng(3).random((count, 2, 2, 1), np.float32)


def test_balanced_classes_weigh_the_same_in_sum():
    weights = by_class(BALANCED, Y, 3)
    assert weights.tolist() == [8 / 15, 8 / 6, 8 / 3]
    whole = omega(weights, Y, None)
    np.testing.assert_allclose([whole[k == Y].sum() for k in range(3)], 8 / 3, rtol=1e-6)


def test_a_class_that_does_not_occur_is_left_out_of_the_balance():
    assert by_class(BALANCED, np.array([0, 0, 2]), 3).tolist() == [0.75, 0, 1.5]


def test_balanced_is_that_of_scikit_learn():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    expected = utils.compute_class_weight("balanced", classes=np.arange(3), y=Y)
    np.testing.assert_allclose(by_class(BALANCED, Y, 3), expected, rtol=1e-12)


@pytest.mark.parametrize("weights", [{"cat": 2, "eel": 0.5}, {0: 2, 2: 0.5}])
def test_weights_of_classes_train_as_those_of_their_images(weights):
    x, own = images(), np.linspace(1, 2, 8)
    by_class, by_image = (network(("cat", "dog", "eel")) for _ in range(2))
    by_class.fit(x, Y, class_weight=weights, sample_weight=own, epochs=2, batch_size=4)
    by_image.fit(x, Y, sample_weight=own * np.array([2, 1, 0.5])[Y], epochs=2, batch_size=4)
    np.testing.assert_allclose(by_class.flat, by_image.flat, rtol=1e-5, atol=1e-7)


def test_a_distribution_has_the_mean_weight_of_its_classes():
    y = np.array([[0.5, 0.5, 0], [0, 0, 1]], np.float32)
    assert omega(np.array([2.0, 4, 1]), y, None).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("equal", "class_weight is 'equal', expected 'balanced', or a dict"),
        ([1, 2, 3], "class_weight is \\[1, 2, 3\\], expected 'balanced', or a dict"),
        ({"3": 1}, "class_weight names the class '3', expected a number 0 to 2, or a name"),
        ({3: 1}, "class_weight names the class 3, expected a number 0 to 2, or a name: cat, dog"),
        ({"cow": 1}, "class_weight names the class 'cow', expected a number 0 to 2"),
        ({True: 1}, "class_weight names True, expected a number or name of a class"),
        ({"cat": 1, 0: 2}, "class_weight has 0 twice"),
        ({"cat": -1}, "class_weight\\['cat'\\] is -1, expected a finite number of 0 or more"),
        ({"cat": float("nan")}, "class_weight\\['cat'\\] is nan"),
        ({"cat": "2"}, "class_weight\\['cat'\\] is '2'"),
        ({0: 0, 1: 0, 2: 0}, "expected a weight above 0 for a class that occurs"),
        ({0: 1e300}, "class_weight\\[0\\] is inf, expected a finite number"),
    ],
)
def test_what_is_no_weight_is_refused_by_name(value, sentence):
    net = network(("cat", "dog", "eel"))
    before = net.flat.copy()
    with pytest.raises(InputError, match=sentence):
        net.fit(images(), Y, class_weight=value)
    assert (net.flat == before).all()


def test_text_and_pairs_are_the_same_weights():
    pairs = (("a=b", 2.0), ("dog", 0.5))
    assert parsed("a=b=2, dog = 0.5") == as_class_weight(dict(pairs)) == pairs
    assert as_class_weight([list(pair) for pair in pairs]) == pairs  # as JSON has them
    assert parsed(" balanced ") == as_class_weight("balanced") == BALANCED


def test_a_model_says_how_its_classes_weighed(tmp_path):
    net = network(("cat", "dog", "eel"))
    net.fit(images(), Y, class_weight={"cat": 2, 2: 0.5})
    net.save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    assert loaded.settings == net.settings
    assert loaded.settings.class_weight == (("cat", 2.0), (2, 0.5))
    assert loaded.settings.described(net.layers)["class weights"] == "cat 2, 2 0.5"


def test_a_number_that_is_the_name_of_another_class_is_refused():
    net = network(("1", "2", "3"))
    with pytest.raises(InputError, match="place 1 is called '2', and another one '1': write names"):
        net.fit(images(), Y, class_weight={1: 2.0})
    net.fit(images(), Y, class_weight={"1": 2.0}, epochs=1)


def test_a_name_is_known_in_both_forms_of_unicode():
    value = as_class_weight({"Vo\u0308gel": 2.0})
    assert by_class(value, Y, 3, ("cat", "V\u00f6gel", "dog")).tolist() == [1, 2, 1]
    value = as_class_weight({"V\u00f6gel": 2.0})
    assert by_class(value, Y, 3, ("cat", "Vo\u0308gel", "dog")).tolist() == [1, 2, 1]
