"""What stands behind the softmax of an ONNX graph: classes come in the order of its outputs."""

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

import convlet
from brought_in import images, network_in
from convlet import ModelFileError
from onnx_models import Graph, run

I64 = np.int64


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def centred(inputs: int, units: int) -> np.ndarray:
    """Of grey images no class is the most probable one more often than others."""
    w = weights(inputs, units)
    return w - w.mean(axis=0)


def logits(g: Graph, units: int = 3) -> str:
    """Of images (n, 1, 4, 6)."""
    return g.node("MatMul", g.node("Flatten", "input"), g.constant(centred(24, units)))


def softmax(g: Graph, units: int = 3, kind: str = "Softmax") -> str:
    return g.node(kind, logits(g, units), axis=1)


def sigmoid(g: Graph) -> str:
    return g.node("Sigmoid", logits(g, 1))


def rest(g: Graph, p: str) -> str:
    return g.node("Sub", g.constant(1), p)


def taken(g: Graph, p: str, *places: int, axis: int = 1) -> str:
    return g.node("Gather", p, g.constant(places, I64), axis=axis)


def sliced(g: Graph, p: str, start: int, end: int, step: int = 1, axis: int = 1) -> str:
    return g.node("Slice", p, *(g.constant([n], I64) for n in (start, end, axis, step)))


def split(g: Graph, p: str, *sizes: int, axis: int = 1) -> list[str]:
    names = [f"{p}_{k}" for k in range(len(sizes))]
    g.node("Split", p, g.constant(sizes, I64), axis=axis)
    g.nodes[-1].output[:] = names
    return names


def joined(g: Graph, *parts: str) -> str:
    return g.node("Concat", *parts, axis=1)


def deep(g: Graph) -> str:
    """Probabilities of a convolution as large as the image, (n, 3, 1, 1)."""
    return g.node("Softmax", g.node("Conv", "input", g.constant(weights(3, 1, 4, 6))), axis=1)


def in_halves(g: Graph) -> str:
    a, b = split(g, softmax(g), 1, 2)
    return joined(g, b, a)


def by_shape(g: Graph) -> str:
    """p.view(p.size(0), -1), turned round."""
    p = softmax(g)
    first = sliced(g, g.node("Shape", p), 0, 1, axis=0)
    shape = g.node("Concat", first, g.constant([-1], I64), axis=0)
    return sliced(g, g.node("Reshape", p, shape), -1, -9, -1)


# each gives probabilities, or their logarithms, of all classes in its own order
TABLES = {
    "a step of -1": lambda g: sliced(g, softmax(g), -1, -(1 << 31), -1),
    "a negative axis": lambda g: sliced(g, softmax(g), -1, -9, -1, axis=-1),
    "Gather": lambda g: taken(g, softmax(g), 2, 0, 1),
    "Gather from behind": lambda g: taken(g, softmax(g), -1, 0, -2, axis=-1),
    "one after the other": lambda g: taken(g, taken(g, softmax(g), 2, 0, 1), 2, 0, 1),
    "back again": lambda g: sliced(g, sliced(g, softmax(g), -1, -9, -1), -1, -9, -1),
    "parts that change places": in_halves,
    "the log of turned classes": lambda g: g.node("Log", taken(g, softmax(g), 1, 2, 0)),
    "LogSoftmax": lambda g: taken(g, softmax(g, kind="LogSoftmax"), 1, 2, 0),
    "before axes go": lambda g: g.node("Flatten", taken(g, deep(g), 1, 2, 0)),
    "after axes go": lambda g: taken(
        g, g.node("Squeeze", deep(g), g.constant([2, 3], I64)), 1, 2, 0
    ),
    "by the shape": by_shape,
    "turned twice": lambda g: g.node(
        "Transpose", taken(g, g.node("Transpose", softmax(g), perm=[1, 0]), 2, 0, 1, axis=0)
    ),
    "1 - p of two classes": lambda g: rest(g, softmax(g, 2)),
    "ArrayFeatureExtractor": lambda g: g.node(
        "ArrayFeatureExtractor", softmax(g), g.constant([2, 0, 1], I64), domain="ai.onnx.ml"
    ),
}


