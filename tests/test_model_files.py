"""Model files: what is saved comes back bit for bit, and nothing else is taken."""

import errno
import json
import os
import re
import resource
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file, save_file

import convlet
from convlet import FileError, InputError, ModelFileError, Network, Settings
from convlet import equations as eq
from convlet.formats import records
from convlet.formats.header import LIMIT, damaged
from convlet.formats.records import pack, unpack
from convlet.preparation import Preparation

DOCS = Path(__file__).parents[1] / "docs" / "model-file.md"
BLANK = "0" * 64

NETWORKS = {
    "dense only": ("flatten, dense 3, softmax", (4, 5, 1)),
    "this case": ("conv 2 3, relu, pool 2, conv 3 2, relu, flatten, dense 4, softmax", (9, 8, 1)),
    "bias position": ("conv 2 3 bias position, flatten, dense 2, softmax", (5, 6, 3)),
    "no bias": ("conv 2 3 bias none, relu, flatten, dense 4 bias none, softmax", (5, 6, 1)),
    "odd sizes": (
        "conv 3 4x2 stride 2x1 padding same, pool 3x1, flatten, dense 7, softmax",
        (9, 7, 2),
    ),
}


def tiny() -> Network:
    """The network of docs/model-file.md."""
    network = Network("flatten, dense 2, softmax", (1, 2, 1), classes=["no", "yes"])
    network.flat[...] = [1, 2, 3, 4, 0, -1]
    network.epochs = 3
    return network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version of the example in the docs, whatever the version is now."""
    monkeypatch.setattr(records, "__version__", "0.1.0")


def images(network: Network) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (6, *network.input_shape)).astype(np.uint8)


# ------------------------------------------------------------ round trips


@pytest.mark.parametrize("layers", NETWORKS)
def test_loaded_network_is_the_saved_one(path: Path, layers: str) -> None:
    text, shape = NETWORKS[layers]
    saved = Network(text, shape, seed=3)
    rng = np.random.default_rng(0)
    saved.flat[...] = rng.normal(size=saved.flat.size)
    saved.flat[:3] = [-0.0, 1e-45, np.finfo(np.float32).max / 1e30]  # signed zero, denormal
    saved.save(path)
    loaded = convlet.load(path)
    assert loaded.flat.tobytes() == saved.flat.tobytes()
    assert (loaded.layers, loaded.input_shape) == (saved.layers, saved.input_shape)
    assert (loaded.shapes, loaded.classes, loaded.epochs) == (saved.shapes, None, 0)
    x = images(saved)
    for batch in (x, x / 255):
        assert np.array_equal(loaded.predict_proba(batch), saved.predict_proba(batch))


def test_classes_and_epochs_come_back(path: Path) -> None:
    network = Network("flatten, dense 3, softmax", (2, 2, 1), classes=['"\\', "é\x1f\u2028", "🙂,"])
    network.epochs = 12_345_678_901
    network.save(str(path))
    loaded = convlet.load(str(path))
    assert loaded.classes == ('"\\', "é\x1f\u2028", "🙂,")
    assert loaded.epochs == 12_345_678_901


def test_preparation_comes_back(path: Path) -> None:
    for fit in ("crop", "pad", "stretch", "figure"):
        network = Network("flatten, dense 2, softmax", (3, 4))
        network.preparation = Preparation(3, 4, "grey", fit)  # type: ignore[arg-type]
        network.save(path)
        assert convlet.load(path).preparation == network.preparation
    for wrong, message in (
        (
            Preparation(4, 3, "grey"),
            r"preparation makes images \(4, 3, 1\), expected one of images",
        ),
        (Preparation(3, 4, "rgb"), r"makes images \(3, 4, 3\)"),
        ("crop", "preparation is 'crop', expected a Preparation or None"),
    ):
        with pytest.raises(InputError, match=message):
            network.preparation = wrong  # type: ignore[assignment]


def test_a_file_from_before_there_were_preparations_loads(path: Path) -> None:
    """Byte by byte as it was written then."""
    fields = {
        "checksum": BLANK,
        "classes": '["no", "yes"]',
        "convlet_version": "0.1.0",
        "data": "mnist",
        "epochs": "3",
        "format": "convlet-model",
        "format_version": "1",
        "input_scaling": "uint8/255",
        "input_shape": "[1, 2, 1]",
        "layers": "flatten, dense 2, softmax",
    }
    entries = {
        "__metadata__": fields,
        "w0": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b0": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]},
    }
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    numbers = np.array([1, 2, 3, 4, 0, -1], "<f4").tobytes()
    blank = len(header).to_bytes(8, "little") + header + numbers
    path.write_bytes(blank.replace(BLANK.encode(), sha256(blank).hexdigest().encode()))
    network = convlet.load(path)
    assert (network.preparation, network.data, network.epochs) == (None, "mnist", 3)
    np.testing.assert_array_equal(network.flat, [1, 2, 3, 4, 0, -1])


def test_training_goes_on_where_it_was(path: Path) -> None:
    text, shape = NETWORKS["this case"]
    straight, first = Network(text, shape), Network(text, shape)
    x, y = images(straight), [0, 1, 2, 3, 0, 1]
    straight.fit(x, y, epochs=2, batch_size=4)
    first.fit(x, y, epochs=1, batch_size=4)
    first.save(path)
    second = convlet.load(path)
    second.fit(x, y, epochs=1, batch_size=4)
    assert second.flat.tobytes() == straight.flat.tobytes()


def test_engine_is_the_callers_choice(path: Path) -> None:
    tiny().save(path)
    assert convlet.load(path, engine="reference").engine.name == "reference"
    with pytest.raises(InputError, match="engine is 'none'"):
        convlet.load(path, engine="none")


# ------------------------------------------------------------ bytes


def example() -> tuple[bytes, bytes]:
    """Header (checksum 0) and numbers of the example in the docs."""
    blocks = re.findall(r"```(text|json)\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (text,) = [block for kind, block in blocks if kind == "json"]
    dumps = re.findall(r"^((?:[0-9a-f]{2} +)+)", "".join(b for k, b in blocks if k == "text"), re.M)
    length, _, *numbers = map(bytes.fromhex, dumps)
    header = text.replace("\n", "").encode()
    return length + header.ljust(int.from_bytes(length, "little")), b"".join(numbers)


@pytest.mark.usefixtures("version")
def test_bytes_are_those_of_the_docs(path: Path) -> None:
    header, numbers = example()
    checksum = sha256(header + numbers).hexdigest()
    tiny().save(path)
    assert path.read_bytes() == header.replace(BLANK.encode(), checksum.encode()) + numbers
    assert checksum == "14b32a20b5db0873cd05c584b1783b96637f091b18426be1dffb402d3cdcf0d1"
    assert len(path.read_bytes()) == 448


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        tiny().save(tmp_path / name)
    convlet.load(tmp_path / "a").save(tmp_path / "c")
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1


@pytest.mark.parametrize("layers", NETWORKS)
def test_safetensors_reads_it(path: Path, layers: str) -> None:
    network = Network(*NETWORKS[layers])
    network.save(path)
    arrays = load_file(path)
    assert arrays.keys() == network.parameters.keys()
    for name, values in network.parameters.items():
        assert arrays[name].dtype == np.float32
        assert np.array_equal(arrays[name], values)
    assert path.read_bytes()[-network.flat.nbytes :] == network.flat.tobytes()


def test_code_of_the_docs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    x = images(network := Network(input_shape=(28, 28, 3)))[0]
    network.save(path)
    monkeypatch.chdir(path.parent)
    names: dict[str, Any] = {"x": x}
    exec(code.replace("np.zeros((rows, columns, channels), np.uint8)", "x"), names)
    x0 = x / np.float32(255)
    z = eq.conv2d(x0, network.parameters["w0"])[0, 0] + network.parameters["b0"]
    np.testing.assert_allclose(names["z"], z, rtol=1e-4, atol=1e-5)


def test_no_weights_are_drawn_to_be_overwritten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tiny()
    saved.save(path)
    monkeypatch.setattr("convlet.inference.initial_weights", lambda *rest: pytest.fail("drawn"))
    assert convlet.load(path).flat.tobytes() == saved.flat.tobytes()


# ------------------------------------------------------------ damage


def assert_refused(path: Path, content: bytes, match: str = "expected") -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=match) as caught:
        convlet.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


def test_every_truncation_is_refused(path: Path) -> None:
    tiny().save(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        match = "expected" if length >= 8 else f"its size is {length}, expected 8 bytes or more"
        assert_refused(path, whole[:length], match)


@pytest.mark.parametrize("more", [b"\0", b" ", bytes(8), bytes(4096)])
def test_trailing_bytes_are_refused(path: Path, more: bytes) -> None:
    tiny().save(path)
    size = path.stat().st_size
    assert_refused(
        path, path.read_bytes() + more, f"its size is {size + len(more)}, expected {size}"
    )


def test_every_flipped_bit_is_refused(path: Path) -> None:
    tiny().save(path)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damage = bytearray(whole)
        damage[bit // 8] ^= 1 << bit % 8
        assert_refused(path, bytes(damage))


def test_random_flips_are_refused(path: Path) -> None:
    """One to eight bits of a file with all that a header can hold."""
    network = Network(*NETWORKS["bias position"], classes=['\x1f"\\é\u2028', "🙂"])
    network.save(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(25)
    for _ in range(2000):
        bits = np.unpackbits(whole)
        bits[rng.choice(bits.size, rng.integers(1, 9), replace=False)] ^= 1
        assert_refused(path, np.packbits(bits).tobytes())


def test_flipped_number_is_found_by_the_checksum(path: Path) -> None:
    tiny().save(path)
    damage = bytearray(path.read_bytes())
    damage[-1] ^= 1
    assert_refused(path, bytes(damage), "its checksum is '[0-9a-f]{64}', expected [0-9a-f]{64}")


# ------------------------------------------------------------ hostile files, right checksum

Entries = dict[str, Any]
NUMBERS = tiny().flat.tobytes()


def entries() -> Entries:
    """The header of the tiny network."""
    header, _ = example()
    found: Entries = json.loads(header[8:])
    return found


def craft(header: Entries | str | bytes, numbers: bytes = NUMBERS, pad: int = 8) -> bytes:
    """A file with this header, where the right checksum replaces BLANK."""
    if isinstance(header, dict):
        header = json.dumps(header, ensure_ascii=False, separators=(",", ":"))
    text = header if isinstance(header, bytes) else header.encode()
    text += b" " * (-len(text) % pad)
    whole = len(text).to_bytes(8, "little") + text + numbers
    return whole.replace(BLANK.encode(), sha256(whole).hexdigest().encode(), 1)


def test_crafted_file_is_valid_when_nothing_is_wrong(path: Path) -> None:
    path.write_bytes(craft(entries()))
    assert convlet.load(path).flat.tobytes() == NUMBERS


def changed(*keys: str, value: Any) -> Callable[[Entries], Entries]:
    """A header with another value at keys; `del` for none."""

    def change(header: Entries) -> Entries:
        inner = header
        for key in keys[:-1]:
            inner = inner[key]
        if value is ABSENT:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        return header

    return change


ABSENT = object()
META = "__metadata__"
RECORD = json.dumps(Settings().record())  # of the settings, all as nobody chose them


def prepared(text: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The header with this preparation."""
    return lambda h: h | {META: dict(sorted({**h[META], "preparation": text}.items()))}


