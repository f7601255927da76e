"""`QuantizedNetwork`: what it takes and refuses, what it says, its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convlet
from convlet import InputError, ModelFileError, Network, QuantizedNetwork
from convlet.comparison import compare
from convlet.formats.records import pack, unpack
from convlet.quantised import file, ranges
from convlet.quantised.network import as_levels
from whole_numbers import images_of, random_network

TEXT = "conv 2 3 padding same, relu, pool 2, conv 3 2 bias none, flatten, dense 4, softmax"
SHAPE = (6, 5, 1)


def small(**how: Any) -> QuantizedNetwork:
    return random_network(TEXT, SHAPE, 1).quantize(images_of(SHAPE, 40, 1), **how)


@pytest.fixture(scope="module")
def digits() -> tuple[Network, convlet.datasets.Dataset]:
    """A small network that knows some of MNIST."""
    whole = convlet.datasets.load("mnist")
    data = convlet.datasets.Dataset(
        "mnist", whole.train.take(slice(6000)), whole.test.take(slice(1000)), whole.classes
    )
    network = Network("conv 6 5, relu, pool 2, conv 12 5, relu, pool 2, flatten, dense 10, softmax")
    network.fit(
        data.train.images, data.train.labels, epochs=2, learning_rate=0.004, optimizer="adam"
    )
    return network, data


# ------------------------------------------------------------------------- what it is worth


@pytest.mark.parametrize("choice", ranges.CHOICES)
def test_a_trained_network_keeps_its_accuracy(digits, choice):
    network, data = digits
    x, y = data.test.images, data.test.labels
    quantized = network.quantize(data.train.images, count=300, ranges=choice)
    before, after = network.evaluate(x, y), quantized.evaluate(x, y)
    assert before.accuracy > 0.9
    assert abs(after.accuracy - before.accuracy) < 0.005
    assert after.loss == pytest.approx(before.loss, rel=0.05)
    assert after.accuracy == (quantized.predict(x) == y).mean()
    assert (quantized.predict_proba(x).argmax(axis=1) == quantized.predict(x)).all()


def test_a_comparison_counts_what_changed(digits):
    network, data = digits
    x, y = data.test.images, data.test.labels
    quantized = network.quantize(data.train.images, count=50)
    found = compare(network, quantized, x, y)
    before, after = network.predict(x), quantized.predict(x)
    assert found.changed.tolist() == np.flatnonzero(before != after).tolist()
    assert found.won - found.lost == (after == y).sum() - (before == y).sum()
    difference = np.zeros((10, 10), int)
    np.add.at(difference, (y, after), 1)
    np.add.at(difference, (y, before), -1)
    assert found.confusion_difference.tolist() == difference.tolist()
    assert len(found.signal_to_noise) == 3
    assert all(25 < decibels < 60 for decibels in found.signal_to_noise)


def test_a_comparison_is_of_one_network(digits):
    network, data = digits
    with pytest.raises(InputError, match=r"quantized is QuantizedNetwork.*, but the network is"):
        compare(network, small(), data.test.images, data.test.labels)
    with pytest.raises(InputError, match=r"quantized is 3, expected a convlet.QuantizedNetwork"):
        compare(network, 3, data.test.images, data.test.labels)


def test_noise_by_hand():
    """One stage whose weights and outputs are on their grids loses nothing: no noise."""
    network = Network("flatten, dense 2 bias none, softmax", (1, 2, 1))
    network.parameters["w0"][...] = np.eye(2)
    x = np.array([[[255, 0]], [[0, 255]]], np.uint8)
    found = compare(network, network.quantize(x), x, [0, 1])
    assert found.signal_to_noise[0] > 40
    assert found.quantized.accuracy == 1


# ------------------------------------------------------------------------------ calibration


def test_calibration_is_counted_and_drawn_by_its_seed():
    images = images_of(SHAPE, 200, 5)
    network = random_network(TEXT, SHAPE, 1)
    one, same, other = (network.quantize(images, 20, seed) for seed in (3, 3, 4))
    assert one.calibration.record() == {"count": 20, "given": 200, "seed": 3, "ranges": "maximum"}
    assert [part.y for part in one.parts] == [part.y for part in same.parts]
    assert [part.y for part in one.parts] != [part.y for part in other.parts]
    assert network.quantize(images, 1000).calibration.count == 200


def test_all_values_are_reached_where_the_maximum_is_asked_for():
    images = images_of(SHAPE, 30, 5)
    part = random_network(TEXT, SHAPE, 1).quantize(images).parts[0]
    reached = part.forward(file.eq.pixels(images))
    assert (reached.min(), reached.max()) == (-128, 127)


def test_ranges_by_hand():
    """100,000 values from 0 to 1, five far away: the two others leave these five out."""
    values = np.concatenate([np.linspace(0, 1, 100_000), [30.0] * 5])
    found = ranges.spread(lambda: [values[:7], values[7:]])
    assert (found.low, found.high, found.counts.sum()) == (0, 30, 100_005)
    assert ranges.maximum(found) == (0, 30)
    assert ranges.percentile(found)[0] == 0
    assert 0.99 < ranges.percentile(found)[1] < 1.02
    assert 7.4 < ranges.error(found)[1] < 30
    both = ranges.spread(lambda: [values, -2 * values])
    assert ranges.percentile(both) == (pytest.approx(-2, abs=0.04), pytest.approx(1, abs=0.04))
    assert ranges.spread(lambda: [np.zeros(3)]).high == 0
    for choice in ranges.CHOICES.values():
        assert choice(ranges.spread(lambda: [np.zeros(3)])) == (0, 0)


def test_the_least_error_is_the_least_of_the_candidates():
    """By brute force on the values themselves, not on their bins."""
    values = np.abs(np.random.default_rng(0).standard_t(3, 20_000))
    top = values.max()

    def squares(high: float) -> float:
        steps = np.clip(np.floor(values / high * 255 + 0.5), 0, 255)
        return float(((values - steps * high / 255) ** 2).sum())

    _, found = ranges.error(ranges.spread(lambda: [values]))
    least = min(squares(part * top) for part in np.linspace(0.25, 1, ranges.CANDIDATES))
    assert squares(found) == pytest.approx(least, rel=0.01)
    assert found < top


def test_a_dead_stage_and_a_channel_of_zeros_are_no_trouble():
    network = random_network("conv 2 2, relu, flatten, dense 3, softmax", SHAPE, 0)
    network.parameters["w0"][..., 1] = 0
    network.parameters["b0"][...] = -1000.0, 0.0
    quantized = network.quantize(images_of(SHAPE, 9, 0))
    assert (
        quantized.predict_bytes(images_of(SHAPE, 4, 1))
        == quantized.predict_bytes(images_of(SHAPE, 4, 2))
    ).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": np.zeros((0, *SHAPE), np.uint8)}, r"images has shape \(0, 6, 5, 1\), expected"),
        ({"images": np.zeros((3, 2, 2, 1), np.uint8)}, r"images has shape \(3, 2, 2, 1\)"),
        (
            {"images": np.full((3, *SHAPE), 0.3)},
            r"images\[0, 0, 0, 0\] is 0.3.*, expected uint8",
        ),
        (
            {"images": np.zeros((9, *SHAPE), np.uint8)},
            "images are blank, every level is 0, expected",
        ),
        ({"images": np.full((1, *SHAPE), 255, np.uint8)}, "images are blank, every level is 255"),
        ({"count": 0}, "count is 0, expected a whole number from 1"),
        ({"seed": -1}, "seed is -1, expected"),
        ({"ranges": "best"}, "ranges is 'best', expected one of: maximum, percentile, error"),
    ],
)
def test_what_cannot_be_calibrated_with_is_refused(change, sentence):
    network = random_network(TEXT, SHAPE, 1)
    with pytest.raises(InputError, match=sentence):
        network.quantize(**{"images": images_of(SHAPE, 4, 0), **change})


def test_an_image_that_is_no_level_is_told_by_its_number():
    images = images_of(SHAPE, 50, 0) / np.float32(255)
    images[7:, 0, 0, 0] = 0.3
    with pytest.raises(InputError) as caught:
        random_network(TEXT, SHAPE, 1).quantize(images, count=5, seed=2)
    first = int(caught.value.subject.split("[")[1].split(",")[0])
    assert first >= 7
    assert images[first, 0, 0, 0] == np.float32(0.3)


def test_a_network_of_standardised_images_is_refused():
    network = random_network(TEXT, SHAPE, 1)
    x = np.random.default_rng(0).normal(size=(64, *SHAPE)).astype(np.float32)
    network.fit(x, np.arange(64) % 4, epochs=1, progress=False)
    with pytest.raises(InputError, match="images is on another scale: its lowest number is 0"):
        network.quantize(images_of(SHAPE, 40, 0))


def test_a_network_that_is_not_finite_is_refused():
    network = random_network(TEXT, SHAPE, 1)
    network.parameters["w1"][0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"parameter w1\[0, 0, 0, 0\] is nan, expected finite"):
        network.quantize(images_of(SHAPE, 4, 0))


@pytest.mark.parametrize("size", [3e38, 1e-30])
def test_logits_beyond_float32_are_refused(size):
    """A device reads the scale of its logits as a float: inf and 0 mean nothing."""
    network = Network("flatten, dense 4, dense 3, softmax", SHAPE, 1)
    network.flat = (network.flat / np.abs(network.flat).max()) * np.float32(size)
    with pytest.raises(InputError, match=r"the scale of the logits .* above 0 in float32"):
        network.quantize(images_of(SHAPE, 4, 0))


def test_a_stage_whose_sums_could_leave_int32_is_refused():
    network = Network("flatten, dense 2, softmax", (300, 300, 1))
    network.flat = np.ones(network.flat.size)
    with pytest.raises(InputError, match="stage 0 has sums of up to 2926112385 in whole numbers"):
        network.quantize(images_of((300, 300, 1), 2, 0))


# ---------------------------------------------------------------------------------- images


def test_levels_divided_by_255_are_levels():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for floats in (images / 255, images / np.float32(255), images * (1 / np.float32(255))):
        assert as_levels(floats.astype(np.float32)).tolist() == images.tolist()
    quantized, x = small(), images_of(SHAPE, 3, 0)
    assert (quantized.predict_bytes(x / 255) == quantized.predict_bytes(x)).all()
    assert (quantized.predict(x[..., 0]) == quantized.predict(x)).all()


@pytest.mark.parametrize("value", [0.5, -0.1, 1.01, 1e-4])
def test_other_floats_are_refused_with_the_line_that_rounds_them(value):
    x = np.zeros((2, *SHAPE), np.float32)
    x[1, 2, 3, 0] = value
    with pytest.raises(InputError, match=r"x\[1, 2, 3, 0\] is .* a level 0 to 255 divided by 255"):
        small().predict(x)


# ------------------------------------------------------------------------------------ file


def described(network: QuantizedNetwork) -> tuple[Any, ...]:
    arrays = [(p.w.tolist(), p.b.tolist(), p.multiplier.tolist(), p.x, p.y) for p in network.parts]
    return repr(network), network.calibration, network.classes, network.data, arrays


def test_what_is_saved_is_loaded(tmp_path):
    network = random_network(TEXT, SHAPE, 1)
    network.classes, network.data = ["a", "b", "é", "d"], "mnist"
    network.held_back = {"test_share": 0.2, "seed": 1, "group_by": None}
    quantized = network.quantize(images_of(SHAPE, 40, 1), 30, 7, "error")
    quantized.save(tmp_path / "q")
    same = convlet.load_quantized(tmp_path / "q")
    assert described(same) == described(quantized)
    assert same.held_back == network.held_back
    x = images_of(SHAPE, 5, 2)
    assert (same.predict_bytes(x) == quantized.predict_bytes(x)).all()
    same.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "q").read_bytes()


def test_each_reader_names_the_other(tmp_path):
    small().save(tmp_path / "q")
    random_network(TEXT, SHAPE, 1).save(tmp_path / "n")
    with pytest.raises(ModelFileError, match=r"read it with convlet.load_quantized"):
        convlet.load(tmp_path / "q")
    with pytest.raises(ModelFileError, match=r"read it with convlet.load$"):
        convlet.load_quantized(tmp_path / "n")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "q"
    small().save(path)
    return path


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_refused(saved, data):
    """A byte that is another one, an end that is missing, bytes too many."""
    whole = saved.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.sampled_from(("change", "cut", "more")))
    if damage == "change":
        flipped = whole[place] ^ data.draw(st.integers(1, 255))
        text = whole[:place] + bytes([flipped]) + whole[place + 1 :]
    else:
        text = whole[:place] if damage == "cut" else whole + whole[:1]
    path = saved.with_name("damaged")
    path.write_bytes(text)
    with pytest.raises(ModelFileError):
        convlet.load_quantized(path)


Change = Callable[[dict[str, np.ndarray], dict[str, str]], None]


def entry(name: str, place: Any, value: float) -> Change:
    def change(arrays: dict[str, np.ndarray], fields: dict[str, str]) -> None:
        arrays[name][place] = value

    return change


def field(name: str, text: str) -> Change:
    return lambda arrays, fields: fields.update({name: text})


CALIBRATION = {"count": 1, "given": 1, "seed": 0, "ranges": "maximum"}
HOSTILE: dict[str, tuple[Change, str]] = {
    "nan": (entry("g", 1, np.nan), "g is nan, expected finite numbers above 0"),
    "no scale": (entry("h1", 0, 0), "h1 is 0.0, expected finite"),
    "negative": (entry("h2", 3, -1), "h2 is -1.0, expected finite"),
    "no byte": (entry("o", 2, 128), "o is .*, expected bytes"),
    "other pixels": (entry("g", 0, 0.5), "the grid of its images is"),
    "other zero": (entry("o", 0, 0), "the grid of its images is"),
    "a weight of -128": (entry("w0", (0, 0, 0, 0), -128), "w0 is -128, expected weights from"),
    "a ReLU above": (entry("o", 1, -127), r"o\[1\] is -127, expected -128, as behind a ReLU"),
    "a grid too fine": (entry("g", 2, 1e-9), r"g\[2\] is 1e-09, expected at least that of the"),
    "logits beyond float32": (entry("g", -1, 1e39), "g of the logits is 1e.39, expected a number"),
    "a large sum": (entry("b2", 0, 2**31 - 1), "the largest sum of stage 2 is 2147"),
    "a field too many": (field("epochs", "3"), "the list of fields is"),
    "other layers": (field("layers", "flatten, dense 4, softmax"), "the array"),
    "no calibration": (field("calibration", "3"), "calibration is '3', expected count"),
    "no JSON": (field("calibration", "{"), "calibration is '{', expected count"),
    "more than there are": (
        field("calibration", json.dumps({**CALIBRATION, "count": 2})),
        "calibration is .*count is 2, expected a whole number from 1 to 1",
    ),
    "unknown ranges": (
        field("calibration", json.dumps({**CALIBRATION, "ranges": "x"})),
        "calibration is .*ranges is 'x'",
    ),
    "another form": (
        field("calibration", json.dumps(CALIBRATION, indent=1)),
        "calibration is .*not in the form in which it is written",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_fit_no_equation_are_refused(saved, case, tmp_path):
    """With a checksum that is right."""
    specs = file._specs(small().stages)
    record = unpack(saved, file.KIND, (file.VERSION,), lambda metadata: specs)
    arrays = {name: array.copy() for name, array in record.arrays.items()}
    change, sentence = HOSTILE[case]
    change(arrays, record.metadata)
    path = tmp_path / "hostile"
    path.write_bytes(pack(file.KIND, file.VERSION, record.metadata, arrays))
    with pytest.raises(ModelFileError, match=sentence):
        convlet.load_quantized(path)


def test_a_later_version_is_refused(saved, tmp_path):
    specs = file._specs(small().stages)
    record = unpack(saved, file.KIND, (file.VERSION,), lambda metadata: specs)
    (tmp_path / "later").write_bytes(pack(file.KIND, 2, record.metadata, record.arrays))
    with pytest.raises(ModelFileError, match="'format_version' is '2', expected 1"):
        convlet.load_quantized(tmp_path / "later")