def table_of(g: Graph, name: str):
    return g.model(["n", 1, 4, 6], TABLES[name](g), check=False)


@pytest.mark.parametrize("name", TABLES)
def test_classes_come_in_the_order_of_the_table(name, tmp_path):
    model = table_of(Graph(), name)
    network = network_in(model, tmp_path)
    x = images((4, 6, 1))
    expected = run(model, x.transpose(0, 3, 1, 2))
    expected = np.exp(expected) if expected.min() < 0 else expected
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)
    is_moved = name not in ("back again",)
    assert any(" does the work of node" in sentence for sentence in network.said) == is_moved


# of a sigmoid: what each gives is the probability of the second class, or of both
SIGMOIDS = {
    "p": lambda g: sigmoid(g),
    "1 - p": lambda g: rest(g, sigmoid(g)),
    "the rest of the rest": lambda g: rest(g, rest(g, sigmoid(g))),
    "the log of 1 - p": lambda g: g.node("Log", rest(g, sigmoid(g))),
    "1 - p, squeezed": lambda g: g.node("Squeeze", rest(g, sigmoid(g)), g.constant([1], I64)),
    "1 - p beside p": lambda g: (lambda p: joined(g, rest(g, p), p))(sigmoid(g)),
    "p beside 1 - p": lambda g: (lambda p: joined(g, p, rest(g, p)))(sigmoid(g)),
    "1 - p beside p, turned": lambda g: (lambda p: taken(g, joined(g, rest(g, p), p), 1, 0))(
        sigmoid(g)
    ),
    "the second of two": lambda g: sliced(g, softmax(g, 2), 1, 2),
}


@pytest.mark.parametrize("name", SIGMOIDS)
def test_one_number_is_the_probability_of_the_second_class(name, tmp_path):
    g = Graph()
    model = g.model(["n", 1, 4, 6], SIGMOIDS[name](g), check=False)
    network = network_in(model, tmp_path)
    x = images((4, 6, 1))
    found = run(model, x.transpose(0, 3, 1, 2)).reshape(len(x), -1)
    found = np.exp(found) if found.min() < 0 else found
    expected = found if found.shape[1] == 2 else np.concatenate([1 - found, found], axis=1)
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)


def named(g: Graph, label: str, *names: str) -> str:
    return g.node("Gather", g.constant(names, object), label)


def best(g: Graph, p: str, **how) -> str:
    return g.node("ArgMax", p, axis=1, **how)


def top(g: Graph, p: str, k: int = 1, **how) -> list[str]:
    g.node("TopK", p, g.constant([k], I64), **how)
    g.nodes[-1].output[:] = [f"{p}_values", f"{p}_labels"]
    return list(g.nodes[-1].output)


def extracted(g: Graph, label: str, *names: str) -> str:
    found = g.constant(names, object)
    return g.node("ArrayFeatureExtractor", found, label, domain="ai.onnx.ml")


