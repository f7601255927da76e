"""Damaged and malicious ONNX files: errors of convlet only, in bounded memory and time."""

import os
import random
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import children
import convlet
from convlet import ConvletError, FileError, ModelFileError
from onnx_models import Graph
from test_interchange_exporters import FOLDER

FILES = sorted(FOLDER.glob("*.onnx"))
EXTREMES = (0, -1, 1, 3, 1 << 20, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63))
KINDS = ["Conv", "Gemm", "Reshape", "Transpose", "Add", "MatMul", "Softmax", "Concat", "Slice"]


@pytest.fixture
def copied(tmp_path):
    """A folder with the weights that lie beside files."""
    for path in FOLDER.glob("*.data"):
        shutil.copy(path, tmp_path)
    return tmp_path


def outcome(path: Path) -> str:
    """ "network", or "error" for one of convlet's, which is one line of some length."""
    said = ""
    try:
        convlet.from_onnx(path)
    except ConvletError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1000
    return "error" if said else "network"


def damaged(data: bytes, draws: random.Random) -> bytes:
    """Bytes changed, removed, put in."""
    found = bytearray(data)
    for _ in range(draws.choice([1, 1, 3, 10])):
        place = draws.randrange(len(found))
        count = draws.choice([1, 2, 10])
        match draws.randrange(4):
            case 0:
                found[place] ^= 1 << draws.randrange(8)
            case 1:
                found[place] = draws.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 2:
                del found[place : place + count]
            case _:
                found[place:place] = draws.randbytes(count)
    return bytes(found)


def test_damaged_bytes(copied):
    draws, seen = random.Random(0), set()
    for _ in range(700):
        path = copied / "damaged.onnx"
        path.write_bytes(damaged(draws.choice(FILES).read_bytes(), draws))
        seen.add(outcome(path))
    assert seen == {"error", "network"}


def mutate(model: onnx.ModelProto, draws: random.Random) -> None:
    """One field of the graph is another one than it was."""
    graph = model.graph
    node, tensor = draws.choice(graph.node), draws.choice(graph.initializer)
    axes = graph.input[0].type.tensor_type.shape.dim
    match draws.randrange(10):
        case 0 if node.attribute:
            attribute = draws.choice(node.attribute)
            if attribute.ints:
                attribute.ints[draws.randrange(len(attribute.ints))] = draws.choice(EXTREMES)
            else:
                attribute.i = draws.choice(EXTREMES)
        case 1 if tensor.dims:
            place = draws.randrange(len(tensor.dims))
            tensor.dims[place] = draws.choice([0, 1, 2, 1 << 20, 1 << 40, 1 << 62])
        case 2:
            tensor.data_type = draws.randrange(24)
        case 3:
            node.op_type = draws.choice(KINDS)
        case 4 if node.input:
            names = [*node.output, "", "nothing", *(other.name for other in graph.initializer)]
            node.input[draws.randrange(len(node.input))] = draws.choice(names)
        case 5:
            graph.node.remove(node)
        case 6:
            graph.node.insert(draws.randrange(len(graph.node)), node)
        case 7 if tensor.raw_data and tensor.data_type == onnx.TensorProto.INT64:
            values = np.frombuffer(tensor.raw_data, np.int64).copy()
            values[draws.randrange(len(values))] = draws.choice(EXTREMES)
            tensor.raw_data = values.tobytes()
        case 8:
            draws.choice(axes).dim_value = draws.choice([1, 2, 5, 100, 4096, 1 << 16, 1 << 40])
        case _:
            others = [one for other in graph.node for one in other.attribute]
            node.attribute.add().CopyFrom(draws.choice(others))


def test_mutated_fields(copied):
    draws, seen = random.Random(0), set()
    for _ in range(700):
        model = onnx.load(draws.choice(FILES), load_external_data=False)
        for _ in range(draws.choice([1, 1, 2])):
            mutate(model, draws)
        path = copied / "mutated.onnx"
        path.write_bytes(model.SerializeToString())
        seen.add(outcome(path))
    assert seen == {"error", "network"}


@pytest.mark.parametrize("name", ["keras-mlp.onnx", "sklearn-names.onnx"])
def test_cut_off_anywhere(name, tmp_path):
    data = (FOLDER / name).read_bytes()
    path = tmp_path / "cut.onnx"
    for size in range(0, len(data), 23):
        path.write_bytes(data[:size])
        assert outcome(path) == "error"


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


