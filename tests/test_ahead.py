"""Images of a file are read ahead of the steps that need them, and change no number."""

import threading
from itertools import count

import numpy as np
import pytest

from convlet import Network, ahead


@pytest.fixture
def mapped(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (200, 6, 6, 1), np.uint8)
    np.save(tmp_path / "x.npy", images)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_training_from_a_map_is_that_from_memory_whether_pages_are_missing_or_not(
    mapped, monkeypatch
):
    """As if every look found more pages that training had waited for."""
    y = np.arange(200) % 3
    found = []
    for images, more in ((np.array(mapped), 0), (mapped, 0), (mapped, 1)):
        looks = count(0, more)
        monkeypatch.setattr(ahead, "_faults", lambda looks=looks: next(looks))
        network = Network("conv 2 3, relu, flatten, dense 3, softmax", (6, 6, 1))
        network.fit(images, y, epochs=2, batch_size=16, progress=False)
        found.append(network.flat.tobytes())
    assert found[0] == found[1] == found[2]


def test_only_maps_are_read_ahead_and_only_where_pages_are_missing(mapped, monkeypatch):
    read = []
    monkeypatch.setattr(ahead.Ahead, "read", lambda self, chosen: read.append(len(chosen)))
    with ahead.ahead_of(np.array(mapped)) as one:
        assert isinstance(one, ahead.Nothing)
        one.read(np.arange(3))
    assert read == []
    for images in (mapped, mapped[20:], np.ascontiguousarray(mapped)):
        with ahead.ahead_of(images) as one:
            assert isinstance(one, ahead.Ahead)


def test_reading_ahead_begins_with_the_first_missing_page_and_leaves_no_thread(mapped, monkeypatch):
    faults = iter([5, 5, 6, 6])
    monkeypatch.setattr(ahead, "_faults", lambda: next(faults))
    with ahead.ahead_of(mapped) as one:
        asked = []
        monkeypatch.setattr(one.pool, "submit", lambda function, part, axis: asked.append(part))
        for _ in range(3):
            one.read(np.arange(100))
        assert np.concatenate(asked).tolist() == list(range(100))
    assert not [t for t in threading.enumerate() if t.name.startswith("convlet-ahead")]
