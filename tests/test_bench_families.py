"""The benchmark's families: every contender is given the same map, and the report what is true.

onnxruntime runs the graphs that are timed, beside the reference engine.  Nothing here depends on
how long anything takes.
"""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

import convlet

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SMALL = (
    "conv 4 3 stride 2 padding same, relu, dropout 0.5, flatten, dense 6, relu, dense 3, softmax"
)


@pytest.fixture
def benchmarks(monkeypatch):
    """Imports a module of the folder benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def families(benchmarks):
    return benchmarks("families")


def drawn(net, seed=0):
    """Weights with biases that are not 0."""
    draws = np.random.default_rng(seed)
    weights = dict(convlet.Network(net.layers, net.shape, seed).parameters)
    for name, values in weights.items():
        if name.startswith("b"):
            values[...] = draws.uniform(-0.3, 0.3, values.shape)
    return weights


def smaller(family):
    """Its layers on images just large enough for a reference that takes its time."""
    rows, columns, channels = family.net.shape
    while rows > 64:
        rows, columns = rows // 2, columns // 2
    return type(family.net)(family.net.name, family.net.layers, (rows, columns, channels))


def test_families_are_what_was_asked_for(families):
    """Every case of the issue is there."""
    found = families.FAMILIES.values()
    layers = [str(layer) for one in found for stage in one.net.stages for layer in stage.sigma]
    maps = {
        (stage.affine.kernel[0], stage.affine.stride[0])
        for one in found
        for stage in one.net.stages
        if len(stage.w_shape) == 4
    }
    assert {(1, 1), (3, 1), (5, 1), (7, 1), (3, 2), (5, 2), (7, 2)} <= maps
    assert {"pool 2", "pool 3 stride 2", "dropout 0.25", "dropout 0.5"} <= {*layers}
    sides = {one.net.shape[:2] for one in found}
    assert {(28, 28), (32, 32), (64, 64), (96, 96), (128, 128), (224, 224), (48, 80)} <= sides
    assert {one.net.classes for one in found} == {10, 1000}
    kinds = [one.kind for one in found]
    assert kinds.count("dense only") == 2
    assert kinds.count("strided without a pool") == 2
    for one in found:
        assert one.count >= max(one.batches)
        assert one.batches == families.BATCHES[: len(one.batches)]


@pytest.mark.parametrize("n", range(21))
def test_onnx_graphs_are_the_same_map(n, benchmarks, families):
    """Each family, levels and floats, against the reference engine in float64."""
    names = list(families.FAMILIES)
    assert len(names) == 21
    onnx_side = benchmarks("onnx_side")
    net = smaller(families.FAMILIES[names[n]])
    weights = drawn(net)
    images, labels = families.make_images(2, net.shape, net.classes, seed=n)
    network = convlet.Network(net.layers, net.shape, engine="reference")
    for name, values in weights.items():
        network.parameters[name][...] = values
    expected = network.predict_proba(images)
    assert np.ptp(expected, axis=0).max() > 1e-3  # tells the images apart

    data = benchmarks("contender").Data(images, labels, images)
    side = onnx_side.OnnxRuntime("", 1)
    side.load(data)
    side.build(net, weights, 1)
    for dtype in ("uint8", "float32"):
        np.testing.assert_allclose(side.predictor(0, 2, dtype)(), expected, atol=2e-5)
    unturned = {**weights, "w0": np.ascontiguousarray(weights["w0"][::-1])}
    side.build(net, unturned, 1)
    assert np.abs(side.predictor(0, 2, "float32")() - expected).max() > 1e-3


def test_convlet_side_takes_levels_and_floats(benchmarks, families):
    net = benchmarks("layout").Net("small", SMALL, (7, 5, 3))
    images, labels = families.make_images(9, net.shape, 3, seed=0)
    side = benchmarks("convlet_side").Convlet("", 1)
    side.load(benchmarks("contender").Data(images, labels, images))
    side.build(net, drawn(net), 4)
    levels, floats = (side.predictor(2, 9, dtype)() for dtype in ("uint8", "float32"))
    assert levels.shape == (7, 3)
    np.testing.assert_allclose(levels, floats, atol=1e-6)


def test_images_can_be_learnt_but_for_wrong_labels(families):
    shape = (20, 31, 3)
    images, labels = families.make_images(400, shape, 10, seed=0)
    np.testing.assert_array_equal(images, families.make_images(400, shape, 10, seed=0)[0])
    means = np.array([images[labels == k].mean(axis=0) for k in range(10)])
    other, truth = families.make_images(400, shape, 10, seed=1)
    assert not np.array_equal(other, images)
    distances = [np.square(means - image).sum(axis=(1, 2, 3)) for image in other]
    right = (np.argmin(distances, axis=1) == truth).mean()
    assert 0.85 < right < 0.96  # a tenth is wrong, and a tenth of these is right by chance


def test_losses_are_compared_without_dropout(benchmarks):
    """Then the contender gets back the network that is timed."""
    measure, layout = benchmarks("measure"), benchmarks("layout")
    net = layout.Net("small", SMALL, (7, 5, 3))
    plain = net.without_dropout()
    assert plain.layers == SMALL.replace("dropout 0.5, ", "")
    shapes = {name: array.shape for name, array in drawn(net).items()}
    assert shapes == {name: array.shape for name, array in drawn(plain).items()}
    asked = []

    class Worker:
        def build(self, net, weights, batch_size):
            asked.append(net)

        def ask(self, call, **arguments):
            asked.append(call)
            return call

    case = measure.Case("training", net, 8)
    given = measure.results(Worker(), case, Path("weights"), [[0]])
    assert asked == [net, "probabilities", plain, "losses", net]
    assert given == {"probabilities": "probabilities", "losses": "losses"}
    asked.clear()
    measure.results(Worker(), measure.Case("training", plain, 8), Path("weights"), [[0]])
    assert asked == [plain, "probabilities", "losses"]
    asked.clear()
    given = measure.results(Worker(), measure.Case("latency", net, 1), Path("weights"), [])
    assert asked == [net, "probabilities"]
    assert given["losses"] is None


@pytest.fixture
def rows(benchmarks, families):
    """Makes rows of a case; contenders: {(name, threads): seconds an image, round by round}."""
    measure = benchmarks("measure")

    def make(family, what, size, contenders):
        case = measure.Case(what, families.FAMILIES[family].net, size, None)
        still = [0.0, 0.0, 0.0]
        return [
            measure.Row(case, name, threads, list(seconds), others=still)
            for (name, threads), seconds in contenders.items()
        ]

    return make


def test_training_is_compared_with_the_fastest_that_shuffles(benchmarks, rows):
    report = benchmarks("family_report")
    contenders = {
        ("convlet", 2): (1e-3, 2e-3, 1e-3),
        ("torch-eager", 2): (9e-3, 9e-3, 9e-3),
        ("torch-channels-last", 2): (4e-3, 4e-3, 4.6e-3),
        ("torch-in-order", 2): (1e-3, 1e-3, 1e-3),
        ("jax", 2): (1e-3, 1e-3, 1e-3),
        ("convlet", 1): (1.5e-3, 3e-3, 1.8e-3),
    }
    peer, threads = report.comparisons(rows("lenet-grey-28", "training", 32, contenders))
    assert peer["peer"] == "torch-channels-last"
    assert peer["ratio"] == pytest.approx({"median": 4, "min": 2, "max": 4.6})
    assert peer["seconds"] == pytest.approx(0.032)
    assert (peer["promise"], peer["kept"]) == ("training, with a pool", False)
    assert (threads["promise"], threads["kept"]) == ("two threads against one", False)
    assert threads["ratio"] == pytest.approx({"median": 1.5, "min": 1.5, "max": 1.8})

    (peer, threads) = report.comparisons(rows("strided-grey", "training", 1, contenders))
    assert peer["promise"] is None  # of these batch sizes nothing
    assert threads["promise"] is None  # 1.8 ms on one thread
    (peer, _) = report.comparisons(rows("strided-grey", "training", 128, contenders))
    assert (peer["promise"], peer["kept"]) == ("training, strided without a pool", True)


def test_predictions_are_compared_on_as_many_threads(benchmarks, rows):
    report = benchmarks("family_report")
    contenders = {
        ("convlet", 2): [1e-5] * 3,
        ("onnxruntime", 2): [1.5e-5] * 3,
        ("convlet", 1): [2e-5] * 3,
        ("onnxruntime", 1): [2.2e-5] * 3,
        ("jax", 1): [1e-6] * 3,
    }
    for family, size, promise, kept in (
        ("large-96", 1, "one image", [True, False]),
        ("large-96", 8, None, [None, None]),
        ("large-96", 1000, "1,000 images", [False, False]),
        ("dense-256-128", 1000, "1,000 images, dense only", [True, False]),
    ):
        what = "latency" if size == 1 else "prediction"
        found = [*report.comparisons(rows(family, what, size, contenders))]
        peers = [one for one in found if one["compared"] == "peer"]
        assert [one["threads"] for one in peers] == [2, 1]
        assert [one["ratio"]["median"] for one in peers] == pytest.approx([1.5, 1.1])
        assert {one["promise"] for one in peers} == {promise}
        assert [one["kept"] for one in peers] == kept


def test_tables_are_sorted_worst_first_and_count_the_promises(benchmarks, rows):
    report = benchmarks("family_report")
    found = []
    for family, seconds in (("strided-grey", 5e-3), ("dense-256-128", 3e-3), ("large-96", 2e-3)):
        contenders = {("convlet", 2): [1e-3] * 3, ("torch-eager", 2): [seconds] * 3}
        found += report.comparisons(rows(family, "training", 32, contenders))
    found[1]["others"] = 0.5
    text = "\n".join(report.markdown(found))
    assert "| training, with a pool | 4.5 | 0 | 1 | 2.00 | large-96, training by 32" in text
    assert "| training, strided without a pool | 3 | 1 | 1 | 5.00 | strided-grey" in text
    assert "| training, dense only | 4 | 0 | 1 | 3.00 | dense-256-128" in text
    table = [line.split(" | ") for line in text.splitlines() if "a step" in line]
    assert [line[1] for line in table] == ["large-96", "dense-256-128", "strided-grey"]
    assert table[0][0] == "| 2.00 (2.00 to 2.00)"
    assert table[1][0] == "| 3.00 (3.00 to 3.00) *"
    assert [line[-1] for line in table] == ["short |", "short |", "kept |"]


def test_a_run_writes_what_it_has(benchmarks, families, tmp_path):
    """convlet and onnxruntime in processes of their own, one case of each kind."""
    run, options = benchmarks("run"), benchmarks("options")
    asked = (
        "--only families --families strided-grey --threads 1 --peers onnx --batch 8 600"
        " --images 1 8 --seconds 0.001 --rounds 2 --patience 0"
    )
    chosen = options.options("", asked.split())
    about = {"machine": "m", "python": "3", "threads": 1, "versions": {}, "left_out": []}
    about |= {"peak": {"rate": 1e12, "how": ""}, "seconds": 1, "family_seconds": 0.001}
    found = run.Found(tmp_path, about | {"rounds": 2, "kernels": {}})
    run.run_families(chosen, found, tmp_path)
    whole = json.loads((tmp_path / "results.json").read_text())
    cases = [(one["what"], one["size"], one["dtype"]) for one in whole["families"]]
    predictions = [("prediction", 8, "uint8"), ("prediction", 8, "float32")]
    assert cases == [("latency", 1, "uint8"), ("latency", 1, "float32"), *predictions]
    for one in whole["families"]:
        assert one["peer"] == "onnxruntime"
        assert 0 < one["ratio"]["min"] <= one["ratio"]["median"] <= one["ratio"]["max"]
        assert (one["tail"] is None) == (one["what"] == "prediction")
    assert whole["about"]["left_out"] == []
    trained = whole["family_rows"][0]
    assert (trained["contender"], trained["what"], trained["size"]) == ("convlet", "training", 8)
    assert len(whole["family_rows"]) == 1 + 2 * len(cases)
    assert all(len(one["rounds"]) == 2 for one in whole["family_rows"])
    assert "### One image, worst first" in (tmp_path / "results.md").read_text()
    assert {*whole["about"]["versions"]} == {"convlet", "onnxruntime"}


def test_what_is_wanted_is_no_more_than_usual(benchmarks):
    within = benchmarks("run").within
    assert within(None, (1, 8, 32)) == [1, 8, 32]
    assert within([2, 32, 64], (1, 8, 32)) == [2, 32]
