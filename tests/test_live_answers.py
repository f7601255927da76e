"""What the live page answers is what the network computes; what is taken away is what was there."""

import json
import threading
from base64 import b64decode, b64encode
from importlib import import_module

import numpy as np
import pytest

import convlet
from convlet import InputError, backprop
from convlet import equations as eq
from convlet.datasets.dataset import Dataset, Split
from convlet.formats import history as history_format
from convlet.server import events
from convlet.server.wire import dumps, pixels
from live_pages import DATA, JUDGES, SHAPE, network, number, served

FIRST = {"part": "train", "index": 0}


@pytest.fixture(scope="module")
def trained():
    """A network that has learned something, on its page."""
    of = network(seed=3)
    of.fit(*DATA, epochs=3, batch_size=8)
    with served(of) as (page, client):
        yield page, client


# ------------------------------------------------------------------------------- one image


def test_forward_is_the_pass_of_the_equations(trained):
    page, client = trained
    found = client.post("/api/forward", ref=FIRST)
    net = page.network
    x = (DATA[0][:1] / 255).astype(np.float32)
    traces = backprop.forward(net.stages, net.parameters, x)
    assert found["label"] == DATA[1][0]
    assert np.allclose(found["probabilities"], traces[-1].output[0], atol=1e-6)
    assert np.allclose(number(found["x"]), x[0], atol=1e-6)
    expected = -np.log(traces[-1].output[0][DATA[1][0]])
    assert found["cost"] == pytest.approx(expected, abs=1e-5)
    for told, trace in zip(found["stages"], traces, strict=True):
        assert told.keys() == {"z", "outputs"}, "what is there once already"
        assert np.allclose(number(told["z"]), trace.z[0], atol=1e-5)
        outputs = (*trace.inputs[1:], trace.output)
        for mine, theirs in zip(told["outputs"], outputs, strict=True):
            assert np.allclose(number(mine), theirs[0], atol=1e-5)


def test_backward_is_the_way_back_of_the_equations(trained):
    page, client = trained
    found = client.post("/api/backward", ref=FIRST, weights=["w0"])
    net, label = page.network, int(DATA[1][0])
    gradient = net.gradients(DATA[0][:1], [label])
    assert np.array_equal(number(found["gradient"]["w0"]["values"]), gradient["w0"])
    for name, values in gradient.items():
        assert found["gradient"][name]["norm"] == pytest.approx(float(np.linalg.norm(values)))
        assert ("values" in found["gradient"][name]) == (name == "w0")
    probabilities = np.array(client.post("/api/forward", ref=FIRST)["probabilities"])
    assert np.allclose(
        number(found["stages"][-1]["delta"]), probabilities - np.eye(3)[label], atol=1e-6
    )
    saliency = number(found["x"])
    assert {*found["stages"][1]} == {"delta", "outputs"}
    assert np.array_equal(saliency, net.input_gradient(DATA[0][:1], [label])[0])
    other = client.post("/api/backward", ref=FIRST, label=(label + 1) % 3)
    assert other["cost"] != found["cost"]


def test_explain_is_that_of_the_library(trained):
    page, client = trained
    rate = client.get("/api/state")["settings"]["learning_rate"]
    for what in ("z/0/1,2,3", "w/0/1,2,0,3", "out/2/0/0", "cost", "dx/0/2,2,0", "b/1/0"):
        found = client.post("/api/explain", ref=FIRST, what=what, differences=True)
        told = convlet.explain(
            page.network, DATA[0][0], int(DATA[1][0]), what, True, learning_rate=rate
        )
        assert found == json.loads(dumps(told.as_json()))


