"""ONNX files, by onnxruntime and by onnx's reference evaluator."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from onnx.reference import ReferenceEvaluator

import convlet
from command_line import assert_refused
from convlet import FileError, InputError, ModelFileError, Network
from convlet.cli import main
from convlet.interchange.onnx_graph import START
from convlet.preparation import Preparation
from convlet.values import Scale
from networks import networks, some_levels, with_biases

LAYERS = "conv 3 3x2 stride 2x1 padding same bias position, relu, pool 2, dropout 0.5, flatten"
NAMES = ("katze", "häher", "猫")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


@pytest.fixture
def network() -> Network:
    made = Network(f"{LAYERS}, dense 5 bias none, relu, dense 3, softmax", (9, 7, 3), seed=2)
    return with_biases(made)


def run(file: Path, images: np.ndarray, threads: int = 1) -> list[np.ndarray]:
    """By onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@given(networks())
def test_any_network_means_the_same(tmp_path_factory, network):
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    network.to_onnx(file, dtype="float32")
    images = some_levels(network) / np.float32(255)
    expected = network.predict_proba(images)
    assert_close(run(file, images)[0], expected)
    assert_close(ReferenceEvaluator(str(file)).run(None, {"images": images})[0], expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_levels_floats_and_labels(network, file, dtype, threads):
    network.classes = NAMES
    network.to_onnx(file, dtype=dtype, labels=True)
    levels = some_levels(network, 40)
    images = levels if dtype == "uint8" else levels / np.float32(255)
    for found, labels in (
        run(file, images, threads),
        ReferenceEvaluator(str(file)).run(None, {"images": images}),
    ):
        assert_close(found, network.predict_proba(levels))
        assert list(labels) == [NAMES[k] for k in network.predict(levels)]
    assert len(run(file, images[:1])[1]) == 1  # n is free


def test_a_label_is_found_before_the_softmax_rounds(file):
    """Both probabilities are 1/2 in float32."""
    network = Network("flatten, dense 2, softmax", (1, 1, 1), classes=["a", "b"])
    network.flat = [0, 0, 0, 1e-9]
    network.to_onnx(file, labels=True)
    found, labels = run(file, np.zeros((1, 1, 1, 1), np.uint8))
    assert found[0, 0] == found[0, 1]
    assert list(labels) == ["b"]


def test_what_the_file_says(network, file):
    network.classes, network.scale, network.epochs = NAMES, Scale(0.0, 0.5), 7
    network.preparation = Preparation(9, 7, "rgb", "pad")
    network.to_onnx(file)
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 11)]
    assert model.producer_name == "convlet"
    said = {one.key: one.value for one in model.metadata_props}
    assert json.loads(said["classes"]) == list(NAMES)
    assert json.loads(said["preparation"]) == network.preparation.record()
    assert json.loads(said["scale"]) == [0.0, 0.5]
    assert (said["epochs"], said["convlet_version"]) == ("7", model.producer_version)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == [
        *("Cast", "Div", "Transpose", "Conv", "Add", "Relu", "MaxPool", "Dropout"),
        *("Flatten", "Gemm", "Relu", "Gemm", "Softmax"),
    ]
    assert [one.name for one in model.graph.initializer if one.name[0] in "wb"] == [*network.shapes]


def test_equal_networks_give_equal_bytes(network, file):
    network.to_onnx(file)
    first = file.read_bytes()
    network.to_onnx(file)
    assert file.read_bytes() == first


def test_a_network_of_standardised_images_takes_floats_only(network, file):
    network.scale = Scale(-1.7, 1.0)
    with pytest.raises(InputError, match=r"dtype is 'uint8', but .* from -1\.7 on, .*float32"):
        network.to_onnx(file)
    network.to_onnx(file, dtype="float32")
    images = np.random.default_rng(0).normal(size=(4, 9, 7, 3)).astype(np.float32)
    assert_close(run(file, images)[0], network.predict_proba(images))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"dtype": "int8"}, "dtype is 'int8', expected uint8 or float32"),
        ({"labels": 1}, "labels is 1, expected True or False"),
        ({"labels": True}, "labels is True, but the classes have no names: set network"),
        ({"prepare": True}, "prepare is True, but the network was trained on arrays"),
    ],
)
def test_what_cannot_be_is_refused_before_a_file_is_written(network, file, how, sentence):
    with pytest.raises(InputError, match=sentence):
        network.to_onnx(file, **how)
    assert not file.exists()


def test_parameters_that_are_not_finite_are_refused(network, file):
    network.parameters["b2"][1] = np.nan
    with pytest.raises(InputError, match=r"parameter b2\[1\] is nan"):
        network.to_onnx(file)
    assert not file.exists()


def test_an_old_file_stays_where_the_new_one_cannot_be_written(network, file):
    file.write_bytes(b"old")
    file.chmod(0o400)
    with pytest.raises(FileError, match=r"model\.onnx cannot be written"):
        network.to_onnx(file.parent / "none" / "model.onnx")
    assert file.read_bytes() == b"old"


