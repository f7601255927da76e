"""What is refused of an ONNX graph: by node, operator and attribute, and what would be needed."""

import re

import numpy as np
import pytest
from onnx import TensorProto, helper

from brought_in import network_in
from convlet import ModelFileError
from onnx_models import Graph

I64 = np.int64


def conv(g: Graph, x: str = "input", **window) -> str:
    return g.node("Conv", x, g.constant(np.ones((2, 2, 3, 3))), **window)


def end(g: Graph, x: str) -> str:
    return g.node("GlobalAveragePool", x)


def images_in(g: Graph) -> str:
    """How many there are, as a float."""
    n = g.node("Gather", g.node("Shape", "input"), g.constant([0], I64))
    return g.node("Cast", n, to=TensorProto.FLOAT)


def operator(kind: str, *inputs, domain: str = "", **attributes):
    """A graph with one more operator on images (n, 2, 7, 6) behind a convolution."""

    def build(g: Graph) -> str:
        constants = [g.constant(*given) for given in inputs]
        return end(g, g.node(kind, conv(g), *constants, domain=domain, **attributes))

    return build


def branch(g: Graph) -> str:
    x = conv(g)
    return end(g, g.node("Add", g.node("Relu", x), x))


def second_branch(g: Graph) -> str:
    x = conv(g)
    g.node("Relu", x)
    g.nodes[-1].output[0] = "left"
    right = g.node("Neg", x)
    return end(g, g.node("Concat", "left", right, axis=1))


def condition(g: Graph) -> str:
    inner = helper.make_graph([], "inner", [], [])
    return end(g, g.node("If", conv(g), then_branch=inner, else_branch=inner))


def twice(g: Graph) -> str:
    x = conv(g)
    g.node("Relu", x)
    g.nodes[-1].output[0] = x
    return end(g, x)


def unordered(g: Graph) -> str:
    x = end(g, g.node("Relu", conv(g)))
    g.nodes.reverse()
    return x


def cycle(g: Graph) -> str:
    x = end(g, g.node("Relu", conv(g)))
    g.nodes[0].input[0] = x
    return x


def label_inside(g: Graph) -> str:
    x = conv(g)
    g.node("ArgMax", x, axis=1)
    g.nodes[-1].output[0] = "label"
    return g.node("Reshape", g.node("Flatten", g.node("Relu", x)), "label")


def two_outputs(g: Graph) -> str:
    x = g.node("MaxPool", conv(g), kernel_shape=[2, 2])
    g.nodes[-1].output.append("places")
    return end(g, x)


def softmax_inside(g: Graph) -> str:
    return end(g, g.node("Relu", g.node("Softmax", conv(g), axis=1)))


def flat(kind: str, *inputs, **attributes):
    """One more operator on what was lined up, (n, 40)."""

    def build(g: Graph) -> str:
        return g.node(
            kind, g.node("Flatten", conv(g)), *(g.constant(*x) for x in inputs), **attributes
        )

    return build