HEADERS = {
    "huge shape": (changed("w0", "shape", value=[1 << 40, 1 << 40]), "header at byte"),
    "huge shape, its offsets": (
        lambda h: h | {
            "w0": {"dtype": "F32", "shape": [1 << 47], "data_offsets": [0, 1 << 49]},
            "b0": {"dtype": "F32", "shape": [2], "data_offsets": [1 << 49, (1 << 49) + 8]},
        },
        f"its size is 504, expected {480 + (1 << 49) + 8} bytes",
    ),
    "shape beyond 2^48": (changed("w0", "shape", value=[1 << 64]), "the shape of 'w0' is"),
    "many dimensions": (changed("w0", "shape", value=[1] * 10_000), "the shape of 'w0' is"),
    "negative size": (changed("w0", "shape", value=[-2, -2]), r"shape of 'w0' is \[-2, -2\]"),
    "float size": (changed("w0", "shape", value=[2.0, 2]), r"shape of 'w0' is \[2.0, 2\]"),
    "true as size": (changed("b0", "shape", value=[2, True]), r"shape of 'b0' is \[2, True\]"),
    "NaN as size": (changed("w0", "shape", value=[float("nan")]), "shape of 'w0' is"),
    "no shape": (changed("w0", "shape", value=ABSENT), "shape of 'w0' is None"),
    "another shape": (changed("w0", "shape", value=[4]), r"'w0' is \('F32', \(4,\)\), expected"),
    "negative offsets": (changed("w0", "data_offsets", value=[-16, 0]), "header at byte"),
    "overlapping offsets": (changed("b0", "data_offsets", value=[8, 16]), "header at byte"),
    "a gap": (changed("b0", "data_offsets", value=[20, 28]), "header at byte"),
    "offsets beyond the end": (
        changed("b0", "data_offsets", value=[16, 1 << 60]), "header at byte"
    ),
    "another dtype": (
        changed("w0", "dtype", value="I32"), r"'w0' is \('I32', \(2, 2\)\), expected"
    ),
    "unknown dtype": (changed("w0", "dtype", value="F8"), "dtype of 'w0' is 'F8', expected one of"),
    "dtype in a list": (changed("w0", "dtype", value=["F32"]), "the dtype of 'w0' is"),
    "entry is no object": (changed("w0", value=[]), "the dtype of 'w0' is"),
    "extra key in an entry": (changed("w0", "offset", value=0), "header at byte"),
    "extra empty array": (
        changed("w1", value={"dtype": "F32", "shape": [0], "data_offsets": [24, 24]}),
        r"the array 'w1' is \('F32', \(0,\)\), expected none",
    ),
    "names swapped": (lambda h: {META: h[META], "b0": h["w0"], "w0": h["b0"]}, "the array 'w0' is"),
    "fields in another order": (
        lambda h: h | {META: dict(reversed(h[META].items()))}, "header at byte"
    ),
    "metadata last": (lambda h: {"w0": h["w0"], "b0": h["b0"], META: h[META]}, "header at byte 10"),
    "no metadata": (changed(META, value=ABSENT), "__metadata__ in its header is None"),
    "metadata is a list": (changed(META, value=[]), r"__metadata__ in its header is \[\]"),
    "another format": (
        changed(META, "format", value="pt"), "'format' is 'pt', expected 'convlet-m"
    ),
    "unknown format version": (
        changed(META, "format_version", value="2"),
        r"'format_version' is '2', expected 1: convlet '0.1.0' wrote it, this is",
    ),
    "no format version": (
        changed(META, "format_version", value=ABSENT), "'format_version' is None"
    ),
    "input shape without spaces": (changed(META, "input_shape", value="[1,2,1]"), "in the form"),
    "no checksum": (changed(META, "checksum", value=ABSENT), "'checksum' is None"),
    "wrong checksum": (changed(META, "checksum", value="1" * 64), f"its checksum is '{'1' * 64}'"),
    "short checksum": (changed(META, "checksum", value=""), "its checksum is ''"),
    "field is a number": (
        changed(META, "epochs", value=3), "the field 'epochs' is 3, expected a s"
    ),
    "data is no name": (
        lambda h: h | {META: dict(sorted({**h[META], "data": "/etc/data"}.items()))},
        "data is '/etc/data', expected the name of a data set",
    ),
    "preparation of another size": (
        prepared('{"rows": 2, "columns": 2, "colour": "grey", "fit": "crop"}'), "makes images"
    ),
    "preparation of another colour": (
        prepared('{"rows": 1, "columns": 2, "colour": "red", "fit": "crop"}'), "colour is 'red'"
    ),
    "preparation without fit": (
        prepared('{"rows": 1, "columns": 2, "colour": "grey"}'), "in the form in which"
    ),
    "preparation with more": (
        prepared('{"rows": 1, "columns": 2, "colour": "grey", "fit": "crop", "run": 1}'),
        "preparation is .*unexpected keyword",
    ),
    "preparation is a list": (prepared("[1, 2]"), "expected a Preparation or None"),
    "preparation is no JSON": (prepared("crop"), "preparation is 'crop', expected one of"),
    **{
        f"settings: {what}": (
            lambda h, text=text: h | {META: dict(sorted({**h[META], "settings": text}.items()))},
            f"settings is .*, expected those of a training .{why}",
        )
        for what, (text, why) in {
            "no JSON": ("sgd", "Expecting value"),
            "no object": ("[]", "it is no object"),
            "empty": ("{}", "no settings of fit: 'epochs'"),
            "a wrong value": (RECORD.replace("32", "0"), "batch_size is 0, expected a wh"),
            "another optimizer": (RECORD.replace('"sgd"', '"rms"'), "optimizer is 'rms', expected"),
            "a list for a name": (RECORD.replace('"sgd"', "[]"), r"optimizer is \[\], expected"),
            "a field of its own": (RECORD.replace("{", '{"x": 1, '), "it is not in the form"),
            "another form": (RECORD.replace("0.1", "1e-1"), "it is not in the form"),
            "a field unknown to sgd": (
                RECORD.replace("optimizer.momentum", "optimizer.beta1"), "no settings of fit: "
            ),
        }.items()
    },
    "unknown field": (changed(META, "zzz", value=""), "the list of fields is .*'zzz'"),
    "no layers": (changed(META, "layers", value=ABSENT), "the list of fields is"),
    "no input shape": (changed(META, "input_shape", value=ABSENT), "the list of fields is"),
    "unknown layer": (
        changed(META, "layers", value="flatten, exec 2, softmax"), "layers.1. is 'exec 2', expected"
    ),
    "layers that do not fit": (
        changed(META, "layers", value="dense 2, softmax"), "needs a flat inp"
    ),
    "no softmax": (changed(META, "layers", value="flatten, dense 2"), "last layer is dense 2"),
    "only flatten": (changed(META, "layers", value="flatten"), "the network is"),
    "a million layers": (changed(META, "layers", value="relu," * 500_000), "500001 layers"),
    "more layers": (
        changed(META, "layers", value="flatten, dense 2, relu, dense 2 bias none, softmax"),
        r"the array 'w1' is None, expected \('F32', \(2, 2\)\)",
    ),
    "an input of another size": (
        changed(META, "input_shape", value="[1, 3, 1]"),
        r"'w0' is \('F32', \(2, 2\)\), expected \('F32', \(3, 2\)\)",
    ),
    "fewer biases": (
        changed(META, "layers", value="flatten, dense 2 bias none, softmax"),
        "the array 'b0' is .* expected none",
    ),
    "giant layers": (
        changed(META, "layers", value="flatten, dense 1048576, dense 1048576, dense 2, softmax"),
        "expected",
    ),
    "input shape of two": (changed(META, "input_shape", value="[1, 2]"), "is not a list of 3"),
    "input shape with true": (
        changed(META, "input_shape", value="[1, 2, true]"), "not a list of int"
    ),
    "input shape of zero": (changed(META, "input_shape", value="[1, 0, 1]"), "input_shape is"),
    "input shape is huge": (
        changed(META, "input_shape", value="[1, 99999999, 1]"), "input_shape is"
    ),
    "input shape is no JSON": (changed(META, "input_shape", value="1, 2"), "the network is"),
    "deep input shape": (changed(META, "input_shape", value="[" * 100_000), "nested too deeply"),
    "long number": (changed(META, "input_shape", value="9" * 100_000), "the network is"),
    "another scaling": (changed(META, "input_scaling", value="none"), "input_scaling is 'none'"),
    "negative epochs": (changed(META, "epochs", value="-1"), "epochs is '-1', expected a whole"),
    "epochs with a zero": (changed(META, "epochs", value="03"), "epochs is '03'"),
    "epochs with a line": (changed(META, "epochs", value="3\n"), r"epochs is '3\\n'"),
    "too many epochs": (changed(META, "epochs", value="9" * 5000), "epochs is '99"),
    "too many classes": (changed(META, "classes", value='["a", "b", "c"]'), "expected 2 names"),
    "classes of numbers": (changed(META, "classes", value="[1, 2]"), "expected 2 names"),
    "classes are no JSON": (changed(META, "classes", value="no, yes"), "expected 2 names"),
    "lone surrogate in a class": (
        changed(META, "classes", value='["\\ud800", "a"]'), "expected 2 names"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADERS)
def test_hostile_header(path: Path, case: str) -> None:
    change, match = HEADERS[case]
    assert_refused(path, craft(change(entries())), match)


TEXTS: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "repeated array": (
        lambda text: text[:-1] + ',"b0":' + json.dumps(entries()["b0"]) + "}", "header at byte"
    ),
    "repeated field": (lambda text: text.replace('"epochs"', '"epochs":"7","epochs"'), "at byte"),
    "repeated metadata": (lambda text: '{"__metadata__":{},' + text[1:], "header at byte"),
    "white space": (lambda text: text.replace('"w0":', '"w0": '), "header at byte"),
    "escapes": (lambda text: text.replace("softmax", "\\u0073oftmax"), "header at byte"),
    "lone surrogate": (lambda text: text.replace("softmax", "\\ud800"), "valid Unicode"),
    "deep nesting": (lambda text: "[" * 1_000_000, "nested too deeply"),
    "deep nesting in an entry": (
        lambda text: text.replace("[0,16]", "[" * 100_000 + "]" * 100_000), "nested too deeply"
    ),
    "UTF-16": (lambda text: text.encode("utf-16"), "expected JSON in UTF-8"),
    "byte order mark": (lambda text: "\ufeff" + text, "expected JSON in UTF-8"),
    "a list": (lambda text: "[]", "expected a JSON object"),
    "nothing": (lambda text: "", "expected JSON"),
    "a long number": (lambda text: text.replace("[0,16]", "[0," + "1" * 5000 + "]"), "JSON"),
    "text after the end": (lambda text: text + "{}", "expected JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_hostile_text(path: Path, case: str) -> None:
    change, match = TEXTS[case]
    text = json.dumps(entries(), separators=(",", ":"))
    assert_refused(path, craft(change(text)), match)


def test_unaligned_header(path: Path) -> None:
    text = json.dumps(entries(), separators=(",", ":"))
    assert len(text) % 8
    assert_refused(path, craft(text, pad=1), "header at byte 0 is")
    assert_refused(path, craft(text + " " * 8), "header at byte 0 is")


@pytest.mark.parametrize("length", [417, 1 << 22, (1 << 22) + 1, 1 << 60, (1 << 64) - 1])
def test_length_of_the_header(path: Path, length: int) -> None:
    whole = length.to_bytes(8, "little") + craft(entries())[8:]
    assert_refused(path, whole, "expected")
    if length > 1000:
        assert_refused(path, whole, f"the length of its header is {length}, expected at most 440")


def test_long_header_of_a_long_file(path: Path) -> None:
    path.write_bytes((LIMIT + 1).to_bytes(8, "little"))
    os.truncate(path, 1 << 32)  # sparse
    with pytest.raises(ModelFileError, match=f"is {LIMIT + 1}, expected at most {LIMIT} in a file"):
        convlet.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 5])