OPSET = field(8, b"\x10\x11")  # version 17
BYTES = {
    "nothing": (b"", "it has no graph"),
    "no version": (field(7, b""), "it names no version of its operators"),
    "two graphs": (field(7, b"") + field(7, b""), "two graphs"),
    "a length behind the end": (b"\x3a\xff\xff\x7f", "field 7 ends behind the end"),
    "an endless number": (b"\xff" * 20, "a number of more than 10 bytes"),
    "an end inside a number": (b"\x38\x80", "it ends inside a number"),
    "a group": (b"\x3b", "a field of kind 3"),
    "a graph that is a number": (b"\x38\x01", "field 7 holds a number, not bytes"),
    "sparse weights": (OPSET + field(7, field(15, b"")), "it has sparse weights, which convlet"),
    "a million nodes": (OPSET + field(7, field(1, b"") * (1 << 20)), "more than 262144 fields"),
    "a million axes": (
        OPSET + field(7, field(5, field(1, b"\x01" * (1 << 20)))),
        "more than 262144 fields and numbers",
    ),
    "a million texts": (
        OPSET + field(7, field(5, field(6, b"") * (1 << 20))),
        "more than 262144 fields and numbers",
    ),
    "weights of nine axes": (
        OPSET + field(7, field(5, field(1, b"\x01" * 9))),
        "weights of shape [1, 1, 1, 1, 1, 1",
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "an ONNX file, found a damaged one or"),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_model(name, tmp_path):
    data, found = BYTES[name]
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(
        ModelFileError, match="expected an ONNX file, found a damaged one"
    ) as caught:
        convlet.from_onnx(path)
    assert found in str(caught.value)


# ---------------------------------------------------------------------------- weights beside a file


def beside(folder: Path, **place: str) -> Path:
    """A model whose weights, 4x2 floats, lie where external_data says."""
    g = Graph()
    model = g.model(["n", 4], g.node("MatMul", "input", g.constant(np.eye(4)[:, :2])))
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "model" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    weights = np.eye(4, 2, dtype=np.float32).tobytes()
    (folder / "secret").write_bytes(weights)
    (path.parent / "weights").write_bytes(weights)
    (path.parent / "link").symlink_to(folder / "secret")
    (path.parent / "inner").mkdir()
    (path.parent / "inner" / "weights").write_bytes(b"1234" + weights)
    (path.parent / "outer").symlink_to(folder)
    os.mkfifo(path.parent / "pipe")
    return path


def test_weights_in_the_folder_of_the_model_are_read(tmp_path):
    assert convlet.from_onnx(beside(tmp_path, location="weights")).class_count == 2


def test_weights_in_a_folder_there_are_read(tmp_path):
    place = {"location": "inner/weights", "offset": "4", "length": "32"}
    assert convlet.from_onnx(beside(tmp_path, **place)).class_count == 2


OUTSIDE = {
    "../secret": "lie in '../secret', expected a file in the model's folder",
    "inner/../../secret": "lie in 'inner/../../secret', expected a file in the model's folder",
    "..\\secret": r"lie in '..\\secret', expected a file in the model's folder",
    "/etc/hostname": "lie in '/etc/hostname', expected a file in the model's folder",
    "link": "lie in 'link', a link, expected a file in the model's folder",
    "outer/secret": "lie in 'outer/secret', a link, expected a file in the model's folder",
    "": "lie in '', expected a file in the model's folder",
    "a\0b": "expected a file in the model's folder",
}


@pytest.mark.parametrize("location", OUTSIDE)
def test_weights_elsewhere_are_refused(location, tmp_path):
    path = beside(tmp_path, location=location)
    with pytest.raises(ModelFileError, match="the weights 'c0' ") as caught:
        convlet.from_onnx(path)
    assert OUTSIDE[location] in str(caught.value)


@pytest.mark.parametrize("location", ["missing", "inner", "pipe", "weights/more"])
def test_weights_that_are_no_file_are_refused(location, tmp_path):
    with pytest.raises(FileError, match=f"{location}.* cannot be read: "):
        convlet.from_onnx(beside(tmp_path, location=location))


PLACES = [
    ({"offset": "4"}, "end behind the end of weights, expected all of them"),
    ({"offset": str(1 << 62)}, "end behind the end of weights, expected all of them"),
    ({"offset": "-4"}, "take the bytes -4, None, expected 32 bytes from some place"),
    ({"length": "8"}, "take the bytes None, 8, expected 32 bytes from some place"),
    ({"length": "many"}, "take the bytes None, many, expected 32 bytes from some place"),
]


@pytest.mark.parametrize(("place", "sentence"), PLACES)
def test_weights_at_no_place_are_refused(place, sentence, tmp_path):
    with pytest.raises(ModelFileError, match=sentence):
        convlet.from_onnx(beside(tmp_path, location="weights", **place))


# --------------------------------------------------------------------------------- memory and time


def wide_groups() -> onnx.ModelProto:
    """Weights that would be a thousand times as many with their zeros."""
    g = Graph()
    w = g.constant(np.ones((4096, 1, 3, 3)))
    x = g.node("Relu", g.node("Conv", "input", w, group=4096))
    return g.model(["n", 4096, 9, 9], g.node("GlobalAveragePool", x), check=False)


def far_taps() -> onnx.ModelProto:
    g = Graph()
    w = g.constant(np.ones((2, 1, 2, 2)))
    x = g.node("Conv", "input", w, dilations=[60000, 1])
    return g.model(["n", 1, 60001, 2], g.node("GlobalAveragePool", x), check=False)


def large_image() -> onnx.ModelProto:
    g = Graph()
    x = g.node("GlobalAveragePool", g.node("Sub", "input", g.constant(1)))
    return g.model(["n", 1, 8192, 8192], x, check=False)


def wide_frame() -> onnx.ModelProto:
    g = Graph()
    x = g.node("Conv", "input", g.constant(np.ones((2, 1, 1, 1))), pads=[1 << 19] * 4)
    return g.model(["n", 1, 9, 9], g.node("GlobalAveragePool", x), check=False)


def many_units() -> onnx.ModelProto:
    g = Graph()
    x = g.node("Flatten", "input")
    return g.model(["n", 1, 8192, 8192], g.node("Mul", x, g.constant(np.ones(1))), check=False)


def shared_weights() -> onnx.ModelProto:
    """The same megabyte a thousand times."""
    g = Graph()
    w, x = g.constant(np.eye(512)), "input"
    for _ in range(900):
        x = g.node("Relu", g.node("MatMul", x, w))
    return g.model(["n", 512], x, check=False)


def many_turns() -> onnx.ModelProto:
    """The same megabyte, worked out a thousand times."""
    g = Graph()
    w, x = g.constant(np.eye(512)), "input"
    for _ in range(900):
        turned = g.node("Reshape", g.node("Transpose", w), g.constant([512, 512], np.int64))
        x = g.node("MatMul", x, turned)
    return g.model(["n", 512], x, check=False)


def growing_constant() -> onnx.ModelProto:
    """Twice as long with each node."""
    g = Graph()
    w = g.constant(np.ones((1, 1)))
    for _ in range(40):
        w = g.node("Concat", w, w, axis=0)
    return g.model(["n", 4], g.node("Mul", "input", w), check=False)


def outer_product() -> onnx.ModelProto:
    g = Graph()
    w = g.node("Mul", g.constant(np.ones((30000, 1))), g.constant(np.ones((1, 30000))))
    return g.model(["n", 30000], g.node("MatMul", "input", w), check=False)


def long_text() -> onnx.ModelProto:
    g = Graph()
    w = g.node("Mul", g.constant(["a" * 1000], object), g.constant([1 << 30], np.int64))
    return g.model(["n", 4], g.node("Mul", "input", w), check=False)


def long_chain() -> onnx.ModelProto:
    """Identities of constants: deeper than any recursion may go."""
    g = Graph()
    w = g.constant(np.ones((4, 2)))
    for _ in range(20000):
        w = g.node("Identity", w)
    return g.model(["n", 4], g.node("MatMul", "input", w), check=False)


def deep_graph() -> onnx.ModelProto:
    """Graphs inside of graphs."""
    graph = helper.make_graph([], "inner", [], [])
    for _ in range(20):
        node = helper.make_node("If", ["input"], ["z"], then_branch=graph, else_branch=graph)
        del node.attribute[1]
        graph = helper.make_graph([node], "outer", [], [])
    value = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["n", 4])
    graph.input.append(value)
    graph.output.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None))
    return helper.make_model(graph)