@pytest.mark.parametrize(
    ("path", "given", "parameter"),
    [
        ("/api/explain", {"ref": FIRST, "what": "z/9/1"}, "what"),
        ("/api/explain", {"ref": FIRST, "what": None}, "what"),
        ("/api/explain", {"ref": FIRST, "what": ["z"]}, "what"),
        ("/api/explain", {"ref": FIRST, "what": "z/0/0,0,0", "differences": 1}, "differences"),
        ("/api/forward", {"ref": {"part": "train", "index": 120}}, "index"),
        ("/api/forward", {"ref": {"part": "train", "index": -1}}, "index"),
        ("/api/forward", {"ref": {"part": "train", "index": 1.5}}, "index"),
        ("/api/forward", {"ref": {"part": "own", "index": 99}}, "ref"),
        ("/api/forward", {"ref": {"part": "cake", "index": 0}}, "part"),
        ("/api/forward", {"ref": [1]}, "ref"),
        ("/api/forward", {}, "ref"),
        ("/api/forward", {"ref": FIRST, "label": 3}, "label"),
        ("/api/backward", {"ref": FIRST, "weights": ["w9"]}, "name"),
        ("/api/backward", {"ref": FIRST, "weights": "w0"}, "weights"),
        ("/api/augmentation", {"augmentation": "none", "refs": [FIRST]}, "augmentation"),
        ("/api/augmentation", {"augmentation": "flip", "refs": []}, "refs"),
        ("/api/augmentation", {"augmentation": "flip", "refs": [FIRST], "seed": "x"}, "seed"),
        ("/api/learn", {"items": []}, "items"),
        ("/api/learn", {"items": [3]}, "ref"),
        ("/api/learn", {"items": [{"ref": FIRST}], "steps": 10**6}, "steps"),
        ("/api/train", {"do": "dance"}, "do"),
        ("/api/train", {}, "do"),
        ("/api/drawing", {"pixels": "AAAA", "rows": 2, "columns": 2}, "pixels"),
        ("/api/drawing", {"pixels": "%", "rows": 2, "columns": 2}, "pixels"),
        ("/api/drawing", {"pixels": "", "rows": 10**9, "columns": 2}, "rows"),
        ("/api/drawing", {"pixels": "AAAA", "rows": 1, "columns": 3, "prepare": "no"}, "prepare"),
        ("/api/drawing", {"pixels": "AAAA", "rows": 1, "columns": 3, "prepare": False}, "pixels"),
    ],
)
def test_a_wrong_question_names_what_is_wrong(trained, path, given, parameter):
    _, client = trained
    status, found, _ = client.ask("POST", path, given)
    assert status == 422, found
    assert found["error"]["parameter"] == parameter


@pytest.mark.parametrize(
    "query", ["part=cake", "count=0", "count=201", "start=-1", "start=x", "label=3", "label=x"]
)
def test_a_wrong_query_is_refused(trained, query):
    _, client = trained
    assert client.ask("GET", f"/api/images?{query}")[0] == 422


def test_too_many_fields_of_a_query_are_refused(trained):
    _, client = trained
    assert client.ask("GET", "/api/images?" + "a=1&" * 1000)[0] == 400


def test_weights_are_those_of_the_network(trained):
    page, client = trained
    for name, values in page.network.parameters.items():
        assert np.array_equal(number(client.get(f"/api/weights?name={name}")), values)
    assert client.ask("GET", "/api/weights?name=w7")[0] == 422
    assert client.ask("GET", "/api/weights")[0] == 422


# ---------------------------------------------------------------------------------- images


def test_images_of_a_part_and_of_a_label(trained):
    _, client = trained
    found = client.get("/api/images?part=train&start=5&count=7")
    assert found["total"] == 120
    assert [one["ref"]["index"] for one in found["images"]] == [*range(5, 12)]
    for one in found["images"]:
        n = one["ref"]["index"]
        levels = np.frombuffer(b64decode(one["pixels"]), np.uint8).reshape(found["shape"])
        assert np.array_equal(levels, DATA[0][n])
        assert one["label"] == DATA[1][n]
    of_two = client.get("/api/images?part=validation&label=2&count=200")
    assert [one["ref"]["index"] for one in of_two["images"]] == np.flatnonzero(
        JUDGES[1] == 2
    ).tolist()


def test_augmented_images_are_those_of_training(trained):
    page, client = trained
    given = {"augmentation": "shift 2, rotation 30", "refs": [FIRST], "seed": 3, "epoch": 2}
    found = client.post("/api/augmentation", **given)
    seen = page.network.preview(DATA[0][:1], given["augmentation"], seed=3, epoch=2)
    levels = np.frombuffer(b64decode(found["images"][0]["pixels"]), np.uint8).reshape(SHAPE)
    assert np.array_equal(levels, np.rint(255 * seen[0]).astype(np.uint8))