def test_numbers_that_are_not_finite(path: Path, value: float, place: int) -> None:
    flat = tiny().flat
    flat[place] = value
    where = r"b0\[1\]" if place == 5 else r"w0\[0, 0\]"
    match = f"{where} is {value}, expected finite numbers"
    assert_refused(path, craft(entries(), flat.tobytes()), match)


def test_memory_is_not_taken_on_the_word_of_the_file(path: Path) -> None:
    """A sparse file of 16 GB whose header is consistent: only its layers do not ask for that."""
    size = 1 << 34
    header = entries()
    header["w0"] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
    header["b0"]["data_offsets"] = [size, size + 8]
    whole = craft(header, b"")
    path.write_bytes(whole)
    os.truncate(path, len(whole) + size + 8)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"the array 'w0' is \('F32', \(4294967296,\)\)"):
            convlet.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_files_of_others(path: Path) -> None:
    save_file({"w0": np.ones(3, np.float32)}, path)
    assert_refused(path, path.read_bytes(), "__metadata__ in its header is None")
    assert_refused(path, b"\x89PNG\r\n\x1a\n" + bytes(100), "the length of its header is")
    assert_refused(path, b"", "its size is 0, expected 8 bytes or more")


# ------------------------------------------------------------ refusals of the system


def test_missing_file_folder_and_pipe(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no\.safetensors cannot be read: No such file"):
        convlet.load(tmp_path / "no.safetensors")
    with pytest.raises(FileError, match="cannot be read: expected a file, found a fold"):
        convlet.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="cannot be read: expected a file, found a fol"):
        convlet.load(tmp_path / "pipe")
    with pytest.raises(InputError, match="path is 7, expected the name of a file"):
        convlet.load(7)  # type: ignore[arg-type]