def huge_promise() -> onnx.ModelProto:
    """Weights that say they are larger than any memory."""
    g = Graph()
    model = g.model(["n", 4], g.node("MatMul", "input", g.constant(np.ones((4, 2)))))
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 20]
    return model


def wide_windows() -> onnx.ModelProto:
    """A mean over a mean: each alone is small."""
    g = Graph()
    x = "input"
    for _ in range(200):
        window = {"kernel_shape": [30, 30], "pads": [10, 10, 19, 19], "count_include_pad": 1}
        x = g.node("AveragePool", x, **window)
    return g.model(["n", 4, 64, 64], g.node("GlobalAveragePool", x), check=False)


NASTY = (
    *(wide_groups, far_taps, large_image, wide_frame, many_units, shared_weights, many_turns),
    *(growing_constant, outer_product, long_text, long_chain, deep_graph, huge_promise),
    *(wide_windows,),
)
CHILD = """
import resource, sys
import convlet
from convlet.errors import ConvletError

resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in sys.argv[1:]:
    try:
        convlet.from_onnx(path, white=1)
        print("network")
    except ConvletError as error:
        print("error", str(error)[:300])
(most,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(most.split()[1])  # in kilobytes; getrusage would tell the size of the process that forked
"""


def test_malicious_files_take_little_memory_and_end(tmp_path):
    """Each in turn in one process: what was most, less what Python and NumPy take."""
    paths = []
    for make in NASTY:
        paths.append(tmp_path / f"{make.__name__}.onnx")
        paths[-1].write_bytes(make().SerializeToString())
    command = [children.sys.executable, "-c", CHILD]
    (least,) = children.run(command).stdout.splitlines()
    *said, most = children.run([*command, *map(str, paths)]).stdout.splitlines()
    assert len(said) == len(NASTY)
    found = dict(zip([make.__name__ for make in NASTY], said, strict=True))
    fine = {name for name, words in found.items() if words == "network"}
    assert fine == {"far_taps", "long_chain", "many_units", "wide_windows"}
    assert (int(most) - int(least)) * 1024 < 250e6, found


def test_no_other_library_reads_the_files():
    code = (
        "import sys, convlet;"
        f" convlet.from_onnx({str(FOLDER / 'keras-mlp.onnx')!r}); print('onnx' in sys.modules)"
    )
    assert children.output(code) == "False\n"
