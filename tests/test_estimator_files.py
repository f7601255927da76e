"""The whole estimator in one model file: nothing is lost, and nothing strange is read."""

import json
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import convlet
from convlet import (
    SGD,
    AdamW,
    Augmentation,
    CNNClassifier,
    InputError,
    ModelFileError,
    Network,
    OneCycle,
)
from convlet.formats.records import pack
from made_data import bright_rows

X, Y = bright_rows(60, seed=1)
TEST, _ = bright_rows(40, seed=2)
SMALL = "flatten, dense 3, softmax"
OWN = ("checksum", "convlet_version", "format", "format_version")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "classifier.safetensors"


def again(classifier, path) -> CNNClassifier:
    classifier.save(path)
    return CNNClassifier.load(path)


LABELS = {
    "ints": np.array([3, 5, 900]),
    "int8": np.array([-3, 0, 2], np.int8),
    "uint64": np.array([0, 1, 2**64 - 1], np.uint64),
    "floats": np.array([0.0, 1.0, 7.0], np.float32),
    "strings": np.array(["ä", "b", "c"]),
    "objects": np.array(["a", "b", "ccc"], object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_with_their_dtype(kind, path):
    classifier = CNNClassifier(SMALL, random_state=0).fit(X, LABELS[kind][Y])
    other = again(classifier, path)
    assert other.classes_.dtype == classifier.classes_.dtype
    assert np.array_equal(other.classes_, classifier.classes_)
    assert np.array_equal(other.predict(TEST), classifier.predict(TEST))


def test_truth_values_are_labels(path):
    classifier = CNNClassifier("flatten, dense 2, softmax", epochs=1).fit(X, Y > 0)
    assert again(classifier, path).classes_.tolist() == [False, True]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_everything_that_fit_learned_comes_back(optimizer, path):
    frame = pd.DataFrame(X.reshape(60, 36) / 2, columns=[f"pixel {n}" for n in range(36)])
    classifier = CNNClassifier(
        epochs=3, optimizer=optimizer, early_stopping=2, validation_fraction=0.2, random_state=4
    ).fit(frame, Y)
    other = again(classifier, path)
    assert set(vars(other)) == set(vars(classifier))
    assert np.array_equal(other.predict_proba(frame), classifier.predict_proba(frame))
    for name in ("n_features_in_", "image_shape_", "divisor_", "n_iter_", "loss_curve_", "_seed"):
        assert getattr(other, name) == getattr(classifier, name), name
    assert other.feature_names_in_.tolist() == classifier.feature_names_in_.tolist()
    assert other.history_.as_dicts() == classifier.history_.as_dicts()
    assert other.network_.settings == classifier.network_.settings
    with pytest.raises(ValueError, match="feature names should match"):
        other.predict(frame.rename(columns={"pixel 0": "pixel"}))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_partial_fit_goes_on_bit_for_bit(optimizer, path):
    classifier = CNNClassifier(optimizer=optimizer, random_state=4)
    classifier.partial_fit(X, Y, classes=[0, 1, 2])
    other = again(classifier, path)
    for one in (classifier, other):
        one.partial_fit(X[:41], Y[:41]).partial_fit(X, Y)
    assert np.array_equal(other.network_.flat, classifier.network_.flat)
    assert other.loss_curve_ == classifier.loss_curve_


PARAMETERS = {
    "image_shape": (6, 6),
    "epochs": np.int64(2),
    "batch_size": 16,
    "learning_rate": np.float64(0.01),
    "optimizer": AdamW(weight_decay=0.02),
    "schedule": OneCycle(rise=0.2),
    "augmentation": Augmentation(shift=1),
    "label_smoothing": 0.1,
    "class_weight": {0: 1.0, np.int64(2): 3},
    "validation_fraction": 0.3,
    "random_state": 5,
    "n_jobs": -1,
    "verbose": 0,
}


def test_parameters_come_back(path):
    classifier = CNNClassifier(convlet.parse_layers(SMALL), **PARAMETERS).fit(X, Y)
    other = again(classifier, path).get_params()
    expected = {**CNNClassifier(SMALL, **PARAMETERS).get_params()}
    expected |= {"schedule": "one-cycle rise 0.2", "augmentation": "shift 1"}
    assert other == expected
    assert type(other["optimizer"]) is AdamW
    for classifier in (CNNClassifier(SMALL, optimizer=SGD(0.5)), CNNClassifier(SMALL)):
        assert again(classifier.fit(X, Y), path).get_params() == classifier.get_params()


def test_what_belongs_to_this_machine_is_left_out(path, tmp_path):
    classifier = CNNClassifier(
        SMALL,
        callbacks=[convlet.Callback()],
        checkpoint=str(tmp_path / "run"),
        random_state=np.random.RandomState(0),
    ).fit(X, Y)
    other = again(classifier, path)
    assert other.get_params() == CNNClassifier(SMALL).get_params()
    assert str(tmp_path).encode() not in path.read_bytes()


def test_the_file_is_a_model_of_its_network(path):
    classifier = CNNClassifier(random_state=0).fit(X, np.array(["a", "b", "c"])[Y])
    classifier.save(path)
    network = convlet.load(path)
    assert np.array_equal(network.predict_proba(TEST), classifier.network_.predict_proba(TEST))
    assert network.classes == ("a", "b", "c")
    assert network.epochs == 20
    first = path.read_bytes()
    classifier.save(path)
    assert path.read_bytes() == first
    CNNClassifier.load(path).save(path)
    assert path.read_bytes() == first


def test_what_cannot_be_saved(path):
    with pytest.raises(NotFittedError):
        CNNClassifier().save(path)
    wide = CNNClassifier(SMALL).fit(X, np.array([0, 1, 2], np.longdouble)[Y])
    with pytest.raises(InputError, match="labels have dtype 'float128', expected one of: bool, "):
        wide.save(path)
    with pytest.raises(InputError, match="estimator cannot be saved: "):
        CNNClassifier(SMALL).fit(X, Y).set_params(n_jobs=object()).save(path)
    assert not path.exists()


def test_a_network_without_an_estimator(path):
    Network(SMALL, (6, 6, 1)).save(path)
    with pytest.raises(ModelFileError, match="holds a network and no estimator: read it with conv"):
        CNNClassifier.load(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The metadata and arrays of a small file, with which its mutants are made."""
    path = tmp_path_factory.mktemp("saved") / "classifier.safetensors"
    names = [f"p{n}" for n in range(36)]
    classifier = CNNClassifier(SMALL, epochs=2, random_state=0, class_weight={0: 2})
    classifier.fit(pd.DataFrame(X.reshape(60, 36), columns=names), Y).save(path)
    head = path.read_bytes()
    length = int.from_bytes(head[:8], "little")
    metadata = json.loads(head[8 : 8 + length])["__metadata__"]
    network, kept = classifier.network_, classifier._kept
    arrays = {**network.parameters, "slot0": kept.slots[0], "slot1": kept.slots[1]}
    metadata = {key: text for key, text in metadata.items() if key not in OWN}
    assert pack("convlet-model", 1, metadata, arrays) == head
    return metadata, arrays


def mutant(saved, path, change, arrays=None):
    """The file with another field `estimator`, and a checksum that fits."""
    metadata, there = saved
    found = json.loads(metadata["estimator"])
    text = change(found)
    metadata = {**metadata, "estimator": json.dumps(found) if text is None else text}
    path.write_bytes(pack("convlet-model", 1, metadata, {**there, **(arrays or {})}))


def put(name, value):
    return lambda found: found.__setitem__(name, value)


MUTANTS = {
    "no object": lambda found: "[]",
    "no JSON": lambda found: "{",
    "nested": lambda found: "[" * 100_000,
    "another form": lambda found: json.dumps(found, indent=1),
    "a key more": put("code", "import os"),
    "a key less": lambda found: found.__delitem__("seed"),
    "labels of another number": put("labels", [0, 1]),
    "labels of two kinds": put("labels", [0, 1, "2"]),
    "labels twice": put("labels", [0, 1, 1]),
    "labels out of order": put("labels", [0, 2, 1]),
    "labels no list": put("labels", "012"),
    "labels beyond their dtype": lambda found: found.update(dtype="int8", labels=[0, 1, 300]),
    "labels that are no numbers": put("dtype", "float16"),
    "a dtype of code": put("dtype", "O,O"),
    "a huge dtype": put("dtype", "U999999999"),
    "features": put("features", ["a"]),
    "features that are no names": put("features", [1] * 36),
    "divisor 0": put("divisor", 0.0),
    "divisor NaN": put("divisor", float("nan")),
    "divisor as text": put("divisor", "255"),
    "a seed below 0": put("seed", -1),
    "no steps": put("updates", 0),
    "slots missing": put("slots", 1),
    "too many slots": put("slots", 10**9),
    "rows of text": put("rows", [["0", None, None, 1.0]]),
    "short rows": put("rows", [[0.5]]),
    "parameters no object": put("parameters", []),
    "a parameter more": lambda found: found["parameters"].update(callbacks=[]),
    "a parameter less": lambda found: found["parameters"].__delitem__("epochs"),
    "an optimiser that nobody knows": lambda found: found["parameters"].update(
        optimizer={"name": "os.system"}
    ),
    "an optimiser of other numbers": lambda found: found["parameters"].update(
        optimizer={"name": "adam", "beta1": 7}
    ),
    "an empty optimiser": lambda found: found["parameters"].update(optimizer={}),
    "weights of no pairs": lambda found: found["parameters"].update(class_weight=[[1], 2]),
    "a list for a number": lambda found: found["parameters"].update(epochs=[1, 2]),
}


@pytest.mark.parametrize("what", MUTANTS)
def test_a_file_of_a_stranger_is_refused(what, saved, path):
    mutant(saved, path, MUTANTS[what])
    with pytest.raises(ModelFileError, match=r"classifier.safetensors: (the )?(estimator|array)"):
        CNNClassifier.load(path)


def test_the_file_that_the_mutants_are_made_of_is_read(saved, path):
    mutant(saved, path, lambda found: None)
    assert CNNClassifier.load(path).n_iter_ == 2


def test_an_optimisers_vector_must_be_finite(saved, path):
    mutant(saved, path, lambda found: None, {"slot1": np.full(111, np.nan, np.float32)})
    with pytest.raises(ModelFileError, match="slot1"):
        CNNClassifier.load(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
KEYS = ["parameters", "labels", "dtype", "features", "divisor", "seed", "updates", "slots", "rows"]


@given(st.sampled_from(KEYS), JSON)
def test_whatever_stands_in_a_field_there_is_one_kind_of_error(saved, tmp_path_factory, key, value):
    path = tmp_path_factory.getbasetemp() / "mutant.safetensors"
    try:
        mutant(saved, path, put(key, value))
    except InputError:  # a lone surrogate
        return
    with suppress(ModelFileError):
        CNNClassifier.load(path)