def test_read_error_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny().save(path)

    def failing(file: int) -> os.stat_result:
        raise OSError(errno.EIO, "bad sector")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", failing)
        with pytest.raises(FileError) as caught:
            convlet.load(path)
    assert "cannot be read: bad sector: check that disk" in str(caught.value)


def test_failed_save_leaves_the_old_file(path: Path) -> None:
    tiny().save(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(FileError, match="File too large"):
            Network().save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert convlet.load(path).classes == ("no", "yes")
    assert list(path.parent.iterdir()) == [path]


def test_unfit_network_is_not_saved(path: Path) -> None:
    tiny().save(path)
    whole = path.read_bytes()
    network = tiny()
    network.parameters["w0"][1, 0] = np.nan
    with pytest.raises(InputError, match=r"parameter w0\[1, 0\] is nan, expected finite"):
        network.save(path)
    network = tiny()
    network.classes = ("a", "b" * LIMIT)
    with pytest.raises(InputError, match=f"expected at most {LIMIT}: shorten them"):
        network.save(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("classes", ("a", "\ud800"), r"classes\[1\] is '\\ud800', expected valid Unicode: rename"),
        ("classes", ("a", "b", "c"), "classes has 3 names, expected 2: the last layer has 2 units"),
        ("classes", "ab", "classes is 'ab', expected one name"),
        ("data", "my data", "data is 'my data', expected the name of a data set"),
        ("data", 5, "data is 5, expected the name of a data set"),
        (
            "settings",
            {"epochs": 1},
            "settings is {'epochs': 1}, expected a convlet.Settings",
        ),
    ],
)
def test_what_a_file_could_not_hold_is_refused_when_it_is_set(name, value, sentence):
    network = tiny()
    before = getattr(network, name)
    with pytest.raises(InputError, match=sentence):
        setattr(network, name, value)
    assert getattr(network, name) == before


