"""`convlet export MODEL FILE.c`: the files of the library, what is said, what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import convlet
from command_line import assert_refused
from convlet.cli import main
from device_files import CC, run

LAYERS = "conv 4 3, relu, pool 2, flatten, dense 5, softmax"


@pytest.fixture
def network(in_a_new_folder) -> convlet.Network:
    network = convlet.Network(LAYERS, (8, 8, 1))
    network.save("m.safetensors")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
    np.savez(
        "data.npz", x_train=x, y_train=np.arange(30) % 5, x_test=x[:12], y_test=np.arange(12) % 5
    )
    network.quantize(x).save("q.safetensors")
    return network


@pytest.mark.parametrize("model", ["m.safetensors", "q.safetensors"])
def test_the_command_writes_the_files_of_the_library(network, model, capsys):
    whole = convlet.load_quantized("q.safetensors")
    one = whole if model.startswith("q") else network
    command = ["export", model, "net.c", "--header", "--selftest", "data.npz"]
    for replaced in ("", " (replaced)"):
        assert main(command) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[:2] == [f"exported to net.c{replaced}", "header: net.h"]
    written = Path("net.c").read_text(), Path("net.h").read_text()
    x = np.load("data.npz")["x_test"][:10]
    memory = one.to_c("net.c", header=True, selftest=x)
    assert written == (Path("net.c").read_text(), Path("net.h").read_text())
    assert said[2] == str(memory)
    Path("main.c").write_text('#include "net.h"\nint main(void) { return net_selftest(); }\n')
    run(CC, "-DNET_SELFTEST", "main.c", "net.c", "-o", "main")
    run("./main")


def test_the_options_reach_the_library(network, capsys):
    how = ["--name", "digits", "--arena", "caller", "--dtype", "float32", "--max-flash", "8k"]
    assert main(["export", "m.safetensors", "m.c", *how]) == 0
    text = Path("m.c").read_text()
    assert "int digits_predict(const float *image, float *probabilities, float *arena)" in text
    for _ in range(2):
        how = ["--name", "digits", "--arduino", "Digits"]
        assert main(["export", "m.safetensors", "m.c", *how]) == 0
        assert Path("Digits/src/digits.c").is_file()


def test_levels_test_a_file_that_takes_floats(network):
    """u becomes u / 255, as in training."""
    how = ["--dtype", "float32", "--selftest", "data.npz"]
    assert main(["export", "m.safetensors", "net.c", "--header", *how]) == 0
    written, x = Path("net.c").read_text(), np.load("data.npz")["x_test"][:10]
    network.to_c("net.c", header=True, dtype="float32", selftest=x / np.float32(255))
    assert Path("net.c").read_text() == written
    Path("main.c").write_text('#include "net.h"\nint main(void) { return net_selftest(); }\n')
    run(CC, "-DNET_SELFTEST", "main.c", "net.c", "-o", "main")
    run("./main")


def test_what_cannot_be_is_refused_and_nothing_is_written(network, capsys):
    m, q = ["export", "m.safetensors"], ["export", "q.safetensors"]
    Path("own.c").write_text("int main(void) { return 0; }\n")
    Path("own.h").write_text("int own;\n")
    Path("folder").mkdir()
    Path("folder/own.txt").write_text("mine")
    before = sorted(Path().rglob("*"))
    for command, why in (
        ([*m, "int.c"], "--name is 'int', but that is a word of C or C++: take int_net"),
        ([*m, "m.c", "--max-flash", "1k"], "--max-flash is 1024, but"),
        (
            [*m, "m.c", "--arena", "caller", "--arduino", "new"],
            "--arena is 'caller', but a library",
        ),
        ([*m, "m.c", "--max-ram", "100"], "--max-ram is 100, but"),
        ([*m, "m.c", "--labels"], "--labels is given, but that is for .onnx files"),
        ([*m, "m.onnx", "--name", "a"], "--name is 'a', but that is for .c files, not for .onnx"),
        ([*m, "m.onnx", "--header"], "--header is given, but that is for .c files"),
        ([*m, "own.c"], "FILE is 'own.c', which is there and not a C file of convlet"),
        ([*m, "own.x"], "FILE is 'own.x', expected a name that ends in .onnx or .c"),
        ([*m, "m.c", "--arduino", "folder"], "--arduino is 'folder', but it has other files"),
        ([*q, "m.c", "--dtype", "float32"], "--dtype is 'float32', but a network in whole numbers"),
        ([*q, "m.onnx"], "is a network in whole numbers"),
        ([*q, "m.c", "--selftest", "nosuch"], "--selftest"),
    ):
        assert_refused(command, capsys, why)
    Path("own.c").unlink()
    assert_refused([*m, "own.c", "--header"], capsys, "FILE is 'own.h', which is there")
    assert sorted(Path().rglob("*")) == [path for path in before if path.name != "own.c"]


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="needs make, gcc")
def test_the_makefile_of_the_example_makes_a_program(network):
    example = Path(__file__).parent.parent / "examples" / "device"
    for file in example.iterdir():
        Path(file.name).write_bytes(file.read_bytes())
    assert main(["export", "q.safetensors", "digits.c", "--header", "--selftest", "data.npz"]) == 0
    assert "0 images differ from convlet" in run("make", "-s", "check")
    run("make", "-s")
    Path("image.raw").write_bytes(np.load("data.npz")["x_test"][3].tobytes())
    with open("image.raw", "rb") as image:
        said = run("./digits", stdin=image)
    whole = convlet.load_quantized("q.safetensors")
    assert said == f"class {whole.predict(np.load('data.npz')['x_test'][3:4])[0]}\n"