def test_an_evaluation_names_the_surest_mistakes(trained):
    page, _ = trained
    wrong = JUDGES[0], (JUDGES[1] + 1) % 3
    with served(page.network, DATA, wrong) as (_, other):
        found = other.post("/api/evaluate")
    probabilities = page.network.predict_proba(JUDGES[0])
    assert found["accuracy"] == page.network.evaluate(*wrong).accuracy
    assert found["loss"] == pytest.approx(page.network.evaluate(*wrong).loss)
    sure = [one["probability"] for one in found["mistakes"]]
    assert sure == sorted(sure, reverse=True)
    best = np.argsort(-probabilities.max(axis=1), kind="stable")
    assert found["mistakes"][0]["ref"] == {"part": "validation", "index": int(best[0])}
    assert found["mistakes"][0]["label"] == wrong[1][best[0]]
    levels = np.frombuffer(b64decode(found["mistakes"][0]["pixels"]), np.uint8)
    assert np.array_equal(levels.reshape(found["shape"]), JUDGES[0][best[0]])
    assert sum(map(sum, found["confusion"])) == 40


def test_an_image_of_no_class_has_no_label_and_judges_nothing():
    """-1 is the label of an image whose class the network does not know."""
    labels = JUDGES[1].copy()
    labels[:3] = -1
    with pytest.raises(InputError, match=r"validation y\[0\] is -1"):
        convlet.live(network(), DATA, (JUDGES[0], labels), browser=False)
    train, test = Split(*DATA), Split(JUDGES[0], labels)
    data = Dataset("made", train, test, ("a", "b", "c"), validation=Split(*JUDGES))
    with served(network(), data, None) as (page, client):
        shown = client.get("/api/images?part=test&count=4")["images"]
        assert [one["label"] for one in shown] == [None, None, None, labels[3]]
        ref = shown[0]["ref"]
        found = client.post("/api/forward", ref=ref)
        assert (found["label"], found["cost"]) == (None, None)
        for path in ("/api/forward", "/api/backward"):
            status, refused, _ = client.ask("POST", path, {"ref": ref, "label": -1})
            assert (status, refused["error"]["parameter"]) == (422, "label")
        judged = client.post("/api/evaluate")
        assert (judged["of"], judged["images"]) == ("validation", len(JUDGES[1]))
        expected = np.zeros((3, 3), int)
        np.add.at(expected, (JUDGES[1], page.network.predict(JUDGES[0])), 1)
        assert judged["confusion"] == expected.tolist()


def test_levels_of_floats_are_what_is_shown_black_and_white():
    x = np.array([-1.0, 0.0, 3.0], np.float32)
    assert pixels(x, (-1.0, 3.0)).tolist() == [0, 64, 255]
    assert pixels(np.array([0, 7, 255], np.uint8), (0.0, 1.0)).tolist() == [0, 7, 255]
    centred = (DATA[0] / 255 - 0.3).astype(np.float32) * 2, DATA[1]
    with served(network(), centred, None) as (_, client):
        low, high = client.get("/api/state")["data"]["levels"]
        assert (low, high) == (pytest.approx(centred[0].min()), pytest.approx(centred[0].max()))
        client.do("step")
        client.wait("paused")
        status, found, _ = client.ask("POST", "/api/drawing", drawn(np.full((6, 6), 200, np.uint8)))
        assert status == 422  # levels are no numbers around 0
        assert "scale" in found["error"]["message"]


def drawn(levels, **more):
    rows, columns = levels.shape
    text = b64encode(levels.tobytes()).decode()
    return {"pixels": text, "rows": rows, "columns": columns, **more}


# ----------------------------------------------------------------------- what is taken away


def test_the_model_is_the_network_and_comes_back(trained, tmp_path):
    page, client = trained
    data = client.get("/api/model")
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    assert np.array_equal(convlet.load(path).flat, page.network.flat)
    with served(network(seed=8)) as (other, its):
        status, state, _ = its.ask("POST", "/api/model", data, "application/octet-stream")
        assert status == 200
        assert np.array_equal(other.network.flat, page.network.flat)
        assert state["run"]["trained"] == 3
        assert its.post("/api/forward", ref=FIRST) == client.post("/api/forward", ref=FIRST)
        its.do("step")
        its.wait("paused")
        its.do("reset")
        assert np.array_equal(other.network.flat, page.network.flat)