# ------------------------------------------------------------ records of other kinds


ARRAYS = {
    "bytes": np.arange(5, dtype=np.uint8),
    "double": np.array([[np.inf, -0.0]]),  # begins at an odd place
    "scalar": np.array(7, np.uint64),
    "none": np.zeros((0, 3), np.int32),
    "big-endian": np.array([1, -2], ">i8"),
    "strided": np.arange(12, dtype=np.float32).reshape(3, 4).T[::2],
}


def read(path: Path, versions: tuple[int, ...] = (3, 4)) -> records.Record:
    codes = dict(zip(ARRAYS, ["U8", "F64", "U64", "I32", "I64", "F32"], strict=True))
    specs = {name: (codes[name], array.shape) for name, array in ARRAYS.items()}
    return unpack(path, "test", versions, lambda metadata: specs)


def test_records_of_any_arrays(path: Path) -> None:
    state = {"state": json.dumps({"loss": 0.1, "rows": [1, 2]}), "": "\n"}
    path.write_bytes(pack("test", 4, state, ARRAYS))
    record = read(path)
    assert (record.version, record.convlet_version) == (4, convlet.__version__)
    assert record.metadata == state
    assert list(record.arrays) == list(ARRAYS)
    library = load_file(path)
    for name, array in ARRAYS.items():
        for found in (record.arrays[name], library[name]):
            assert found.shape == array.shape
            np.testing.assert_array_equal(found, array, strict=False)


