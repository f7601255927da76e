"""The live page with data of all kinds, and images that its visitor brings."""

import io
from base64 import b64decode, b64encode

import numpy as np
import pytest

import convlet
from convlet.datasets.dataset import Dataset, Split
from convlet.preparation import Preparation
from convlet.server import own
from live_pages import Client, network, says_ended, served


def drawn(levels, **more):
    rows, columns = levels.shape
    text = b64encode(levels.tobytes()).decode()
    return {"pixels": text, "rows": rows, "columns": columns, **more}


def shown(answer):
    """The pixels of an answer."""
    return np.frombuffer(b64decode(answer["pixels"]), np.uint8).reshape(answer["shape"])


def test_a_network_without_data_can_be_looked_at_but_not_trained():
    with served(network(), None, None) as (_, client):
        state = client.get("/api/state")
        assert (state["data"], state["can"]) == (None, [])
        assert client.ask("POST", "/api/train", {"do": "start"})[0] == 409
        assert client.ask("POST", "/api/evaluate", {})[0] == 409
        assert client.ask("GET", "/api/images")[0] == 422
        own = client.post(
            "/api/drawing", **drawn(np.eye(6, dtype=np.uint8) * 255, prepare=False, keep=True)
        )
        assert client.post("/api/forward", ref=own["ref"])["cost"] is None
        assert client.ask("POST", "/api/backward", {"ref": own["ref"]})[0] == 422
        assert client.post("/api/backward", ref=own["ref"], label=1)["cost"] > 0
        assert client.get("/api/report").startswith(b"<!DOCTYPE html>")
        assert client.get("/api/state")["own"] == [own["ref"]]


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_images_of_several_channels(channels):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, 7, 5, channels)).astype(np.uint8)
    y = np.arange(30) % 2
    split = Split(x, y.astype(np.int64), names=tuple(f"<b>{n}" for n in range(30)))
    preparation = Preparation(7, 5, "rgb") if channels == 3 else None
    data = Dataset("made", split, split.take(slice(0, 10)), ("a", "b"), preparation=preparation)
    net = convlet.Network(
        "conv 3 3 padding same, relu, flatten, dense 2, softmax", (7, 5, channels)
    )
    net.preparation = preparation
    with served(net, data, None, epochs=1) as (_, client):
        client.do("start")
        client.wait("ended")
        found = client.get("/api/images?part=test&count=1")
        assert found["shape"] == [7, 5, channels]
        assert found["images"][0]["name"] == "<b>0"
        levels = np.frombuffer(b64decode(found["images"][0]["pixels"]), np.uint8)
        assert np.array_equal(levels.reshape(7, 5, channels), x[0])
        assert len(client.post("/api/forward", ref={"part": "test", "index": 0})["stages"]) == 2
        own = client.post("/api/drawing", **drawn(np.full((40, 60), 90, np.uint8)))
        assert own["shape"] == [7, 5, channels]
        stream = io.BytesIO()
        np.save(stream, x[3])
        own = client.ask("POST", "/api/image", stream.getvalue(), "application/octet-stream")[1]
        assert np.array_equal(np.frombuffer(b64decode(own["pixels"]), np.uint8), x[3].ravel())
        assert client.get("/api/state")["evaluation"]["of"] == "test"