MODELS = {
    "LeakyRelu": (operator("LeakyRelu"), "(LeakyRelu) is an operator that convlet has not: ReLU"),
    "Tanh": (operator("Tanh"), "(Tanh) is an operator that convlet has not: ReLU between layers"),
    "InstanceNormalization": (
        operator("InstanceNormalization", ([1, 1],), ([0, 0],)),
        "(InstanceNormalization) is an operator that convlet has not: batch normalisation, which",
    ),
    "QuantizeLinear": (
        operator("QuantizeLinear", (0.5,)),
        "(QuantizeLinear) is an operator that convlet has not: weights in floats, before they are",
    ),
    "ConvTranspose": (
        operator("ConvTranspose", (np.ones((2, 2, 2, 2)),)),
        "(ConvTranspose) is an operator that convlet has not: a convolution with a stride, or a",
    ),
    "an operator of somebody": (
        operator("Secret", domain="com.example"),
        "(com.example.Secret) is an operator that convlet has not: what docs/interchange.md lists",
    ),
    "a branch that joins again": (branch, "(Add) joins two branches: a chain: each output for one"),
    "a second branch": (
        second_branch,
        "(Neg) starts a second branch at 'x1': a chain: each output",
    ),
    "a condition": (condition, "(If) has the attribute else_branch, a graph: a plain chain of"),
    "a node that makes what is there": (twice, "(Relu) makes what is there already: export it"),
    "nodes out of order": (unordered, "(GlobalAveragePool) uses 'x2', which nothing before it"),
    "a cycle": (cycle, "(Conv) uses 'x3', which nothing before it makes: nodes in the order in"),
    "a label inside": (label_inside, "(ArgMax) takes the greatest of others than the classes: its"),
    "a softmax inside": (softmax_inside, "(Relu) stands behind a softmax or sigmoid: a network"),
    "a sigmoid inside": (
        lambda g: end(g, conv(g, g.node("Sigmoid", conv(g)))),
        "(Conv) stands behind a softmax or sigmoid: a network that ends with it, and inside of it",
    ),
    "a bound above": (
        operator("Clip", (0,), (6,)),
        "(Clip) clips to 0 to 6: a ReLU: 0 to infinity",
    ),
    "a bound that is not 0": (operator("Max", (1,)), "(Max) bounds numbers: a ReLU, the maximum"),
    "one of several bounds that is not 0": (
        lambda g: end(g, g.node("Max", conv(g), g.constant(0), g.constant(1))),
        "(Max) bounds numbers: a ReLU, the maximum with 0",
    ),
    "a sum of the number of images": (
        lambda g: end(g, g.node("Add", conv(g), images_in(g))),
        "(Add) computes with the number of images: other numbers",
    ),
    "a multiple of the number of images": (
        lambda g: end(g, g.node("Add", conv(g), g.node("Mul", images_in(g), g.constant(2)))),
        "(Mul) computes with the number of images: other numbers",
    ),
    "the number of images, cut": (
        lambda g: end(g, g.node("Add", conv(g), g.node("Cast", images_in(g), to=3))),
        "(Cast) cuts the number of images: a type that holds it",
    ),
    "a frame for a pool with margins": (
        operator("Pad", ([0, 0, 1, 0, 0, 0, 0, 0], I64), (-np.inf,)),
        "(Pad) pads by -inf: a frame of numbers, as convlet's pool has no margins",
    ),
    "a division by the image": (
        lambda g: end(g, g.node("Div", g.constant(1), conv(g))),
        "(Div) divides by the image: a division of the image",
    ),
    "a cast to whole numbers": (
        operator("Cast", to=TensorProto.INT64),
        "(Cast) cuts numbers to whole ones: floats from input to output",
    ),
    "ceil_mode": (
        operator("MaxPool", kernel_shape=[2, 2], strides=[2, 3], ceil_mode=1),
        "(MaxPool) has ceil_mode 1, and 5 pixels leave a rest: ceil_mode 0: convlet drops what",
    ),
    "a pool with gaps": (
        operator("MaxPool", kernel_shape=[2, 2], dilations=[2, 1]),
        "(MaxPool) has dilations (2, 1): dilations of 1",
    ),
    "a pool with margins": (
        operator("MaxPool", kernel_shape=[2, 2], pads=[0, 1, 0, 0]),
        "(MaxPool) has margins ((0, 0), (1, 0)): a pool without: convlet's has none",
    ),
    "a frame of reflections": (
        operator("Pad", ([0, 0, 1, 1, 0, 0, 1, 1], I64), mode="reflect"),
        "(Pad) has mode 'reflect': mode constant",
    ),
    "a frame that cuts": (
        operator("Pad", ([0, 0, -1, 0, 0, 0, 0, 0], I64)),
        "(Pad) has pads [0, 0, -1, 0, 0, 0, 0, 0]: 0 or more for each side",
    ),
    "a frame of channels": (
        operator("Pad", ([0, 1, 0, 0, 0, 0, 0, 0], I64)),
        "(Pad) pads axis 1 of (n, 2, 5, 4): rows and columns only",
    ),
    "auto_pad": (
        operator("MaxPool", kernel_shape=[2, 2], auto_pad="ODD"),
        "(MaxPool) has auto_pad 'ODD', pads (0, 0, 0, 0): pads for each side",
    ),
    "a stride of 0": (
        operator("MaxPool", kernel_shape=[2, 2], strides=[0, 1]),
        "(MaxPool) has windows of 2 taps, stride 0: 1 to 1048576",
    ),
    "a window as large as a house": (
        operator("MaxPool", kernel_shape=[50, 2]),
        "(MaxPool) has a window of 50 pixels along 5 with pads (0, 0): a larger input",
    ),
    "a window of three axes": (
        operator("MaxPool", kernel_shape=[2, 2, 2]),
        "(MaxPool) meets (n, 2, 5, 4) with 3 axes of windows: an image of two axes: convlet has",
    ),
    "no window": (operator("MaxPool"), "(MaxPool) has no whole numbers as kernel_shape: exp"),
    "training": (
        operator("BatchNormalization", *[([1, 1],)] * 4, training_mode=1),
        "(BatchNormalization) is in training mode, training_mode=1: a model exported for",
    ),
    "dropout in training": (
        operator("Dropout", (0.5,), (True, bool)),
        "(Dropout) is in training mode: a model exported for prediction",
    ),
    "a factor for each row": (
        lambda g: end(g, conv(g, g.node("Mul", "input", g.constant(np.arange(7.0)[:, None])))),
        "(Mul) weighs each position by itself: a dense layer right behind it: a convolution does",
    ),
    "numbers that do not fit": (
        operator("Add", (np.ones(3),)),
        "(Add) meets (n, 2, 5, 4) with numbers 3: one for all, or for each along some of its axes",
    ),
    "a mean of channels": (
        operator("ReduceMean", axes=[1]),
        "(ReduceMean) goes over axes (1,) of (n, 2, 5, 4): all pixels",
    ),
    "a softmax of rows": (
        operator("Softmax", axis=2),
        "(Softmax) goes along axis 2 of (n, 2, 5, 4): the axis of classes",
    ),
    "channels in an order of their own": (
        lambda g: g.node("Flatten", g.node("Transpose", conv(g), perm=[0, 3, 2, 1])),
        "(Flatten) lines up axes whc of (n, 4, 5, 2): channels first or last",
    ),
    "images that do not stay images": (
        operator("Reshape", ([1, -1], I64)),
        "(Reshape) makes (1, -1) of (n, 2, 5, 4): images to stay images",
    ),
    "channels that are dealt": (
        operator("Reshape", ([0, 1, 2, 20], I64)),
        "(Reshape) makes (0, 1, 2, 20) of (n, 2, 5, 4): images to stay images until they are",
    ),
    "another axis of flatten": (operator("Flatten", axis=2), "(Flatten) has axis 2: axis 1"),
    "an axis that is not of size 1": (
        operator("Squeeze", ([2], I64)),
        "(Squeeze) removes an axis of (n, 2, 5, 4) that is not of size 1: to keep it",
    ),
    "images as weights": (
        lambda g: g.node("MatMul", g.constant(np.ones((2, 2))), g.node("Flatten", conv(g))),
        "(MatMul) multiplies a constant by the image: the image first",
    ),
    "Gemm turned": (
        flat("Gemm", (np.ones((2, 2)),), transA=1),
        "(Gemm) has the image as B, or turned by transA: the image as A",
    ),
    "rows that do not fit": (
        flat("MatMul", (np.ones((3, 2)),)),
        "(MatMul) has weights 3x2 for (n, 40): 40 rows",
    ),
    "flat numbers turned": (flat("Transpose", perm=[1, 0]), "(Transpose) turns (n, 40): images"),
    "flat numbers as windows": (
        flat("MaxPool", kernel_shape=[2, 2]),
        "(MaxPool) meets (n, 40) with 2 axes of windows: an image of two axes: convlet has",
    ),
    "rows of pixels": (
        lambda g: g.node("MatMul", conv(g), g.constant(np.ones((4, 2)))),
        "(MatMul) meets (n, 2, 5, 4): channels last, or to line them up first",
    ),
    "many sigmoids": (
        flat("Sigmoid"),
        "(Sigmoid) is a sigmoid of 40 numbers: a ReLU inside of a network, at its end a softmax",
    ),
    "an attribute of another kind": (
        operator("Transpose", perm=3),
        "(Transpose) has no whole numbers as perm: export it again",
    ),
    "a whole number that is none": (
        operator("Softmax", axis="x"),
        "(Softmax) has no whole number as",
    ),
    "a number that is none": (
        operator("BatchNormalization", *[([1, 1],)] * 4, epsilon=1),
        "(BatchNormalization) has no number as epsilon: export it again",
    ),
    "a text that is none": (
        operator("MaxPool", kernel_shape=[2, 2], auto_pad=1),
        "(MaxPool) has no text as auto_pad: export it again",
    ),
    "axes that are none": (
        operator("Transpose", perm=[0, 1, 1, 2]),
        "(Transpose) has the order (0, 1, 1, 2): one of its axes",
    ),
    "texts": (operator("Add", (["a"], object)), "(Add) works with texts: numbers"),
    "all dropped": (operator("Dropout", (1.0,)), "(Dropout) drops with probability 1: one from 0"),
    "another number of channels": (
        operator("BatchNormalization", *[([1, 1, 1],)] * 4),
        "(BatchNormalization) has no 2 numbers for (n, 2, 5, 4): one for each channel",
    ),
    "strides of another number": (
        operator("MaxPool", kernel_shape=[2, 2], strides=[1]),
        "(MaxPool) has windows that do not fit one another: export it again",
    ),
    "a mean of margins alone": (
        operator("AveragePool", kernel_shape=[2, 2], pads=[2, 0, 0, 0]),
        "(AveragePool) has margins ((2, 0), (0, 0)) as large as its window 2x2: smaller margins",
    ),
    "a rest that does not come out even": (
        operator("Reshape", ([0, 7, -1], I64)),
        "(Reshape) makes (0, 7, -1) of (n, 2, 5, 4): images to stay images",
    ),
    "flat numbers split": (
        flat("Unsqueeze", ([1], I64)),
        "(Unsqueeze) splits (n, 40): flat numbers to stay flat",
    ),
    "axes put at places that are none": (
        operator("Unsqueeze", ([9], I64)),
        "(Unsqueeze) puts axes at (9,): other places",
    ),
    "a convolution of rows and channels": (
        lambda g: end(
            g,
            g.node(
                "Conv",
                g.node("Unsqueeze", conv(g), g.constant([0, 1], I64)),
                g.constant(np.ones((1, 1, 1, 2, 1, 1))),
            ),
        ),
        "(Conv) has windows over (1, 1, n, 2, 5, 4): rows and columns only",
    ),
    "two outputs": (
        lambda g: two_outputs(g),
        "(MaxPool) has 2 outputs: one",
    ),
    "a Scaler of nothing": (
        operator("Scaler", domain="ai.onnx.ml", scale=[1.0]),
        "(ai.onnx.ml.Scaler) has no offset: numbers",
    ),
    "a constant that does not fit": (
        lambda g: end(
            g,
            g.node(
                "Add", conv(g), g.node("Reshape", g.constant([1, 2, 3]), g.constant([2, 2], I64))
            ),
        ),
        "(Reshape) does not fit its constants (cannot reshape array of size 3 into shape (2,2))",
    ),
    "a shape of floats": (
        operator("Reshape", ([1.0, 2.0],)),
        "(Reshape) has no whole numbers as shape or axes: export it again",
    ),
    "constants by an operator that is not known": (
        lambda g: end(g, g.node("Add", conv(g), g.node("Erf", g.constant(1)))),
        "(Erf) works on constants: the constant in its place",
    ),
    "constants without end": (
        lambda g: end(
            g,
            g.node("Add", conv(g), g.node("ConstantOfShape", g.constant([1 << 20, 1 << 20], I64))),
        ),
        "(ConstantOfShape) makes constants too large: the constants in its place",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_graph_is_refused(name, tmp_path):
    build, sentence = MODELS[name]
    g = Graph()
    model = g.model(["n", 2, 7, 6], build(g), check=False)
    with pytest.raises(ModelFileError, match=re.escape(sentence)) as caught:
        network_in(model, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'model.onnx'}: node 'x")


def plain(**how):
    def build():
        g = Graph()
        return g.model(["n", 2, 7, 6], end(g, conv(g)), check=False, **how)

    return build


def of_shape(*shape):
    def build():
        g = Graph()
        return g.model(["n", *shape], end(g, conv(g)), check=False)

    return build


def two_inputs():
    model = plain()()
    model.graph.input.add().name = "second"
    return model


def no_way():
    g = Graph()
    return g.model(["n", 2, 7, 6], g.constant([1.0, 2.0]), check=False)


WHOLE = {
    "an old version": (
        plain(opset=6),
        "the file uses version 6 of ONNX's operators: one of 7 to 28",
    ),
    "a new version": (plain(opset=99), "the file uses version 99 of ONNX's operators: one of 7 to"),
    "texts as images": (
        plain(kind=TensorProto.STRING),
        "the graph has an input 'input' of type 8: numbers: float, uint8, float16, double",
    ),
    "two inputs": (two_inputs, "the graph has 2 inputs (input, second): one, the images"),
    "a sequence of words": (of_shape(), "the graph has an input of 1 axes: images of 4 axes, 3"),
    "videos": (
        of_shape(2, 7, 6, 5),
        "the graph has an input of 5 axes: images of 4 axes, 3 (grey)",
    ),
    "an image as large as a town": (
        of_shape(2, 1 << 20, 1 << 20),
        "the graph takes images of 2x1048576x1048576 numbers: 65536 rows, columns or channels, tog",
    ),
    "nothing that depends on the images": (
        no_way,
        "the graph has no output that depends on its input: one that does",
    ),
    "one number at the end": (
        lambda: one_unit(),
        "gives one number, which may be a logit or anything else: a sigmoid behind it, or one unit",
    ),
}


@pytest.mark.parametrize("kind", ["Sub", "Div", "Mul", "Add"])
def test_arithmetic_of_levels_that_wraps_or_cuts(kind, tmp_path):
    """onnxruntime computes 100 - 128 in uint8 as 228."""
    g = Graph()
    x = g.node(kind, "input", g.constant(128, np.uint8))
    x = g.node("Cast", x, to=TensorProto.FLOAT)
    model = g.model(["n", 2, 7, 6], end(g, conv(g, x)), kind=TensorProto.UINT8, check=False)
    sentence = f"({kind}) computes in uint8, which wraps and cuts: a Cast to float before it"
    with pytest.raises(ModelFileError, match=re.escape(sentence)):
        network_in(model, tmp_path)


def one_unit():
    g = Graph()
    return g.model(["n", 4], g.node("MatMul", "input", g.constant(np.ones((4, 1)))), check=False)


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_is_refused(name, tmp_path):
    build, sentence = WHOLE[name]
    with pytest.raises(ModelFileError, match=re.escape(sentence)):
        network_in(build(), tmp_path)


def test_names_that_do_not_fit_the_classes(tmp_path):
    g = Graph()
    p = g.node("Softmax", g.node("MatMul", "input", g.constant(np.eye(4))))
    named = g.node("Gather", g.constant(["a", "b"], object), g.node("ArgMax", p, axis=1))
    with pytest.raises(ModelFileError, match="classes has 2 names, expected 4: the last layer"):
        network_in(g.model(["n", 4], p, named, check=False), tmp_path)


def test_numbers_that_are_not_finite(tmp_path):
    g = Graph()
    z = g.node("MatMul", "input", g.constant(np.full((4, 2), np.nan)))
    with pytest.raises(ModelFileError, match="numbers that are not finite: train it anew"):
        network_in(g.model(["n", 4], z), tmp_path)


def test_a_label_of_what_is_inside(tmp_path):
    g = Graph()
    x = g.node("Relu", "input")
    label, p = g.node("ArgMax", x, axis=1), g.node("Softmax", g.node("Neg", x))
    with pytest.raises(ModelFileError, match="names a class in the midst of the graph: at its end"):
        network_in(g.model(["n", 4], p, label, check=False), tmp_path)


def test_pixels_that_become_more_than_an_image(tmp_path):
    g = Graph()
    x = g.node("Reshape", "input", g.constant([-1, 1, 2, 3, 4], I64))
    with pytest.raises(ModelFileError, match="makes images of 4 axes: rows, columns, channels"):
        network_in(g.model(["n", 24], g.node("Flatten", x)), tmp_path)


def test_an_output_from_inside_is_left_out_and_said(tmp_path):
    g = Graph()
    x = conv(g)
    network = network_in(
        g.model(["n", 2, 7, 6], end(g, g.node("Relu", x)), x, check=False), tmp_path
    )
    assert network.said[0] == f"the output {x!r}, from inside, is left out"