def test_records_refuse_other_kinds_and_versions(path: Path) -> None:
    path.write_bytes(pack("test", 4, {}, ARRAYS))
    with pytest.raises(ModelFileError, match="'format_version' is '4', expected 2 or 3: convlet"):
        read(path, (2, 3))
    with pytest.raises(ModelFileError, match="'format' is 'test', expected 'convlet-model'"):
        convlet.load(path)
    with pytest.raises(InputError, match="array x has dtype complex128, expected one of: F32"):
        pack("test", 1, {}, {"x": np.zeros(1, complex)})
    path.write_bytes(pack("test", 4, {}, dict(reversed(ARRAYS.items()))))
    with pytest.raises(ModelFileError, match="the order of its arrays is"):
        read(path)


def test_expected_may_refuse(path: Path) -> None:
    path.write_bytes(pack("test", 1, {"a": "b"}, {}))

    def expected(metadata: dict[str, str]) -> dict[str, Any]:
        raise damaged("file", "a", metadata["a"], "c")

    with pytest.raises(ModelFileError, match="file: a is 'b', expected c: the file is damaged"):
        unpack(path, "test", (1,), expected)


def test_what_safetensors_refuses_is_refused(path: Path) -> None:
    """The library as a second opinion on the layout: it takes none of these either."""
    for case in ("overlapping offsets", "a gap", "negative offsets", "another dtype size"):
        change = HEADERS.get(case, (changed("w0", "dtype", value="F64"), ""))[0]
        whole = craft(change(entries()))
        with pytest.raises(safetensors.SafetensorError):
            safetensors.deserialize(whole)
        assert_refused(path, whole)
