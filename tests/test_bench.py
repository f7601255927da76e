"""`convlet bench` prints sane numbers; the benchmark notices a contender that computes otherwise.

Nothing here depends on how long anything takes.
"""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import convlet
from convlet import bench
from convlet.cli import main

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """Imports a module of the folder benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture(scope="module")
def mnist():
    return convlet.datasets.load("mnist")


@pytest.fixture
def case(benchmarks, mnist):
    """A network as layout.Net, its weights, and data as the contenders take it."""
    network = convlet.Network(bench.NETWORKS["lenet-5"])
    net = benchmarks("layout").Net("lenet-5", bench.NETWORKS["lenet-5"])
    labels = np.asarray(mnist.train.labels[:500], np.int32)
    contender = benchmarks("contender")
    data = contender.Data(mnist.train.images[:500], labels, mnist.test.images[:64])
    for name, values in network.parameters.items():  # z = 0 nowhere: libraries differ in R'(0)
        if name.startswith("b"):
            values[...] = np.random.default_rng(0).uniform(0.01, 0.05, values.shape)
    return net, dict(network.parameters), data


def results(side, case, chosen):
    net, weights, data = case
    side.load(data)
    side.build(net, weights, len(chosen[0]))
    probabilities = side.predictor(0, 64, side.dtype)()
    return probabilities, side.losses(np.array(chosen))


def assert_json_number(value):
    assert isinstance(value, float)
    assert 0 < value < float("inf")


def test_quick_json(capsys):
    assert main(["bench", "--quick", "--batch-size", "100", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    bits, *rows = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert bits["what"] == "same bits"
    assert bits["same"] is True
    assert bits["threads"][0] == 1 < bits["threads"][1]
    training, *predictions = rows
    assert training["what"] == "training"
    assert training["batch_size"] == 100
    assert [row["images"] for row in predictions] == [1, 64, 10_000]
    for row in rows:
        time, unit = "seconds_per_call", row.get("images")
        if row["what"] == "training":
            time, unit = "seconds_per_epoch", 60_000
        assert row["network"] == "8,16,128"
        for name in (time, "least", "most", "images_per_second"):
            assert_json_number(row[name])
        assert row["least"] <= row[time] <= row["most"]
        assert row["images_per_second"] * row[time] == pytest.approx(unit)


def test_tables(capsys):
    arguments = ["--quick", "--network", "lenet-5", "--batch-size", "64", "--threads", "1"]
    assert main(["bench", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "1 and 2 threads give the same bits: lenet-5" in out
    rows = [line.split() for line in out.splitlines() if line.startswith("lenet-5 ")]
    assert [row[1] for row in rows] == ["64", "1", "64", "10,000"]


def test_other_bits_end_with_status_1(monkeypatch, capsys):
    monkeypatch.setattr(bench, "same_bits", lambda *arguments: False)
    assert main(["bench", "--quick"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "8,16,128: the weights differ between 1 and" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "vgg"], "--network is 'vgg', expected one of: 8,16,128; lenet-5;"),
        (["--batch-size", "0"], "--batch-size is 0, expected a whole number from 1 to 60000"),
        (["--batch-size", "x"], "--batch-size is 'x', expected a whole number"),
        (["--threads", "0"], "--threads is 0, expected a whole number from 1"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_same_bits_sees_a_last_bit(monkeypatch):
    draws = np.random.default_rng(0)
    network = convlet.Network("flatten, dense 3, softmax", (4, 4), engine="reference")
    x, y = draws.random((50, 4, 4, 1), np.float32), draws.integers(0, 3, 50)
    before = network.flat.copy()
    assert bench.same_bits(network, x, y, (1, 2, 3))
    np.testing.assert_array_equal(network.flat, before)
    assert network.epochs == 0

    fit = network.fit

    def fit_with_a_slip(*arguments, threads, **options):
        fit(*arguments, threads=threads, **options)
        if threads == 3:
            network.flat[7] = np.nextafter(network.flat[7], np.float32(1))

    monkeypatch.setattr(network, "fit", fit_with_a_slip)
    assert bench.same_bits(network, x, y, (1, 2))
    assert not bench.same_bits(network, x, y, (1, 2, 3))
    np.testing.assert_array_equal(network.flat, before)


def test_stop_after_counts_the_images_of_whole_epochs():
    """Three epochs of 7 images, then stopped by the next call."""
    images = np.zeros((7, 4, 4), np.uint8)
    network = convlet.Network("flatten, dense 3, softmax", (4, 4), engine="reference")
    watch = bench.StopAfter(float("inf"))
    network.fit(images, np.zeros(7, int), epochs=3, batch_size=2, callbacks=[watch])
    assert watch.images == 21
    watch = bench.StopAfter(0)
    network.fit(images, np.zeros(7, int), epochs=3, batch_size=2, callbacks=[watch])
    assert watch.images == 2  # one step: the first call of the engine


def test_verification_is_strict(benchmarks, case, monkeypatch):
    """Agrees with the reference engine; refuses an unflipped kernel and another learning rate."""
    verify, convlet_side = benchmarks("verify"), benchmarks("convlet_side")
    chosen = verify.minibatches(16, 500)
    expected = results(convlet_side.Convlet("", 1), case, chosen)

    class Reference(convlet_side.Convlet):
        def build(self, net, weights, batch_size):
            super().build(net, weights, batch_size)
            reference = convlet.Network(bench.NETWORKS[net.name], engine="reference")
            reference.flat[...] = self.network.flat
            self.network = reference

    other = Reference("", 1)
    probabilities, losses = results(other, case, chosen)
    difference = verify.assert_same("reference", probabilities, expected[0], losses, expected[1])
    assert 0 <= difference < 0.5

    net, weights, data = case
    unflipped = {**weights, "w0": weights["w0"][::-1, ::-1]}
    probabilities, losses = results(other, (net, unflipped, data), chosen)
    with pytest.raises(verify.Different, match="reference: probabilities differ by"):
        verify.assert_same("reference", probabilities, expected[0], losses, expected[1])

    monkeypatch.setattr(convlet_side, "LEARNING_RATE", 0.011)
    probabilities, losses = results(other, case, chosen)
    with pytest.raises(verify.Different, match="reference: losses differ by"):
        verify.assert_same("reference", probabilities, expected[0], losses, expected[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_verification_refuses_what_is_no_number(benchmarks, bad):
    verify = benchmarks("verify")
    good = [[0.5, 0.5]]
    assert verify.assert_same("x", good, good, [1.0], [1.0]) == 0
    with pytest.raises(verify.Different):
        verify.assert_same("x", [[bad, 0.5]], good)
    with pytest.raises(verify.Different):
        verify.assert_same("x", good, good, [bad], [1.0])
    with pytest.raises(verify.Different):
        verify.assert_same("x", [[0.5, 0.5, 0.0]], good)


@pytest.fixture
def row(benchmarks):
    """Makes a `measure.Row` of a network with 1,000,000 multiply-adds."""
    measure, layout = benchmarks("measure"), benchmarks("layout")
    net = layout.Net("made", "flatten, dense 10000, dense 10, softmax", (9, 10, 1))
    assert net.multiply_adds == 1_000_000

    def make(what, size, contender, seconds, **others):
        others = {"threads": 2, "others": [0.0] * len(seconds)} | others
        return measure.Row(measure.Case(what, net, size), contender, seconds=seconds, **others)

    return make


def test_ratios_are_round_by_round(benchmarks, row):
    report = benchmarks("report")
    ours = row("training", 32, "convlet", [1e-5, 2e-5, 1e-5])
    peer = row("training", 32, "torch-eager", [4e-5, 4e-5, 5e-5])
    record = report.record("training", peer, ours, peak=1e12)
    assert record["ratio"] == pytest.approx({"median": 4, "min": 2, "max": 5})
    assert record["median"] == pytest.approx(2.4)  # 60,000 images at 40 us
    assert record["share_of_peak"] == pytest.approx(0.15)  # 6e6 / 4e-5 = 1.5e11


@pytest.mark.filterwarnings("default")  # warnings of PyTorch are not ours
def test_torch_agrees_and_an_unflipped_kernel_is_noticed(benchmarks, case, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not among the test requirements")
    verify, torch_side = benchmarks("verify"), benchmarks("torch_side")
    chosen = verify.minibatches(16, 500)
    expected = results(benchmarks("convlet_side").Convlet("", 1), case, chosen)
    for mode in ("eager", "channels-last"):
        peer = torch_side.Torch(mode, 1)
        probabilities, losses = results(peer, case, chosen)
        verify.assert_same(mode, probabilities, expected[0], losses, expected[1])

    net, weights, data = case
    unflipped = {**weights, "w0": weights["w0"][::-1, ::-1]}
    probabilities, losses = results(peer, (net, unflipped, data), chosen)
    with pytest.raises(verify.Different, match="probabilities differ"):
        verify.assert_same("unflipped", probabilities, expected[0], losses, expected[1])


ABOUT = {
    "machine": "m",
    "python": "3",
    "threads": 2,
    "versions": {},
    "peak": {"rate": 1e12, "how": "a loop"},
    "seconds": 1,
    "family_seconds": 1,
    "rounds": 1,
    "left_out": ["onnxruntime: not installed"],
    "kernels": {},
}


def test_report_names_what_was_disturbed(benchmarks, row):
    report = benchmarks("report")
    ours = row("prediction", 10_000, "convlet", [1e-5])
    peer = row("prediction", 10_000, "jax", [2e-5], others=[0.5], chosen=250)
    records = [report.record("prediction", one, ours, 1e12) for one in (ours, peer)]
    text = report.markdown(records, [], [], ABOUT)
    assert "| made | 10,000 | convlet | 100 | 100 | 100 | 1 | 20.0% |" in text
    assert (
        "| made | 10,000 | jax (by 250) | 200 | 200 | 200 | 2.00 (2.00 to 2.00) | 10.0% |" in text
    )
    assert "during: prediction made 10000." in text
    assert "- onnxruntime: not installed" in text
