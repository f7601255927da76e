"""scikit-learn's own checks of estimators, and what it shows of one."""

import doctest
import html
import re
from importlib import import_module
from inspect import signature

import numpy as np
from sklearn.utils import get_tags, shuffle
from sklearn.utils.estimator_checks import parametrize_with_checks

import children
from convlet import CNNClassifier, Network

EXCUSES = {
    "check_sample_weight_equivalence_on_dense_data": "minibatches of repeated rows are others,"
    " see the test below; scikit-learn grants its SGDClassifier the same",
}


# xfail_strict of pytest makes an excuse that is not needed a failure
@parametrize_with_checks(
    [CNNClassifier(), CNNClassifier(epochs=40, optimizer="nesterov", batch_size=8, n_jobs=1)],
    expected_failed_checks=lambda estimator: EXCUSES,
)
def test_sklearn_checks(estimator, check):
    if check.func.__name__ == "check_array_api_input":
        assert_check_with_array_api(estimator)
    else:
        check(estimator)


def assert_check_with_array_api(estimator: CNNClassifier) -> None:
    """In a process of its own: that check is left out unless SciPy was told of it at its import."""
    code = (
        "from sklearn.utils.estimator_checks import estimator_checks_generator as every; "
        f"from convlet import CNNClassifier; estimator = {estimator!r}; "
        "found = [c for _, c in every(estimator) if c.func.__name__ == 'check_array_api_input']; "
        "print(*[check(estimator) for check in found])"
    )
    assert children.output(code, SCIPY_ARRAY_API="1") == "None\n"


def weighted() -> tuple[np.ndarray, ...]:
    """The data of the excused check: rows, labels, whole weights, some of them 0."""
    rng = np.random.RandomState(42)
    x, y, weight = rng.rand(15, 30), rng.randint(0, 3, 15), rng.randint(0, 5, 15)
    return shuffle(x, y, weight, random_state=0)


def fitted(x, y, weight=None, batch_size=64) -> CNNClassifier:
    classifier = CNNClassifier(batch_size=batch_size, random_state=0)
    return classifier.fit(x, y, sample_weight=weight)


def test_weights_are_repeated_rows_where_no_minibatch_divides_them():
    x, y, weight = weighted()
    as_weights = fitted(x, y, weight).predict_proba(x)
    as_rows = fitted(x.repeat(weight, axis=0), y.repeat(weight)).predict_proba(x)
    # what is left is the rounding of float32; the check asks for 1e-7 of each number
    np.testing.assert_allclose(as_weights, as_rows, rtol=0, atol=2e-6)
    assert np.abs(as_rows - fitted(x, y).predict_proba(x)).max() > 1e-2


def test_in_minibatches_they_cannot_be_equal():
    """An epoch over rows takes more steps, each with other images, than one over weights."""
    x, y, weight = weighted()
    as_weights = fitted(x, y, weight, batch_size=4)
    as_rows = fitted(x.repeat(weight, axis=0), y.repeat(weight), batch_size=4)
    steps = as_weights._kept.updates, as_rows._kept.updates
    assert steps == (20 * -(-(weight > 0).sum() // 4), 20 * -(-weight.sum() // 4))
    assert steps[0] < steps[1]
    assert np.abs(as_weights.predict_proba(x) - as_rows.predict_proba(x)).max() > 1e-3


def test_weight_0_is_no_row_to_the_last_bit():
    x, y, weight = weighted()
    without = fitted(x[weight > 0], y[weight > 0], weight[weight > 0], batch_size=4)
    assert np.array_equal(fitted(x, y, weight, batch_size=4).network_.flat, without.network_.flat)


def test_every_parameter_is_explained_in_order():
    said = re.findall(r"^    (\w+) : ", CNNClassifier.__doc__.partition("Attributes\n")[0], re.M)
    assert said == [*signature(CNNClassifier).parameters]


def test_tags():
    tags = get_tags(CNNClassifier())
    assert tags.estimator_type == "classifier"
    assert (tags.input_tags.two_d_array, tags.input_tags.three_d_array) == (True, True)
    assert not tags.input_tags.sparse
    assert not tags.input_tags.allow_nan


def test_every_attribute_is_explained():
    said = re.findall(r"^    (\w+) : ", CNNClassifier.__doc__.partition("Attributes\n")[2], re.M)
    x, y = weighted()[:2]
    there = {name for name in vars(fitted(x, y)) if name.endswith("_")}
    assert {*said} == there | {"feature_names_in_"}


def test_the_html_shows_the_help_of_each_parameter():
    shown = html.unescape(CNNClassifier(epochs=7)._repr_html_())
    kinds = re.findall(
        r"^    (\w+) : (.+)$", CNNClassifier.__doc__.partition("Attributes\n")[0], re.M
    )
    assert len(kinds) == len(signature(CNNClassifier).parameters)
    if "param-doc-description" in shown:  # from 1.8 on
        assert all(f"{name}: {kind}<br>" in shown for name, kind in kinds)
        assert "How often each image is used." in shown
    else:
        assert "epochs=7" in shown or "epochs" in shown


def test_the_example_of_the_docstring_holds():
    module = import_module("convlet.estimator.classifier")
    found = doctest.testmod(module)
    assert found.attempted >= 5
    assert not found.failed


def test_the_network_of_a_whole_random_state_has_that_seed():
    x, y = weighted()[:2]
    classifier = CNNClassifier(epochs=1, random_state=7, learning_rate=1e-30).fit(x, y)
    fresh = Network(classifier.network_.layers, (1, 30, 1), seed=7)
    np.testing.assert_allclose(classifier.network_.flat, fresh.flat, rtol=0, atol=1e-29)