# labels, with what each class is called in the end
LABELS = {
    "of turned classes": (lambda g: [best(g, taken(g, softmax(g), 2, 0, 1))], None),
    "beside its table": (
        lambda g: (lambda p: [p, best(g, p)])(taken(g, softmax(g), 2, 0, 1)),
        None,
    ),
    "of what enters the softmax": (lambda g: [best(g, logits(g), keepdims=0)], None),
    "the first of the best one": (lambda g: top(g, taken(g, softmax(g), 1, 2, 0)), None),
    "with names in another order than the table": (
        lambda g: (
            lambda p: [
                taken(g, p, 2, 0, 1),
                named(g, best(g, p, keepdims=0), "a", "b", "c"),
            ]
        )(softmax(g)),
        ("c", "a", "b"),
    ),
    "with names of turned classes": (
        lambda g: (lambda p: [p, extracted(g, best(g, taken(g, p, 2, 0, 1)), "c", "a", "b")])(
            softmax(g)
        ),
        ("a", "b", "c"),
    ),
    "beside the greatest": (
        lambda g: (
            lambda p: [best(g, p), g.node("ReduceMax", p, g.constant([1], I64), keepdims=0)]
        )(taken(g, softmax(g), 2, 0, 1)),
        None,
    ),
    "beside some of the classes": (
        lambda g: (lambda p: [sliced(g, p, 0, 1), best(g, p)])(softmax(g)),
        None,
    ),
    "a column each": (lambda g: split(g, taken(g, softmax(g), 2, 0, 1), 1, 1, 1), None),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_those_of_the_graph(name, tmp_path):
    build, classes = LABELS[name]
    g = Graph()
    outputs = build(g)
    model = g.model(["n", 1, 4, 6], *outputs, opset=18, check=False)
    network = network_in(model, tmp_path)
    assert network.classes == classes
    x = images((4, 6, 1), 40)
    given = x.transpose(0, 3, 1, 2)
    found = [
        np.asarray(y).reshape(40, -1) for y in ReferenceEvaluator(model).run(None, {"input": given})
    ]
    predicted = network.predict(x)
    assert len({*predicted.tolist()}) == 3
    if name == "a column each":
        np.testing.assert_allclose(network.predict_proba(x), np.hstack(found), atol=1e-5)
    for y in found:
        if y.dtype.kind == "i":
            np.testing.assert_array_equal(predicted, y[:, 0])
        elif y.dtype.kind in "OUT":
            assert [network.classes[k] for k in predicted] == y[:, 0].tolist()
        elif y.shape[1] == 3:
            np.testing.assert_allclose(network.predict_proba(x), y, atol=1e-5)


def cast(g: Graph, x: str, kind: int) -> str:
    return g.node("Cast", x, to=kind)


def behind(build):
    return lambda g: [build(g)]


REFUSED = {
    "some classes": (
        behind(lambda g: sliced(g, softmax(g), 0, 2)),
        "(Slice) gives 2 of 3 probabilities: all classes, in one order",
    ),
    "the first of two": (
        behind(lambda g: sliced(g, softmax(g, 2), 0, 1)),
        "(Slice) gives 1 of 2 probabilities",
    ),
    "the label of some": (
        behind(lambda g: best(g, sliced(g, softmax(g), 0, 2))),
        "(Slice) chooses among 2 of 3 classes",
    ),
    "a class twice": (
        behind(lambda g: taken(g, softmax(g), 0, 1, 1)),
        "(Gather) gives answers in another form than a row for each image: each class once",
    ),
    "one image": (
        behind(lambda g: sliced(g, softmax(g), 0, 1, axis=0)),
        "(Slice) gives answers in another form than a row for each image",
    ),
    "images turned round": (
        behind(lambda g: sliced(g, softmax(g), -1, -9, -1, axis=0)),
        "(Slice) gives answers in another form than a row for each image",
    ),
    "the classes as rows": (
        behind(lambda g: g.node("Transpose", softmax(g))),
        "(Transpose) gives answers in another form than a row for each image",
    ),
    "the least": (
        behind(lambda g: g.node("ArgMin", softmax(g), axis=1)),
        "(ArgMin) stands behind a softmax or sigmoid",
    ),
    "minus": (
        behind(lambda g: best(g, g.node("Neg", softmax(g)))),
        "(Neg) stands behind a softmax or sigmoid",
    ),
    "1 - p of three": (
        behind(lambda g: rest(g, softmax(g))),
        "(Sub) stands behind a softmax or sigmoid",
    ),
    "1 - log p": (
        behind(lambda g: rest(g, g.node("Log", sigmoid(g)))),
        "(Sub) stands behind a softmax or sigmoid",
    ),
    "p - 1": (
        behind(lambda g: g.node("Sub", sigmoid(g), g.constant(1))),
        "(Sub) stands behind a softmax or sigmoid",
    ),
    "whole numbers": (
        behind(lambda g: cast(g, softmax(g), TensorProto.INT64)),
        "(Cast) cuts what stands behind a softmax: floats or labels",
    ),
    "a label as a truth value": (
        behind(lambda g: cast(g, best(g, softmax(g)), TensorProto.BOOL)),
        "(Cast) cuts what stands behind a softmax",
    ),
    "the best of the images": (
        behind(lambda g: g.node("ArgMax", softmax(g), axis=0)),
        "(ArgMax) takes the greatest of others than the classes: its axis",
    ),
    "the best image of what enters the softmax": (
        behind(lambda g: g.node("ArgMax", logits(g), axis=0)),
        "(ArgMax) takes the greatest of others than the classes: its axis",
    ),
    "the best of one": (
        behind(lambda g: best(g, sigmoid(g))),
        "(ArgMax) takes the greatest of others than the classes: its axis",
    ),
    "the second best": (
        behind(lambda g: sliced(g, top(g, softmax(g), 2)[1], 1, 2)),
        "(Slice) gives a class that is not the most probable one",
    ),
    "the least ones": (
        behind(lambda g: top(g, softmax(g), 2, largest=0)[1]),
        "(TopK) stands behind a softmax or sigmoid",
    ),
    "the greatest alone": (
        behind(lambda g: g.node("ReduceMax", softmax(g), axes=[1])),
        "the graph gives the greatest probability, and not of which class",
    ),
    "two orders": (
        lambda g: (lambda p: [p, taken(g, p, 2, 0, 1)])(softmax(g)),
        "(Gather) has the classes in another order than another output",
    ),
    "logits in another order": (
        lambda g: (lambda z: [z, taken(g, g.node("Softmax", z), 2, 0, 1)])(logits(g)),
        "has the classes in another order than another output",
    ),
    "two classes of one name": (
        behind(lambda g: named(g, best(g, softmax(g)), "a", "b", "a")),
        "(Gather) names two classes alike: a name for each",
    ),
    "logits in an order of their own": (
        behind(lambda g: g.node("Softmax", taken(g, logits(g), 2, 0, 1))),
        "(Gather) is an operator that convlet has not",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_answers_that_a_network_has_not_are_refused(name, tmp_path):
    build, sentence = REFUSED[name]
    g = Graph()
    model = g.model(["n", 1, 4, 6], *build(g), check=False)
    with pytest.raises(ModelFileError, match=re.escape(sentence)):
        network_in(model, tmp_path)


def test_a_file_for_one_image_may_give_a_row(tmp_path):
    g = Graph()
    p = g.node("Gather", sliced(g, softmax(g), -1, -9, -1), g.constant(0, I64), axis=0)
    model = g.model([1, 1, 4, 6], p, out_shape=(3,), check=False)
    network = network_in(model, tmp_path)
    x = images((4, 6, 1), 1)
    expected = run(model, x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(network.predict_proba(x)[0], expected, rtol=0, atol=1e-5)


def test_notes_of_convlet_are_not_taken_where_classes_have_moved(tmp_path):
    network = convlet.Network("flatten, dense 3, softmax", (4, 6, 1), classes=("a", "b", "c"))
    network.to_onnx(tmp_path / "own.onnx", dtype="float32")
    model = onnx.load(tmp_path / "own.onnx")
    g = Graph()
    sliced(g, model.graph.output[0].name, -1, -9, -1)
    model.graph.node.extend(g.nodes)
    model.graph.initializer.extend(g.constants)
    model.graph.output[0].name = g.nodes[-1].output[0]
    found = network_in(model, tmp_path, input_shape=(4, 6, 1))
    assert found.classes is None
    x = images((4, 6, 1))
    expected = network.predict_proba(x)[:, ::-1]
    np.testing.assert_allclose(found.predict_proba(x), expected, rtol=0, atol=1e-5)