def photo(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Two smooth images, neither black nor white anywhere, uint8."""
    i, j = np.mgrid[:rows, :columns]
    waves = np.random.default_rng(seed).uniform(0.05, 0.4, (2, 3, 2))
    images = np.sin(i * waves[..., 0, None, None] + j * waves[..., 1, None, None])
    return (127 + 90 * images).astype(np.uint8).transpose(0, 2, 3, 1)


def levels_seen(file: Path, images: np.ndarray) -> np.ndarray:
    """What the graph makes of images before it divides by 255, channels last."""
    model = onnx.load(file)
    divided = [node for node in model.graph.node if node.op_type == "Div"][-1].input[0]
    value = onnx.helper.make_tensor_value_info(divided, onnx.TensorProto.FLOAT, None)
    model.graph.output.append(value)
    for evaluate in (
        onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        ).run,
        ReferenceEvaluator(model).run,
    ):
        found = evaluate(None, {"images": images})[1].transpose(0, 2, 3, 1)
    return found


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize(
    ("size", "most"), [((12, 20), 0), ((12, 31), 1), ((60, 50), 1), ((7, 9), 1), ((1, 39), 1)]
)
def test_the_graph_prepares_images_as_pillow_does(file, fit, colour, size, most):
    """most: levels that Pillow's two orders of passes differ by, where there are two passes."""
    from PIL import Image

    from convlet.datasets.encoded.pixels import prepared

    preparation = Preparation(12, 20, colour, fit)
    network = Network("conv 2 3, relu, pool 3, flatten, dense 3, softmax", preparation.shape)
    network.preparation = preparation
    network.to_onnx(file, prepare=True)
    images = photo(*size)
    expected = [prepared(Image.fromarray(one), preparation, "it")[0] for one in images]
    found = levels_seen(file, images)
    assert np.abs(found - np.stack(expected)).max() <= most
    assert_close(run(file, images)[0], network.predict_proba(found.astype(np.uint8)))


def test_a_graph_prepares_no_figures_and_no_floats(file):
    network = Network(seed=0)
    network.preparation = Preparation(28, 28, "grey", "figure")
    with pytest.raises(InputError, match="prepare is True, but the network was trained on figures"):
        network.to_onnx(file, prepare=True)
    network.preparation = Preparation(28, 28, "grey")
    with pytest.raises(InputError, match="dtype is 'float32', expected uint8, as image files are"):
        network.to_onnx(file, prepare=True, dtype="float32")


def test_the_command_writes_the_same_file(network, file, capsys, monkeypatch):
    monkeypatch.chdir(file.parent)
    network.classes = NAMES
    network.save("m.safetensors")
    command = ["export", "m.safetensors", "m.onnx", "--labels", "--dtype", "float32"]
    for replaced in ("", " (replaced)"):
        assert main(command) == 0
        assert capsys.readouterr().out == f"exported to m.onnx{replaced}\n"
    network.to_onnx(file, dtype="float32", labels=True)
    assert Path("m.onnx").read_bytes() == file.read_bytes()
    assert file.read_bytes().startswith(START)


def test_the_command_says_what_cannot_be(network, file, capsys, monkeypatch):
    monkeypatch.chdir(file.parent)
    network.save("m.safetensors")
    command = ["export", "m.safetensors", "m.onnx"]
    assert_refused([*command, "--labels"], capsys, "--labels is given, but the classes have no")
    assert_refused([*command, "--prepare"], capsys, "--prepare is given, but the network was")
    assert_refused([*command[:2], "m.pt"], capsys, "FILE is 'm.pt', expected a name that ends in")
    assert not Path("m.onnx").exists()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@given(networks())
@settings(max_examples=25)
def test_any_network_comes_back(tmp_path_factory, dtype, network):
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    network.to_onnx(file, dtype=dtype)
    images = some_levels(network)
    expected = network.predict_proba(images)
    found = convlet.from_onnx(file, network.input_shape)  # a dense map alone shows no layout
    assert_close(found.predict_proba(images), expected)


@pytest.mark.parametrize("labels", [False, True])
def test_what_convlet_knew_comes_back(network, file, labels):
    network.classes, network.scale, network.epochs = NAMES, Scale(0.0, 0.5), 7
    network.preparation, network.data = Preparation(9, 7, "rgb", "pad"), "mnist"
    network.settings = convlet.Settings(epochs=7, optimizer="adam")
    network.to_onnx(file, labels=labels)
    found = convlet.from_onnx(file)
    for name in ("classes", "scale", "epochs", "preparation", "data", "settings", "input_shape"):
        assert getattr(found, name) == getattr(network, name)
    levels = some_levels(network)
    assert_close(found.predict_proba(levels), network.predict_proba(levels))


def test_metadata_are_a_strangers_too(network, file):
    network.to_onnx(file)
    model = onnx.load(file)
    (epochs,) = [one for one in model.metadata_props if one.key == "epochs"]
    epochs.value = "-1"
    onnx.save(model, file)
    with pytest.raises(ModelFileError, match=r"model\.onnx: epochs is '-1', expected a whole numb"):
        convlet.from_onnx(file)


def test_a_file_that_prepares_images_is_not_taken_back(network, file):
    network.preparation = Preparation(9, 7, "rgb", "crop")
    network.to_onnx(file, prepare=True)
    with pytest.raises(
        ModelFileError, match=r"takes images of any size, and prepares them: a file"
    ):
        convlet.from_onnx(file)
