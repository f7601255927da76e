"""Parameters as state_dicts of PyTorch in safetensors files, without PyTorch."""

import json
from contextlib import suppress

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from convlet import FileError, InputError, ModelFileError, Network
from networks import networks, with_biases

LAYERS = "conv 3 3 padding same stride 2x1, relu, conv 2 2 bias position, flatten, dense 3, softmax"


@pytest.fixture
def network() -> Network:
    return with_biases(Network(LAYERS, (6, 5, 2), seed=1))


@pytest.fixture
def file(tmp_path, network):
    path = tmp_path / "weights.safetensors"
    network.save_state_dict(path)
    return path


def other(network: Network) -> Network:
    """Of the same layers, with other parameters."""
    return Network(network.layers, network.input_shape, seed=99)


def test_names_and_layouts_are_those_of_pytorch(network, file):
    """Module 0 pads: margins of same differ; module 4 adds the bias by position."""
    found = safetensors.numpy.load_file(file)
    assert {name: array.shape for name, array in found.items()} == {
        "1.weight": (3, 2, 3, 3),
        "1.bias": (3,),
        "3.weight": (2, 3, 2, 2),
        "4.bias": (2, 2, 4),
        "6.weight": (3, 16),
        "6.bias": (3,),
    }
    w0, w1, w2 = (network.parameters[name] for name in ("w0", "w1", "w2"))
    for k, r, p, q in np.ndindex(3, 2, 3, 3):
        assert found["1.weight"][k, r, p, q] == w0[2 - p, 2 - q, r, k]
    for k, r, p, q in np.ndindex(2, 3, 2, 2):
        assert found["3.weight"][k, r, p, q] == w1[1 - p, 1 - q, r, k]
    for k, i, j in np.ndindex(2, 2, 4):
        assert found["4.bias"][k, i, j] == network.parameters["b1"][i, j, k]
        for m in range(3):
            column, row = 8 * k + 4 * i + j, 8 * i + 2 * j + k
            assert found["6.weight"][m, column] == w2[row, m]


@given(networks())
def test_any_network_comes_back_bit_for_bit(tmp_path_factory, network):
    file = tmp_path_factory.mktemp("state") / "weights.safetensors"
    network.save_state_dict(file)
    found = other(network)
    found.load_state_dict(file)
    np.testing.assert_array_equal(found.flat, network.flat)


@pytest.mark.parametrize("kind", ["F16", "F64", "BF16"])
def test_other_kinds_of_numbers_are_taken(network, file, kind):
    arrays = safetensors.numpy.load_file(file)
    if kind == "BF16":  # NumPy has none: the upper half of float32
        entries, data = {}, b""
        for name, array in arrays.items():
            half = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
            span = [len(data), len(data) + len(half)]
            entries[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": span}
            data += half
        head = json.dumps(entries).encode()
        file.write_bytes(len(head).to_bytes(8, "little") + head + data)
    else:
        dtype = {"F16": np.float16, "F64": np.float64}[kind]
        safetensors.numpy.save_file({n: a.astype(dtype) for n, a in arrays.items()}, file)
    found = other(network)
    found.load_state_dict(file)
    rtol = {"F16": 1e-3, "F64": 0, "BF16": 1e-2}[kind]
    np.testing.assert_allclose(found.flat, network.flat, rtol=rtol)


def test_modules_may_have_other_names(network, file):
    arrays = safetensors.numpy.load_file(file)
    names = {"1": "conv1", "3": "features.conv2", "4": "shift", "6": "fc"}
    renamed = {f"{names[k[0]]}{k[1:]}": array for k, array in arrays.items()}
    safetensors.numpy.save_file(renamed, file, {"format": "pt"})
    found = other(network)
    found.load_state_dict(file, [*names.values()])
    np.testing.assert_array_equal(found.flat, network.flat)
    with pytest.raises(
        ModelFileError, match=r"expected 1\.weight, .*, found conv1\.bias, .*: name"
    ):
        found.load_state_dict(file)
    for wrong in ("conv1", ["conv1"], ["a", "a", "b", "c"], [1, 2, 3, 4]):
        with pytest.raises(
            InputError, match=r"modules is .* expected 4 different names, .*1, 3, 4"
        ):
            found.load_state_dict(file, wrong)


def rewritten(file, **changes):
    """The file with other fields of one entry, or without it."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    for name, change in changes.items():
        entries[name] = {**entries[name], **change}
    head = json.dumps(entries).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + content[8 + length :])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dtype": "I64"}, r"expected 1\.bias in one of F32, .*, found 'I64'"),
        ({"dtype": None}, r"expected 1\.bias in one of F32, .*, found None"),
        ({"shape": [4]}, r"expected 1\.bias of shape 3, found \[4\]"),
        ({"shape": 3}, r"expected 1\.bias of shape 3, found 3"),
        ({"data_offsets": [0, 8]}, r"expected the place of 1\.bias, found \[0, 8\]"),
        ({"data_offsets": [-4, 8]}, r"expected the place of 1\.bias"),
        ({"data_offsets": [1 << 50, (1 << 50) + 12]}, r"expected the place of 1\.bias"),
        ({"data_offsets": "here"}, r"expected the place of 1\.bias"),
        ({"data_offsets": [10**6, 10**6 + 12]}, r"expected 1\.bias, found the end of the file"),
    ],
)
def test_wrong_entries_are_refused(network, file, change, sentence):
    rewritten(file, **{"1.bias": change})
    before = network.flat.copy()
    with pytest.raises(ModelFileError, match=sentence):
        network.load_state_dict(file)
    np.testing.assert_array_equal(network.flat, before)


def test_more_fewer_and_infinite_numbers_are_refused(network, file):
    arrays = safetensors.numpy.load_file(file)
    more = {**arrays, "2.running_mean": np.zeros(3, np.float32)}
    safetensors.numpy.save_file(more, file)
    with pytest.raises(ModelFileError, match=r"found 2\.running_mean: take layers that have it"):
        network.load_state_dict(file)
    safetensors.numpy.save_file({**arrays, "1.bias": np.full(3, 1e300)}, file)
    with pytest.raises(ModelFileError, match=r"expected finite numbers of float32 in 1\.bias"):
        network.load_state_dict(file)
    arrays.pop("1.bias")
    safetensors.numpy.save_file(arrays, file)
    with pytest.raises(ModelFileError, match=r"expected 1\.bias, found "):
        network.load_state_dict(file)
    with pytest.raises(FileError, match="cannot be read"):
        network.load_state_dict(file.parent / "none")


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("state") / "weights.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelFileError):
        Network("flatten, dense 2, softmax", (1, 2)).load_state_dict(file)


def test_damage_at_every_byte_is_no_other_error(network, file):
    """A changed number is one; whatever else is changed is refused, or changes nothing."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    for place in range(0, 8 + length):
        broken = bytearray(content)
        broken[place] ^= 1 << (place % 8)
        file.write_bytes(broken)
        with suppress(ModelFileError):
            network.load_state_dict(file)
    for length in range(0, len(content), 37):
        file.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            network.load_state_dict(file)
