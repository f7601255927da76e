"""`CNNClassifier`: images and labels of every kind, its parameters, what it learns."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import convlet
from convlet import SGD, Adam, CNNClassifier, InputError, Network, recipes
from convlet.estimator import choices, labels
from convlet.estimator.architecture import layers_for, shape_of
from convlet.estimator.pixels import divisor_of, images_of
from convlet.native import NativeEngine
from convlet.stages import group
from convlet.text import parse_layers
from convlet.threads import available
from made_data import bright_rows

SIDE = (6, 6, 1)
X, Y = bright_rows(60, seed=1)  # uint8 levels 0 to 249
TEST, Y_TEST = bright_rows(40, seed=2)
QUICK = {"epochs": 2, "random_state": 0}


def flat(**given) -> np.ndarray:
    """The weights after training on X, or on what is given as x."""
    x, y = given.pop("x", X), given.pop("y", Y)
    return CNNClassifier(**{**QUICK, **given}).fit(x, y).network_.flat


PLAIN = flat()


def test_it_is_the_network_trained_by_hand():
    layers = layers_for(SIDE, 3)
    network = Network(layers, SIDE, seed=0)
    network.fit(X, Y, epochs=2, batch_size=32, optimizer="adam", seed=0)
    assert np.array_equal(PLAIN, network.flat)
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    np.testing.assert_allclose(
        classifier.predict_proba(TEST), network.predict_proba(TEST), rtol=0, atol=1e-6
    )
    assert np.array_equal(classifier.predict(TEST), network.predict(TEST))
    assert classifier.score(TEST, Y_TEST) == network.evaluate(TEST, Y_TEST).accuracy


def test_it_learns():
    classifier = CNNClassifier(epochs=30, random_state=0).fit(X, Y)
    assert classifier.score(TEST, Y_TEST) == 1.0
    assert classifier.n_iter_ == len(classifier.history_) == len(classifier.loss_curve_) == 30
    assert classifier.loss_curve_[-1] < 0.05 < classifier.loss_curve_[0]
    assert classifier.network_.settings.epochs == classifier.network_.epochs == 30


KINDS = {
    "rows": lambda x: x.reshape(len(x), -1),
    "without channels": lambda x: x[..., 0],
    "float64": lambda x: x.astype(np.float64),
    "float32": lambda x: x.astype(np.float32),
    "int64 rows": lambda x: x.reshape(len(x), -1).astype(np.int64),
    "int16": lambda x: x.astype(np.int16),
    "lists": lambda x: x[..., 0].tolist(),
    "lists of rows": lambda x: x.reshape(len(x), -1).tolist(),
    "a DataFrame": lambda x: pd.DataFrame(x.reshape(len(x), -1)),
    "names": lambda x: pd.DataFrame(x.reshape(len(x), -1), columns=[f"p{n}" for n in range(36)]),
    "Fortran": lambda x: np.asfortranarray(x),
    "strides": lambda x: np.repeat(x, 2, axis=2)[:, :, ::2],
    "read-only": lambda x: read_only(x),
}


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_holds_the_numbers_gives_the_same_bits(kind):
    classifier = CNNClassifier(**QUICK).fit(KINDS[kind](X), Y)
    assert np.array_equal(classifier.network_.flat, PLAIN)
    assert (classifier.image_shape_, classifier.divisor_) == (SIDE, 255.0)
    assert classifier.n_features_in_ == 36
    assert hasattr(classifier, "feature_names_in_") == (kind == "names")
    plain = CNNClassifier(**QUICK).fit(X, Y)
    got = classifier.predict_proba(KINDS[kind](TEST))
    assert np.array_equal(got, plain.predict_proba(TEST))


def test_a_map_of_a_file_is_neither_copied_nor_changed(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(flat(x=mapped), PLAIN)
    rows = np.asarray(mapped).reshape(len(mapped), -1)
    assert np.shares_memory(images_of(rows, SIDE, 255.0), mapped)
    floats = np.ascontiguousarray(rows / 255, np.float32)
    assert np.shares_memory(images_of(floats, SIDE, 1.0), floats)


DIVISORS = [
    ([0, 200], 255),
    ([0, 127], 127),
    ([0, 16], 16),
    ([0, 1], 1),
    ([0, 0.75], 1),
    ([0, 0.25], 0.25),
    ([0, 40_000], 65535),
    ([-3.5, 2], 3.5),
    ([-0.5, -0.125], 0.5),
]


@pytest.mark.parametrize(("numbers", "divisor"), DIVISORS)
def test_numbers_are_divided_by_white_or_the_greatest(numbers, divisor):
    assert divisor_of(np.array([numbers])) == divisor


def test_zeros_stay_zeros():
    assert divisor_of(np.zeros((2, 3))) == 1.0


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=9))
def test_divided_numbers_are_at_most_one(numbers):
    table = np.array([numbers])
    images = images_of(table, (1, len(numbers), 1), divisor_of(table))
    assert np.abs(images).max() <= 1
    assert np.abs(images).max() >= 0.5 or not np.abs(table).max() >= 1e-30


@pytest.mark.parametrize("factor", [2.0**-9, 2.0**5, 2.0**20])
def test_the_scale_of_x_changes_nothing(factor):
    """Of numbers that are no levels; powers of two divide exactly."""
    x = np.random.default_rng(0).normal(size=(40, 5, 5)) * 3
    y = np.arange(40) % 2
    plain, scaled = (CNNClassifier(**QUICK).fit(f * x, y) for f in (1.0, factor))
    assert np.array_equal(plain.network_.flat, scaled.network_.flat)
    assert np.array_equal(plain.predict_proba(x), scaled.predict_proba(factor * x))


def test_another_scale_in_a_prediction_is_told():
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    same = "X is on another scale than in training"
    with pytest.warns(UserWarning, match=f"{same}: its root mean square is 0.00391 times"):
        classifier.predict(TEST / 255)
    small = CNNClassifier(**QUICK).fit(X / 255, Y)
    with pytest.warns(UserWarning, match=same):
        small.predict(TEST[:1])
    with pytest.warns(UserWarning, match=same):
        CNNClassifier(**QUICK).fit(X, Y, X_val=TEST / 255, y_val=Y_TEST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(TEST[:1] // 100)  # a dark image
        classifier.predict(np.zeros_like(TEST))


def test_each_prediction_is_of_its_image_alone():
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    whole = classifier.decision_function(TEST)
    alone = np.concatenate([classifier.decision_function(TEST[n : n + 1]) for n in range(40)])
    assert np.array_equal(whole, alone)
    many = np.concatenate([TEST] * 110)  # more than are predicted in one go
    assert np.array_equal(classifier.decision_function(many), np.concatenate([whole] * 110))


def test_predictions_in_several_threads_at_once():
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    whole = classifier.decision_function(TEST)
    parts = [slice(n, n + 1 + n % 5) for n in range(35)] * 5
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda part: classifier.decision_function(TEST[part]), parts)
        assert all(np.array_equal(z, whole[p]) for z, p in zip(found, parts, strict=True))


def test_the_predictions_belong_together():
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    z, p = classifier.decision_function(TEST), classifier.predict_proba(TEST)
    assert z.shape == p.shape == (40, 3)
    np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(classifier.predict_log_proba(TEST), np.log(p), rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert np.array_equal(classifier.predict(TEST), p.argmax(axis=1))
    two = CNNClassifier(**QUICK).fit(X[Y < 2], Y[Y < 2])
    z, p = two.decision_function(TEST), two.predict_proba(TEST)
    np.testing.assert_allclose(z, np.log(p[:, 1] / p[:, 0]), rtol=1e-9)
    assert np.array_equal(two.predict(TEST), (z > 0).astype(int))


def test_no_small_probability_is_lost():
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    classifier.network_.parameters["b3" if "b3" in classifier.network_.parameters else "b2"][0] = (
        5e4
    )
    logs = classifier.predict_log_proba(TEST)
    assert np.isfinite(logs).all()
    assert (logs[:, 1:] < -1e4).all()


LABELS = {
    "strings": np.array(["ape", "bee", "cat"]),
    "objects": np.array(["ape", "bee", "cat"], object),
    "numbers from 5": np.array([5, 7, 900]),
    "negative": np.array([-1, 0, 1], np.int8),
    "floats": np.array([0.0, 1.0, 2.0]),
    "unsorted": np.array(["z", "m", "a"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind(kind):
    names = LABELS[kind]
    classifier = CNNClassifier(epochs=30, random_state=0).fit(X, names[Y])
    assert np.array_equal(classifier.classes_, np.sort(names))
    assert np.array_equal(classifier.predict(TEST), names[Y_TEST])
    assert classifier.predict(TEST).dtype == classifier.classes_.dtype
    assert classifier.network_.classes == tuple(map(str, classifier.classes_.tolist()))


def test_labels_of_two_kinds_and_containers():
    truth = CNNClassifier(epochs=9, random_state=0).fit(X, Y == 1)
    assert truth.classes_.tolist() == [False, True]
    series = pd.Series(LABELS["strings"][Y], dtype="category")
    assert CNNClassifier(**QUICK).fit(X, series).classes_.tolist() == ["ape", "bee", "cat"]
    assert CNNClassifier(**QUICK).fit(X, Y.tolist()).classes_.tolist() == [0, 1, 2]


SHAPES = [
    *((1, n, 1) for n in (1, 2, 3, 4, 5, 30, 784, 3000)),
    *((2, 2, 1), (3, 3, 1), (4, 4, 3), (5, 7, 2), (2, 40, 1), (15, 15, 1), (16, 16, 1)),
    *((17, 300, 1), (28, 28, 1), (32, 32, 3), (100, 70, 3), (224, 224, 3), (40, 1, 1)),
]


TEXTS = {
    (1, 1, 3): "flatten",
    (1, 3, 1): "conv 8 1x3 padding same, relu, conv 16 1x3 padding same, relu, flatten",
    (5, 1, 1): "conv 8 3x1 padding same, relu, pool 2x1, conv 16 3x1 padding same, relu, flatten",
    (8, 8, 1): "conv 8 3 padding same, relu, pool 2, conv 16 3 padding same, relu, pool 2, flatten",
    (1, 784, 1): "conv 8 1x3 padding same, relu, pool 1x14, conv 16 1x3 padding same, relu, pool"
    " 1x2, flatten",
    (224, 224, 3): "conv 8 5, relu, pool 4, conv 16 5, relu, pool 2, flatten",
}


@pytest.mark.parametrize("shape", TEXTS)
def test_the_layers_of_small_and_large_images(shape):
    assert layers_for(shape, 2) == f"{TEXTS[shape]}, dense 128, relu, dense 2, softmax"


@pytest.mark.parametrize("shape", SHAPES)
def test_layers_fit_images_of_every_shape(shape):
    stages = group(parse_layers(layers_for(shape, 4)), shape)
    assert stages[-1].output_shape == (4,)
    assert 1 <= stages[-2].x_shape[0] <= 16 * 28 * 28  # what the hidden layer gets


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4), st.integers(2, 5))
def test_layers_fit_whatever_the_shape(rows, columns, channels, classes):
    shape = (rows, columns, channels)
    assert group(parse_layers(layers_for(shape, classes)), shape)[-1].output_shape == (classes,)


def test_from_16_pixels_on_they_are_those_of_the_default_recipe():
    layers = parse_layers(layers_for((28, 28, 1), 10))
    assert layers == recipes.recipe("default").layers(10)
    assert layers_for((1, 1, 1), 2) == "flatten, dense 128, relu, dense 2, softmax"


def test_one_feature_is_learned():
    x = np.linspace(-1, 1, 60)[:, None]
    classifier = CNNClassifier(epochs=60, random_state=0).fit(x, x[:, 0] > 0.2)
    assert classifier.image_shape_ == (1, 1, 1)
    assert classifier.score(x, x[:, 0] > 0.2) >= 0.95


def test_the_shape_of_images():
    assert [shape_of(n) for n in (1, 4, 6, 784)] == [
        (1, 1, 1), (2, 2, 1), (1, 6, 1), (28, 28, 1)
    ]  # fmt: skip
    rows = X.reshape(60, -1)
    for wanted, shape in {(4, 9): (4, 9, 1), (3, 4, 3): (3, 4, 3), (6, 6): SIDE}.items():
        assert CNNClassifier(image_shape=wanted, **QUICK).fit(rows, Y).image_shape_ == shape
    classifier = CNNClassifier(image_shape=SIDE, **QUICK).fit(X[..., 0], Y)
    assert np.array_equal(classifier.predict(TEST), classifier.predict(TEST.reshape(40, -1)))


FIRST = X.reshape(60, 1, 6, 6)
REFUSED = {
    "a shape of other numbers": (
        {"image_shape": (5, 5)}, X, Y, r"image_shape is \(5, 5\), expected a shape of 36 numbers"
    ),
    "no shape": ({"image_shape": 6}, X, Y, r"image_shape is 6, expected \(rows, columns, channels"),
    "another shape than X": (
        {"image_shape": (4, 9)}, X, Y, r"image_shape is \(4, 9\), expected \(6, 6, 1\), as the"
    ),
    "channels first": (
        {}, FIRST, Y, r"X has images of shape \(1, 6, 6\), expected images as \(rows, columns, ch.*"
        r"X.transpose\(0, 2, 3, 1\); image_shape=\(1, 6, 6\) where it has 1 rows",
    ),
    "one class": ({}, X, np.zeros(60), r"y has 1 class, 0.0, expected two classes"),
    "weights of one class": (
        {"sample_weight": Y == 1}, X, Y, r"sample_weight is above 0 for 1 class only"
    ),
    "negative weight": ({"sample_weight": -1.0 * Y}, X, Y, r"sample_weight\[\d+\] is -"),
    "a strange class": (
        {"class_weight": {0: 1, 1: 2, 5: 1}}, X, Y, "names 5, expected one of the classes: 0, 1, 2"
    ),
    "a weight": ({"class_weight": {0: -1, 1: 1, 2: 1}}, X, Y, r"class_weight\[0\] is -1"),
    "weights": ({"class_weight": "even"}, X, Y, "class_weight is 'even', expected 'balanced'"),
    "n_jobs": ({"n_jobs": 0}, X, Y, "n_jobs is 0, expected a number of threads"),
    "n_jobs as text": ({"n_jobs": "2"}, X, Y, "n_jobs is '2', expected a number of threads"),
    "early stopping": (
        {"early_stopping": 0}, X, Y, "early_stopping is 0, expected True, False, or a number"
    ),
    "fraction": (
        {"early_stopping": 2, "validation_fraction": 0}, X, Y, "validation_fraction is 0, expected"
    ),
    "fraction of more": (
        {"early_stopping": 2, "validation_fraction": 1.0}, X, Y, "validation_fraction is 1.0"
    ),
    "random_state": ({"random_state": -1}, X, Y, "random_state is -1, expected a whole number"),
    "resume": ({"resume": True}, X, Y, "resume is True, but there is no checkpoint"),
    "epochs": ({"epochs": 0}, X, Y, "epochs is 0, expected a whole number"),
    "recipe": ({"recipe": "worst"}, X, Y, "recipe is 'worst', expected one of: plain, default"),
    "recipe for larger images": (
        {"recipe": "plain"}, X[:, :3, :3], Y, "recipe is 'plain', but its layers do not fit .* 3x3"
    ),
    "layers": ({"layers": "conv 3 9, relu, flatten, dense 3, softmax"}, X, Y, r"layers\[0\], conv"),
    "layers for other classes": (
        {"layers": "flatten, dense 4, softmax"}, X, Y, "layers end with 4 units, expected 3, one f"
    ),
    "a callback without images": (
        {"callbacks": [convlet.EarlyStopping()]}, X, Y, "callbacks have EarlyStopping and no image"
    ),
    "validation without labels": ({"X_val": TEST}, X, Y, "y_val is missing, expected both X_val"),
    "validation without images": ({"y_val": Y_TEST}, X, Y, "X_val is missing, expected both"),
    "validation of other labels": (
        {"X_val": TEST, "y_val": Y_TEST + 1}, X, Y, r"y_val\[\d+\] is 3, expected one of the class"
    ),
    "validation of another shape": (
        {"X_val": TEST.reshape(40, 4, 9), "y_val": Y_TEST}, X, Y, "has images of shape"
    ),
    "masked images": ({}, np.ma.masked_equal(X, X.max()), Y, "X has .* masked entries, expected a"),
    "masked images in a list": ({}, list(np.ma.masked_equal(X, X.max())), Y, "X has .* masked ent"),
    "masked labels": ({}, X, np.ma.masked_equal(Y, 1), "y has .* masked entries, expected"),
    "masked weights": (
        {"sample_weight": np.ma.masked_equal(Y + 1.0, 1)}, X, Y, "sample_weight has .* masked entr"
    ),
    "pictures of Pillow": (
        {}, [Image.fromarray(x[..., 0]) for x in X], Y, r"X holds images of Pillow, .*numpy.stack\("
    ),
    "callbacks": ({"callbacks": [print]}, X, Y, "expected a convlet.Callback"),
}  # fmt: skip
OF_FIT = ("sample_weight", "X_val", "y_val")


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what):
    wrong, x, y, match = REFUSED[what]
    of_fit = {name: wrong[name] for name in OF_FIT if name in wrong}
    parameters = {name: value for name, value in wrong.items() if name not in OF_FIT}
    classifier = CNNClassifier(**{**QUICK, **parameters})
    with pytest.raises(InputError, match=match):
        classifier.fit(x, y, **of_fit)
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_what_was_fitted_before_a_refusal_is_gone():
    """The old network would answer with the labels of the new y."""
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    with pytest.raises(InputError):
        classifier.set_params(epochs=-1).fit(X, LABELS["unsorted"][Y])
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_another_shape_in_a_prediction_is_refused():
    classifier = CNNClassifier(**QUICK).fit(X, Y)
    with pytest.raises(InputError, match=r"X has images of shape \(4, 9, 1\), expected \(6, 6, 1"):
        classifier.predict(TEST.reshape(40, 4, 9))
    with pytest.raises(ValueError, match="X has 35 features, but CNNClassifier is expecting 36"):
        classifier.predict(TEST.reshape(40, -1)[:, 1:])
    huge = CNNClassifier(**QUICK).fit(X / 255, Y)
    with pytest.raises(InputError, match="X is beyond float32"):
        huge.predict(TEST * 1e300)


def test_an_image_of_one_row_and_many_columns_may_be_named():
    assert CNNClassifier(image_shape=(1, 6, 6), **QUICK).fit(FIRST, Y).image_shape_ == (1, 6, 6)


SETTINGS = {
    "epochs": 3,
    "batch_size": 7,
    "learning_rate": 0.004,
    "optimizer": SGD(0.7),
    "schedule": "cosine",
    "augmentation": "shift 1",
    "label_smoothing": 0.1,
    "clip_norm": 0.2,
}


def test_the_settings_reach_training():
    classifier = CNNClassifier(**SETTINGS, class_weight={1: 3}).fit(X, Y)
    said = classifier.network_.settings.arguments()
    expected = convlet.Settings(**SETTINGS, class_weight={1: 3.0}).arguments()
    assert {**said, "seed": 0} == expected
    for name, value in SETTINGS.items():
        assert not np.array_equal(flat(**{name: value}), PLAIN), name


def test_wrong_parameters_are_refused_before_the_data_are_looked_at():
    for wrong in ({"epochs": 0}, {"optimizer": "gd"}, {"n_jobs": 0}, {"callbacks": [1]}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            CNNClassifier(**wrong).fit("no images", None)
        with pytest.raises(InputError, match=next(iter(wrong))):
            CNNClassifier(**wrong).partial_fit("no images", None)


def test_without_a_choice_it_is_the_usual_one():
    said = CNNClassifier().fit(X, Y).network_.settings
    assert (said.epochs, said.batch_size, said.learning_rate) == (20, 32, 0.001)
    assert (said.optimizer, said.augmentation, said.label_smoothing) == (Adam(), None, 0)


def test_a_recipe_chooses_what_is_not_given():
    data = convlet.datasets.load("mnist").limited(300)
    x, y = data.train.images, data.train.labels
    chosen = recipes.recipe("default", data)
    classifier = CNNClassifier(recipe="default", epochs=1).fit(x, y)
    assert classifier.network_.layers == chosen.layers(10)
    said = classifier.network_.settings
    assert (
        said.arguments()
        == convlet.Settings(**{**chosen.settings(), "epochs": 1, "seed": said.seed}).arguments()
    )
    other = CNNClassifier("auto", recipe="default", epochs=1, optimizer="sgd", augmentation="none")
    said = other.fit(x, y).network_.settings
    assert (said.optimizer, said.learning_rate) == (SGD(), 0.1)  # which the recipe's is not for
    assert str(said.augmentation) in ("None", "none")


def test_layers_are_as_they_are_given():
    for layers in ("flatten, dense 3, softmax", parse_layers("flatten, dense 3, softmax")):
        assert str(CNNClassifier(layers, **QUICK).fit(X, Y).network_.layers[1]) == "dense 3"


def test_class_weights_are_sample_weights():
    weight = {0: 1.0, 1: 2.0, 2: 4.0}
    by_class = flat(class_weight=weight)
    rows = CNNClassifier(**QUICK).fit(X, Y, sample_weight=[weight[k] for k in Y]).network_.flat
    assert np.array_equal(by_class, rows)
    counts = np.bincount(Y)
    balanced = CNNClassifier(**QUICK).fit(X, Y, sample_weight=60 / (3 * counts[Y])).network_.flat
    assert np.array_equal(flat(class_weight="balanced"), balanced)
    named = dict(zip(LABELS["strings"], weight.values(), strict=True))
    assert np.array_equal(flat(y=LABELS["strings"][Y], class_weight=named), by_class)
    assert np.array_equal(flat(class_weight={**weight, 9: 5.0}), by_class)  # as in a fold


def test_class_weights_of_some_labels():
    classes = np.array(["a", "b", "c"])
    assert labels.class_weight_of({"b": 2}, classes) == ((1, 2.0),)
    with pytest.raises(InputError, match="names 'd', expected one of the classes: a, b, c"):
        labels.class_weight_of({"b": 2, "d": 1}, classes)


def test_random_states():
    assert choices.seed_of(7) == choices.seed_of(np.int64(7)) == 7
    first, second = (choices.seed_of(np.random.RandomState(3)) for _ in range(2))
    assert first == second != choices.seed_of(np.random.RandomState(4))
    np.random.seed(5)  # noqa: NPY002  # which is what None means in scikit-learn
    drawn = choices.seed_of(None)
    np.random.seed(5)  # noqa: NPY002
    assert drawn == choices.seed_of(None) != choices.seed_of(None)


def test_threads():
    assert choices.threads_of(None) is None
    assert choices.threads_of(3) == 3
    assert choices.threads_of(-1) == available()
    assert choices.threads_of(-1000) == 1
    assert np.array_equal(flat(n_jobs=2), PLAIN)


def test_n_jobs_are_the_threads_of_the_engine(monkeypatch):
    asked = []
    for name in ("train", "logits"):
        plain = getattr(NativeEngine, name)

        def told(self, *given, plain=plain):
            asked.append(given[-1])
            return plain(self, *given)

        monkeypatch.setattr(NativeEngine, name, told)
    CNNClassifier(n_jobs=2, **QUICK).fit(X, Y).predict(TEST)
    assert {*asked} == {2}
    CNNClassifier(n_jobs=1, **QUICK).partial_fit(X, Y, classes=range(3))
    assert {*asked} == {1, 2}


def test_a_copy_has_the_parameters_and_no_network():
    given = {**SETTINGS, "layers": parse_layers("flatten, dense 3, softmax"), "n_jobs": 1}
    copy = clone(CNNClassifier(**given).fit(X, Y))
    assert {name: getattr(copy, name) for name in given} == given
    assert not hasattr(copy, "network_")
