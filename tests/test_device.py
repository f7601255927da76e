"""Networks as C99 files: the same bits as here where that is promised, else within its bound."""

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import children
import convlet
from convlet.device.plan import ConvStep, PoolStep, arena_of, steps_of
from convlet.quantised import equations as eq
from device_files import CC, COMPILERS, FMA, SANITIZED, STRICT, Library, run, undefined

BOUND = 1e-6
"""Of probabilities whose logits are a few units: more where these are tens (docs/devices.md)."""
ODD = {
    "padding": ("7x6x1", "conv 3 3 padding same, relu, pool 2, flatten, dense 4, softmax"),
    "zeros": ("5x8x2", "conv 2 3x2 stride 2x1 padding 2, relu, flatten, dense 3, softmax"),
    "strides": ("11x13x1", "conv 4 3 stride 2x3, relu, pool 2x1, flatten, dense 3, softmax"),
    "position": ("6x7x1", "conv 3 2 bias position, pool 2, relu, flatten, dense 3, softmax"),
    "colours": ("9x9x3", "conv 5 3, relu, conv 4 3, pool 2, flatten, dense 6, dense 3, softmax"),
    "no_pool": ("6x6x2", "conv 3 3 bias none, conv 4 2, relu, flatten, dense 4 bias none, softmax"),
    "dense_only": ("4x3x2", "flatten, dense 5, softmax"),
    "no_dense": ("5x4x1", "conv 3 4x3, relu, pool 2 stride 1, flatten, softmax"),
    "one": ("3x3x1", "conv 4 1, relu, conv 3 1, pool 1, flatten, dense 2, softmax"),
    "overlap": ("13x12x1", "conv 3 3, relu, pool 3x2 stride 2x1, pool 2, flatten, softmax"),
    "gaps": ("12x12x1", "conv 3 2, pool 2 stride 3, relu, pool 2 stride 1, flatten, softmax"),
    "grows": ("5x5x1", "conv 8 3 padding same, conv 9 3 padding 1, flatten, dense 3, softmax"),
}  # fmt: skip


def network_of(name: str, seed: int = 0) -> convlet.Network:
    shape, layers = ODD[name]
    network = convlet.Network(layers, tuple(map(int, shape.split("x"))), seed)
    rng = np.random.default_rng(seed)
    network.flat = network.flat + rng.normal(0, 0.1, network.flat.shape).astype(np.float32)
    return network


def levels(network: convlet.Network, n: int = 6, seed: int = 0) -> np.ndarray:
    shape = (n, *network.input_shape)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@st.composite
def architectures(draw: st.DrawFn) -> tuple[str, tuple[int, int, int]]:
    """Networks of every kind of layer; fewer than 8 channels, so that no sum is Winograd's."""
    pair = st.integers(1, 3).flatmap(lambda a: st.integers(1, 3).map(lambda b: f"{a}x{b}"))
    words: list[str] = []
    for _ in range(draw(st.integers(0, 3))):
        conv = f"conv {draw(st.integers(1, 6))} {draw(pair)} stride {draw(pair)}"
        conv += f" padding {draw(st.sampled_from(['same', '0', '1', '2']))}"
        words.append(f"{conv} bias {draw(st.sampled_from(['channel', 'position', 'none']))}")
        others = ["relu", f"pool {draw(pair)}", f"pool 2 stride {draw(pair)}", "dropout 0.5"]
        words += draw(st.lists(st.sampled_from(others), max_size=3))
    words.append("flatten")
    if draw(st.booleans()) or len(words) == 1:
        words += draw(st.lists(st.sampled_from(["dense 5, relu", "dense 4 bias none"]), max_size=2))
        words.append("dense 3")
    sides = st.integers(4, 13)
    return ", ".join([*words, "softmax"]), (draw(sides), draw(sides), draw(st.integers(1, 3)))


def made(architecture: tuple[str, tuple[int, int, int]], seed: int) -> convlet.Network | None:
    try:
        return convlet.Network(*architecture, seed)
    except convlet.ConvletError:  # an input too small for its kernels
        return None