def test_a_folder_of_photos_trains_and_takes_files_as_predict_does(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    for k, name in enumerate(("cat & dog", "<i>")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(8):
            shown = rng.integers(0, 100, (24, 20, 3)).astype(np.uint8)
            shown[..., k] += 120
            image.fromarray(shown).save(tmp_path / "photos" / name / f"{n}.png")
    data = convlet.datasets.load(tmp_path / "photos", size=(16, 16), progress=False)
    with convlet.live(None, data, recipe="plain", epochs=2, browser=False) as page:
        client = Client(page)
        client.do("start")
        client.wait("ended")
        state = client.get("/api/state")
        assert set(state["data"]["classes"]) == {"cat & dog", "<i>"}
        assert state["data"]["preparation"] == data.preparation.words
        path = next((tmp_path / "photos" / "<i>").iterdir())
        own = client.ask("POST", "/api/image", path.read_bytes(), "image/png")[1]
        expected = convlet.datasets.read_image(path, data.preparation)
        levels = np.frombuffer(b64decode(own["pixels"]), np.uint8).reshape(own["shape"])
        assert np.array_equal(levels, expected)
        probabilities = page.network.predict_proba(expected[None])[0]
        assert np.allclose(own["probabilities"], probabilities, atol=1e-6)


def test_several_pages_see_the_same():
    with served(epochs=2) as (page, one):
        two = Client(page)
        with one.events() as first, two.events() as second:
            assert next(first)["type"] == next(second)["type"] == "state"
            two.do("start")
            for events in (first, second):
                ended = next(event for event in events if says_ended(event))
                run = ended["run"] if ended["type"] == "state" else ended
                assert run["trained"] == 2
        assert one.get("/api/state") == two.get("/api/state")


def test_a_dark_image_of_the_data_is_one_of_levels():
    x = np.zeros((4, 6, 6, 1), np.uint8)
    x[1:] = 200
    x[0, 0, 0] = 1  # alone it might be taken for white
    with served(network(), (x, np.arange(4) % 3), None) as (_, client):
        found = client.post("/api/forward", ref={"part": "train", "index": 0})
        seen = np.frombuffer(b64decode(found["x"]["data"]), "<f4")
        assert seen.max() == np.float32(1 / 255)


# ------------------------------------------------------------------------- drawings of digits


@pytest.fixture(scope="module")
def digits():
    """A page of a network that takes the images of MNIST."""
    net = convlet.Network("flatten, dense 10, softmax")
    net.data = "mnist"
    with served(net, None, None) as (_, client):
        yield client


def bar():
    """A light bar of 140 x 28 pixels, in a corner."""
    levels = np.zeros((280, 280), np.uint8)
    levels[10:150, 20:48] = 255
    return levels


PLACED = np.zeros((28, 28, 1), np.uint8)
PLACED[4:24, 12:16] = 255
"""By hand: 20 x 4 pixels, whose centre (9.5, 1.5) comes to (13.5, 13.5)."""


@pytest.mark.parametrize("levels", [bar(), 255 - bar(), bar() // 255 * 200])
def test_a_bar_becomes_one_of_twenty_pixels_at_the_centre(digits, levels):
    found = digits.post("/api/drawing", **drawn(levels))
    assert np.abs(shown(found).astype(int) - PLACED).max() <= 1
    assert "box, 20 pixels, centre of mass" in found["said"]
    assert ("dark on light" in found["said"]) == (levels[-1, -1] > 0)
    assert sum(found["probabilities"]) == pytest.approx(1)


def test_a_network_of_images_like_those_of_mnist_has_them_placed_too():
    with served(convlet.Network("flatten, dense 10, softmax"), None, None) as (_, client):
        assert np.array_equal(shown(client.post("/api/drawing", **drawn(bar()))), PLACED)


def test_the_centre_of_mass_decides_and_not_that_of_the_box(digits):
    levels = np.zeros((200, 200), np.uint8)
    levels[20:180, 50:60] = 255  # an L: its mass lies to the left and below
    levels[160:180, 50:130] = 255
    image = shown(digits.post("/api/drawing", **drawn(levels)))[..., 0].astype(float)
    down, across = np.nonzero(image)
    assert np.ptp(down) + 1 == 20
    mass = image.sum()
    centre = [(place * image).sum() / mass for place in np.indices(image.shape)]
    assert np.allclose(centre, 14, atol=0.5)
    assert abs((across.min() + across.max()) / 2 - 14) > 1


def test_a_file_is_placed_as_predict_places_it(digits, tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "bar.png"
    image.fromarray(255 - bar()).save(path)
    found = digits.ask("POST", "/api/image", path.read_bytes(), "image/png")[1]
    net = convlet.Network("flatten, dense 10, softmax")
    net.data = "mnist"
    how = convlet.datasets.single.preparation_of(net)
    assert np.array_equal(shown(found), convlet.datasets.read_image(path, how))


def test_an_image_of_mnist_stays_as_it_is(digits):
    levels = convlet.datasets.load("mnist").test.images[0][..., 0]
    found = digits.post("/api/drawing", **drawn(levels))
    assert np.array_equal(shown(found)[..., 0], levels)
    assert found["said"] == "taken as it is"
    assert np.array_equal(
        shown(digits.post("/api/drawing", **drawn(levels, prepare=False)))[..., 0], levels
    )


def test_a_blank_drawing_is_blank(digits):
    found = digits.post("/api/drawing", **drawn(np.zeros((280, 280), np.uint8)))
    assert not shown(found).any()
    assert "no figure" in found["said"]


def test_so_many_own_images_are_kept(digits):
    refs = []
    for n in range(own.MOST + 3):
        levels = np.full((28, 28), n, np.uint8)  # dark ones are none with white as 1
        given = drawn(levels, prepare=False, keep=True)
        refs.append(digits.post("/api/drawing", **given)["ref"])
    assert digits.ask("POST", "/api/forward", {"ref": refs[0]})[0] == 410
    assert digits.ask("POST", "/api/forward", {"ref": refs[3]})[0] == 200
    assert digits.get("/api/state")["own"] == refs[3:]
    listed = digits.get("/api/images?part=own&count=200")
    assert (listed["total"], listed["shape"]) == (own.MOST, [28, 28, 1])
    assert [one["ref"] for one in listed["images"]] == refs[3:]
    few = digits.get("/api/images?part=own&start=1&count=2")["images"]
    assert few == listed["images"][1:3]
    assert [shown({**one, "shape": [28, 28, 1]}).max() for one in few] == [4, 5]
    assert digits.ask("GET", "/api/images?part=own&label=1")[0] == 422


def test_a_drawing_that_was_kept_stays_while_others_are_drawn():
    with served() as (_, client):
        kept = []
        for n in range(2):
            for k in range(own.MOST + 6):
                levels = np.full((6, 6), 100 + k, np.uint8)
                found = client.post("/api/drawing", **drawn(levels, prepare=False))
                assert found["ref"] is None
                assert len(found["probabilities"]) == 3
            levels = np.full((6, 6), 10 + n, np.uint8)
            kept.append(client.post("/api/drawing", **drawn(levels, prepare=False, keep=True)))
        assert client.get("/api/state")["own"] == [one["ref"] for one in kept]
        items = [{"ref": one["ref"], "label": 1} for one in kept]
        assert len(client.post("/api/learn", items=items)["probabilities"]) == 2
        wrong = drawn(np.zeros((6, 6), np.uint8), keep="yes")
        assert client.ask("POST", "/api/drawing", wrong)[0] == 422
