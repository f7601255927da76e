"""Every operator of ONNX that is taken, in the forms that versions and exporters give it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import convlet
from brought_in import assert_same, images, network_in, probabilities
from convlet.interchange.onnx_file import read_model
from onnx_models import Graph, run

I64 = np.int64


def random(*shape: int) -> np.ndarray:
    """Weights by which numbers keep their size, so that no softmax is near 0 and 1."""
    inputs = shape[0] if len(shape) == 2 else np.prod(shape[1:])
    numbers = np.random.default_rng(sum(shape)).normal(size=shape) / np.sqrt(inputs)
    return numbers.astype(np.float32)


def conv(g: Graph, x: str, inputs: int = 2, outputs: int = 3, **window) -> str:
    return g.node("Conv", x, g.constant(random(outputs, inputs, 3, 2)), **window)


def end(g: Graph, x: str, units: int) -> str:
    """A dense layer of flat x and a softmax."""
    z = g.node("Gemm", x, g.constant(random(units, 3)), g.constant(random(3)))
    return g.node("Softmax", z, axis=1)


def flat(g: Graph, x: str, units: int) -> str:
    return end(g, g.node("Flatten", x), units)


# of images (n, 2, 7, 6)
IMAGES = {
    "auto_pad SAME_UPPER": lambda g: flat(
        g, conv(g, "input", auto_pad="SAME_UPPER", strides=[2, 1]), 3 * 4 * 6
    ),
    "auto_pad SAME_LOWER": lambda g: flat(g, conv(g, "input", auto_pad="SAME_LOWER"), 3 * 7 * 6),
    "auto_pad VALID": lambda g: flat(g, conv(g, "input", auto_pad="VALID"), 3 * 5 * 5),
    "a pool with auto_pad that has no margins": lambda g: flat(
        g,
        g.node(
            "MaxPool",
            conv(g, "input", pads=[1, 0, 1, 1]),
            kernel_shape=[7, 2],
            strides=[7, 2],
            auto_pad="SAME_UPPER",
        ),
        3 * 1 * 3,
    ),
    "ceil_mode without a rest": lambda g: flat(
        g,
        g.node("MaxPool", conv(g, "input"), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        3 * 2 * 2,
    ),
    "GlobalAveragePool": lambda g: flat(g, g.node("GlobalAveragePool", conv(g, "input")), 3),
    "GlobalMaxPool": lambda g: flat(g, g.node("GlobalMaxPool", conv(g, "input")), 3),
    "ReduceMean": lambda g: end(
        g, g.node("ReduceMean", conv(g, "input"), axes=[2, -1], keepdims=0), 3
    ),
    "ReduceMean that keeps axes": lambda g: flat(
        g, g.node("ReduceMean", conv(g, "input"), axes=[3, 2]), 3
    ),
    "ReduceSum": lambda g: end(
        g, g.node("ReduceSum", conv(g, "input"), g.constant([2, 3], I64), keepdims=0), 3
    ),
    "ReduceMax": lambda g: end(
        g, g.node("ReduceMax", conv(g, "input"), axes=[2, 3], keepdims=0), 3
    ),
    "Squeeze behind a pool": lambda g: end(
        g,
        g.node("Squeeze", g.node("GlobalAveragePool", conv(g, "input")), g.constant([2, 3], I64)),
        3,
    ),
    "BatchNormalization": lambda g: flat(
        g,
        g.node(
            "BatchNormalization",
            conv(g, "input", pads=[1, 1, 1, 0]),
            *(g.constant(values) for values in (random(3), random(3), random(3), [1, 2, 0.5])),
            epsilon=0.1,
        ),
        3 * 7 * 6,
    ),
    "constants for each channel": lambda g: flat(
        g, conv(g, g.node("Sub", "input", g.constant(random(2, 1, 1))), pads=[1, 1, 1, 0]), 126
    ),
    "a mean image": lambda g: flat(
        g, conv(g, g.node("Sub", "input", g.constant(random(1, 2, 7, 6))), pads=[1, 1, 1, 0]), 126
    ),
    "a row of factors before a dense layer": lambda g: flat(
        g, g.node("Mul", g.node("Relu", conv(g, "input")), g.constant(random(5, 1))), 75
    ),
    "a constant before the image": lambda g: flat(
        g, conv(g, g.node("Sub", g.constant([[[0.5]]]), "input")), 75
    ),
    "Div": lambda g: flat(
        g, g.node("Div", conv(g, "input"), g.constant([[[3]], [[-2]], [[1]]])), 75
    ),
    "Neg": lambda g: flat(g, g.node("Neg", conv(g, "input")), 75),
    "Sum": lambda g: flat(g, g.node("Sum", conv(g, "input"), g.constant(0.25)), 75),
    "Sum of three": lambda g: flat(
        g, g.node("Sum", g.constant(0.25), conv(g, "input"), g.constant(random(3, 1, 1))), 75
    ),
    "Max of three": lambda g: flat(
        g, g.node("Max", g.constant(0), conv(g, "input"), g.constant([0])), 75
    ),
    "weights by their length": lambda g: flat(g, normed(g), 75),
    "Clip": lambda g: flat(g, g.node("Clip", conv(g, "input"), g.constant(0)), 75),
    "Max": lambda g: flat(g, g.node("Max", g.constant(0), conv(g, "input")), 75),
    "Dropout": lambda g: flat(g, g.node("Dropout", g.node("Relu", conv(g, "input"))), 75),
    "Identity and Cast": lambda g: flat(
        g, g.node("Cast", g.node("Identity", conv(g, "input")), to=TensorProto.FLOAT), 75
    ),
    "a dense map along the channels, which are last": lambda g: flat(
        g,
        g.node(
            "Relu",
            g.node(
                "MatMul",
                g.node("Transpose", conv(g, "input"), perm=[0, 2, 3, 1]),
                g.constant(random(3, 4)),
            ),
        ),
        4 * 5 * 5,
    ),
    "Reshape with 0 and -1": lambda g: end(
        g, g.node("Reshape", conv(g, "input"), g.constant([0, -1], I64)), 75
    ),
    "Reshape by the shape": lambda g: end(g, reshaped_by_shape(g, conv(g, "input")), 75),
    "Reshape that splits an axis of size 1": lambda g: flat(
        g,
        g.node(
            "Reshape", g.node("GlobalAveragePool", conv(g, "input")), g.constant([-1, 1, 3, 1], I64)
        ),
        3,
    ),
    "Flatten with a negative axis": lambda g: end(
        g, g.node("Flatten", conv(g, "input"), axis=-3), 75
    ),
    "Gemm with alpha, beta and transB": lambda g: g.node(
        "Softmax",
        g.node(
            "Gemm",
            g.node("Flatten", conv(g, "input")),
            g.constant(random(4, 75)),
            g.constant(random(1, 4)),
            alpha=0.5,
            beta=-2.0,
            transB=1,
        ),
    ),
    "Gemm with one number for all": lambda g: g.node(
        "Softmax",
        g.node(
            "Gemm", g.node("Flatten", conv(g, "input")), g.constant(random(75, 3)), g.constant(2)
        ),
    ),
    "weights that are worked out": lambda g: flat(g, worked_out(g), 75),
    "weights in many steps": lambda g: flat(g, in_many_steps(g), 75),
    "probabilities of a convolution": lambda g: g.node(
        "Flatten", g.node("Softmax", g.node("GlobalAveragePool", conv(g, "input")), axis=1)
    ),
    "Log behind a softmax": lambda g: g.node("Log", flat(g, conv(g, "input"), 75)),
}


def reshaped_by_shape(g: Graph, x: str) -> str:
    """As PyTorch writes x.view(x.size(0), -1)."""
    n = g.node("Gather", g.node("Shape", x), g.constant(0, I64), axis=0)
    first = g.node("Unsqueeze", n, g.constant([0], I64))
    return g.node("Reshape", x, g.node("Concat", first, g.constant([-1], I64), axis=0))


def worked_out(g: Graph) -> str:
    """As jax2onnx writes a convolution and a batch normalisation."""
    w = g.node("Transpose", g.constant(random(3, 2, 2, 3)), perm=[3, 2, 0, 1])
    z = g.node("Conv", "input", w)
    root = g.node("Sqrt", g.node("Add", g.constant([1, 2, 3]), g.constant(0.1)))
    scale = g.node("Mul", g.node("Div", g.constant(1), root), g.node("Neg", g.constant(random(3))))
    along = g.node("Unsqueeze", scale, g.constant([0, 2, 3], I64))
    return g.node("Mul", z, g.node("Reshape", along, g.constant([1, 3, 1, 1], I64)))


def normed(g: Graph) -> str:
    """As PyTorch writes weight_norm; a factor bounded from below, as jax2onnx writes it."""
    w = random(3, 2, 3, 2)
    length = g.node("ReduceL2", g.constant(w), axes=[1, 2, 3], keepdims=1)
    w = g.node("Mul", g.node("Div", g.constant(w), length), g.constant(random(3, 1, 1, 1)))
    least = g.node("Max", g.constant(random(3, 1, 1)), g.constant(0.1), g.constant([0.2]))
    return g.node("Div", g.node("Conv", "input", w), least)


def in_many_steps(g: Graph) -> str:
    """Most of what is worked out of constants."""
    w = g.constant(random(4, 2, 3, 2))
    three = g.node("Slice", w, *(g.constant([n], I64) for n in (3, -9, 0, -1)))  # backwards
    three = g.node("Gather", three, g.constant([2, 0, 3], I64), axis=0)
    two = g.node("Cast", g.node("Constant", value_int=2), to=TensorProto.FLOAT)
    squares = g.node("Pow", g.node("Constant", value_floats=[1.0, -2.0, 3.0]), two)
    size = g.node("Shape", g.node("Constant", value_ints=[4, 5, 6]))
    filled = g.node("ConstantOfShape", size, value=helper.make_tensor("v", 1, [1], [0.5]))
    bias = g.node("Mul", g.node("Reciprocal", squares), filled)
    bias = g.node("Squeeze", g.node("Concat", g.node("Identity", bias), axis=0))
    return g.node("Conv", "input", three, g.node("Add", bias, g.node("Constant", value_float=0.1)))


@pytest.mark.parametrize("name", IMAGES)
def test_operators_on_images(name, tmp_path):
    g = Graph()
    model = g.model(["n", 2, 7, 6], IMAGES[name](g))
    network = assert_same(model, tmp_path)
    assert network.input_shape == (7, 6, 2)


# lined up, or without an axis of channels
OTHERS = {
    "pixels lined up": (["n", 35], (1, 35, 1), lambda g: end(g, "input", 35)),
    "a square of pixels lined up": (["n", 36], (6, 6, 1), lambda g: end(g, "input", 36)),
    "pixels lined up, then an image": (
        ["n", 42],
        (7, 6, 1),
        lambda g: flat(
            g, conv(g, g.node("Reshape", "input", g.constant([-1, 1, 7, 6], I64)), 1), 75
        ),
    ),
    "pixels lined up, less a mean, then an image with channels last": (
        ["n", 84],
        (7, 6, 2),
        lambda g: flat(
            g,
            conv(
                g,
                g.node(
                    "Transpose",
                    g.node(
                        "Reshape",
                        g.node("Sub", "input", g.constant(random(84))),
                        g.constant([-1, 7, 6, 2], I64),
                    ),
                    perm=[0, 3, 1, 2],
                ),
            ),
            75,
        ),
    ),
    "grey images without an axis for it": (
        ["n", 7, 6],
        (7, 6, 1),
        lambda g: flat(g, conv(g, g.node("Unsqueeze", "input", g.constant([1], I64)), 1), 75),
    ),
    "grey images, flattened": (["n", 7, 6], (7, 6, 1), lambda g: flat(g, "input", 42)),
    "one channel, reshaped as tf2onnx does": (
        ["n", 7, 6, 1],
        (7, 6, 1),
        lambda g: flat(
            g, conv(g, g.node("Reshape", "input", g.constant([-1, 1, 7, 6], I64)), 1), 75
        ),
    ),
    "channels last without a convolution": (
        ["n", 7, 6, 3],
        (7, 6, 3),
        lambda g: flat(g, "input", 126),
    ),
    "channels first without a convolution": (
        ["n", 3, 7, 6],
        (7, 6, 3),
        lambda g: flat(g, "input", 126),
    ),
    "a fixed number of images": (
        [3, 2, 7, 6],
        (7, 6, 2),
        lambda g: end(g, g.node("Reshape", conv(g, "input"), g.constant([3, 75], I64)), 75),
    ),
    "pixels lined up, less a mean, then a row": (
        ["n", 35],
        (1, 35, 1),
        lambda g: flat(
            g,
            g.node(
                "Conv",
                g.node(
                    "Unsqueeze",
                    g.node("Sub", "input", g.constant(random(35))),
                    g.constant([1, 2], I64),
                ),
                g.constant(random(2, 1, 1, 3)),
            ),
            66,
        ),
    ),
    "Scaler": (
        ["n", 35],
        (1, 35, 1),
        lambda g: end(
            g,
            g.node(
                "Scaler",
                "input",
                domain="ai.onnx.ml",
                offset=random(35).tolist(),
                scale=(0.5 + abs(random(35))).tolist(),
            ),
            35,
        ),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_inputs_of_other_shapes(name, tmp_path):
    shape, image, build = OTHERS[name]
    g = Graph()
    model = g.model(shape, build(g))
    layout = "nchw" if shape[1:] == [3, 7, 6] or name.startswith("a fixed") else "nhwc"
    assert assert_same(model, tmp_path, layout).input_shape == image


def test_older_versions_of_the_operators(tmp_path):
    """Pads, axes, bounds and ratio are attributes, and softmax joins all axes behind its own."""
    g = Graph()
    x = g.node("Pad", "input", pads=[0, 0, 1, 0, 0, 0, 0, 2], value=0.5)
    x = g.node("Clip", conv(g, x), min=0.0)
    x = g.node("Dropout", x, ratio=0.25)
    x = g.node("GlobalAveragePool", x)
    z = g.node("Conv", x, g.constant(random(4, 3, 1, 1)))
    x = g.node("Squeeze", g.node("Softmax", z, axis=1), axes=[2, 3])
    network = assert_same(g.model(["n", 2, 7, 6], x, opset=10), tmp_path)
    assert "dropout 0.25" in convlet.format_layers(network.layers)


def test_probabilities_of_two_classes_and_their_names(tmp_path):
    """As skl2onnx writes a sigmoid: 1 - p beside p, a label, a table."""
    g = Graph()
    second = g.node("Sigmoid", g.node("MatMul", "input", g.constant(random(35, 1))))
    first = g.node("Sub", g.constant(1), second)
    p = g.node("Concat", first, second, axis=1)
    best = g.node("ArgMax", p, axis=1)
    names = g.constant(["no", "yes"], object)
    label = g.node("ArrayFeatureExtractor", names, best, domain="ai.onnx.ml")
    network = assert_same(g.model(["n", 35], p, label, check=False), tmp_path)
    assert network.classes == ("no", "yes")


@pytest.mark.parametrize("first", ["label", "probabilities"])
def test_the_label_of_logits(first, tmp_path):
    """The most probable class is taken of what enters the softmax."""
    g = Graph()
    z = g.node("MatMul", "input", g.constant(random(35, 3)))
    if first == "label":
        label = g.node("ArgMax", z, axis=1, keepdims=0)
        p = g.node("Softmax", z)
    else:
        p = g.node("Softmax", z)
        label = g.node("ArgMax", z, axis=1, keepdims=0)
    named = g.node("Gather", g.constant(["a", "b", "c"], object), label)
    network = assert_same(g.model(["n", 35], p, named, check=False), tmp_path)
    assert network.classes == ("a", "b", "c")


def test_levels_as_uint8_are_scaled_as_convlet_scales_them(tmp_path):
    g = Graph()
    x = g.node("Div", g.node("Cast", "input", to=TensorProto.FLOAT), g.constant(255))
    x = g.node("Transpose", x, perm=[0, 3, 1, 2])
    model = g.model(["n", 7, 6, 2], flat(g, conv(g, x), 75), kind=TensorProto.UINT8)
    network = network_in(model, tmp_path)
    levels = (images((7, 6, 2)) * 255).astype(np.uint8)
    expected = run(model, levels)
    np.testing.assert_allclose(network.predict_proba(levels), expected, rtol=0, atol=1e-5)
    assert network.said[0] == (
        "the file takes 255 for white, the network 1: give it uint8, or floats up to 1"
    )


@pytest.mark.parametrize(("white", "expected"), [(None, 255), (16.0, 16), (1, 1)])
def test_what_is_white_is_told_by_the_caller_or_by_the_division(white, expected, tmp_path):
    g = Graph()
    model = g.model(["n", 7, 6], flat(g, g.node("Div", "input", g.constant(255)), 42))
    network = network_in(model, tmp_path, white=white)
    x = images((7, 6, 1))
    found = run(model, x[..., 0] * np.float32(expected))
    np.testing.assert_allclose(network.predict_proba(x), found, rtol=0, atol=1e-5)


def test_an_open_size_is_told_by_the_caller(tmp_path):
    g = Graph()
    model = g.model(["n", 2, "rows", "columns"], flat(g, conv(g, "input"), 75), check=False)
    with pytest.raises(
        convlet.InputError, match="input_shape is not given, and the file leaves it"
    ):
        network_in(model, tmp_path)
    with pytest.raises(convlet.InputError, match=r"input_shape is \(7, 6, 3\), but the file takes"):
        network_in(model, tmp_path, input_shape=(7, 6, 3))
    network = network_in(model, tmp_path, input_shape=(7, 6, 2))
    expected = run(model, images((7, 6, 2)).transpose(0, 3, 1, 2))
    np.testing.assert_allclose(network.predict_proba(images((7, 6, 2))), expected, atol=1e-5)


def test_an_input_that_may_be_two_things_is_told_by_the_caller(tmp_path):
    g = Graph()
    model = g.model(["n", 3, 4, 4], flat(g, "input", 48))
    model_4 = Graph().model(["n", 3, 4, 4], "input", check=False)
    assert model_4.graph.input == model.graph.input
    with pytest.raises(convlet.InputError, match="may take images 4x4x3 or 3x4x4: say which"):
        network_in(model, tmp_path)
    x = images((4, 4, 3))
    network = network_in(model, tmp_path, input_shape=(4, 4, 3))
    expected = run(model, x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)


def test_pixels_that_the_graph_lines_up_channels_first_are_said(tmp_path):
    g = Graph()
    x = g.node("Reshape", "input", g.constant([-1, 2, 7, 6], I64))
    network = network_in(g.model(["n", 84], flat(g, conv(g, x), 75)), tmp_path)
    assert "the file lines pixels up channels first: give the network images" in network.said[0]


TYPES = {
    TensorProto.FLOAT: np.float32,
    TensorProto.DOUBLE: np.float64,
    TensorProto.FLOAT16: np.float16,
}


@pytest.mark.parametrize("kind", TYPES)
def test_numbers_of_any_float_type(kind, tmp_path):
    w = random(35, 3).astype(TYPES[kind])
    node = helper.make_node("MatMul", ["input", "w"], ["z"])
    graph = helper.make_graph(
        [node],
        "types",
        [helper.make_tensor_value_info("input", kind, ["n", 35])],
        [helper.make_tensor_value_info("z", kind, ["n", 3])],
        [numpy_helper.from_array(w, "w")],
    )
    network = network_in(helper.make_model(graph, ir_version=9), tmp_path)
    x = images((1, 35, 1)).astype(np.float64)
    expected = probabilities(x.reshape(3, 35) @ w.astype(np.float64))
    np.testing.assert_allclose(network.predict_proba(x), expected, rtol=0, atol=1e-5)


CODES = [
    (TensorProto.FLOAT, [0.5, -2.0]),
    (TensorProto.DOUBLE, [0.5, -2.0]),
    (TensorProto.FLOAT16, [0.5, -2.0]),
    (TensorProto.BFLOAT16, [0.5, -2.0]),
    (TensorProto.INT64, [5, -(1 << 40)]),
    (TensorProto.INT32, [5, -7]),
    (TensorProto.INT16, [5, -7]),
    (TensorProto.INT8, [5, -7]),
    (TensorProto.UINT64, [5, (1 << 64) - 1]),
    (TensorProto.UINT32, [5, (1 << 32) - 1]),
    (TensorProto.UINT16, [5, 65535]),
    (TensorProto.UINT8, [5, 255]),
    (TensorProto.BOOL, [True, False]),
    (TensorProto.STRING, ["a", "é"]),
]


@pytest.mark.parametrize("raw", [False, True], ids=["written out", "raw"])
@pytest.mark.parametrize(("code", "values"), CODES)
def test_tensors_are_read_as_onnx_reads_them(code, values, raw, tmp_path):
    """Every type, in the field of its own and as bytes."""
    if raw and code == TensorProto.STRING:
        return  # texts are never bytes in a row
    if raw:
        dtype = helper.tensor_dtype_to_np_dtype(code)
        bits = np.array(values, dtype).tobytes()
        tensor = helper.make_tensor("t", code, [2, 1], bits, raw=True)
    else:
        tensor = helper.make_tensor("t", code, [2, 1], values)
    graph = helper.make_graph([], "none", [], [], [tensor])
    path = tmp_path / "tensors.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    (found,) = read_model(path).constants.values()
    expected = numpy_helper.to_array(tensor)
    assert found.array().shape == (2, 1)
    if code == TensorProto.STRING:
        assert found.array().ravel().tolist() == values
    else:
        np.testing.assert_array_equal(found.array(), expected.astype(found.array().dtype))
        assert found.array().dtype.kind == (
            "f" if code == TensorProto.BFLOAT16 else expected.dtype.kind
        )


def test_weights_beside_the_file(tmp_path):
    g = Graph()
    model = g.model(["n", 2, 7, 6], flat(g, conv(g, "input"), 75))
    expected = network_in(model, tmp_path).flat
    onnx.save(
        model,
        tmp_path / "beside.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    assert (tmp_path / "weights.bin").stat().st_size > 300
    np.testing.assert_array_equal(convlet.from_onnx(tmp_path / "beside.onnx").flat, expected)


def own(**notes: str) -> onnx.ModelProto:
    """A network of a dense layer with what convlet's own export notes beside it."""
    g = Graph()
    z = g.node("Gemm", g.node("Flatten", "input"), g.constant(random(42, 3)), g.constant(random(3)))
    model = g.model(["n", 7, 6], g.node("Softmax", z))
    kept = {
        "convlet_version": "0.1.0",
        "layers": "flatten, dense 3, softmax",
        "input_shape": "[7, 6, 1]",
        "input_scaling": "uint8/255",
        "epochs": "4",
        "classes": '["a", "b", "c"]',
        "preparation": '{"rows": 7, "columns": 6, "colour": "grey", "fit": "pad"}',
        "scale": "[0.0, 0.25]",
        **notes,
    }
    for key, text in kept.items():
        model.metadata_props.add(key=key, value=text)
    return model


