"""The text form of layers: what is printed is what is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlet import (
    ArchitectureError,
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    ReLU,
    Softmax,
    format_layers,
    parse_layers,
)
from convlet.stages import default_layers

size = st.integers(1, 2**20)
pair = st.tuples(size, size) | size
layers = st.one_of(
    st.builds(
        Conv2D,
        size,
        pair,
        pair,
        st.sampled_from(["valid", "same"]) | st.integers(0, 2**20),
        st.sampled_from(["channel", "position", None]),
    ),
    st.builds(MaxPool2D, pair, pair | st.none()),
    st.builds(Dense, size, st.booleans()),
    st.sampled_from([ReLU(), Flatten(), Softmax()]),
)

DEFAULT = (
    "conv 8 5, relu, pool 2, conv 16 5, relu, pool 2, flatten, dense 128, relu, dense 10, softmax"
)


def test_default_network():
    assert format_layers(default_layers()) == DEFAULT
    assert parse_layers(DEFAULT) == default_layers()


@given(st.lists(layers, min_size=1, max_size=8))
def test_layers_survive_their_text(layers):
    text = format_layers(layers)
    assert parse_layers(text) == tuple(layers)
    assert format_layers(parse_layers(text)) == text


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("conv 8 5x3 stride 2x1 padding same bias none", Conv2D(8, (5, 3), (2, 1), "same", None)),
        ("conv 8 5 bias position padding 2", Conv2D(8, 5, padding=2, bias="position")),
        ("conv 8 5 padding valid bias channel", Conv2D(8, 5)),
        ("  CONV  8\t5 Stride 2 ", Conv2D(8, 5, 2)),
        ("pool 3x2 stride 2x1", MaxPool2D((3, 2), (2, 1))),
        ("dense 10 bias none", Dense(10, bias=False)),
    ],
)
def test_options(text, layer):
    assert parse_layers(text) == (layer,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"layers\[0\] is empty: separate layers by one comma"),
        ("relu,", r"layers\[1\] is empty"),
        ("relu,,relu", r"layers\[1\] is empty"),
        (
            "relu, convolution 8 5",
            r"layers\[1\] is 'convolution 8 5', expected one of: conv, pool, relu, dropout,"
            " flatten, dense",
        ),
        ("sigmoid", r"layers\[0\] is 'sigmoid', expected one of: conv, pool, relu"),
        ("conv", r"layers\[0\] is 'conv', expected conv CHANNELS KERNEL \[stride S\]"),
        ("conv 8", r"layers\[0\] is 'conv 8', expected conv CHANNELS KERNEL"),
        ("conv 8 5 2", r"'conv 8 5 2', expected conv CHANNELS KERNEL"),
        ("conv 8 5 stride", r"'conv 8 5 stride', expected conv CHANNELS KERNEL"),
        ("conv eight 5", r"expected conv .*; 'eight' is not a whole number"),
        ("conv -8 5", r"'-8' is not a whole number"),
        ("conv 8.0 5", r"'8.0' is not a whole number"),
        ("conv ８ 5", r"is not a whole number"),  # noqa: RUF001  a digit, but not ASCII
        ("conv 8 5x", r"'5x' is not a size such as 5 or 5x3"),
        ("conv 8 5x5x5", r"'5x5x5' is not a size"),
        ("conv 8 5,5", r"layers\[1\] is '5', expected one of"),
        ("conv 8 5 strides 2", r"'strides' is not one of its options"),
        ("conv 8 5 stride 2 stride 2", r"'stride' is given twice"),
        ("conv 8 5 padding full", r"'full' is not a whole number"),
        ("conv 8 5 bias yes", r"bias 'yes' is none of channel, position, none"),
        ("pool", r"'pool', expected pool SIZE \[stride S\]"),
        ("pool 2 padding 1", r"'padding' is not one of its options"),
        (
            "dense 10 bias channel",
            r"expected dense UNITS \[bias none\]; bias 'channel' is not none",
        ),
        ("relu 1", r"layers\[0\] is 'relu 1', expected relu"),
        ("softmax softmax", r"'softmax softmax', expected softmax"),
        ("conv 0 5", r"Conv2D: channels is 0, expected a whole number from 1"),
        ("conv 999999999 5", r"channels is 999999999, expected a whole number from 1 to 1048576"),
        ("dense 9999999999", r"'9999999999' is not a whole number"),
        ("relu," * 1000 + "relu", r"1001 layers, expected at most 1000"),
    ],
)
def test_wrong_text_is_refused(text, message):
    with pytest.raises(ArchitectureError, match=message):
        parse_layers(text)


@given(
    st.text(st.sampled_from("conv pool dense relu 0123456789x,.-stride bias none\n"), max_size=60)
)
def test_any_text_is_read_or_refused(text):
    try:
        layers = parse_layers(text)
    except ArchitectureError:
        return
    assert parse_layers(format_layers(layers)) == layers


@pytest.mark.parametrize("value", [5, None, b"flatten", ["flatten"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(ArchitectureError, match=r"layers is .*, expected a text, as in \"conv 8"):
        parse_layers(value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (3, r"layers is 3, expected a sequence of layers"),
        ([ReLU(), 3], r"layers\[1\] is 3, expected Conv2D, MaxPool2D"),
        ("relu", r"layers\[0\] is 'r', expected Conv2D, MaxPool2D"),
    ],
)
def test_what_is_no_layers_has_no_text(layers, message):
    with pytest.raises(ArchitectureError, match=message):
        format_layers(layers)