several = settings(
    max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@several
@given(st.lists(architectures(), min_size=20, max_size=20), st.integers(0, 1 << 20))
def test_networks_of_small_integers_are_exact(tmp_path_factory, drawn, seed):
    """Every z is a whole number without rounding, so that a wrong tap or place would show."""
    folder, rng = tmp_path_factory.mktemp("whole"), np.random.default_rng(seed)
    networks = [network for one in drawn if (network := made(one, seed))]
    files, images = [], []
    for n, network in enumerate(networks):
        network.flat = rng.integers(-2, 3, network.flat.shape).astype(np.float32)
        images.append(rng.integers(-3, 4, (3, *network.input_shape)).astype(np.float32))
        files.append(folder / f"n{n}.c")
        network.to_c(files[-1], dtype="float32", arena="caller" if n % 2 else "static")
    library = Library(folder, files, ("-O1", *FMA))
    for n, (network, x) in enumerate(zip(networks, images, strict=True)):
        size = int(re.search(r"_ARENA (\d+)", files[n].read_text())[1])
        p, best = library.predict(
            f"n{n}", x, network.class_count, np.float32, size if n % 2 else None
        )
        assert np.array_equal(best, network.predict(x)), network
        network.engine = "reference"
        np.testing.assert_allclose(p, network.predict_proba(x), rtol=0, atol=BOUND)


@several
@given(st.lists(architectures(), min_size=20, max_size=20), st.integers(0, 1 << 20))
def test_networks_of_any_floats_have_the_bits_of_the_direct_order(tmp_path_factory, drawn, seed):
    folder = tmp_path_factory.mktemp("floats")
    networks = [network for one in drawn if (network := made(one, seed))]
    files = [folder / f"n{n}.c" for n in range(len(networks))]
    for network, file in zip(networks, files, strict=True):
        network.to_c(file)
    library = Library(folder, files, ("-O1", *FMA))
    for n, network in enumerate(networks):
        x = levels(network, 3, seed)
        p, best = library.predict(f"n{n}", x, network.class_count, np.float32)
        expected = network.predict_proba(x)
        assert np.array_equal(best, network.predict(x))
        if FMA:
            assert np.array_equal(p, expected), network
        np.testing.assert_allclose(p, expected, rtol=0, atol=BOUND)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Every odd network, in floats and in whole numbers as NAME_int8."""
    folder, made = tmp_path_factory.mktemp("files"), {}
    for name in ODD:
        network = network_of(name)
        made[name] = folder / f"{name}.c"
        network.to_c(made[name], selftest=levels(network, 10))
        made[f"{name}_int8"] = folder / f"{name}_int8.c"
        x = levels(network, 30)
        network.quantize(x).to_c(made[f"{name}_int8"], selftest=x[:10])
    return made


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", [("-O0",), ("-O3", *FMA), ("-Os", "-std=gnu99", *FMA)], ids=str)
def test_compilers_and_optimisation_change_nothing(files, tmp_path, compiler, flags):
    library = Library(tmp_path, files.values(), flags, compiler)
    for name in ODD:
        network = network_of(name)
        x = levels(network)
        p, best = library.predict(name, x, network.class_count, np.float32)
        assert np.array_equal(best, network.predict(x))
        np.testing.assert_allclose(p, network.predict_proba(x), rtol=0, atol=BOUND)
        if FMA and flags != ("-O0",):
            assert np.array_equal(p, network.predict_proba(x)), name
        whole = network.quantize(levels(network, 30))
        logits, best = library.predict(f"{name}_int8", x, network.class_count, np.int8)
        assert np.array_equal(logits, whole.predict_bytes(x)), name
        assert np.array_equal(best, whole.predict(x))


@several
@given(st.lists(architectures(), min_size=20, max_size=20), st.integers(0, 1 << 20))
def test_networks_in_whole_numbers_give_the_same_bytes(tmp_path_factory, drawn, seed):
    folder = tmp_path_factory.mktemp("bytes")
    networks = [network for one in drawn if (network := made(one, seed))]
    wholes = [network.quantize(levels(network, 8, seed + 1)) for network in networks]
    files = [folder / f"n{n}.c" for n in range(len(networks))]
    for n, (whole, file) in enumerate(zip(wholes, files, strict=True)):
        whole.to_c(file, arena="caller" if n % 2 else "static")
    library = Library(folder, files)
    for n, (network, whole) in enumerate(zip(networks, wholes, strict=True)):
        x = levels(network, 4, seed)
        size = int(re.search(r"_ARENA (\d+)", files[n].read_text())[1]) if n % 2 else None
        logits, best = library.predict(f"n{n}", x, network.class_count, np.int8, size)
        assert np.array_equal(logits, whole.predict_bytes(x)), network
        assert np.array_equal(best, whole.predict(x))


def test_the_rounding_is_that_of_the_equation(files, tmp_path):
    """Halves go upward on both sides of 0, and nothing overflows at the ends."""
    source = tmp_path / "byte.c"
    head = "int8_t byte_of(int32_t z, int32_t m, int shift, int zero);"
    body = "{\n    return one_int8_byte(z, m, shift, zero);\n}"
    text = files["one_int8"].read_text()
    source.write_text(f"{text}\n{head}\n{head[:-1]}\n{body}\n")
    flags = ("-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    byte_of = Library(tmp_path, [source], flags).library.byte_of
    byte_of.restype = ctypes.c_int8
    most, rng = eq.MOST_SUM, np.random.default_rng(0)
    z = np.concatenate(
        [[0, 1, -1, most, -most], np.arange(-40, 41) * 2 - 1, rng.integers(-900, 900, 99)]
    )
    for m, shift in (
        (1 << 30, 31),
        (1 << 30, 32),
        ((1 << 31) - 1, 62),
        (1 << 30, 30),
        (1, 2),
        (0, 62),
    ):
        for zero in (-128, 0, 127):
            expected = eq.requantised(z[:, None], np.array([m]), np.array([shift]), zero)[:, 0]
            assert [byte_of(int(one), m, shift, zero) for one in z] == expected.tolist()


def test_sanitizers_find_nothing(files, tmp_path):
    names = list(files)
    calls = "".join(f"    wrong += {name}_selftest();\n" for name in names)
    source = tmp_path / "all.c"
    text = "\n".join(file.read_text() for file in files.values())
    source.write_text(
        f"{text}\nint main(void)\n{{\n    int wrong = 0;\n{calls}    return wrong;\n}}"
    )
    defined = [f"-D{name.upper()}_SELFTEST" for name in names]
    run(CC, *STRICT, *SANITIZED, *defined, source, "-o", tmp_path / "all")
    run(tmp_path / "all")  # no image differs, and nothing is out of bounds


def test_a_selftest_counts_what_differs(tmp_path):
    network = network_of("colours")
    x = levels(network, 10)
    for whole, file in ((network, "a.c"), (network.quantize(x), "b.c")):
        whole.to_c(tmp_path / file, selftest=x)
    text = "".join((tmp_path / file).read_text() for file in ("a.c", "b.c"))
    # another first pixel for the first image, and another answer for the second
    text = re.sub(r"(?s)(_images\[\d+\] CONVLET_PROGMEM = \{\s+)\d+", r"\g<1>0", text)
    text = re.sub(
        r"(?s)(a_answers\[\d+\] CONVLET_PROGMEM = \{\s+(?:\S+,\s+){3})", r"\g<1>9.0f + ", text
    )
    text = re.sub(
        r"(?s)(b_answers\[\d+\] CONVLET_PROGMEM = \{\s+(?:\S+,\s+){3})", r"\g<1>1 + ", text
    )
    (tmp_path / "c.c").write_text(text)
    library = Library(tmp_path, [tmp_path / "c.c"], ("-DA_SELFTEST", "-DB_SELFTEST")).library
    assert library.a_selftest() == 2
    assert library.b_selftest() in (1, 2)  # a level may be lost in a byte


def test_a_selftest_counts_answers_that_are_no_numbers(tmp_path):
    """Tables as a damaged flash has them: then predict says -1, or an answer is NaN."""
    network = network_of("dense_only")
    network.to_c(tmp_path / "a.c", selftest=levels(network, 3))
    text = (tmp_path / "a.c").read_text()
    bias = re.sub(r"(?s)(a_b0\[5\] CONVLET_PROGMEM = \{\s+)[^,]+", r'\g<1>__builtin_nanf("")', text)
    answer = re.sub(
        r"(?s)(a_answers\[15\] CONVLET_PROGMEM = \{\s+)[^,]+", r'\g<1>__builtin_nanf("")', text
    )
    for changed, differ in ((text, 0), (bias, 3), (answer, 1)):
        (tmp_path / "b.c").write_text(changed)
        library = Library(tmp_path, [tmp_path / "b.c"], ("-DA_SELFTEST",)).library
        assert library.a_selftest() == differ


@pytest.mark.parametrize(
    "name", ["convlet", "CLASSES", "ELEMENT_", "PARAMETER", "ARGUMENT", "DIFFERS", "IMAGE_COUNT"]
)
def test_any_name_of_c_makes_a_program(tmp_path, name):
    network = network_of("colours")
    x = levels(network, 3)
    for whole, file in ((network, "a.c"), (network.quantize(x), "b.c")):
        whole.to_c(tmp_path / file, name=name, selftest=x)
        library = Library(tmp_path, [tmp_path / file], (f"-D{name.upper()}_SELFTEST",)).library
        assert getattr(library, f"{name}_selftest")() == 0


@pytest.mark.parametrize("flags", [("-Os",), ("-O3",)], ids=str)
def test_no_library_is_called(files, tmp_path, flags):
    for name, file in files.items():
        run(CC, *STRICT, *flags, "-ffreestanding", "-c", file, "-o", tmp_path / "one.o")
        assert undefined(tmp_path / "one.o") <= {"memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}, name
    run(CC, *STRICT, "-O1", "-c", files["colours_int8"], "-o", tmp_path / "one.o")
    code = run("objdump", "-d", tmp_path / "one.o")
    assert "ss " not in code  # no scalar float of SSE in whole numbers
    assert "xmm" not in code


def test_the_default_network_has_the_bits_of_the_direct_order(tmp_path):
    """Winograd's form is taken for P(R(z)); a dropout between them leaves the direct sums."""
    network = convlet.Network()
    layers = "conv 8 5, relu, pool 2, conv 16 5, relu, dropout 0.5, pool 2, flatten, dense 128, relu, dense 10, softmax"  # noqa: E501
    direct = convlet.Network(layers, flat=network.flat)
    network.to_c(tmp_path / "digits.c")
    assert "takes Winograd's form in stage 1" in " ".join(
        (tmp_path / "digits.c").read_text().split()
    )
    direct.to_c(tmp_path / "direct.c")
    assert "Winograd" not in (tmp_path / "direct.c").read_text()
    x = levels(network, 20)
    library = Library(tmp_path, [tmp_path / "digits.c"], ("-O2", *FMA))
    p, _ = library.predict("digits", x, 10, np.float32)
    if FMA:
        assert np.array_equal(p, direct.predict_proba(x))
    np.testing.assert_allclose(p, network.predict_proba(x), rtol=0, atol=BOUND)
    assert not np.array_equal(network.predict_proba(x), direct.predict_proba(x))


def test_the_arena_is_no_larger_than_its_largest_step(tmp_path):
    steps = steps_of(convlet.Network().stages)
    assert [type(step).__name__ for step in steps] == [
        "ConvStep",
        "ConvStep",
        "DenseStep",
        "DenseStep",
    ]
    # x^1 has 1,152 numbers; z of one place is written where nothing is read any more
    assert arena_of(steps).size == 1152 + 16
    padded, pool, *_ = steps_of(network_of("overlap").stages)
    assert isinstance(padded, ConvStep)
    assert padded.window == (1, 1)
    assert isinstance(pool, PoolStep)
    assert pool.lead == 0  # in place


def test_what_is_not_finite_is_told(tmp_path):
    network = network_of("dense_only")
    network.to_c(tmp_path / "n.c", dtype="float32")
    library = Library(tmp_path, [tmp_path / "n.c"])
    for value in (np.nan, np.inf, -np.inf):
        x = np.full((1, 4, 3, 2), value, np.float32)
        assert library.predict("n", x, 5, np.float32)[1] == [-1]


def test_tables_that_avr_cannot_reach_stop_its_compiler(tmp_path):
    """Its addresses have 16 bits; images of a self-test count where they are compiled in."""
    (tmp_path / "avr").mkdir()
    (tmp_path / "avr" / "pgmspace.h").touch()
    for units, stops in ((8, ""), (410, "-D__AVR__ -DN_SELFTEST"), (500, "-D__AVR__")):
        network = convlet.Network(f"flatten, dense {units}, softmax", (12, 12, 1))
        x = levels(network, 10)
        memory = network.quantize(x).to_c(tmp_path / "n.c", selftest=x)
        assert (memory.constants > 65_000) == (stops == "-D__AVR__")
        for flags in ("", "-DN_SELFTEST", "-D__AVR__", "-D__AVR__ -DN_SELFTEST"):
            command = [CC, "-E", *flags.split(), "-I", tmp_path, tmp_path / "n.c"]
            done = children.run(list(map(str, command)))
            stopped = bool(stops) and stops in flags
            assert ("bytes of tables, of which AVR reaches" in done.stderr) == stopped
            assert (done.returncode != 0) == stopped


def test_equal_networks_give_equal_files_and_a_header_is_one_of_cpp(tmp_path):
    network = network_of("colours")
    network.classes = ("a */ int x;", "b", "ü")
    for name in "ab":
        network.to_c(tmp_path / f"{name}.c", name="net", header=True, selftest=levels(network, 2))
    a, b = ((tmp_path / f"{n}.c").read_text().replace(f'"{n}.h"', "") for n in "ab")
    assert a == b
    (tmp_path / "main.cpp").write_text(
        '#include "a.h"\n#include "a.h"\n'
        "int main() { static uint8_t image[NET_ROWS * NET_COLUMNS * NET_CHANNELS];"
        " float p[NET_CLASSES]; return net_predict(image, p) < 0 || net_selftest() > 0; }"
    )
    run(CC, *STRICT, "-DNET_SELFTEST", "-c", tmp_path / "a.c", "-o", tmp_path / "a.o")
    run("c++", "-DNET_SELFTEST", tmp_path / "main.cpp", tmp_path / "a.o", "-o", tmp_path / "main")
    run(tmp_path / "main")


def test_the_memory_in_the_documentation_is_what_is_needed(tmp_path):
    page = (Path(__file__).parent.parent / "docs" / "devices.md").read_text()
    rows = re.findall(r"^\| `tiny-(\d+k)` \| ([\d,]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert len(rows) == 3
    for name, *numbers in rows:
        network = convlet.Network(convlet.recipes.recipe(f"tiny-{name}").layers(10))
        memory = network.quantize(levels(network, 2)).to_c(tmp_path / "tiny.c")
        assert [f"{memory.constants:,}", f"{memory.arena:,}"] == numbers


def test_the_c_of_the_documentation_is_c(tmp_path):
    network = network_of("colours")
    network.quantize(levels(network)).to_c(tmp_path / "digits.c", header=True)
    page = Path(__file__).parent.parent / "docs" / "devices.md"
    (block,) = re.findall(r"```c\n(.*?)```", page.read_text(), re.DOTALL)
    *head, call, end = block.split("\n")
    main = "\n".join([*head, "int main(void)", "{", call, "    return class;", "}", end])
    (tmp_path / "main.c").write_text(main)
    run(CC, *STRICT, tmp_path / "main.c", tmp_path / "digits.c", "-o", tmp_path / "main")


def test_an_arduino_library_has_what_arduino_asks_for(tmp_path):
    network = network_of("colours")
    network.quantize(levels(network)).to_arduino(tmp_path / "colours")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "colours/examples/Recognise_colours/Recognise_colours.ino",
        "colours/library.properties",
        "colours/src/colours.c",
        "colours/src/colours.h",
    ]
    lines = dict(
        line.split("=", 1)
        for line in (tmp_path / "colours/library.properties").read_text().split("\n")
        if line
    )
    assert {"name", "version", "author", "sentence", "category", "architectures"} <= set(lines)
    (tmp_path / "Arduino.h").write_text(
        "#include <stdint.h>\n#define F(text) text\nunsigned long millis();\n"
        "struct Port { void begin(long); void setTimeout(long); void print(const char *);"
        " unsigned long readBytes(char *, unsigned long); void print(int);"
        " void println(unsigned long); };\nextern Port Serial;\n"
    )
    sketch = tmp_path / "colours/examples/Recognise_colours/Recognise_colours.ino"
    include = ["-I", tmp_path / "colours/src", "-include", tmp_path / "Arduino.h"]
    run(
        "c++",
        "-Wall",
        "-Wextra",
        "-Werror",
        *include,
        "-x",
        "c++",
        "-c",
        sketch,
        "-o",
        tmp_path / "s.o",
    )
    assert undefined(tmp_path / "s.o") >= {"colours_predict"}


WRONG = [
    ({"path": "a.txt"}, "path is 'a.txt', expected a name that ends in .c"),
    ({"path": "2a.c"}, "name is None, expected letters, digits and _ as in C, a letter first"),
    ({"path": "int.c"}, r"name is 'int', but that is a word of C or C\+\+: take int_net"),
    ({"name": "a-b"}, "name is 'a-b', expected letters"),
    ({"name": "a" * 41}, "at most 40"),
    ({"name": "über"}, "name is 'über', expected letters"),
    ({"name": "template"}, "a word of C or C"),
    ({"name": 7}, "name is 7, expected letters"),
    ({"header": "yes"}, "header is 'yes', expected True or False"),
    ({"arena": "heap"}, 'arena is \'heap\', expected "static" or "caller"'),
    ({"selftest": np.zeros((11, 9, 9, 3), np.uint8)}, "selftest has 11 images, expected 10 at"),
    ({"max_flash": "64q"}, "max_flash is '64q', expected a number of bytes, as in 65536, 64k"),
    ({"max_flash": 0}, "max_flash is 0, expected a whole number from 1"),
    (
        {"max_flash": "1k"},
        r"max_flash is 1024, but .* bytes of flash are needed, .* of constants and up to .*:"
        r" .* bytes too many; stage 1 \(conv 4 3\) has",
    ),
    (
        {"max_ram": 300},
        r"max_ram is 300, but .* bytes of RAM are needed, .*: .* bytes too many; most is in use at"
        r" stage 1 \(conv 4 3\): fewer channels",
    ),
]


@pytest.mark.parametrize(("how", "why"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_a_wrong_request_is_refused(tmp_path, how, why):
    network = network_of("colours")
    whole = network.quantize(levels(network))
    for one in (network, whole):
        with pytest.raises(convlet.InputError, match=why):
            one.to_c(**{"path": tmp_path / "a.c", **how})
    assert not list(tmp_path.iterdir())


def test_what_cannot_mean_the_same_is_refused(tmp_path):
    network = network_of("dense_only")
    with pytest.raises(convlet.InputError, match="dtype is 'int8', expected uint8 or float32"):
        network.to_c(tmp_path / "a.c", dtype="int8")
    flat, network.flat = network.flat, np.full_like(network.flat, 3e38)
    with pytest.raises(convlet.InputError, match="selftest has images for which the network"):
        network.to_c(tmp_path / "a.c", selftest=levels(network))
    network.flat = flat
    network.scale = (-1.0, 1.0)
    with pytest.raises(convlet.InputError, match="dtype"):
        network.to_c(tmp_path / "a.c")
    network.to_c(tmp_path / "a.c", dtype="float32")
    network.parameters["w0"][0, 0] = np.nan
    with pytest.raises(convlet.InputError, match=r"parameter w0\[0, 0\] is nan"):
        network.to_c(tmp_path / "a.c", dtype="float32")
