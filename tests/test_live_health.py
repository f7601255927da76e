"""What the live page says of a network's health, and keeps of its runs."""

import json

import numpy as np
import pytest

from convlet.server import health, records
from convlet.server.hub import MOST_PENDING, Hub
from convlet.server.wire import dumps
from live_pages import DATA, network, served


def test_dead_units_and_norms_are_counted():
    net = network()
    net.parameters["b0"][...] = [100, -100, 0, -100]
    net.parameters["w0"][..., 2] = np.eye(3)[..., None] - 0.3  # at some places above 0
    alive = net.activations(DATA[0])[0].outputs[0][..., 2]
    assert 0 < (alive > 0).mean() < 1
    net.parameters["b1"][...] = -1000
    data = health.sample_of(net.samples(*DATA))
    assert len(data) == 64
    first, second, last = health.look(net, data)
    assert (first.dead, first.units) == (2, 4)
    assert (second.dead, second.units) == (8, 8)
    assert (last.dead, last.units) == (None, None)
    gradient = net.gradients(data.images, data.targets)
    for one, name in ((first, "0"), (last, "2")):
        both = np.concatenate([gradient[f"w{name}"].ravel(), gradient[f"b{name}"]])
        assert one.gradient == pytest.approx(float(np.linalg.norm(both)), rel=1e-5)
        both = np.concatenate([net.parameters[f"w{name}"].ravel(), net.parameters[f"b{name}"]])
        assert one.weight == pytest.approx(float(np.linalg.norm(both)), rel=1e-5)
    words = health.words([first, second, last], 3, 1.0, 100, 0)
    assert [(word.stage, word.level) for word in words if "dead" in word.text] == [
        (0, "warning"),
        (1, "warning"),
    ]


@pytest.mark.parametrize(
    ("loss", "steps", "epochs", "said"),
    [
        (5.0, 100, 0, "too high"),
        (float("nan"), 100, 0, "too high"),
        (5.0, 3, 0, None),  # the first steps may be so
        (1.0, 100, 5, None),
        (2.3, 1000, 1, "that of guessing"),
        (2.3, 100, 0, None),
        (None, 0, 0, None),
    ],
)
def test_what_a_loss_says(loss, steps, epochs, said):
    words = health.words([], 10, loss, steps, epochs)
    assert len(words) == (said is not None)
    if said:
        assert said in words[0].text


def test_images_that_are_not_scaled_are_said():
    x = (DATA[0] / 255).astype(np.float32)
    assert health.words_of_images(x) == []
    assert health.words_of_images(DATA[0]) == []
    for wrong in (x / 255, 6 * x):
        (word,) = health.words_of_images(wrong)
        assert "not scaled" in word.text
    with served(network(), (x / 255, DATA[1]), None) as (_, client):
        words = client.get("/api/state")["health"]["words"]
        assert ["not scaled" in word["text"] for word in words] == [True]


def test_a_curve_keeps_so_many_points_and_their_mean():
    curve = records.Curve()
    for n in range(50_000):
        curve.add(float(n), float(n))
    assert len(curve.points) <= records.MOST_POINTS
    assert len(curve.points) > records.MOST_POINTS // 4
    x = [point[0] for point in curve.points]
    assert x == sorted(x)
    seen = sum(curve.each for _ in curve.points)
    assert np.mean([loss for _, loss in curve.points]) == pytest.approx((seen - 1) / 2, rel=1e-3)


def test_a_page_that_has_each_point_has_the_curve():
    curve, there = records.Curve(), []
    for n in range(9_001):
        point = curve.add(float(n), float(n * n % 97))
        if point is not None:
            there.append(point)
        if len(there) > records.MOST_POINTS:
            there = records.halved(there)
    assert there == curve.points
    assert curve.each == 8


def test_looks_take_a_hundredth_of_the_time_and_are_so_far_apart(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(health, "perf_counter", lambda: clock[0])
    looks = health.Looks(1.0)
    spent, begun = 0.0, clock[0]
    for cost in (0.5, 0.002, 0.03, 0.0):
        assert looks.due()
        start, clock[0] = clock[0], clock[0] + cost
        looks.took(start)
        spent += cost
        wait = max(1.0, 100 * cost)
        clock[0] += 0.999 * wait
        assert not looks.due()
        clock[0] += 0.002 * wait
    assert spent <= 0.01 * (clock[0] - begun)


def test_numbers_that_json_lacks_are_null():
    assert json.loads(dumps({"a": [float("nan"), float("inf"), 1.5]})) == {"a": [None, None, 1.5]}


def test_a_mailbox_keeps_the_newest_and_falls_back_to_the_state():
    import asyncio

    async def run():
        hub = Hub(most=1)
        box = hub.join()
        assert hub.join() is None
        assert box.take() == (True, [])
        for n in range(5):
            hub.publish({"type": "progress", "n": n})
        hub.publish({"type": "epoch", "run": 1, "epoch": 1})
        hub.publish(lambda: {"type": "epoch", "run": 1, "epoch": 2})
        hub.publish({"type": "progress", "n": 5})
        behind, events = box.take()
        assert not behind
        assert events == [
            {"type": "epoch", "run": 1, "epoch": 1},
            {"type": "epoch", "run": 1, "epoch": 2},
            {"type": "progress", "n": 5},
        ]
        for n in range(2 * MOST_PENDING):
            hub.publish({"type": "epoch", "run": 1, "epoch": n})
            assert len(box.pending) <= MOST_PENDING
        assert box.take() == (True, [])
        hub.leave(box)
        hub.publish(lambda: pytest.fail("nobody listens"))

    asyncio.run(run())