def test_a_model_of_other_images_or_classes_is_refused(trained, tmp_path):
    _, client = trained
    for layers, shape, classes in (
        ("flatten, dense 3, softmax", (5, 6, 1), None),
        ("flatten, dense 4, softmax", SHAPE, None),
    ):
        path = tmp_path / "other.safetensors"
        convlet.Network(layers, shape, classes=classes).save(path)
        status, found, _ = client.ask("POST", "/api/model", path.read_bytes(), "x/y")
        assert (status, found["error"]["parameter"]) == (422, "model")


def test_history_and_report_are_those_of_the_run():
    with served(epochs=2) as (page, client):
        client.do("start")
        client.wait("ended")
        text = client.get("/api/history").decode()
        rows = "".join(map(history_format.csv_line, page.history))
        assert text == history_format.csv_header() + rows
        report = client.get("/api/report").decode()
        assert report.startswith("<!DOCTYPE html>")
        assert 'id="confusion"' in report
        assert 'id="training"' in report


def test_learning_one_image_changes_its_class_and_is_said():
    of = network(seed=3)
    of.fit(*DATA, epochs=5, batch_size=8)
    with served(of) as (page, client):
        strange = np.full((6, 6), 120, np.uint8)
        own = client.post("/api/drawing", **drawn(strange, prepare=False, keep=True))
        label = int(np.argmin(own["probabilities"]))
        found = client.post("/api/learn", items=[{"ref": own["ref"], "label": label}], steps=100)
        assert found["costs"][-1] < found["costs"][0]
        assert np.argmax(found["probabilities"][0]) == label
        assert client.get("/api/state")["run"]["learned"] == 1
        assert page.network.evaluate(*JUDGES).accuracy > 0.9  # nothing is forgotten
        client.do("reset")
        assert client.get("/api/state")["run"]["learned"] == 0


def test_the_reference_engine_is_shown_too():
    with served(network(engine="reference"), epochs=1) as (page, client):
        client.do("step")
        client.wait("paused")
        assert client.get("/api/state")["model"]["engine"] == "reference"
        found = client.post("/api/forward", ref=FIRST)
        z = number(found["stages"][0]["z"])
        x = (DATA[0][:1] / 255).astype(np.float32)
        net = page.network
        expected = eq.conv2d(x, net.parameters["w0"])[0] + net.parameters["b0"]
        assert np.allclose(z, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/api/events", 405),  # which would have no end
        ("HEAD", "/api/state", 405),
        ("GET", "/api/state/", 404),
        ("GET", "/api//state", 404),
        ("DELETE", "/api/nothing", 404),
        ("POST", "/api/settings", 415),
        ("PUT", "/api/settings", 405),
    ],
)
def test_an_address_is_taken_as_it_is(trained, method, path, status):
    _, client = trained
    assert client.ask(method, path)[0] == status


def test_a_listener_that_goes_is_noticed_where_nothing_happens(trained, monkeypatch):
    monkeypatch.setattr(events, "ALIVE", 1e6)
    page, client = trained
    hub = page._serving.session.hub
    with client.events() as lines:
        assert next(lines)["type"] == "state"
        assert len(hub.boxes) == 1
    client.until(lambda run: not hub.boxes)


def test_a_copy_between_two_steps_knows_how_many_epochs_there_were():
    """An epoch is counted after its last step, without another one."""
    with served() as (page, _):
        session = page._serving.session
        with session.still() as network:
            assert network.epochs == 0
        page.network.epochs = 1
        with session.still() as network:
            assert network.epochs == 1
        assert session.taken().epochs == 1


def test_a_long_answer_keeps_no_other_waiting(monkeypatch):
    begun, done = threading.Event(), threading.Event()

    def slow(*arguments, **more):
        begun.set()
        assert done.wait(60)
        return "<!DOCTYPE html>"

    monkeypatch.setattr(import_module("convlet.report"), "report", slow)
    with served() as (_, client):
        asking = threading.Thread(target=client.get, args=("/api/report",))
        asking.start()
        try:
            assert begun.wait(60)
            client.post("/api/forward", ref={"part": "train", "index": 0})
            assert not done.is_set()
        finally:
            done.set()
            asking.join()