def test_a_file_of_convlet_itself_is_known_again(tmp_path):
    network = assert_same(own(), tmp_path, "nhwc")
    assert (network.classes, network.epochs) == (("a", "b", "c"), 4)
    assert network.preparation.fit == "pad"
    assert network.scale == (0, 0.25)
    assert network.said == ()


def test_notes_of_another_network_are_not_taken(tmp_path):
    network = assert_same(own(layers="flatten, dense 3 bias none, softmax"), tmp_path, "nhwc")
    assert (network.classes, network.epochs, network.scale) == (("a", "b", "c"), 0, None)


def test_damaged_notes_are_refused(tmp_path):
    with pytest.raises(convlet.ModelFileError, match="epochs is 'four', expected a whole number"):
        network_in(own(epochs="four"), tmp_path)


def test_a_file_that_prepares_images_is_refused(tmp_path):
    model = own()
    for axis in model.graph.input[0].type.tensor_type.shape.dim:
        axis.dim_param = "any"
    with pytest.raises(convlet.ModelFileError, match="takes images of any size, and prepares them"):
        network_in(model, tmp_path)


def test_a_graph_that_goes_on_in_float16_says_so(tmp_path):
    g = Graph()
    x = g.node("Cast", "input", to=TensorProto.FLOAT16)
    network = network_in(g.model(["n", 35], end(g, x, 35), check=False), tmp_path)
    assert network.said[0] == "node 'x0' (Cast) goes on in float16, convlet in float32"
